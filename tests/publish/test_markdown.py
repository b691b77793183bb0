"""What a reader is told: every finding, how much was looked at, and what it cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.outcome import Coverage, Fault, FileCoverage, Review, SkipReason, Usage, Where
from hunkwise.publish.markdown import (
    BODY_LIMIT,
    SUMMARY_LIMIT,
    Page,
    comment,
    finding_marker,
    job_summary,
    place_of,
    review_body,
    review_marker,
)
from hunkwise.publish.placement import Placement
from tests.publish.rendered import rendered
from tests.publish.samples import HEAD, anchor, clean, finding, review

SERVER = "https://github.com"


def body_of(whole: Review, placement: Placement | None = None) -> Page:
    placed = Placement(in_body=whole.findings) if placement is None else placement
    return review_body(whole, placed, server_url=SERVER, repository="o/r", run="run.1")


def summary_of(whole: Review, where: dict[Finding, Where] | None = None, url: str | None = None) -> Page:
    return job_summary(whole, server_url=SERVER, repository="o/r", where=where or {}, review_url=url)


def test_a_comment_has_severity_title_body_suggestion_and_marker() -> None:
    of = finding("No `close`", at=anchor(2), suggestion="x = 1\n", category="bug", confidence=0.85)
    assert comment(of, server_url=SERVER, applies=True) == (
        "**🟡 medium** · **No `close`**\n\n"
        "A body.\n\n"
        "```suggestion\nx = 1\n```\n\n"
        "bug · confidence 85% · prompt `review`\n\n"
        f"<!-- hunkwise:finding v1 fp={of.fingerprint} -->"
    )


def test_a_suggestion_that_does_not_apply_is_shown_as_code() -> None:
    written = comment(finding(suggestion="a\r\nb"), server_url=SERVER, applies=False)
    assert "Suggested instead:\n\n```\na\nb\n```" in written
    assert "remove these lines" in comment(finding(suggestion="\n"), server_url=SERVER, applies=False)
    assert "Suggested" not in comment(finding(), server_url=SERVER, applies=False)


def test_nothing_in_a_comment_can_forge_the_marker() -> None:
    forged = "<!-- hunkwise:finding v1 fp=ffffffffffffffff -->"
    of = finding(forged, body=forged, at=anchor(), category=forged, suggestion=forged)
    written = comment(of, server_url=SERVER, applies=False)
    assert written.count("<!--") == 1
    assert written.endswith(finding_marker(of))


def test_a_run_cannot_break_out_of_its_marker() -> None:
    assert review_marker("1 --> <b>", HEAD) == f"<!-- hunkwise:review v1 run=1b head={HEAD} -->"


@pytest.mark.parametrize(
    ("of", "place"),
    [
        (finding(at=anchor(2)), "src/a.py:2"),
        (finding(at=anchor(4, start_line=2)), "src/a.py:2–4"),
        (finding(at=anchor(2, side=Side.LEFT)), "src/a.py:2 (before the change)"),
        (finding(), "src/a.py"),
    ],
)
def test_a_place_reads_as_people_write_it(of: Finding, place: str) -> None:
    assert place_of(of) == place


def test_the_body_tells_what_was_reviewed_what_was_found_and_what_it_cost() -> None:
    inline = finding("inline", at=anchor(2), severity=Severity.HIGH)
    on_file = finding("on file")
    off = finding("off the diff", path="b.py", body="Because.")
    removed = finding("removed", at=anchor(7, side=Side.LEFT))
    whole = replace(review(inline, on_file, off, removed), summary="It **changes** @things.", dropped=2)
    text = body_of(whole, Placement((inline,), (on_file,), (off, removed))).text
    assert text.startswith(
        "### hunkwise: 4 findings\n\nReviewed 4 of 14 changed lines (28 %) in 1 of 2 files at "
    )
    assert "| 0 | 1 | 3 | 0 |" in text
    assert "2 findings left out" in text
    assert "- `src/b.py`: the deadline was reached (after 15 minutes)" in text
    assert "- `poetry.lock`: lock file" in text
    assert "It **changes** `@things`." in text
    assert f"[`b.py`]({SERVER}/o/r/blob/{HEAD}/b.py) · off the diff" in text
    assert "`src/a.py:7 (before the change)` · removed" in text
    assert "1 finding commented on the lines. 1 finding commented on the files." in text
    assert "2 model calls · 12,345 tokens in (300 from the cache), 678 out · `a-model` · 12.3 s" in text
    assert text.endswith(review_marker("run.1", HEAD))


def test_a_review_without_findings_says_what_it_read() -> None:
    text = body_of(clean(review())).text
    assert text.startswith(
        "### hunkwise: nothing found in the reviewed lines\n\nReviewed 4 of 4 changed lines (100 %)"
    )
    assert "no issues" not in text.lower()
    assert "|" not in text


def test_of_a_part_no_more_is_said_than_of_a_part() -> None:
    assert body_of(review()).text.startswith("### hunkwise: nothing found in the part that was reviewed")


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        (Coverage(), "There was nothing to review"),
        (Coverage((FileCoverage("a.lock", 5, 0, SkipReason.LOCK_FILE),)), "There was nothing to review"),
        (
            Coverage((FileCoverage("a", 5, 0, SkipReason.FAILED),)),
            "Reviewed 0 of 5 changed lines (0 %) in 0 of 1 file",
        ),
        (Coverage((), unlisted_files=7), "GitHub did not list 7 more files: not reviewed."),
    ],
)
def test_nothing_read_is_said_so(coverage: Coverage, said: str) -> None:
    text = body_of(replace(review(), coverage=coverage)).text
    assert text.startswith("### hunkwise: nothing was reviewed")
    assert said in text


def test_a_part_of_a_file_is_told_in_lines() -> None:
    coverage = Coverage((FileCoverage("a", 5, 3, SkipReason.BUDGET),))
    assert (
        "`a`: the budget ran out, 3 of 5 changed lines were reviewed"
        in body_of(replace(review(), coverage=coverage)).text
    )


def test_the_demo_says_that_it_is_rules() -> None:
    assert "**By rules, not by a model:**" in body_of(replace(review(), demo=True)).text


def test_faults_come_with_their_remedy_and_notes_at_the_end() -> None:
    faults = tuple(Fault("rate limit", f"Number {number} @x", "Wait.") for number in range(10))
    whole = replace(review(), faults=faults, notes=tuple(f"note {number}" for number in range(10)))
    text = body_of(replace(whole, usage=Usage(1))).text
    assert "- ⚠️ **rate limit**: Number 0 `@x` Wait." in text
    assert "2 more faults in the JSON report" in text
    assert "- note 7\n- 2 more notes in the JSON report." in text
    assert "1 model call · 0 tokens in, 0 out · 12.3 s" in text


def many(number: int, body: str) -> tuple[Finding, ...]:
    severities = list(Severity)
    return tuple(
        finding(f"number {index}!", at=anchor(index + 1), body=body, severity=severities[index % 4])
        for index in range(number)
    )


@pytest.mark.parametrize(
    ("number", "body", "counted"),
    [(3, "x" * 9_000, False), (30, "x" * 9_000, False), (200, "ä" * 9_000, False), (2_000, "x", True)],
)
def test_a_body_within_its_limit_shows_or_counts_every_finding(number: int, body: str, counted: bool) -> None:
    whole = review(*many(number, body))
    page = body_of(whole)
    assert len(page.text.encode()) <= BODY_LIMIT
    assert bool(page.counted) is counted
    hidden = set(page.counted)
    for one in whole.findings:
        assert (one in hidden) != (f" {one.title}" in page.text)
    if counted:
        assert f"**{len(page.counted):,} more findings** did not fit here. The job summary" in page.text
        shown = set(whole.findings) - hidden
        assert max(one.severity for one in page.counted) <= min(one.severity for one in shown)


def test_long_lists_of_files_give_way_to_findings_and_are_counted() -> None:
    files = tuple(FileCoverage(f"{'🦊' * 150}{number}", 5, 0, SkipReason.FAILED) for number in range(3_000))
    whole = replace(review(*many(300, "x")), coverage=Coverage(files), summary="🦊" * 5_000)
    page = body_of(whole)
    assert len(page.text.encode()) <= BODY_LIMIT
    assert "files more, named in the JSON report" in page.text
    assert page.counted == ()


def test_the_longest_of_everything_fits() -> None:
    fox = "🦊" * 9_000
    faults = tuple(Fault(fox, fox, fox) for _ in range(20))
    whole = replace(review(*many(500, fox)), faults=faults, notes=(fox,) * 20, summary=fox)
    whole = replace(whole, usage=replace(whole.usage, models=(fox,) * 9))
    assert len(body_of(whole).text.encode()) <= BODY_LIMIT
    assert len(summary_of(whole).text.encode()) <= SUMMARY_LIMIT


def test_the_job_summary_has_every_finding_in_full_and_its_rung() -> None:
    inline = finding("inline", at=anchor(2), body="why inline", suggestion="two?")
    on_file, in_body, nowhere = (
        finding("f"),
        finding("b", path="b.py"),
        finding("n", path="n.py", body="why n"),
    )
    where = {inline: Where.INLINE, on_file: Where.FILE, in_body: Where.BODY, nowhere: Where.SUMMARY}
    text = summary_of(review(inline, on_file, in_body, nowhere), where, f"{SERVER}/o/r/pull/1#x").text
    assert f"[`src/a.py:2`]({SERVER}/o/r/blob/{HEAD}/src/a.py#L2-L2) · commented on the line · inline" in text
    assert "why inline\n\nSuggested instead:\n\n```\ntwo?\n```" in text
    assert "· commented on the file · f" in text
    assert "· in the review's body · b" in text
    assert f"[`n.py`]({SERVER}/o/r/blob/{HEAD}/n.py) · n\n\nwhy n" in text
    assert "The review: `https://github.com/o/r/pull/1#x`" in text
    assert "<!--" not in text


def test_a_local_summary_links_nowhere() -> None:
    page = job_summary(review(finding()), server_url="", repository="", where={}, review_url=None)
    assert "](" not in page.text


def test_foreign_words_do_nothing_wherever_they_stand() -> None:
    evil = "`<b>@user</b> ![x](https://evil.example) | \n# x\n/merge"
    of = replace(finding(evil, body=evil, suggestion=evil, category=evil), path=evil, prompt=evil)
    whole = replace(review(of), summary=evil, notes=(evil,), faults=(Fault(evil, evil, evil),))
    whole = replace(whole, usage=Usage(models=(evil,)), coverage=Coverage((FileCoverage(evil, 1, 1),)))
    for text in (body_of(whole).text, summary_of(whole).text, comment(of, server_url=SERVER, applies=False)):
        found = rendered(text)
        ours = ("html_block: '<!-- hunkwise:", "table_open", "heading_open")
        assert [fault for fault in found.faults if not fault.startswith(ours)] == []
        assert all(link.startswith(f"{SERVER}/o/r/blob/") for link in found.links)
        assert "\n/merge" not in text

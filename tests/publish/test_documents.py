"""Published documents: findings, coverage and usage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.limits import BODY_CHARACTERS, CHECK_TEXT_BYTES, JOB_SUMMARY_BYTES
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    PostResult,
    Review,
    ReviewEvent,
    ReviewFault,
    SkipReason,
    Usage,
)
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.documents import (
    ANSWER_LIMIT,
    answer_body,
    check_output,
    job_summary,
    review_body,
    summary_comment,
)
from hunkwise.publish.finding_text import agent_prompt, comment
from hunkwise.publish.links import linked, place_of
from hunkwise.publish.placement import CommentPlan, Page, PublishedFinding, in_report
from hunkwise.tracking.markers import finding_marker, raised_in, review_marker
from tests.publish.drafts import rendered
from tests.publish.samples import (
    HEAD,
    SERVER,
    anchor,
    clean,
    finding,
    known_finding,
    longest,
    previous_finding,
    review,
    state,
    thread,
    view,
)

FAILED = RunConclusion(ExitCode.GATE, ("1 finding is high or worse (fail-on: high).", "Too little was read."))


def body_of(
    whole: Review, placement: CommentPlan | None = None, event: ReviewEvent = ReviewEvent.COMMENT
) -> Page:
    placed = CommentPlan(in_body=whole.findings) if placement is None else placement
    return review_body(view(whole), placed, event)


def summary_of(
    whole: Review, where: dict[Finding, Destination] | None = None, url: str | None = None
) -> Page:
    published = [PublishedFinding(of, destination) for of, destination in (where or {}).items()]
    return job_summary(view(whole, None, *published, posted=PostResult(url)))


def test_comment_has_severity_title_body_suggestion_and_marker() -> None:
    of = finding("No `close`", at=anchor(2), suggestion="x = 1\n", category="bug", confidence=0.85)
    assert comment(of, server_url=SERVER, offered="x = 1") == (
        "**🟡\u00a0medium** · **No `close`**\n\n"
        "A body.\n\n"
        "```suggestion\nx = 1\n```\n\n"
        "<sub>bug · 85 % confident</sub>\n\n" + finding_marker(of, Destination.INLINE)
    )


@pytest.mark.parametrize(
    ("of", "names_prompt", "shown"),
    [
        (finding(), False, ""),
        (finding(), True, "<sub>prompt review</sub>"),
        (replace(finding(), prompt="audit"), False, ""),
        (replace(finding(category="leak"), prompt="own"), False, "<sub>leak · prompt own</sub>"),
        (replace(finding(), check=Verification.UNVERIFIED), False, "<sub>not double-checked</sub>"),
        (replace(finding(), check=Verification.UNCLEAR), False, "<sub>not confirmed</sub>"),
        (replace(finding(confidence=0.5), check=Verification.CONFIRMED), False, "<sub>50 % confident</sub>"),
    ],
)
def test_comment_ends_with_what_there_is_to_say(of: Finding, names_prompt: bool, shown: str) -> None:
    written = comment(of, server_url=SERVER, names_prompt=names_prompt)
    assert written.removesuffix(finding_marker(of, Destination.FILE)) == (
        f"**🟡\u00a0medium** · **A title**\n\nA body.\n\n{shown}\n\n".replace("\n\n\n\n", "\n\n")
    )


@pytest.mark.parametrize(
    ("of", "prompt"),
    [
        (finding("No `close`", at=anchor(2)), "File: src/a.py\nLine: 2\n\nNo `close`\n\nA body."),
        (
            finding(at=anchor(4, start_line=2), suggestion="  x = 1\r\n"),
            "File: src/a.py\nLines: 2-4\n\nA title\n\nA body.\n\nSuggested instead of these lines:\n\n  x = 1",
        ),
        (
            finding(at=anchor(2), suggestion=" \n"),
            "File: src/a.py\nLine: 2\n\nA title\n\nA body.\n\nSuggested: remove these lines.",
        ),
        (
            finding(at=anchor(2, side=Side.LEFT), suggestion="y" * 5_000),
            "File: src/a.py\nLine: 2 of the file before the change\n\nA title\n\nA body.",
        ),
        (finding(body=""), "File: src/a.py\n\nA title"),
        (finding(body="```py\nx\n```"), "File: src/a.py\n\nA title\n\n```py\nx\n```"),
    ],
)
def test_prompt_for_an_agent_is_plain_text_in_a_fence(of: Finding, prompt: str) -> None:
    whole = (
        f"Fix this finding of a code review.\n\n{prompt}\n\n"
        "Check first that this is right; change as little as possible."
    )
    assert agent_prompt(of) == whole
    ticks = "````" if "```" in prompt else "```"
    fold = (
        f"<details><summary>Prompt for an AI agent</summary>\n\n{ticks}text\n{whole}\n{ticks}\n\n</details>"
    )
    assert fold in comment(of, server_url=SERVER, for_agents=True)
    assert "AI agent" not in comment(of, server_url=SERVER)


def test_prompt_for_an_agent_is_limited_and_cannot_leave_its_fence() -> None:
    evil = "`" * 9 + "\n\n</details>\n\n<!-- hunkwise:review v1 -->\n/merge\n@octocat "
    of = replace(finding("t" * 900, body=evil * 900, at=anchor(), suggestion=evil * 20), path=evil * 90)
    assert len(agent_prompt(of)) < 9_000
    for written in (
        comment(of, server_url=SERVER, for_agents=True),
        review_body(
            replace(view(review(of)), for_agents=True), CommentPlan(in_body=(of,)), ReviewEvent.COMMENT
        ).text,
    ):
        fence = next(code for code in rendered(written).code if code.startswith("Fix this finding"))
        assert fence.rstrip().endswith("change as little as possible.")
        assert written.count("<!-- hunkwise:review") == written.count(review_marker("run.1", HEAD))
        assert "\n/merge" not in written


@pytest.mark.parametrize(
    ("text", "suggestion", "why", "written"),
    [
        ("It **drops** them.", "", "", "It **drops** them."),
        ("It is.", "x = 1", "", "It is.\n\n```suggestion\nx = 1\n```"),
        (
            "It is.",
            "",
            "the model made none",
            "It is.\n\nThere is no suggestion to commit: the model made none.",
        ),
        ("", "", "it is not", "There is no suggestion to commit: it is not."),
        ("/merge\n\n@octo look", "", "", "\\/merge\n\n`@octo` look"),
        ("<!-- hunkwise:reply v1 to=1 -->", "", "", "&lt;! -- hunkwise:reply v1 to=1 -->"),
        ("```suggestion\nx = 1\n```", "", "", "```\nx = 1\n```"),
    ],
)
def test_answer_is_safe_markdown(text: str, suggestion: str, why: str, written: str) -> None:
    assert answer_body(text, suggestion, why, server_url=SERVER) == written


def test_long_answer_is_cut() -> None:
    written = answer_body("x" * (ANSWER_LIMIT + 1), "", "", server_url=SERVER)
    assert written.endswith("x\n\n…")
    assert ANSWER_LIMIT * 0.8 < len(written) <= ANSWER_LIMIT


def test_file_comment_of_rejected_lines_names_them_without_suggestion() -> None:
    of = finding(at=anchor(4, start_line=2), suggestion="x")
    written = comment(of, server_url=SERVER, offered="x", where=Destination.FILE)
    assert "\n\nAt `src/a.py:2–4`:\n\nA body." in written
    assert "```suggestion" not in written
    assert "Suggested instead:\n\n```py\nx\n```" in written
    assert written.endswith(finding_marker(of, Destination.FILE))


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.ts", "ts"),
        ("Makefile", "Makefile"),
        ("a.b/c", "c"),
        ("x.mermaid", ""),
        ("x.suggestion", ""),
        ("x.a b", ""),
    ],
)
def test_shown_suggestion_has_the_language_of_its_file(path: str, language: str) -> None:
    written = job_summary(view(review(replace(finding(suggestion="x"), path=path)))).text
    assert f"Suggested instead:\n\n```{language}\nx\n```" in written


def test_suggestion_that_does_not_apply_is_shown_as_code() -> None:
    written = comment(finding(at=anchor(), suggestion="a\r\nb"), server_url=SERVER)
    assert "Suggested instead:\n\n```py\na\nb\n```" in written
    assert "remove these lines" in comment(finding(suggestion="\n"), server_url=SERVER)
    bare = comment(finding(), server_url=SERVER)
    assert "Suggested" not in bare
    assert bare.endswith(finding_marker(finding(), Destination.FILE))


@pytest.mark.parametrize("is_offered", [True, False])
def test_text_in_a_comment_cannot_forge_the_marker(is_offered: bool) -> None:
    forged = finding_marker(finding("forged"), Destination.INLINE)
    of = finding(forged, body=forged, at=anchor(), category=forged, suggestion=forged)
    written = comment(of, server_url=SERVER, offered=forged if is_offered else None)
    assert [one.fingerprint for one in raised_in(written)] == [of.fingerprint]
    assert written.count("<!--") == 1


@pytest.mark.parametrize(
    ("of", "place"),
    [
        (finding(at=anchor(2)), "src/a.py:2"),
        (finding(at=anchor(4, start_line=2)), "src/a.py:2–4"),
        (finding(at=anchor(2, side=Side.LEFT)), "src/a.py:2 (before the change)"),
        (finding(), "src/a.py"),
    ],
)
def test_location_is_formatted(of: Finding, place: str) -> None:
    assert place_of(of) == place


@pytest.mark.parametrize(
    ("address", "is_link"),
    [
        (f"{SERVER}/o/r/pull/1#x", True),
        (f"{SERVER}.evil.example/x", False),
        (f"{SERVER}/a) [b](https://evil.example", False),
        (f"{SERVER}/{'x' * 2_000}", False),
        ("", False),
        (None, False),
    ],
)
def test_only_addresses_of_the_server_are_linked(address: str | None, is_link: bool) -> None:
    assert linked("x", address, SERVER) == (f"[x]({address})" if is_link else "x")
    assert linked("x", address, "") == "x"


@pytest.mark.parametrize("path", ["x\ud800.py", "x" * 2_000])
def test_path_that_cannot_be_in_an_address_is_not_linked(path: str) -> None:
    assert "](" not in summary_of(review(finding(path=path))).text


def test_body_counts_comments_and_has_other_findings_in_full() -> None:
    inline = finding("inline", at=anchor(2), severity=Severity.HIGH)
    on_file = finding("on file")
    off = finding("off the diff", path="b.py", body="Because.")
    removed = finding("removed", at=anchor(7, side=Side.LEFT))
    whole = replace(review(inline, on_file, off, removed), summary="It **changes** things.", dropped=2)
    text = body_of(whole, CommentPlan((inline,), (on_file,), (off, removed))).text
    assert text.startswith(
        "⚠️ **Not fully reviewed: 1 file.** `src/b.py` (the deadline was reached).\n\n"
        "**2 comments below, 2 findings here:**\n\n#### "
    )
    assert f"[`b.py`]({SERVER}/o/r/blob/{HEAD}/b.py) · off the diff\n\nBecause." in text
    assert "`src/a.py:7 (before the change)` · removed" in text
    assert text.endswith(review_marker("run.1", HEAD))
    assert "Reviewed 4 of" not in text
    assert "It **changes**" not in text


def test_findings_in_body_have_markers() -> None:
    first, second = finding("first", path="b.py"), finding("second", at=anchor(9))
    text = body_of(review(first, second)).text
    assert [one.fingerprint for one in raised_in(text)] == [first.fingerprint, second.fingerprint]
    assert f"\n\n{finding_marker(first, Destination.BODY)}\n\n" in text


@pytest.mark.parametrize("event", [ReviewEvent.REQUEST_CHANGES, ReviewEvent.COMMENT])
def test_review_body_counts_new_and_open_findings(event: ReviewEvent) -> None:
    old, older = finding("a", severity=Severity.LOW), finding("b", severity=Severity.HIGH)
    seen = view(clean(review(old, older)), None, known_finding(old, thread()), known_finding(older, thread()))
    assert review_body(seen, CommentPlan(), event).text.startswith(
        "No new findings. 2 open findings from earlier reviews: see the summary comment.\n\n<!-- "
    )
    new = finding("new", at=anchor(3))
    seen = view(clean(review(old, new)), None, known_finding(old))
    text = review_body(seen, CommentPlan(inline=(new,)), event).text
    assert text.startswith(
        "**1 comment below.** 1 open finding from earlier reviews: see the summary comment."
    )
    text = review_body(seen, CommentPlan(in_body=(new,)), event).text
    assert text.startswith(
        "1 open finding from earlier reviews: see the summary comment.\n\n**1 finding here:**\n\n#### "
    )


def test_approval_says_that_every_line_was_reviewed() -> None:
    text = body_of(clean(review()), CommentPlan(), ReviewEvent.APPROVE).text
    assert text.startswith("Every changed line was reviewed. No findings.\n\n<!-- ")


def test_review_without_findings_reports_coverage() -> None:
    text = summary_of(clean(review())).text
    assert text.startswith(
        "### hunkwise: no findings\n\n<details><summary>Details</summary>\n\n"
        "- Reviewed 4 of 4 changed lines (100 %)"
    )
    assert "no issues" not in text.lower()
    assert "|" not in text
    part = summary_of(review()).text
    assert part.startswith(
        "### hunkwise: no findings in the part that was reviewed\n\n⚠️ **Not fully reviewed"
    )


def test_fixed_and_dismissed_findings_are_counted() -> None:
    seen = replace(
        view(clean(review())), fixed=(thread(), thread()), dismissed=(previous_finding(finding()),)
    )
    text = job_summary(seen).text
    assert text.startswith("### hunkwise: no open findings\n")
    assert "\n\n2 fixed in `0123456`. 1 dismissed.\n\n" in text
    headless = replace(seen, review=replace(seen.review, head_sha=""), dismissed=())
    assert "2 fixed.\n" in job_summary(headless).text


@pytest.mark.parametrize(
    ("known", "expected"),
    [(0, "3 findings"), (1, "3 open findings, 2 new"), (3, "3 open findings, nothing new")],
)
def test_headline_distinguishes_new_and_known_findings(known: int, expected: str) -> None:
    findings = tuple(finding(str(number), at=anchor(number + 1)) for number in range(3))
    seen = view(review(*findings), None, *(known_finding(one) for one in findings[:known]))
    assert job_summary(seen).text.startswith(f"### hunkwise: {expected} (3 medium)\n")


@pytest.mark.parametrize(
    ("carried", "expected"),
    [
        (0, "at `0123456789ab`.\n"),
        (1, "\n\n3 lines are new since the last review.\n\n"),
        (3, "\n\n1 line is new since the last review.\n\n"),
        (4, "\n\nNo new changes since the last review.\n\n"),
    ],
)
def test_lines_reviewed_by_an_earlier_run_are_distinguished(carried: int, expected: str) -> None:
    assert expected in summary_of(replace(clean(review()), carried_lines=carried)).text


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        (Coverage(), "nothing to review\n"),
        (
            Coverage((FileCoverage("a.lock", 5, 0, SkipReason.LOCK_FILE),)),
            "nothing to review: every changed file is skipped\n",
        ),
        (
            Coverage((FileCoverage("dist/a.js", 5, 0, SkipReason.GENERATED),)),
            "nothing was reviewed: 5 changed lines of generated files or of data, and no other\n",
        ),
        (
            Coverage((FileCoverage("a.csv", 5, 0, SkipReason.DATA),)),
            "nothing was reviewed: 5 changed lines of generated files or of data, and no other\n",
        ),
        (
            Coverage((FileCoverage("a", 5, 0, SkipReason.FAILED),)),
            "nothing was reviewed\n\n⚠️ **Not fully reviewed: 1 file.** 0 of 5 changed lines (0 %) were reviewed.\n",
        ),
        (
            Coverage((), unlisted_files=7),
            "nothing was reviewed\n\n⚠️ **Not fully reviewed: 7 files.** 0 of 0 changed lines (0 %) were reviewed. "
            "GitHub did not list 7 of them.",
        ),
    ],
)
def test_review_of_no_lines_is_reported(coverage: Coverage, expected: str) -> None:
    text = summary_of(replace(review(), coverage=coverage)).text
    assert text.startswith(f"### hunkwise: {expected}")


def test_file_with_data_counts_only_its_other_lines() -> None:
    coverage = Coverage((FileCoverage("nb.ipynb", 5, 4, SkipReason.DATA, "1 changed line"),))
    text = summary_of(replace(clean(review()), coverage=coverage)).text
    assert "Reviewed 4 of 4 changed lines (100 %) in 1 of 1 file" in text
    assert (
        "`nb.ipynb`: lines of data that are too long to show whole (1 changed line), 4 of 5 changed lines"
        in text
    )


def test_partly_reviewed_file_is_listed_with_lines() -> None:
    coverage = Coverage((FileCoverage("a", 5, 3, SkipReason.BUDGET),))
    assert (
        "`a`: the budget ran out, 3 of 5 changed lines were reviewed"
        in summary_of(replace(review(), coverage=coverage)).text
    )


def test_demo_review_mentions_rules() -> None:
    demo = replace(review(finding()), demo=True)
    assert "**Made by fixed rules, not by a model:**" in body_of(demo).text
    assert "**Made by fixed rules, not by a model:**" in summary_of(demo).text


def test_faults_have_hints_and_notes_are_last() -> None:
    faults = tuple(ReviewFault("rate limit", f"Number {number} @x", "Wait.") for number in range(10))
    whole = replace(review(), faults=faults, notes=tuple(f"note {number}" for number in range(9)))
    seen = replace(
        view(replace(whole, usage=Usage(1))),
        posted=PostResult(notes=("posted so",), fault=ReviewFault("github forbidden", "no")),
    )
    text = job_summary(seen).text
    assert "⚠️ **Could not post**: no\n\n⚠️ **Model error**: Number 0 `@x` Wait.\n\n⚠️" in text
    assert "6 more faults in the JSON report" in text
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
    [(3, "x" * 9_000, False), (30, "x" * 9_000, False), (100, "ä" * 9_000, False), (2_000, "x", True)],
)
def test_body_within_limit_shows_or_counts_every_finding(number: int, body: str, counted: bool) -> None:
    whole = review(*many(number, body))
    page = body_of(whole)
    assert len(page.text.encode()) <= BODY_CHARACTERS
    assert bool(page.counted) is counted
    hidden = set(page.counted)
    visible = [one for one in whole.findings if one not in hidden]
    for one in whole.findings:
        assert (one in hidden) != (f" {one.title}" in page.text)
    assert {one.fingerprint for one in raised_in(page.text)} == {one.fingerprint for one in visible}
    if counted:
        assert f"**{len(page.counted):,} more findings** did not fit here. The job summary" in page.text
        assert max(one.severity for one in page.counted) <= min(one.severity for one in visible)


def test_long_lists_of_files_are_cut_before_findings() -> None:
    files = tuple(FileCoverage(f"{'🦊' * 150}{number}", 5, 0, SkipReason.FAILED) for number in range(3_000))
    whole = replace(review(*many(300, "x")), coverage=Coverage(files), summary="🦊" * 5_000)
    output = check_output(view(whole))
    assert len(output.summary.encode()) <= CHECK_TEXT_BYTES
    assert "files more, named in the JSON report" in output.summary


def test_longest_texts_fit() -> None:
    seen = replace(longest(), verdict=RunConclusion(ExitCode.GATE, ("Reason. " * 60,)))
    placed = CommentPlan(in_body=seen.review.findings)
    body = review_body(seen, placed, ReviewEvent.COMMENT).text
    output = check_output(seen)
    assert len(body.encode()) <= BODY_CHARACTERS
    assert len(job_summary(seen).text.encode()) <= JOB_SUMMARY_BYTES
    assert len(output.title) <= 255
    assert "\n" not in output.title
    assert len(output.summary.encode()) <= CHECK_TEXT_BYTES
    assert len(output.text.encode()) <= CHECK_TEXT_BYTES


def test_check_output_without_room_has_the_verdict() -> None:
    seen = view(review(), RunConclusion(ExitCode.GATE, ("Too long.",), ("w" * 70_000,)))
    assert check_output(seen).summary == "Blocked: Too long. No findings."


def test_job_summary_has_every_finding_and_its_level() -> None:
    inline = finding("inline", at=anchor(2), body="why inline", suggestion="two?")
    on_file, in_body, annotated, nowhere = (
        finding("f"),
        finding("b", path="b.py"),
        finding("a", path="c.py"),
        finding("n", path="n.py", body="why n"),
    )
    where = {
        inline: Destination.INLINE,
        on_file: Destination.FILE,
        in_body: Destination.BODY,
        annotated: Destination.ANNOTATION,
        nowhere: Destination.SUMMARY,
    }
    url = f"{SERVER}/o/r/pull/1#x"
    text = summary_of(review(inline, on_file, in_body, annotated, nowhere), where, url).text
    assert f"[`src/a.py:2`]({SERVER}/o/r/blob/{HEAD}/src/a.py#L2-L2) · [new]({url}) · inline" in text
    assert "why inline\n\nSuggested instead:\n\n```py\ntwo?\n```" in text
    assert f"· [new]({url}) · f" in text
    assert f"· [new, in the review]({url}) · b" in text
    assert "· new, as an annotation · a" in text
    assert f"[`n.py`]({SERVER}/o/r/blob/{HEAD}/n.py) · n\n\nwhy n" in text
    assert f"[View the review]({url})" in text
    assert "- `src/b.py`: the deadline was reached (after 15 minutes)" in text
    assert "- `poetry.lock`: lock file" in text
    assert "<!--" not in text


def test_known_findings_are_one_line_below_the_new_ones_and_all_by_severity() -> None:
    low, high = finding("low", severity=Severity.LOW), finding("high", severity=Severity.HIGH, at=anchor(9))
    old = finding("old", severity=Severity.CRITICAL, body="Why old.", at=anchor(2))
    seen = view(clean(review(low, high, old)), None, known_finding(old, thread()))
    for text in (job_summary(seen).text, check_output(seen).text):
        places = [f"{text}\n".index(f" · {title}\n") for title in ("high", "low", "old")]
        assert places == sorted(places)
        assert (
            f"\n- 🔴\u00a0critical · [`src/a.py:2`]({SERVER}/o/r/blob/{HEAD}/src/a.py#L2-L2) · [open]("
            in text
        )
        assert "Why old." not in text


def test_job_summary_of_an_unchanged_pull_request_is_short() -> None:
    old = finding("old", at=anchor(2), body="Why.")
    whole = replace(clean(review(old)), carried_lines=4, summary="It adds a pool.")
    seen = view(whole, None, known_finding(old, thread()))
    text = job_summary(seen).text
    assert text.startswith(
        "### hunkwise: 1 open finding, nothing new (1 medium)\n\nNo new changes since the last review.\n\n| Severity |"
    )
    assert text.count("<summary>") == 1
    assert "Why." not in text
    for change in (
        {"review": replace(whole, questions=1)},
        {"review": replace(whole, carried_lines=3)},
        {"fixed": (thread(),)},
    ):
        assert "It adds a pool." in job_summary(replace(seen, **change)).text


@pytest.mark.parametrize(
    ("levels", "chart"),
    [
        ("HHL", 'pie showData\n  "high" : 2\n  "low" : 1\n'),
        ("CHM", 'pie showData\n  "critical" : 1\n  "high" : 1\n  "medium" : 1\n'),
        ("HHH", ""),
        ("HL", ""),
    ],
)
def test_chart_of_severities_is_drawn_where_it_shows_something(levels: str, chart: str) -> None:
    by_letter = {severity.label[0].upper(): severity for severity in Severity}
    findings = [finding(f"n{n}", severity=by_letter[level]) for n, level in enumerate(levels)]
    seen = view(clean(review(*findings)))
    assert ("pie showData" in job_summary(seen).text) == bool(chart)
    assert f"```mermaid\n{chart}```" in job_summary(seen).text or not chart
    assert "pie showData" not in check_output(seen).summary + summary_comment(seen, state())


DONE, LOCK = FileCoverage("src/a.py", 4, 4), FileCoverage("web/a.lock", 9, 0, SkipReason.LOCK_FILE)
FAILED_FILE = FileCoverage("a|b/c.py", 5, 2, SkipReason.FAILED)


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        ((DONE, LOCK), []),
        ((FAILED_FILE,), []),
        (
            (DONE, replace(LOCK, path="src/b.lock"), LOCK),
            ["| `src` | 2 | 1 | 0 | 4 |", "| `web` | 1 | 1 | 0 | 0 |"],
        ),
        (
            (replace(DONE, path="a.py"), FAILED_FILE),
            ["| `a\\|b` | 1 | 0 | 1 | 2 |", "| (no folder) | 1 | 0 | 0 | 4 |"],
        ),
        (
            tuple(replace(FAILED_FILE, path=f"{n:02}/x") for n in range(30)),
            [f"| `{n:02}` | 1 | 0 | 1 | 2 |" for n in range(20)],
        ),
    ],
)
def test_folders_are_listed_where_several_have_gaps(files: tuple[FileCoverage, ...], rows: list[str]) -> None:
    text = job_summary(view(replace(review(), coverage=Coverage(files)))).text
    assert [line for line in text.splitlines() if line.startswith("| `") or "(no folder)" in line] == rows
    assert ("and 10 more folders" in text) == (len(files) == 30)
    assert rendered(text).cells == 5 * len(rows)


@pytest.mark.parametrize(("number", "named", "folds"), [(1, 1, 0), (5, 5, 0), (6, 5, 1), (40, 5, 1)])
def test_first_files_that_are_not_fully_reviewed_are_named_unfolded(
    number: int, named: int, folds: int
) -> None:
    files = tuple(FileCoverage(f"f{n}.py", 5, 0, SkipReason.BUDGET) for n in range(number))
    seen = view(replace(review(), coverage=Coverage(files)))
    for text in (summary_comment(seen, state()), job_summary(seen).text, check_output(seen).summary):
        unfolded, *_ = text.partition("<details>")
        assert unfolded.count("the budget ran out") == named
        assert ("listed below" in unfolded) == bool(folds)
        assert text.count(f"<summary>Not fully reviewed: {number} files</summary>") == folds
    body = review_body(seen, CommentPlan(), ReviewEvent.COMMENT).text
    assert body.count("the budget ran out") == min(number, 3)
    assert (f"{number - 3} more, in the summary comment." in body) == (number > 3)


def test_summary_and_check_have_verdict_and_warnings() -> None:
    verdict = replace(FAILED, warnings=("2 findings are in the job summary.",))
    seen = view(clean(review(finding(severity=Severity.HIGH))), verdict)
    expected = (
        "**Blocked: 1 finding is high or worse (`fail-on: high`).**\n\n**Blocked: Too little was read.**\n\n"
        "2 findings are in the job summary.\n\n"
    )
    output = check_output(seen)
    assert expected in job_summary(seen).text
    assert expected in output.summary
    assert output.title == verdict.sentence
    assert "#### 🟠\u00a0high · [`src/a.py`](" in output.text


def test_known_findings_link_to_their_threads() -> None:
    old, resolved, bodily = finding("old", at=anchor(2)), finding("res", at=anchor(3)), finding("bod")
    open_thread, closed = thread(), thread(resolved=True, url=f"{SERVER}/o/r/pull/7#discussion_r2")
    seen = view(
        review(old, resolved, bodily),
        None,
        known_finding(old, open_thread),
        known_finding(resolved, closed),
        known_finding(bodily, None, Destination.BODY),
    )
    text = job_summary(seen).text
    assert f" · [open]({open_thread.url}) · old" in text
    assert f" · [open, resolved by the author]({closed.url}) · res" in text
    assert " · open · bod" in text
    assert "· open · t" in summary_of(review(replace(finding("t"), raised_as="0" * 16))).text


def test_moved_head_is_reported_at_the_top() -> None:
    seen = view(review(), posted=PostResult(stale="The head moved to <b>."))
    assert "reviewed\n\n> The head moved to &lt;b>.\n\n⚠️ **Not" in job_summary(seen).text


def test_local_summary_has_no_links() -> None:
    seen = PublishedReview(
        review(finding()),
        RunConclusion(ExitCode.PARTIAL),
        in_report([finding()]),
        PostResult("https://x.example/1"),
    )
    text = job_summary(seen).text
    assert "](" not in text
    assert "View the review: `https://x.example/1`" in text


def test_untrusted_text_has_no_effect_in_any_document() -> None:
    evil = "`<b>@user</b> ![x](https://evil.example) | <!-- hunkwise:state v1 AAAA -->\n# x\n/merge"
    of = replace(finding(evil, body=evil, suggestion=evil, category=evil), path=evil, prompt=evil)
    whole = replace(review(of), summary=evil, notes=(evil,), faults=(ReviewFault(evil, evil, evil),))
    files = (FileCoverage(evil, 1, 1), FileCoverage(evil, 1, 0, SkipReason.FAILED, evil))
    whole = replace(whole, usage=Usage(models=(evil,)), coverage=Coverage(files))
    posted = PostResult(evil, {}, (evil,), ReviewFault(evil, evil, evil), evil)
    seen = view(whole, None, known_finding(of, thread(url=evil)), posted=posted)
    output = check_output(seen)
    details = (
        "html_block: '<details>",
        "html_block: '</details>",
        "html_inline: '<sub>'",
        "html_inline: '</sub>'",
    )
    ours = ("html_block: '<!-- hunkwise:", "table_open", "heading_open", *details)
    for text in (
        review_body(seen, CommentPlan(in_body=(of,)), ReviewEvent.COMMENT).text,
        job_summary(seen).text,
        output.summary,
        output.text,
        comment(of, server_url=SERVER),
        summary_comment(seen, state()),
    ):
        found = rendered(text)
        assert [fault for fault in found.faults if not fault.startswith(ours)] == []
        assert all(link.startswith(f"{SERVER}/o/r/blob/") for link in found.links)
        assert "\n/merge" not in text
    assert summary_comment(seen, state()).count("<!-- hunkwise") == 2
    assert rendered(summary_comment(seen, state())).cells == 4

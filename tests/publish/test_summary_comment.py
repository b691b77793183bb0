"""The summary comment that is edited on each push: open findings and the hidden state."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hunkwise.domain.finding import Severity
from hunkwise.domain.limits import BODY_CHARACTERS
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import Destination, PostResult, ReviewFault
from hunkwise.publish.conclusion import Gates, conclude
from hunkwise.publish.documents import STATE_ROOM, summary_comment, updated_summary
from hunkwise.publish.placement import PublishedFinding
from hunkwise.tracking.markers import HiddenState, Pause
from hunkwise.tracking.state import SUMMARY_MARKER, decode, empty_state, encode
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

RUN = "12.abcdef0123456789"
ADDRESS = f"{SERVER}/o/r/pull/7#discussion_r9"
PAUSE = Pause("octo-cat", "2026-01-02T03:04:05Z")


def rows_of(comment: str) -> list[str]:
    """Returns the table's rows without its header."""
    return [line for line in comment.split("\n") if line.startswith("| ")][1:]


def test_comment_has_table_of_open_findings() -> None:
    new = finding("New `x|y`", at=anchor(2), severity=Severity.CRITICAL)
    old = finding("Old", at=anchor(4, start_line=3), severity=Severity.HIGH)
    low = finding("Low", path="b.py", severity=Severity.LOW)
    on = thread()
    fault = ReviewFault(
        "provider", "It answered with status 500. Not reviewed because of it: src/b.py.", "Try again."
    )
    whole = replace(
        review(low, old, new), summary="It adds a pool.", carried_lines=3, dropped=1, faults=(fault,)
    )
    seen = replace(
        view(
            whole,
            conclude(whole, Gates(fail_on=Severity.HIGH)),
            PublishedFinding(new, Destination.INLINE),
            PublishedFinding(low, Destination.BODY),
            known_finding(old, on),
            posted=PostResult(f"{SERVER}/o/r/pull/7#pullrequestreview-1", comments={new: ADDRESS}),
        ),
        fixed=(thread(), thread()),
        dismissed=(previous_finding(finding("gone")),),
    )
    blob = f"{SERVER}/o/r/blob/{HEAD}"
    review_url = f"{SERVER}/o/r/pull/7#pullrequestreview-1"
    assert summary_comment(seen, state()).removesuffix(f"\n\n{encode(state(), BODY_CHARACTERS)}") == (
        f"{SUMMARY_MARKER}\n\n"
        "### hunkwise: 3 open findings, 2 new (1 critical, 1 high, 1 low)\n\n"
        "**Blocked: 2 findings are high or worse (`fail-on: high`).**\n\n"
        "⚠️ **Not fully reviewed: 1 file.** 4 of 14 changed lines (28 %) were reviewed.\n"
        "- `src/b.py`: the deadline was reached (after 15 minutes)\n\n"
        "⚠️ **Model error**: It answered with status 500. Not reviewed because of it: src/b.py. Try again.\n\n"
        "2 fixed in `0123456`. 1 dismissed. 1 line is new since the last review.\n\n"
        "| Severity | Where | Finding | State |\n"
        "|---|---|---|---|\n"
        f"| 🔴\u00a0critical | [`src/a.py:2`]({blob}/src/a.py#L2-L2) | New x\\|y | [new]({ADDRESS}) |\n"
        f"| 🟠\u00a0high | [`src/a.py:3–4`]({blob}/src/a.py#L3-L4) | Old | [open]({on.url}) |\n"
        f"| 🔵\u00a0low | [`b.py`]({blob}/b.py) | Low | [new, in the review]({review_url}) |\n\n"
        "<sub>Wrong? Resolve the thread, 👎, or reply `/hunkwise dismiss`. Fixed? Push.</sub>\n\n"
        "<details><summary>Summary (AI-generated)</summary>\n\nIt adds a pool.\n\n</details>\n\n"
        "<details><summary>Skipped: 1 file</summary>\n\n"
        "- `poetry.lock`: lock file\n\n</details>\n\n"
        "<details><summary>Details</summary>\n\n"
        "- Reviewed 1 of 2 files at `0123456789ab`.\n"
        "- 1 finding not shown: below `min-severity`, repeated, or withheld.\n"
        f"- [View the review]({review_url})\n"
        "- 2 model calls · 12,345 tokens in (300 from the cache), 678 out · `a-model` · 12.3 s\n\n"
        "</details>"
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Destination.INLINE, "new"),
        (Destination.FILE, "new"),
        (Destination.BODY, "new, in the review"),
        (Destination.ANNOTATION, "new, as an annotation"),
        (Destination.SUMMARY, "new, in the job summary"),
        (Destination.REPORT, "new, in the report"),
    ],
)
def test_each_level_is_named(where: Destination, expected: str) -> None:
    of = finding()
    seen = view(review(of), None, PublishedFinding(of, where))
    assert rows_of(summary_comment(seen, state()))[0].endswith(f" | {expected} |")


def test_pipe_in_a_path_is_escaped() -> None:
    text = summary_comment(view(review(finding(path="a|b`c.py"))), state())
    assert "[``a\\|b`c.py``](https://github.com/o/r/blob/" in text
    assert "a%7Cb%60c.py" in text


def test_comment_without_findings_has_no_table() -> None:
    text = summary_comment(view(clean(review())), state())
    assert text.startswith(f"{SUMMARY_MARKER}\n\n### hunkwise: no findings\n\n<details><summary>Details<")
    assert "|" not in text
    assert "/hunkwise dismiss" not in text


def test_fifty_most_severe_findings_are_listed_and_rest_counted() -> None:
    severities = list(Severity)
    many = tuple(finding(f"n{n}", at=anchor(n + 1), severity=severities[n % 4]) for n in range(120))
    text = summary_comment(view(review(*many)), state())
    rows = rows_of(text)
    assert len(rows) == 50
    assert [row.split(" | ")[0] for row in rows] == ["| 🔴\u00a0critical"] * 30 + ["| 🟠\u00a0high"] * 20
    assert "**70 more findings** in the job summary and in the JSON report." in text


def test_equal_input_has_equal_text() -> None:
    seen = view(review(finding("a", at=anchor(2)), finding("b", at=anchor(3))))
    again = view(review(finding("a", at=anchor(2)), finding("b", at=anchor(3))))
    assert summary_comment(seen, state("A" * 20)) == summary_comment(again, state("A" * 20))


def test_state_is_the_last_line_and_can_be_decoded() -> None:
    hidden = state("A" * 20, "B" * 20)
    text = summary_comment(view(review(finding())), hidden)
    assert decode(Comment(1, text), repository="o/r", number=7) == hidden


def test_longest_texts_fit_together_with_the_state() -> None:
    paused = replace(state(), paused=Pause("🦊" * 1_000, PAUSE.at))
    text = summary_comment(longest(), paused).rpartition("\n")[0]
    assert len(text.encode()) <= BODY_CHARACTERS - STATE_ROOM
    whole = summary_comment(longest(), state(*(f"{number:08d}" for number in range(9_000))))
    assert len(whole.encode()) <= BODY_CHARACTERS
    assert re.search(r"\*\*\d+ more findings\*\* in the job summary", whole)


def state_of(comment: str) -> HiddenState | None:
    return decode(Comment(1, comment), repository="o/r", number=7)


def test_pause_is_shown_first() -> None:
    seen, paused = view(review(finding())), replace(state("A" * 20), paused=PAUSE)
    comment = summary_comment(seen, paused)
    assert comment.startswith(
        f"{SUMMARY_MARKER}\n\n<!-- hunkwise:paused v1 -->\n"
        "> ⏸️ Automatic reviews of this pull request are paused, by octo-cat on 2026-01-02 at 03:04 UTC. "
        "A comment `/hunkwise resume` continues them.\n\n### hunkwise: 1 finding (1 medium)\n\n"
    )
    assert state_of(comment) == paused


@pytest.mark.parametrize("by", ["@octocat", "a\n\n# b", "<!-- hunkwise:paused v1 -->", "`", "x" * 5_000, ""])
def test_no_login_changes_anything_but_the_line_of_the_pause(by: str) -> None:
    seen, paused = view(review(finding())), replace(state(), paused=Pause(by, PAUSE.at))
    comment = summary_comment(seen, paused)
    (body, _) = updated_summary([Comment(1, comment)], state())
    assert body == summary_comment(seen, state())
    assert comment.count("<!-- hunkwise:paused v1 -->") == 1


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_pausing_and_resuming_between_runs_changes_nothing_else(ends: str) -> None:
    seen = view(review(finding("<!-- hunkwise:paused v1 -->", body="x"), finding("Other")))
    first = summary_comment(seen, state("A" * 20))
    stored = first
    for paused in (PAUSE, Pause("other", "2026-02-03T04:05:06Z"), None):
        changed = replace(state("A" * 20), paused=paused)
        older = Comment(3, summary_comment(view(review()), state()))
        stored = stored.replace("\n", ends) + ends
        stored, number = updated_summary([older, Comment(4, stored)], changed)
        assert (stored, number) == (summary_comment(seen, changed), 4)
        assert state_of(stored) == changed
    assert stored == first


@pytest.mark.parametrize(
    ("comments", "number"),
    [
        ([], None),
        ([Comment(4, "Another comment of ours")], None),
        ([Comment(4, f"{SUMMARY_MARKER}\n\nText\n\n{encode(state(), 9_000)}", edited=True)], 4),
        ([Comment(4, f"{SUMMARY_MARKER}\n\nText without a state")], 4),
    ],
)
def test_summary_without_text_to_keep_has_the_pause_alone(
    comments: list[Comment], number: int | None
) -> None:
    paused = replace(empty_state("o/r", 7), paused=PAUSE)
    body, found = updated_summary(comments, paused)
    assert found == number
    assert state_of(body) == paused
    assert len(body.split("\n")) == 6

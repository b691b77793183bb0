"""Reports of a model: what is taken, what is told back, and that nothing is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.flows.finding_collector import MAX_FINDINGS, MAX_RUN_FINDINGS, FindingCollector, FindingQuota
from hunkwise.publish.report import MAX_FINDINGS as REPORTED_FINDINGS
from tests.fakes.changes import added, changed
from tests.publish.samples import file_diff as patched

FILES = {
    file.path: file for file in (changed("a.py", old_path="old.py"), added("b.py", *map(str, range(300))))
}


def said(line: int = 2, title: str = "Wrong", path: str = "a.py", **more: Any) -> dict[str, Any]:
    return {"path": path, "line": line, "severity": "high", "title": title, "body": "It fails.", **more}


def call(*findings: object, done: bool = True, **more: Any) -> dict[str, Any]:
    return {"findings": list(findings), "done": done, **more}


class Desk:
    """An intake with its journal."""

    def __init__(self) -> None:
        self.journal: list[Finding] = []
        self.intake = FindingCollector("mine", FILES, self.journal.append)

    def take(self, *findings: object, done: bool = True, **more: Any) -> str:
        return self.intake.take(call(*findings, done=done, **more)).text

    @property
    def lines(self) -> list[int | None]:
        return [finding.anchor.line if finding.anchor else None for finding in self.intake.findings]


def test_a_finding_in_the_diff_is_taken_and_journaled_at_once() -> None:
    desk = Desk()
    reply = desk.intake.take(call(said(), summary="Adds a line."))
    assert reply.accepted
    assert desk.intake.answered
    assert desk.intake.summary == "Adds a line."
    (finding,) = desk.intake.findings
    assert desk.journal == [finding]
    assert (finding.severity, finding.prompt, finding.anchor and finding.anchor.code) == (
        Severity.HIGH,
        "mine",
        "two!",
    )


def test_everything_that_a_finding_can_say_is_kept() -> None:
    desk = Desk()
    desk.take(
        said(3, path="old.py", start_line=2, category="tests", suggestion="x", confidence=0.5),
        said(2, "Removed", side="LEFT"),
    )
    first, second = desk.intake.findings
    assert first.path == "a.py"
    assert (first.anchor and first.anchor.start_line, first.category) == (2, "tests")
    assert (first.suggestion, first.confidence) == ("x", 0.5)
    assert second.anchor
    assert second.anchor.side is Side.LEFT


def test_an_empty_report_is_an_answer() -> None:
    desk = Desk()
    assert desk.take() == "Taken so far: 0."
    assert desk.intake.answered


def test_a_model_that_is_not_done_goes_on() -> None:
    desk = Desk()
    assert "call again with `done: true`" in desk.take(said(2), done=False)
    assert not desk.intake.answered
    desk.take(said(3))
    assert desk.lines == [2, 3]


def test_a_line_outside_of_the_diff_is_told_and_mended() -> None:
    desk = Desk()
    text = desk.take(said(43))
    assert '"Wrong": line 43 of a.py is not in the diff; changed lines near it: 2–3' in text
    assert not desk.intake.done
    desk.take(said(3))
    assert desk.lines == [3]
    assert desk.intake.answered


def test_a_finding_whose_path_or_title_was_mended_is_not_kept_twice() -> None:
    desk = Desk()
    desk.take(said(2, path="c.py"), said(99, "The cache is never emptied"))
    desk.take(said(2, path="a.py"), said(3, "The cache is not emptied"))
    assert desk.lines == [2, 3]


def test_what_is_not_mended_is_kept_without_a_line() -> None:
    desk = Desk()
    desk.take(said(43))
    desk.take()
    (finding,) = desk.intake.findings
    assert (finding.anchor, finding.reported_line) == (None, 43)
    assert desk.intake.answered


def test_what_was_mended_in_vain_is_kept_rather_than_asked_for_again() -> None:
    desk = Desk()
    desk.take(said(43))
    desk.take(said(44))
    assert desk.lines == [None]
    assert desk.intake.answered
    assert len(desk.journal) == 1


def test_one_title_at_several_lines_is_several_findings() -> None:
    desk = Desk()
    desk.take(said(2), said(3), said(50), said(60))
    assert desk.lines == [2, 3, None, None]
    desk.take(said(1))
    assert desk.lines == [2, 3, 1, None]


def test_a_repeated_finding_is_one() -> None:
    desk = Desk()
    desk.take(said(2), said(2), done=False)
    desk.take(said(2))
    assert desk.lines == [2]
    assert len(desk.journal) == 1


def test_a_finding_of_the_wrong_shape_is_kept_unless_it_is_mended() -> None:
    desk = Desk()
    assert '"Wrong": findings[0].line: "two" was sent' in desk.take(said(line="two"))  # type: ignore[arg-type]
    assert desk.lines == [None]
    desk.take(said(2))
    assert desk.lines == [2]


def test_a_wrong_severity_costs_a_call_and_not_the_line() -> None:
    desk = Desk()
    assert '"Wrong": findings[0].severity: "tiny" was sent' in desk.take(said(3, severity="tiny"))
    assert desk.lines == [3]
    assert desk.journal == []
    assert desk.take(said(3, severity="tiny")) == "Taken so far: 1."
    assert desk.intake.answered
    assert [(one.severity, one.anchor and one.anchor.line) for one in desk.journal] == [(Severity.MEDIUM, 3)]


@pytest.mark.parametrize(
    "path", ["./a.py", "b/a.py", "a/old.py", "/github/workspace/a.py", "a.py:3", "`a.py`"]
)
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"severity": "major"},
        {"severity": "High"},
        {"side": "right"},
        {"confidence": 95},
        {"start_line": 0},
        {"line": "3"},
    ],
)
def test_a_finding_that_has_one_meaning_is_on_its_line_after_one_call(
    path: str, wrong: dict[str, Any]
) -> None:
    desk = Desk()
    assert desk.take({**said(3), **wrong, "path": path}, done="true") == "Taken so far: 1."  # type: ignore[arg-type]  # as text
    assert (desk.lines, desk.intake.findings[0].path) == ([3], "a.py")


def test_of_a_range_that_is_wrong_twice_the_last_line_is_kept_and_its_suggestion_becomes_text() -> None:
    collector = FindingCollector("mine", {"a.py": patched("a.py")}, lambda _: None)
    wrong = call(said(42, start_line=2, suggestion="x = 1"))
    assert "reach over several hunks; stay within 1–5 or 41–44" in collector.take(wrong).text
    assert collector.take(wrong).accepted
    (finding,) = collector.findings
    assert (finding.anchor and finding.anchor.lines, finding.suggestion) == (range(42, 43), None)
    assert finding.body == "It fails.\n\n```\nx = 1\n```"


def test_a_line_that_is_meant_on_one_of_two_sides_is_asked_back_once() -> None:
    rows = b"@@ -10,3 +10,3 @@\n ten\n-eleven\n+new\n twelve\n-thirteen\n+more"
    moved = b"@@ -1,3 +1,2 @@\n-one\n two\n three"
    files = {"a.py": patched("a.py", moved), "b.py": patched("b.py", rows)}
    collector = FindingCollector("mine", files, lambda _: None)
    reply = collector.take(call(said(1), said(11, path="b.py", title="On a changed row")))
    assert "line 1 of a.py is an unchanged line on side RIGHT and a removed one on side LEFT" in reply.text
    assert "On a changed row" not in reply.text
    collector.take(call(said(1, side="left")))
    anchors = {finding.path: finding.anchor for finding in collector.findings}
    assert anchors == {
        "b.py": Anchor("b.py", 11, Side.RIGHT, None, "new"),
        "a.py": Anchor("a.py", 1, Side.LEFT, None, "one"),
    }


def test_the_same_faults_twice_are_not_asked_for_again() -> None:
    desk = Desk()
    assert "Fix these" in desk.take(7)
    assert desk.take(7) == "Taken so far: 0. No more calls are taken."
    assert desk.intake.unreadable == 2


def test_a_wrong_shape_twice_is_kept_once() -> None:
    desk = Desk()
    desk.take(said(0))
    desk.take(said(0))
    assert desk.lines == [None]
    assert desk.intake.unreadable == 0


def test_a_finding_of_which_nothing_can_be_read_is_counted_until_another_comes() -> None:
    desk = Desk()
    desk.take({"line": 3}, {"line": 4})
    assert desk.intake.unreadable == 2
    desk.take(said(3))
    assert desk.intake.unreadable == 1


def test_the_tenth_call_is_the_last() -> None:
    desk = Desk()
    texts = [desk.take(said(2), done=False) for _ in range(10)]
    assert texts[-1] == "Taken so far: 1. No more calls are taken."
    assert desk.intake.answered


def test_reports_beside_the_last_one_count_as_well_and_open_nothing_again() -> None:
    desk = Desk()
    desk.take(said(2))
    beside = [
        desk.intake.take(call(said(99, "Elsewhere"), done=False)),
        desk.intake.take(call(said(3, "Another"))),
    ]
    assert [reply.accepted for reply in beside] == [True, True]
    assert desk.lines == [2, 3, None]
    assert desk.intake.done


def test_more_findings_than_the_cap_end_the_review_and_are_counted() -> None:
    desk = Desk()
    findings = [said(number + 1, f"Title {number}", "b.py") for number in range(250)]
    for start in (0, 100, 200):
        desk.take(*findings[start : start + 100], done=False)
    assert len(desk.lines) == MAX_FINDINGS
    assert desk.intake.above_cap == 50
    assert desk.intake.answered


def test_refused_findings_count_towards_the_cap() -> None:
    desk = Desk()
    for start in (1_000, 2_000, 3_000):
        desk.take(*(said(start + n, f"{start} {n}", "b.py") for n in range(100)), done=False)
    assert len(desk.lines) == MAX_FINDINGS
    assert desk.intake.above_cap == 100


SAID = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["a.py", "old.py", "nowhere.py"]),
        "line": st.sampled_from([0, 1, 2, 3, 4, 99]),
        "severity": st.sampled_from(["low", "critical", "huge"]),
        "title": st.sampled_from(["One thing", "Another thing", "A third"]),
        "body": st.just("Because."),
    }
)


@given(st.lists(st.lists(SAID, max_size=5), min_size=1, max_size=4))
def test_no_title_of_the_first_call_is_ever_lost(calls: list[list[dict[str, Any]]]) -> None:
    desk = Desk()
    for findings in calls:
        desk.take(*findings, done=False)
    titles = {finding.title for finding in desk.intake.findings}
    assert {finding["title"] for findings in calls for finding in findings} == titles
    assert desk.intake.unreadable == desk.intake.above_cap == 0


def test_what_is_above_the_limit_of_a_call_is_counted_until_it_is_reported_again() -> None:
    desk = Desk()
    findings = [said(number + 1, f"Title {number}", "b.py") for number in range(150)]
    desk.take(*findings)
    assert desk.intake.beyond == 50
    desk.take(*findings[100:120])
    assert desk.intake.beyond == 30
    desk.take(*findings[120:])
    assert desk.intake.beyond == 0


def test_a_title_of_nothing_that_is_seen_is_taken_from_the_body() -> None:
    desk = Desk()
    desk.take({**said(2), "title": " \u200b ", "body": "It breaks."})
    assert [finding.title for finding in desk.intake.findings] == ["It breaks."]


def test_the_questions_of_a_run_have_one_allowance_together() -> None:
    allowance = FindingQuota(3)
    journal: list[Finding] = []
    first = FindingCollector("mine", FILES, journal.append, allowance)
    second = FindingCollector("mine", FILES, journal.append, allowance)
    first.take(call(said(title="One"), said(title="Two"), done=False))
    reply = second.take(call(said(title="Three"), said(title="Four"), said(title="Five"), done=False))
    assert [finding.title for finding in journal] == ["One", "Two", "Three"]
    assert (first.above_cap, second.above_cap) == (0, 2)
    assert reply.accepted  # and that is the end of it
    assert FindingQuota().left == MAX_RUN_FINDINGS == REPORTED_FINDINGS


def test_a_finding_that_is_mended_takes_no_second_place() -> None:
    allowance = FindingQuota(1)
    journal: list[Finding] = []
    intake = FindingCollector("mine", FILES, journal.append, allowance)
    intake.take(call(said(line=99)))
    assert allowance.left == 0
    intake.take(call(said(line=2)))
    assert [finding.anchor is not None for finding in intake.findings] == [True]
    assert intake.above_cap == 0

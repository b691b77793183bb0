"""What the model says of the change as a whole, as it is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.finding import Area, Risk, RiskLevel, Walkthrough
from hunkwise.domain.limits import BODY_CHARACTERS, CHECK_TEXT_BYTES
from hunkwise.domain.review import Coverage, FileCoverage, SkipReason
from hunkwise.publish.change_summary import change_blocks
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.documents import STATE_ROOM, check_output, job_summary, summary_comment
from tests.fuzz.github_markdown import shown
from tests.publish.samples import anchor, clean, finding, review, state, view
from tests.publish.test_sanitize import HOSTILE

FLOW = "flowchart LR\n  A --> B"
HEADING = "#### The change, in the model's words"


def told(summary: str = "", walkthrough: Walkthrough | None = None) -> PublishedReview:
    return view(replace(clean(review()), summary=summary, walkthrough=walkthrough))


def areas(number: int) -> tuple[Area, ...]:
    return tuple(Area(f"Area {index}", "It is new.", "It is needed.") for index in range(number))


def test_nothing_said_is_nothing_shown() -> None:
    assert change_blocks(told(), drawn=True) == []
    assert change_blocks(told(walkthrough=Walkthrough()), drawn=True) == []
    assert change_blocks(told(walkthrough=Walkthrough((Area("", "", ""),))), drawn=True) == []


def test_overview_areas_risk_and_diagram_stand_in_this_order() -> None:
    walkthrough = Walkthrough(
        (Area("Pool", "It is new."), *areas(1)), Risk(RiskLevel.HIGH, "It may run dry."), FLOW
    )
    assert change_blocks(told("It adds a pool.", walkthrough), drawn=True) == [
        HEADING,
        "It adds a pool.",
        "- **Pool**: It is new.\n- **Area 0**: It is new. It is needed.",
        "**Risk, as the model sees it: high.** It may run dry.",
        f"```mermaid\n{FLOW}\n```",
    ]


def test_rules_are_not_called_a_model() -> None:
    demo = replace(told("Rules counted."), review=replace(told("Rules counted.").review, demo=True))
    assert change_blocks(demo, drawn=True)[0] == "#### The change, in the words of the demo's rules"


def test_more_than_three_areas_are_folded() -> None:
    (_, three) = change_blocks(told(walkthrough=Walkthrough(areas(3))), drawn=False)
    (_, four) = change_blocks(told(walkthrough=Walkthrough(areas(4))), drawn=False)
    assert three.count("\n") == 2
    assert four.startswith("<details><summary>Area by area: 4</summary>\n\n- **Area 0**: ")
    assert four.endswith("\n\n</details>")


@pytest.mark.parametrize(
    ("area", "row"),
    [
        (Area("Name", "", ""), "- **Name**"),
        (Area("", "What.", "Why."), "- What. Why."),
        (Area("N\nM", "What\n# x", ""), "- **N M**: What # x"),
    ],
)
def test_an_area_is_one_line_whatever_is_in_it(area: Area, row: str) -> None:
    assert change_blocks(told(walkthrough=Walkthrough((area,))), drawn=True) == [HEADING, row]


def test_a_diagram_that_a_report_brings_is_looked_at_again() -> None:
    evil = Walkthrough(diagram=f"{FLOW}\n  click A x")
    assert change_blocks(told("x", evil), drawn=True) == [HEADING, "x"]


def test_the_check_run_shows_no_diagram() -> None:
    seen = told("It adds a pool.", Walkthrough(areas(1), diagram=FLOW))
    assert "mermaid" in summary_comment(seen, state())
    assert "mermaid" in job_summary(seen).text
    assert "mermaid" not in check_output(seen).summary
    assert "It adds a pool." in check_output(seen).summary


def test_a_summary_without_room_for_a_diagram_leaves_it_out_first() -> None:
    longest = Walkthrough(areas(8), Risk(RiskLevel.LOW, "why"), f"{FLOW}\n" + "  é --> é\n" * 50)
    files = tuple(FileCoverage(f"{'f' * 190}{number}", 5, 0, SkipReason.FAILED) for number in range(300))
    many = tuple(finding("t" * 150, at=anchor(n + 1, path=f"{'p' * 190}.py")) for n in range(50))
    whole = replace(review(*many), coverage=Coverage(files), summary="It is.", walkthrough=longest)
    shown_whole = summary_comment(view(replace(whole, findings=many[:3])), state())
    assert "mermaid" in shown_whole
    text = summary_comment(view(whole), state())
    assert len(text.encode()) <= BODY_CHARACTERS - STATE_ROOM + 1_000
    assert "mermaid" not in text
    assert "**50 more" not in text
    assert "files more, named in the JSON report" in text


def test_the_longest_words_leave_the_check_run_its_room() -> None:
    fox = "🦊" * 4_000
    seen = told(fox, Walkthrough((Area(fox, fox, fox),) * 20, Risk(RiskLevel.LOW, fox)))
    output = check_output(seen)
    assert HEADING in output.summary
    assert len(output.summary.encode()) <= CHECK_TEXT_BYTES


@pytest.mark.parametrize("foreign", HOSTILE)
def test_foreign_words_do_nothing_anywhere_in_it(foreign: str) -> None:
    hostile = Walkthrough((Area(foreign, foreign, foreign),) * 4, Risk(RiskLevel.LOW, foreign), foreign)
    seen = shown("\n\n".join([*change_blocks(told(foreign, hostile), drawn=True), "Below."]))
    assert seen.faults == []
    assert [link for link in seen.links if not link.startswith("https://github.com/")] == []
    assert seen.paragraphs[-1] == "Below."
    assert (seen.comments, seen.raw_html) == ([], 2)
    assert {name: seen.skeleton[name] for name in ("h4", "details", "summary")} == {
        "h4": 1,
        "details": 1,
        "summary": 1,
    }

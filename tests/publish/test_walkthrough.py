"""The walkthrough of the change in published documents."""

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
TITLE = "<details><summary>Summary (AI-generated)</summary>"


def with_walkthrough(summary: str = "", walkthrough: Walkthrough | None = None) -> PublishedReview:
    return view(replace(clean(review()), summary=summary, walkthrough=walkthrough))


def areas(number: int) -> tuple[Area, ...]:
    return tuple(Area(f"Area {index}", "It is new.", "It is needed.") for index in range(number))


def test_empty_walkthrough_has_no_blocks() -> None:
    assert change_blocks(with_walkthrough(), drawn=True) == []
    assert change_blocks(with_walkthrough(walkthrough=Walkthrough()), drawn=True) == []
    assert change_blocks(with_walkthrough(walkthrough=Walkthrough((Area("", "", ""),))), drawn=True) == []


def test_order_is_overview_areas_risk_diagram() -> None:
    walkthrough = Walkthrough(
        (Area("Pool", "It is new."), *areas(1)), Risk(RiskLevel.HIGH, "It may run dry."), FLOW
    )
    blocks = [
        TITLE,
        "It adds a pool.",
        "- **Pool**: It is new.\n- **Area 0**: It is new. It is needed.",
        "**Risk: high (AI estimate).** It may run dry.",
        f"```mermaid\n{FLOW}\n```",
        "</details>",
    ]
    assert change_blocks(with_walkthrough("It adds a pool.", walkthrough), drawn=True) == [
        "\n\n".join(blocks)
    ]


def test_demo_summary_mentions_rules() -> None:
    demo = replace(
        with_walkthrough("Rules counted."),
        review=replace(with_walkthrough("Rules counted.").review, demo=True),
    )
    assert "<summary>Summary (by the demo's rules)</summary>" in change_blocks(demo, drawn=True)[0]


@pytest.mark.parametrize(
    ("area", "row"),
    [
        (Area("Name", "", ""), "- **Name**"),
        (Area("", "What.", "Why."), "- What. Why."),
        (Area("N\nM", "What\n# x", ""), "- **N M**: What # x"),
    ],
)
def test_area_is_one_line(area: Area, row: str) -> None:
    blocks = change_blocks(with_walkthrough(walkthrough=Walkthrough((area,))), drawn=True)
    assert blocks == [f"{TITLE}\n\n{row}\n\n</details>"]


def test_diagram_of_a_report_is_checked_again() -> None:
    evil = Walkthrough(diagram=f"{FLOW}\n  click A x")
    assert change_blocks(with_walkthrough("x", evil), drawn=True) == [f"{TITLE}\n\nx\n\n</details>"]


def test_check_run_has_no_diagram() -> None:
    seen = with_walkthrough("It adds a pool.", Walkthrough(areas(1), diagram=FLOW))
    assert "mermaid" in summary_comment(seen, state())
    assert "mermaid" in job_summary(seen).text
    assert "mermaid" not in check_output(seen).summary
    assert "It adds a pool." in check_output(seen).summary


def test_diagram_is_dropped_first_without_room() -> None:
    longest = Walkthrough(areas(8), Risk(RiskLevel.LOW, "why"), f"{FLOW}\n" + "  é --> é\n" * 50)
    files = tuple(FileCoverage(f"{'f' * 190}{number}", 5, 0, SkipReason.FAILED) for number in range(300))
    many = tuple(finding("t" * 150, at=anchor(n + 1, path=f"{'p' * 190}.py")) for n in range(50))
    whole = replace(review(*many), coverage=Coverage(files), summary="It is.", walkthrough=longest)
    complete = summary_comment(view(replace(whole, findings=many[:3])), state())
    assert "mermaid" in complete
    text = summary_comment(view(whole), state())
    assert len(text.encode()) <= BODY_CHARACTERS - STATE_ROOM + 1_000
    assert "mermaid" not in text
    assert "**50 more" not in text
    assert "files more, named in the JSON report" in text


def test_longest_texts_fit_in_check_run() -> None:
    fox = "🦊" * 4_000
    seen = with_walkthrough(fox, Walkthrough((Area(fox, fox, fox),) * 20, Risk(RiskLevel.LOW, fox)))
    output = check_output(seen)
    assert TITLE in output.summary
    assert len(output.summary.encode()) <= CHECK_TEXT_BYTES


@pytest.mark.parametrize("untrusted", HOSTILE)
def test_untrusted_text_in_walkthrough_has_no_effect(untrusted: str) -> None:
    hostile = Walkthrough(
        (Area(untrusted, untrusted, untrusted),) * 4, Risk(RiskLevel.LOW, untrusted), untrusted
    )
    seen = shown("\n\n".join([*change_blocks(with_walkthrough(untrusted, hostile), drawn=True), "Below."]))
    assert seen.faults == []
    assert [link for link in seen.links if not link.startswith("https://github.com/")] == []
    assert seen.paragraphs[-1] == "Below."
    assert (seen.comments, seen.raw_html) == ([], 2)
    assert (seen.skeleton["details"], seen.skeleton["summary"]) == (1, 1)

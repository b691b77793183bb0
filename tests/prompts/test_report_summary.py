"""What a call of `report_summary` may carry, and what is made of one that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.domain.finding import (
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    Area,
    Risk,
    RiskLevel,
    Walkthrough,
)
from hunkwise.flows.summary import SHORT_AREAS, Style, SummaryReport, parameters, read_summary

CALL: dict[str, Any] = {
    "overview": " It adds a pool. ",
    "areas": [
        {"area": "Pool", "what": "It is new.", "why": "Connections are dear."},
        {"area": "B", "what": "C"},
    ],
    "risk": {"level": "high", "why": "It may run dry."},
    "diagram": "flowchart LR\n  A --> B",
    "done": True,
}
AREAS = (Area("Pool", "It is new.", "Connections are dear."), Area("B", "C"))
RISK = Risk(RiskLevel.HIGH, "It may run dry.")


def faults(style: Style = "full", **changes: object) -> tuple[str, ...]:
    return read_summary(CALL | changes, style).faults


def test_a_whole_call_is_read() -> None:
    walkthrough = Walkthrough(AREAS, RISK, "flowchart LR\n  A --> B")
    assert read_summary(CALL, "full") == SummaryReport("It adds a pool.", walkthrough, (), done=True)


def test_a_short_summary_has_few_areas_and_no_diagram() -> None:
    told = read_summary(CALL | {"areas": CALL["areas"] * 3}, "short")
    assert (len(told.walkthrough.areas), told.walkthrough.diagram, told.faults) == (SHORT_AREAS, "", ())


def test_null_is_taken_for_left_out_and_unknown_keys_are_passed_over() -> None:
    area = {"area": "A", "what": "B", "why": None, "files": 3}
    told = read_summary(CALL | {"areas": [area], "diagram": None, "event": "APPROVE"}, "full")
    assert told.walkthrough == Walkthrough((Area("A", "B"),), RISK)
    assert told.faults == ()
    assert faults(areas=None) == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"overview": ""}, "overview: an empty text was sent, not a text that is not empty"),
        ({"overview": None}, "overview: it is required, as a text that is not empty"),
        ({"areas": "x"}, 'areas: "x" was sent, not a list of at most 8'),
        ({"areas": [3]}, "areas[0]: 3 was sent, not an object"),
        (
            {"areas": [{"area": "A", "what": " "}]},
            "areas[0].what: an empty text was sent, not a text that is not empty",
        ),
        ({"areas": [{"what": "A"}]}, "areas[0].area: it is required, as a text that is not empty"),
        ({"risk": None}, "risk: it is required, as an object"),
        (
            {"risk": {"level": "grave", "why": "x"}},
            'risk.level: "grave" was sent, not one of low, medium, high',
        ),
        (
            {"risk": {"level": ["low", 3], "why": "x"}},
            "risk.level: a list of 2 was sent, not one of low, medium, high",
        ),
        ({"risk": {"level": "low"}}, "risk.why: it is required, as a text that is not empty"),
        ({"diagram": 3}, f"diagram: 3 was sent, not a text of at most {MAX_DIAGRAM:,} characters"),
        (
            {"diagram": "x" * (MAX_DIAGRAM + 1)},
            "diagram: a text of 3,001 characters was sent, not a text of at most 3,000 characters",
        ),
        ({"done": "almost"}, 'done: "almost" was sent, not true or false'),
    ],
)
def test_a_fault_is_told_so_that_it_can_be_mended(changes: dict[str, Any], fault: str) -> None:
    assert faults(**changes) == (fault,)


@pytest.mark.parametrize(("arguments", "sent"), [(None, "null"), ([], "a list of 0"), ("x", '"x"'), (3, "3")])
def test_what_is_no_object_says_nothing(arguments: object, sent: str) -> None:
    assert read_summary(arguments, "short") == SummaryReport(
        faults=(f"the arguments: {sent} was sent, not an object",)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"areas": json.dumps(CALL["areas"])},
        {"areas": [json.dumps(area) for area in CALL["areas"]]},
        {"risk": json.dumps(CALL["risk"])},
        {"risk": {**CALL["risk"], "level": " High"}},
        {"overview": ["It adds a pool."]},
        {"diagram": ["flowchart LR", "  A --> B"]},
        {"done": "true"},
    ],
)
def test_what_has_one_meaning_is_read(changes: dict[str, Any]) -> None:
    for sent in (CALL | changes, json.dumps(CALL | changes)):
        assert read_summary(sent, "full") == read_summary(CALL, "full")


def test_a_fault_costs_only_what_it_is_about() -> None:
    told = read_summary(CALL | {"areas": [3, CALL["areas"][0]], "risk": {"level": "LOW", "why": "x"}}, "full")
    assert told.walkthrough.areas == AREAS[:1]
    assert told.walkthrough.risk == Risk(RiskLevel.LOW, "x")
    assert told.overview == "It adds a pool."


def test_what_is_too_long_is_cut_and_needs_no_second_call() -> None:
    long = "x" * 9_000
    told = read_summary(
        CALL | {"overview": long, "areas": [{"area": long, "what": long, "why": long}] * 30}, "full"
    )
    assert told.faults == ()
    assert told.overview == "x" * (MAX_OVERVIEW - 1) + "…"
    assert len(told.walkthrough.areas) == MAX_AREAS
    assert {len(text) for text in told.walkthrough.texts[:3]} == {80, 400}


def test_the_faults_that_are_told_are_few() -> None:
    assert len(faults(overview=3, areas=[{}] * MAX_AREAS, risk=3, done=3)) == 10


@pytest.mark.parametrize(
    "source",
    [
        "```mermaid\nflowchart LR\n  A --> B\n```",
        "```\nflowchart LR\n  A --> B\n```\n",
        "flowchart LR\n\u0020\u0020A --> B",
    ],
)
def test_a_fence_around_a_diagram_is_taken_off(source: str) -> None:
    assert read_summary(CALL | {"diagram": source}, "full").walkthrough.diagram == "flowchart LR\n  A --> B"


def test_line_breaks_within_labels_and_tabs_become_blanks() -> None:
    told = read_summary(CALL | {"diagram": "flowchart LR\n\tA[x<br/>y] --> B[x<br>y]"}, "full")
    assert told.walkthrough.diagram == "flowchart LR\n    A[x y] --> B[x y]"


def test_each_style_has_its_schema() -> None:
    short, full = parameters("short")["properties"], parameters("full")["properties"]
    assert short["areas"]["maxItems"] == SHORT_AREAS
    assert full["areas"]["maxItems"] == MAX_AREAS
    assert full.keys() - short.keys() == {"diagram"}

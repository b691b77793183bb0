"""Parsing of `report_summary` calls, with valid and invalid values."""

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


def test_complete_call_is_parsed() -> None:
    walkthrough = Walkthrough(AREAS, RISK, "flowchart LR\n  A --> B")
    assert read_summary(CALL, "full") == SummaryReport("It adds a pool.", walkthrough, (), done=True)


def test_short_summary_has_few_areas_and_no_diagram() -> None:
    report = read_summary(CALL | {"areas": CALL["areas"] * 3}, "short")
    assert (len(report.walkthrough.areas), report.walkthrough.diagram, report.faults) == (SHORT_AREAS, "", ())


def test_null_is_omitted_and_unknown_keys_are_ignored() -> None:
    area = {"area": "A", "what": "B", "why": None, "files": 3}
    report = read_summary(CALL | {"areas": [area], "diagram": None, "event": "APPROVE"}, "full")
    assert report.walkthrough == Walkthrough((Area("A", "B"),), RISK)
    assert report.faults == ()
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
def test_fault_names_field_and_expected_value(changes: dict[str, Any], fault: str) -> None:
    assert faults(**changes) == (fault,)


@pytest.mark.parametrize(("arguments", "sent"), [(None, "null"), ([], "a list of 0"), ("x", '"x"'), (3, "3")])
def test_call_that_is_not_an_object_is_empty(arguments: object, sent: str) -> None:
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
def test_unambiguous_values_are_parsed(changes: dict[str, Any]) -> None:
    for sent in (CALL | changes, json.dumps(CALL | changes)):
        assert read_summary(sent, "full") == read_summary(CALL, "full")


def test_fault_drops_only_its_field() -> None:
    report = read_summary(
        CALL | {"areas": [3, CALL["areas"][0]], "risk": {"level": "LOW", "why": "x"}}, "full"
    )
    assert report.walkthrough.areas == AREAS[:1]
    assert report.walkthrough.risk == Risk(RiskLevel.LOW, "x")
    assert report.overview == "It adds a pool."


def test_long_texts_are_cut_without_a_fault() -> None:
    long = "x" * 9_000
    report = read_summary(
        CALL | {"overview": long, "areas": [{"area": long, "what": long, "why": long}] * 30}, "full"
    )
    assert report.faults == ()
    assert report.overview == "x" * (MAX_OVERVIEW - 1) + "…"
    assert len(report.walkthrough.areas) == MAX_AREAS
    assert {len(text) for text in report.walkthrough.texts[:3]} == {80, 400}


def test_number_of_reported_faults_is_limited() -> None:
    assert len(faults(overview=3, areas=[{}] * MAX_AREAS, risk=3, done=3)) == 10


@pytest.mark.parametrize(
    "source",
    [
        "```mermaid\nflowchart LR\n  A --> B\n```",
        "```\nflowchart LR\n  A --> B\n```\n",
        "flowchart LR\n\u0020\u0020A --> B",
    ],
)
def test_fence_around_diagram_is_removed(source: str) -> None:
    assert read_summary(CALL | {"diagram": source}, "full").walkthrough.diagram == "flowchart LR\n  A --> B"


def test_line_breaks_in_labels_and_tabs_become_spaces() -> None:
    report = read_summary(CALL | {"diagram": "flowchart LR\n\tA[x<br/>y] --> B[x<br>y]"}, "full")
    assert report.walkthrough.diagram == "flowchart LR\n    A[x y] --> B[x y]"


def test_each_style_has_its_schema() -> None:
    short, full = parameters("short")["properties"], parameters("full")["properties"]
    assert short["areas"]["maxItems"] == SHORT_AREAS
    assert full["areas"]["maxItems"] == MAX_AREAS
    assert full.keys() - short.keys() == {"diagram"}

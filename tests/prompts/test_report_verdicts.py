"""Parsing of `report_verdicts` calls, with valid and invalid values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from hunkwise.prompts.report_verdicts import (
    MAX_CORRECTION,
    MAX_EVIDENCE,
    MAX_VERDICTS,
    RawVerdict,
    VerdictReport,
    parameters,
    read_verdicts,
)


def one(number: int = 1, verdict: str = "keep", **more: Any) -> dict[str, Any]:
    return {"finding": number, "verdict": verdict, "evidence": "Row 3 shows it.", **more}


def test_verdicts_are_parsed() -> None:
    report = read_verdicts(
        {"verdicts": [one(), one(2, "lower", severity="low", mood="good"), one(3, "drop")], "done": True}
    )
    assert report == VerdictReport(
        (
            RawVerdict(finding=1, verdict="keep", evidence="Row 3 shows it."),
            RawVerdict(finding=2, verdict="lower", severity="low", evidence="Row 3 shows it."),
            RawVerdict(finding=3, verdict="drop", evidence="Row 3 shows it."),
        ),
        done=True,
    )


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (None, "null was sent, not an object"),
        ([], "a list of 0 was sent, not an object"),
        ({}, "done: it is required, as true or false"),
        ({"verdicts": [], "done": "soon"}, 'done: "soon" was sent, not true or false'),
        ({"verdicts": "drop", "done": True}, 'verdicts: "drop" was sent, not a list of at most 60'),
        ({"verdicts": {"1": "drop"}, "done": True}, "verdicts: an object was sent, not a list"),
        ({"verdicts": [one()] * (MAX_VERDICTS + 1), "done": True}, "there are 61, and none was read"),
        ({"verdicts": json.dumps([one()] * (MAX_VERDICTS + 1)), "done": True}, "there are 61"),
        ({"verdicts": ["drop"], "done": True}, 'verdicts[0]: "drop" was sent, not an object'),
        (
            {"verdicts": [one(verdict="dropped?")], "done": True},
            'verdict: "dropped?" was sent, not one of keep',
        ),
        (
            {"verdicts": [{"verdict": "drop"}], "done": True},
            "verdicts[0].finding: it is required, as a whole",
        ),
        ({"verdicts": [one(number=True)], "done": True}, "verdicts[0].finding: true was sent"),
        ({"verdicts": [one(number=10**9)], "done": True}, "verdicts[0].finding: 1000000000 was sent"),
    ],
)
def test_invalid_verdict_is_reported_and_ignored(arguments: object, fault: str) -> None:
    report = read_verdicts(arguments)
    assert fault in " ".join(report.faults)
    assert report.verdicts == ()


@pytest.mark.parametrize(
    "verdicts",
    [
        one(2, "drop"),
        json.dumps([one(2, "drop")]),
        [json.dumps(one(2, "drop"))],
        [one(2, "DROP")],
        [one("2", "`drop`")],  # type: ignore[arg-type]  # a text for a number
        [one(2, "drop", severity="tiny")],
    ],
)
@pytest.mark.parametrize("done", [True, "true"])
def test_unambiguous_values_are_parsed(verdicts: object, done: object) -> None:
    report = read_verdicts({"verdicts": verdicts, "done": done})
    assert report == VerdictReport(
        (RawVerdict(finding=2, verdict="drop", evidence="Row 3 shows it."),), done=True
    )


def test_severity_synonym_is_parsed_and_evidence_must_be_text() -> None:
    sent = [one(1, "lower", severity="Minor"), one(2, evidence=7)]
    first, second = read_verdicts({"verdicts": sent, "done": True}).verdicts
    assert (first.severity, second.evidence) == ("low", "")


def test_fault_drops_only_its_verdict_and_names_its_finding() -> None:
    report = read_verdicts({"verdicts": [one(), one(2, "maybe"), {"finding": True}], "done": True})
    assert [verdict.finding for verdict in report.verdicts] == [1]
    assert report.unreadable == {2}
    assert report.done


def test_null_is_omitted() -> None:
    report = read_verdicts({"verdicts": [one(severity=None, evidence=None)], "done": True})
    assert report.verdicts == (RawVerdict(finding=1, verdict="keep"),)


def test_lone_surrogate_is_replaced() -> None:
    (verdict,) = read_verdicts({"verdicts": [one(evidence="a\ud800")], "done": True}).verdicts
    assert verdict.evidence == "a?"


def test_long_evidence_is_cut() -> None:
    (verdict,) = read_verdicts({"verdicts": [one(evidence="x" * 1_000_000)], "done": True}).verdicts
    assert len(verdict.evidence) == MAX_EVIDENCE


def test_long_correction_is_cut_and_lone_surrogate_replaced() -> None:
    (verdict,) = read_verdicts(
        {"verdicts": [one(corrected="\ud800" + "x" * 1_000_000)], "done": True}
    ).verdicts
    assert len(verdict.corrected) == MAX_CORRECTION
    assert verdict.corrected.startswith("?x")


def test_schema_accepts_what_the_parser_accepts() -> None:
    Draft202012Validator.check_schema(parameters())
    validator = Draft202012Validator(parameters())
    assert validator.is_valid({"verdicts": [one(), one(2, "lower", severity="low")], "done": True})
    assert validator.is_valid(
        {"verdicts": [one(verdict="same", same_as=2), one(corrected="x")], "done": True}
    )
    assert not validator.is_valid({"verdicts": [one(verdict="maybe")], "done": True})

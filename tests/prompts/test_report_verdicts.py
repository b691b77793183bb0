"""Calls of `report_verdicts`: what is read of them, however they look."""

from __future__ import annotations

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


def test_verdicts_are_read_as_they_were_said() -> None:
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
    ("arguments", "said"),
    [
        (None, "they must be an object"),
        ([], "they must be an object"),
        ({}, "done: it is required"),
        ({"verdicts": [], "done": "yes"}, "done: Input should be a valid boolean"),
        ({"verdicts": {"1": "drop"}, "done": True}, "verdicts: Input should be a valid list"),
        ({"verdicts": [one()] * (MAX_VERDICTS + 1), "done": True}, "there are 61, and none was read"),
        ({"verdicts": ["drop"], "done": True}, "verdicts[0]"),
        ({"verdicts": [one(verdict="DROP")], "done": True}, "verdicts[0].verdict"),
        ({"verdicts": [one(severity="tiny")], "done": True}, "verdicts[0].severity"),
        ({"verdicts": [one(evidence=7)], "done": True}, "verdicts[0].evidence"),
        ({"verdicts": [{"verdict": "drop"}], "done": True}, "verdicts[0].finding"),
        ({"verdicts": [one(number=True)], "done": True}, "verdicts[0].finding"),
        ({"verdicts": [one(number="1")], "done": True}, "verdicts[0].finding"),  # type: ignore[arg-type]  # wrong on purpose
        ({"verdicts": [one(number=10**9)], "done": True}, "verdicts[0].finding"),
    ],
)
def test_what_cannot_be_read_is_told_and_counts_for_nothing(arguments: object, said: str) -> None:
    report = read_verdicts(arguments)
    assert said in " ".join(report.faults)
    assert report.verdicts == ()


def test_a_fault_costs_its_own_verdict_alone_and_names_its_finding() -> None:
    report = read_verdicts({"verdicts": [one(), one(2, "maybe"), {"finding": True}], "done": True})
    assert [said.finding for said in report.verdicts] == [1]
    assert report.unreadable == {2}
    assert report.done


def test_null_is_the_same_as_nothing() -> None:
    report = read_verdicts({"verdicts": [one(severity=None, evidence=None)], "done": True})
    assert report.verdicts == (RawVerdict(finding=1, verdict="keep"),)


def test_half_a_character_is_replaced() -> None:
    (said,) = read_verdicts({"verdicts": [one(evidence="a\ud800")], "done": True}).verdicts
    assert said.evidence == "a?"


def test_a_novel_is_cut() -> None:
    (said,) = read_verdicts({"verdicts": [one(evidence="x" * 1_000_000)], "done": True}).verdicts
    assert len(said.evidence) == MAX_EVIDENCE


def test_a_correction_that_is_a_novel_is_cut_and_half_a_character_replaced() -> None:
    (said,) = read_verdicts({"verdicts": [one(corrected="\ud800" + "x" * 1_000_000)], "done": True}).verdicts
    assert len(said.corrected) == MAX_CORRECTION
    assert said.corrected.startswith("?x")


def test_the_schema_takes_what_the_reader_takes() -> None:
    Draft202012Validator.check_schema(parameters())
    validator = Draft202012Validator(parameters())
    assert validator.is_valid({"verdicts": [one(), one(2, "lower", severity="low")], "done": True})
    assert validator.is_valid(
        {"verdicts": [one(verdict="same", same_as=2), one(corrected="x")], "done": True}
    )
    assert not validator.is_valid({"verdicts": [one(verdict="maybe")], "done": True})

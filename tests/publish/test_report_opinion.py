"""The second opinion in the JSON report: written whole, read back as a stranger's word, without our secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding, Verification
from hunkwise.domain.review import RefutedFinding, Review
from hunkwise.errors import SettingsError
from hunkwise.prompts.report_verdicts import MAX_EVIDENCE
from hunkwise.publish.placement import by_path, resolve_anchor
from hunkwise.publish.report import as_json, digest_of
from hunkwise.publish.report_input import as_review, read_report
from hunkwise.redaction import SecretScan, withhold
from tests.publish.samples import file_diff, finding, review, view

FILES = (file_diff(),)
SECRET = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
SCAN = SecretScan([SECRET])
WHY = "Row 3 lets it through."


def proved(line: int = 2, title: str = "A title") -> Finding:
    at = resolve_anchor("src/a.py", line, None, Side.RIGHT, by_path(FILES))
    assert not isinstance(at, str)
    return finding(title, at=at)


def opined(*refuted: RefutedFinding, evidence: str = WHY) -> Review:
    held = replace(proved(), check=Verification.CONFIRMED, evidence=evidence)
    doubtful = replace(proved(3, "Doubtful"), check=Verification.UNVERIFIED)
    return replace(review(held, doubtful, finding("Never asked")), refuted=refuted)


GONE = RefutedFinding(proved(3, "Gone"), WHY)


def made(whole: Review) -> dict[str, Any]:
    return as_json(view(whole))


def read(report: dict[str, Any]) -> Review:
    signed = {**report, "digest": digest_of(report)}
    return as_review(read_report(json.dumps(signed).encode()), FILES)


def test_each_finding_has_its_check_and_each_refuted_one_its_reason() -> None:
    report = made(opined(GONE, RefutedFinding(finding("On the file"), "x\u200b\ud800")))
    assert [(one["check"], one["evidence"]) for one in report["findings"]] == [
        ("confirmed", WHY),
        ("unverified", ""),
        (None, ""),
    ]
    first, second = report["refuted"]
    assert first == {
        "fingerprint": GONE.finding.fingerprint,
        "path": "src/a.py",
        "line": 3,
        "start_line": None,
        "side": "RIGHT",
        "said_line": None,
        "severity": "medium",
        "category": "",
        "confidence": None,
        "prompt": "review",
        "title": "Gone",
        "body": "A body.",
        "suggestion": None,
        "reason": WHY,
    }
    assert (second["title"], second["line"], second["reason"]) == ("On the file", None, "x\ufffd")


def test_checks_and_refuted_findings_come_back_as_they_were_written() -> None:
    whole = opined(GONE)
    back = read(made(whole))
    assert back.findings == whole.findings
    assert back.refuted == whole.refuted


def test_a_report_of_before_there_was_a_second_opinion_is_read() -> None:
    report = made(opined(GONE))
    del report["refuted"]
    for one in report["findings"]:
        del one["check"], one["evidence"]
    back = read(report)
    assert {one.check for one in back.findings} == {None}
    assert back.refuted == ()


def test_the_place_of_a_refuted_finding_is_proved_again() -> None:
    report = made(opined(GONE))
    report["refuted"][0] |= {"line": 999}
    (gone,) = read(report).refuted
    assert (gone.finding.anchor, gone.finding.said_line) == (None, 999)


@pytest.mark.parametrize(
    ("key", "changes", "place"),
    [
        ("findings", {"check": "approved"}, "findings.0.check"),
        ("findings", {"check": True}, "findings.0.check"),
        ("findings", {"evidence": "x" * 4_001}, "findings.0.evidence"),
        ("findings", {"evidence": None}, "findings.0.evidence"),
        ("refuted", {"reason": "x" * 4_001}, "refuted.0.reason"),
        ("refuted", {"reason": 1}, "refuted.0.reason"),
        ("refuted", {"severity": "blocker"}, "refuted.0.severity"),
        ("refuted", {"check": "confirmed"}, "refuted.0.check"),
    ],
)
def test_what_does_not_fit_is_named(key: str, changes: dict[str, object], place: str) -> None:
    report = made(opined(GONE))
    report[key][0] |= changes
    with pytest.raises(SettingsError) as caught:
        read(report)
    assert caught.value.faults[0].startswith(f"The report has a fault at {place}")


def test_no_more_refuted_findings_are_read_than_a_run_can_have() -> None:
    report = made(opined(GONE))
    report["refuted"] = report["refuted"] * 1_001
    with pytest.raises(SettingsError) as caught:
        read(report)
    assert caught.value.faults[0] == "The report has a fault at refuted: At most 1000 are read."


def test_a_report_has_room_for_all_that_a_model_may_say() -> None:
    long = "x" * MAX_EVIDENCE
    lowered = f"Lowered to low, and critical is the least that is asked for: {long}"
    back = read(made(opined(RefutedFinding(proved(), lowered), evidence=long)))
    assert (back.findings[0].evidence, back.refuted[0].reason) == (long, lowered)


def test_a_secret_in_the_evidence_costs_the_evidence_and_not_the_finding() -> None:
    whole = opined(evidence=f"It is {SECRET}.")
    safe = withhold(whole, SCAN)
    assert safe.findings == (replace(whole.findings[0], evidence=""), *whole.findings[1:])
    assert safe.dropped == 0
    assert [fault.kind for fault in safe.faults] == ["secret"]


@pytest.mark.parametrize(
    "gone",
    [
        RefutedFinding(proved(), f"It is {SECRET}."),
        RefutedFinding(replace(proved(), body=SECRET), WHY),
        RefutedFinding(replace(proved(), title=SECRET[:20], body=SECRET[20:]), WHY),
    ],
)
def test_a_refuted_finding_that_holds_a_secret_is_withheld(gone: RefutedFinding) -> None:
    safe = withhold(opined(GONE, gone), SCAN)
    assert safe.refuted == (GONE,)
    assert safe.dropped == 1
    assert [fault.kind for fault in safe.faults] == ["secret"]


def test_a_secret_in_the_finding_itself_still_costs_the_finding() -> None:
    whole = replace(
        opined(), findings=(replace(proved(), body=SECRET, check=Verification.CONFIRMED, evidence=WHY),)
    )
    assert withhold(whole, SCAN).findings == ()

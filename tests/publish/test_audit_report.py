"""The JSON report of an audit has all that the issue shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hunkwise.domain.review import ReviewFault, SuppressedFinding, Suppression, Usage
from hunkwise.publish.audit_issue import issue_body
from hunkwise.publish.audit_report import ReportedAudit, report_json
from tests.publish.audit_reports import report


@pytest.mark.parametrize("number", [0, 3, 40])
def test_the_report_has_every_open_finding_and_what_was_closed(number: int) -> None:
    audited = report(number)
    values = report_json(audited, Usage(model_calls=7), (ReviewFault("timeout", "It took long.", ""),))
    assert json.loads(json.dumps(values)) == values
    assert list(values) == list(ReportedAudit.model_fields)
    assert [one["fingerprint"] for one in values["findings"]] == [
        finding.fingerprint for finding, _ in audited.open
    ]
    assert [one["known"] for one in values["findings"]] == [
        entry.fingerprint not in audited.new for _, entry in audited.open
    ]
    assert [one["first_seen"] for one in values["findings"]] == [entry.first for _, entry in audited.open]
    closed = {
        name: [one["fingerprint"] for one in values[name]] for name in ("fixed", "dismissed", "unconfirmed")
    }
    assert closed == {
        "fixed": [entry.fingerprint for entry in audited.fixed],
        "dismissed": [entry.fingerprint for entry in audited.dismissed],
        "unconfirmed": [entry.fingerprint for entry in audited.unconfirmed],
    }
    assert values["lap"] == {
        "number": audited.lap,
        "began": audited.lap_began,
        "files_read": audited.files_read,
        "files_total": 377,
        "audits_left": audited.runs_left,
    }
    assert sum(folder["total"] for folder in values["folders"]) == sum(each.total for each in audited.folders)
    assert (values["usage"]["model_calls"], values["faults"][0]["message"]) == (7, "It took long.")
    assert (values["failed"], values["notes"]) == (list(audited.failed_shards), list(audited.notes))


def test_findings_below_min_confidence_are_listed() -> None:
    low = SuppressedFinding(
        replace(report(1).open[0][0], confidence=0.4),
        "Below `min-confidence` (55 %)",
        Suppression.LOW_CONFIDENCE,
    )
    audited = replace(report(3), suppressed=(low,))
    (listed,) = report_json(audited, Usage())["suppressed"]
    assert (listed["title"], listed["confidence"], listed["reason"]) == (low.finding.title, 0.4, low.reason)
    assert "Below <code>min-confidence</code> (55 %): 1 finding" in issue_body(audited)


def test_who_dismissed_a_finding_and_why_is_in_the_report() -> None:
    values = report_json(report(3), Usage())
    assert [(one["by"], one["why"], one["closed"]) for one in values["dismissed"]] == [
        ("octocat", "The caller locks", "2026-11-20"),
        ("code scanning #12", "won't fix", "2026-11-13"),
        ("baseline", "", "2026-11-02"),
    ]


def test_texts_that_are_not_utf_8_can_be_written() -> None:
    audited = report(3)
    finding, entry = audited.open[0]
    odd = replace(finding, path="caf\udce9.py", title="\ud800", anchor=None)
    values = report_json(replace(audited, open=((odd, entry),)), Usage())
    assert json.dumps(values, ensure_ascii=False).encode()

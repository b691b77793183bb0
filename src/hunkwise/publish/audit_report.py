"""Writes the JSON report of an audit. Texts are as the model wrote them: the reader must escape them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Destination, ReviewFault, Usage
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.publish.report import ReportedFinding, TotalUsage, as_values
from hunkwise.tracking.ledger import LedgerEntry

VERSION = 1


def report_json(report: AuditReport, usage: Usage, faults: tuple[ReviewFault, ...] = ()) -> dict[str, Any]:
    """Returns the report as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    return {
        "version": VERSION,
        "tool": {"name": "hunkwise", "demo": report.demo},
        "repository": report.repository,
        "head_sha": report.head_sha,
        "date": report.date,
        "lap": {
            "number": report.lap,
            "began": report.lap_began,
            "files_read": report.files_read,
            "files_total": report.files_total,
            "audits_left": report.runs_left,
        },
        "findings": [_dump_open(finding, entry, report) for finding, entry in report.open],
        "fixed": [_dump_closed(entry) for entry in report.fixed],
        "dismissed": [_dump_closed(entry) for entry in report.dismissed],
        "unconfirmed": [_dump_closed(entry) for entry in report.unconfirmed],
        "folders": [asdict(folder) for folder in report.folders],
        "skipped": dict(report.skipped or {}),
        "failed": list(report.failed_shards),
        "faults": [asdict(fault) for fault in faults],
        "notes": list(report.notes),
    }

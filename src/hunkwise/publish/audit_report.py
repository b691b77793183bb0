"""Writes the JSON report of an audit. Texts are as the model wrote them: a reader must escape them."""

from __future__ import annotations

from typing import Any, Final, Literal

from hunkwise.domain.finding import Finding, SeverityLabel
from hunkwise.domain.review import Destination, ReviewFault, Usage
from hunkwise.publish.audit_issue import AuditReport
from hunkwise.publish.report import (
    ReportedFault,
    ReportedFinding,
    ReportedSuppression,
    ReportedUsage,
    ReportPart,
    ToolName,
)
from hunkwise.tracking.ledger import LedgerEntry

VERSION: Final = 1


class _Lap(ReportPart):
    """How much of the present lap is done."""

    number: int
    began: str
    files_read: int
    files_total: int
    audits_left: int | None
    """Estimated audits until the lap is complete; None if that is not known."""


class _OpenFinding(ReportedFinding):
    """An open finding; `known`: an earlier audit raised it."""

    first_seen: str
    last_seen: str
    """ISO dates of the first and the last audit that raised it."""


class _ClosedFinding(ReportPart):
    """A finding that is fixed, dismissed or unconfirmed."""

    fingerprint: str
    path: str
    line: int | None
    severity: SeverityLabel
    title: str
    first_seen: str
    closed: str
    by: str
    """Who dismissed it; empty if nobody did."""
    why: str


class _Folder(ReportPart):
    path: str
    read: int
    total: int


class ReportedAudit(ReportPart):
    """A whole report."""

    version: Literal[1]
    tool: ToolName
    repository: str
    head_sha: str
    date: str
    lap: _Lap
    findings: tuple[_OpenFinding, ...]
    """All open findings, the most severe first."""
    fixed: tuple[_ClosedFinding, ...]
    dismissed: tuple[_ClosedFinding, ...]
    unconfirmed: tuple[_ClosedFinding, ...]
    folders: tuple[_Folder, ...]
    suppressed: tuple[ReportedSuppression, ...]
    """Findings of this audit below `min-confidence`."""
    skipped: dict[str, int]
    """Files that no lap reads, by reason."""
    failed: tuple[str, ...]
    """A sentence for each shard that failed or was cut."""
    usage: ReportedUsage
    faults: tuple[ReportedFault, ...]
    notes: tuple[str, ...]


def report_json(report: AuditReport, usage: Usage, faults: tuple[ReviewFault, ...] = ()) -> dict[str, Any]:
    """Returns the report as JSON values; strings are valid UTF-8, so that `json.dump` cannot fail on them."""
    return ReportedAudit.dump(
        report,
        version=VERSION,
        tool=ToolName.dump(report, name="hunkwise"),
        lap=_Lap.dump(report, number=report.lap, began=report.lap_began, audits_left=report.runs_left),
        findings=[_dump_open(finding, entry, report) for finding, entry in report.open],
        fixed=[_dump_closed(entry) for entry in report.fixed],
        dismissed=[_dump_closed(entry) for entry in report.dismissed],
        unconfirmed=[_dump_closed(entry) for entry in report.unconfirmed],
        skipped=dict(report.skipped or {}),
        failed=report.failed_shards,
        usage=usage,
        faults=faults,
    )


def _dump_open(finding: Finding, entry: LedgerEntry, report: AuditReport) -> dict[str, Any]:
    return _OpenFinding.dump(
        finding,
        where=Destination.REPORT,
        known=entry.fingerprint not in report.new,
        thread_url=None,
        first_seen=entry.first,
        last_seen=entry.last,
    )


def _dump_closed(entry: LedgerEntry) -> dict[str, Any]:
    record = entry.record
    return _ClosedFinding.dump(
        entry,
        path=record.path,
        line=record.line,
        severity=record.severity.label,
        title=record.title,
        first_seen=entry.first,
    )

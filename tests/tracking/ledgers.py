"""Audits and their ledgers, for the tests of what becomes of findings between audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.finding import Finding, Recheck, Severity
from hunkwise.domain.review import Destination
from hunkwise.tracking.ledger import DismissalChange, LedgerEntry, LedgerUpdate, update_ledger
from hunkwise.tracking.markers import PreviousFinding, make_record
from tests.tracking.pushes import changed

FIRST, LATER, TODAY = "2026-11-02", "2026-11-09", "2026-11-16"


def whole(path: str, *lines: str, **more: Any) -> FileDiff:
    """A file as an audit sees it: each of its lines is added."""
    if not lines:
        return FileDiff(path, FileStatus.ADDED, **more)
    return changed(path, *(f"+{line}" for line in lines), status=FileStatus.ADDED, **more)


def entry(finding: Finding, **changes: Any) -> LedgerEntry:
    """The entry of a finding that the first audit raised."""
    record = make_record(finding, Destination.REPORT)
    return replace(LedgerEntry(record, FIRST, FIRST, finding.body), **changes)


def entry_of(number: int, severity: Severity = Severity.MEDIUM, **changes: Any) -> LedgerEntry:
    """An entry of any finding."""
    record = PreviousFinding(
        f"{number:016x}", f"src/{number}.py", severity, f"Title {number}", "bug", line=number + 1,
        code=f"{number:012x}", where=Destination.REPORT,
    )  # fmt: skip
    return replace(LedgerEntry(record, FIRST, FIRST), **changes)


def audit(
    entries: Sequence[LedgerEntry],
    *files: FileDiff,
    found: Sequence[Finding] = (),
    read: Sequence[str] | None = None,
    rechecks: Mapping[str, Recheck] = MappingProxyType({}),
    renames: Mapping[str, str] = MappingProxyType({}),
    dismissals: Sequence[DismissalChange] = (),
    today: str = TODAY,
    baseline: bool = False,
    unsure: Sequence[Finding] = (),
) -> LedgerUpdate:
    """An audit that read all files, or those in `read`."""
    return update_ledger(
        entries,
        found,
        files=files,
        read=[file.path for file in files] if read is None else read,
        rechecks=rechecks,
        renames=renames,
        dismissals=dismissals,
        today=today,
        baseline=baseline,
        unsure=unsure,
    )

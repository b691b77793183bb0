"""The ledger of an audit: all findings of earlier audits, each with its status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hunkwise.tracking.markers import PreviousFinding

BASELINE: Final = "baseline"
"""`LedgerEntry.by` of the findings that a baseline audit dismissed."""


class LedgerStatus(StrEnum):
    """The status of a finding in the ledger."""

    OPEN = "open"
    DISMISSED = "dismissed"
    FIXED = "fixed"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A finding of this audit or of an earlier one. Dates are ISO dates."""

    record: PreviousFinding
    first: str
    last: str
    body: str = ""
    status: LedgerStatus = LedgerStatus.OPEN
    by: str = ""
    why: str = ""
    refuted: int = 0
    closed: str = ""

    @property
    def fingerprint(self) -> str:
        return self.record.fingerprint

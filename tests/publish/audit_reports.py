"""Reports of audits for the tests of the issue."""

from __future__ import annotations

from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.publish.audit_issue import AuditReport, FolderCoverage
from hunkwise.tracking.ledger import BASELINE, LedgerEntry, LedgerStatus
from hunkwise.tracking.markers import PreviousFinding
from tests.publish.samples import HEAD, SERVER, anchor

FOLDERS = (
    FolderCoverage("src/payments", 120, 150),
    FolderCoverage("src/web", 40, 200),
    FolderCoverage("docs", 12, 12),
    FolderCoverage("scripts", 0, 9),
    FolderCoverage("", 3, 6),
)
TITLES = (
    "The lock is released before the balance is written",
    "`retry` sends the payment twice",
    "A timeout of 0 is read as no timeout",
    "The error of `close` is lost",
)
WORDS = (
    "Between `release()` and `write()` another thread may read the old balance.\n\n"
    "```python\nself.lock.release()\nself.balance = new\n```\n\n- Both callers hold no lock.\n"
)


def finding(number: int, severity: Severity) -> Finding:
    path = f"src/payments/account_{number}.py"
    title = TITLES[number % len(TITLES)]
    at = anchor(number + 7, number + 4, path=path)
    return Finding(
        path, severity, title, WORDS, at, "correctness", confidence=0.8, prompt="audit", check=Verification.CONFIRMED,
        evidence="`write` is called after `release` in line 41.",
    )  # fmt: skip


def entry(
    of: Finding,
    *,
    first: str = "2026-11-02",
    status: LedgerStatus = LedgerStatus.OPEN,
    by: str = "",
    why: str = "",
    closed: str = "",
) -> LedgerEntry:
    at = of.anchor
    record = PreviousFinding(
        of.fingerprint, of.path, of.severity, of.title, of.category, "audit",
        line=at.line if at else None, start_line=at.start_line if at else None,
    )  # fmt: skip
    return LedgerEntry(record, first, "2026-11-30", of.body, status, by, why, closed=closed)


def report(number: int) -> AuditReport:
    """An audit with that many open findings, every third of them new."""
    found = sorted(
        (finding(index, Severity(index % 4 + 1)) for index in range(number)), key=lambda one: -one.severity
    )
    new = frozenset(one.fingerprint for one in found[::3])
    dates = ("2026-11-02", "2026-11-09")
    pairs = tuple((one, entry(one, first=dates[index % 2])) for index, one in enumerate(found))
    if not number:
        return AuditReport(
            "octo/site", HEAD, "2026-11-30", 1, "2026-11-30", 60, 377, server_url=SERVER, runs_left=6,
            week_calls=58, total_calls=58, budgets=("60 model calls per audit",),
        )  # fmt: skip
    old = [finding(index, Severity.HIGH) for index in range(2_000, 2_004)]
    dismissed = (
        entry(old[0], status=LedgerStatus.DISMISSED, by="octocat", why="The caller locks", closed="2026-11-20"),
        entry(old[1], status=LedgerStatus.DISMISSED, by="code scanning #12", why="won't fix", closed="2026-11-13"),
        entry(old[2], status=LedgerStatus.DISMISSED, by=BASELINE, closed="2026-11-02"),
    )  # fmt: skip
    return AuditReport(
        "octo/site",
        HEAD,
        "2026-11-30",
        3,
        "2026-11-02",
        175,
        377,
        pairs,
        new,
        fixed=(entry(old[3], status=LedgerStatus.FIXED, closed="2026-11-30"),),
        dismissed=dismissed,
        unconfirmed=(entry(finding(9, Severity.LOW), status=LedgerStatus.UNCONFIRMED, closed="2026-11-23"),),
        folders=FOLDERS,
        skipped={"binary": 56, "lock file": 2, "ignored by the configuration": 310},
        runs_left=4,
        failed_shards=("Shard 2 failed: the next audit reads its files.",) if number > 3 else (),
        notes=("Another configuration began a new lap.",),
        week_calls=41,
        week_nano_credits=1_200_000_000,
        total_calls=410,
        total_nano_credits=12_340_000_000,
        budgets=("60 model calls per audit", "240 model calls per week"),
        server_url=SERVER,
    )

"""Rewrites the golden files of the audit issue: `python -m tests.publish.rewrite_golden`. Review the diff."""

from __future__ import annotations

from pathlib import Path

from hunkwise.publish.audit_issue import issue_body
from tests.publish.audit_reports import report

GOLDEN = Path(__file__).parent / "golden"
NUMBERS = (0, 3, 1_000)


def golden(number: int) -> Path:
    """Returns the path of the body with that many open findings."""
    return GOLDEN / f"audit_issue_{number}.md"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for number in NUMBERS:
        golden(number).write_text(issue_body(report(number)) + "\n", encoding="utf-8")

"""What the second opinion made of the findings, in words."""

from __future__ import annotations

from collections import Counter

from hunkwise.domain.finding import Check, Finding
from hunkwise.domain.outcome import Review
from hunkwise.publish import sanitize

_EVIDENCE_LIMIT = 3_000
_OF_ONE = {
    Check.CONFIRMED: "confirmed by a second opinion",
    Check.LOWERED: "lowered by a second opinion",
    Check.UNVERIFIED: "unverified: no second opinion could be had",
}
_OF_ALL = {
    Check.CONFIRMED: "confirmed",
    Check.LOWERED: "lowered",
    Check.UNVERIFIED: "could not be verified",
}


def check_of(finding: Finding) -> str:
    """What became of the finding; empty where nobody was asked."""
    return _OF_ONE[finding.check] if finding.check else ""


def tally(review: Review) -> str:
    """`3 confirmed, 1 lowered, 1 could not be verified, 2 dropped as refuted`; empty where nobody was asked."""
    checks = Counter(finding.check for finding in review.findings)
    counts = [(checks[check], said) for check, said in _OF_ALL.items()]
    counts.append((len(review.refuted), "dropped as refuted"))
    return ", ".join(f"{number:,} {said}" for number, said in counts if number)


def evidence_fold(finding: Finding, server_url: str) -> str:
    """The second model's words, folded away; empty where it said nothing for the finding."""
    if finding.check not in (Check.CONFIRMED, Check.LOWERED):
        return ""
    said = sanitize.text(finding.evidence, _EVIDENCE_LIMIT, server_url=server_url)
    return (
        f"<details><summary>Second opinion: {finding.check}</summary>\n\n{said}\n\n</details>" if said else ""
    )

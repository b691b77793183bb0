"""What the log of a run says of a review: one line a finding, for whoever opens the job first."""

from __future__ import annotations

from hunkwise.domain.finding import Check, reading_order
from hunkwise.domain.outcome import Review
from hunkwise.publish.characters import one_line
from hunkwise.publish.opinion import tally
from hunkwise.publish.places import place_of


def told(review: Review, review_url: str | None, *, fixed: int = 0, dismissed: int = 0) -> str:
    """Plain text; foreign parts are on one line each, and still to be made inert for the runner.

    `fixed` and `dismissed` are numbers of earlier findings that no longer stand.
    """
    coverage = review.coverage
    lines = []
    for finding in sorted(review.findings, key=reading_order):
        known = "  (raised before)" if finding.raised_as else ""
        known += "  (unverified)" if finding.check is Check.UNVERIFIED else ""
        lines.append(f"{finding.severity.label:<8} {place_of(finding)}  {one_line(finding.title)}{known}")
    if checked := tally(review):
        lines.append(f"Second opinion: {checked}.")
    lines.append(
        f"{_numbers(review, fixed, dismissed)}; reviewed {coverage.reviewed_lines} of "
        f"{coverage.changed_lines} changed lines ({coverage.percent} %); "
        f"{review.usage.model_calls} model calls, {review.seconds:.1f} s."
    )
    if review_url:
        lines.append(f"The review: {review_url}")
    return "\n".join(lines)


def _numbers(review: Review, fixed: int, dismissed: int) -> str:
    """`3 findings`, and what of earlier runs is to be told beside."""
    known = sum(1 for finding in review.findings if finding.raised_as)
    said = f"{len(review.findings)} findings"
    if known:
        said += f" ({len(review.findings) - known} new, {known} raised before)"
    return said + "".join(
        f", {number} {what}" for number, what in ((fixed, "fixed"), (dismissed, "dismissed")) if number
    )

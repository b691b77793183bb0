"""What the log of a run says of a review: one line a finding, for whoever opens the job first."""

from __future__ import annotations

from hunkwise.domain.outcome import Review
from hunkwise.publish.characters import one_line
from hunkwise.publish.markdown import place_of
from hunkwise.publish.merge import reading_order


def told(review: Review, review_url: str | None) -> str:
    """Plain text; foreign parts are on one line each, and still to be made inert for the runner."""
    coverage = review.coverage
    lines = [
        f"{finding.severity.label:<8} {place_of(finding)}  {one_line(finding.title)}"
        for finding in sorted(review.findings, key=reading_order)
    ]
    lines.append(
        f"{len(review.findings)} findings; reviewed {coverage.reviewed_lines} of {coverage.changed_lines} "
        f"changed lines ({coverage.percent} %); {review.usage.model_calls} model calls, {review.seconds:.1f} s."
    )
    if review_url:
        lines.append(f"The review: {review_url}")
    return "\n".join(lines)

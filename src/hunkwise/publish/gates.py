"""How a run concludes: one place from which exit code, outputs, summary and annotations all take their word."""

from __future__ import annotations

from dataclasses import dataclass

from hunkwise.domain.finding import Severity
from hunkwise.domain.outcome import ExitCode, Review, ReviewEvent


@dataclass(frozen=True, slots=True)
class Gates:
    """What may fail a run or hold a merge; None: nothing does."""

    fail_on: Severity | None = None
    request_changes_on: Severity | None = None
    min_coverage: int = 0
    """Percent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exit code, and a sentence for each reason that it is not 0."""

    exit_code: ExitCode
    reasons: tuple[str, ...] = ()


def review_event(review: Review, gates: Gates) -> ReviewEvent:
    """What the posted review asks for. There is no approval: a model's word never approves."""
    reached = _reached(review, gates.request_changes_on)
    return ReviewEvent.REQUEST_CHANGES if reached else ReviewEvent.COMMENT


def conclude(review: Review, gates: Gates) -> Verdict:
    """A gate first, then what is missing; a finding that reached no gate fails nothing."""
    reasons = []
    if _reached(review, gates.fail_on):
        assert gates.fail_on is not None
        reasons.append(f"A finding reaches fail-on: {gates.fail_on.label}.")
    percent = review.coverage.percent
    if percent < gates.min_coverage:
        reasons.append(
            f"{percent} % of the changed lines were reviewed; min-coverage is {gates.min_coverage} %."
        )
    if reasons:
        return Verdict(ExitCode.GATE, tuple(reasons))
    if not review.coverage.complete:
        missing = len(review.coverage.missing) + review.coverage.unlisted_files
        files = "1 file" if missing == 1 else f"{missing} files"
        return Verdict(
            ExitCode.PARTIAL,
            (f"A part of the change was not reviewed: {files}, {percent} % of the lines covered.",),
        )
    return Verdict(ExitCode.REVIEWED)


def _reached(review: Review, gate: Severity | None) -> bool:
    return gate is not None and review.highest is not None and review.highest >= gate

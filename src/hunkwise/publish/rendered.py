"""A review ready to leave: its places, its texts, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import ReviewEvent, Where
from hunkwise.publish.pages import Page
from hunkwise.publish.placement import Placement

STALE: Final = "stale"
"""The kind of the fault where the pull request moved on while the review was under way."""


@dataclass(frozen=True)
class Rendered:
    """A review ready to leave. The texts are callables, because what fails inline must be said below."""

    placement: Placement
    head_sha: str
    event: ReviewEvent
    marker: str
    """The hidden line in the body by which the review is known again: `publish.markers.review_marker`."""
    comment: Callable[[Finding, Where], str]
    """A comment on lines (INLINE) or on the file (FILE). Its last line tells it from all others."""
    body: Callable[[Placement, ReviewEvent], Page]
    hindrance: Callable[[], str] = lambda: ""
    """Looks again, after a wait, whether anything speaks against posting it still: a sentence, or nothing."""

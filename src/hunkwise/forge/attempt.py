"""One attempt to post a review: what is to leave, and what became of it so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import ReviewEvent, Where
from hunkwise.forge.file_comments import FileComments
from hunkwise.forge.probes import Probes
from hunkwise.publish.placement import Placement
from hunkwise.publish.rendered import Rendered


@dataclass
class Attempt:
    """What was tried so far."""

    rendered: Rendered
    probes: Probes
    files: FileComments
    placement: Placement
    event: ReviewEvent
    notes: list[str] = field(default_factory=list)
    innocent: set[Finding] = field(default_factory=set)
    """Comments on lines that GitHub is known to take."""
    current: bool = False
    """The head was seen to be where it was."""
    cleared: bool = False
    """Reviews that an earlier run left pending were deleted."""
    limit: int = 0
    """How many writes may have been tried when the review stands."""

    def onto_file(self, finding: Finding) -> None:
        inline = tuple(other for other in self.placement.inline if other != finding)
        on_file = (*self.placement.on_file, finding)
        self.placement = replace(self.placement, inline=inline, on_file=on_file)

    def into_body(self, moved: Iterable[Finding]) -> None:
        gone = tuple(moved)
        inline = tuple(finding for finding in self.placement.inline if finding not in gone)
        in_body = (*self.placement.in_body, *gone)
        self.placement = replace(self.placement, inline=inline, in_body=in_body)


def line_comment(finding: Finding, rendered: Rendered) -> dict[str, Any]:
    """The comment as an element of `comments` of GitHub's reviews."""
    anchor = finding.anchor
    assert anchor is not None  # `place` puts nothing else inline
    place: dict[str, Any] = {"path": anchor.path, "line": anchor.line, "side": anchor.side.value}
    if anchor.start_line is not None:
        place |= {"start_line": anchor.start_line, "start_side": anchor.side.value}
    return {**place, "body": rendered.comment(finding, Where.INLINE)}

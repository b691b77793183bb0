"""Where each finding can stand: on a line that the diff shows, on the file, or in the review's body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Check, Finding
from hunkwise.publish.anchors import anchor_fault, by_path
from hunkwise.publish.characters import plain
from hunkwise.publish.code import without_marker

__all__ = ["Placement", "anchor_fault", "by_path", "place", "suggestion_applies"]

MOST_ON_FILE = 10
_HELD = (Check.CONFIRMED, Check.LOWERED)
_MOST_SUGGESTED_LINES = 100
_LONGEST_SUGGESTION = 9_999  # what is longer may have been cut where the model's words were read
# Code that runs with the repository's secrets is not offered at one click on a model's word.
_NEVER_SUGGESTED = (".github/workflows/", ".github/actions/")


@dataclass(frozen=True, slots=True)
class Placement:
    """Every finding, once, on the best rung that can hold it."""

    inline: tuple[Finding, ...] = ()
    on_file: tuple[Finding, ...] = ()
    in_body: tuple[Finding, ...] = ()


def place(
    findings: Sequence[Finding], files: Iterable[FileDiff], *, max_comments: int, strict: bool = False
) -> Placement:
    """The most severe findings inline, as far as their anchors are proved; nothing is left out.

    `strict`: a finding that no second opinion held gets no comment of its own.
    """
    known = by_path(files)
    inline: list[Finding] = []
    on_file: list[Finding] = []
    in_body: list[Finding] = []
    for finding in sorted(findings, key=_urgency):
        unheld = strict and finding.check not in _HELD
        if unheld or finding.path not in known or not _can_be_sent(finding.path):
            in_body.append(finding)
        elif finding.anchor is not None:
            proved = len(inline) < max_comments and _proved(finding.anchor, known)
            (inline if proved else in_body).append(finding)
        else:
            (on_file if len(on_file) < MOST_ON_FILE else in_body).append(finding)
    return Placement(tuple(inline), tuple(on_file), tuple(in_body))


def suggestion_applies(finding: Finding, files: Iterable[FileDiff] | Mapping[str, FileDiff]) -> bool:
    """Whether the suggestion may be offered to be committed: it replaces proved lines, and with other ones."""
    anchor, suggestion = finding.anchor, finding.suggestion
    if anchor is None or suggestion is None or anchor.side is not Side.RIGHT:
        return False
    known = files if isinstance(files, Mapping) else by_path(files)
    if anchor.path.startswith(_NEVER_SUGGESTED) or not _proved(anchor, known):
        return False
    text = suggestion.replace("\r\n", "\n")
    if len(text) > _LONGEST_SUGGESTION or text != without_marker(plain(text)):
        return False  # a character that nobody sees must not be committed
    shown = known[anchor.path].lines_by_side[Side.RIGHT]
    present = [shown[number].raw.decode("utf-8", "replace").removesuffix("\r") for number in anchor.lines]
    suggested = text.removesuffix("\n").split("\n")
    return len(suggested) <= _MOST_SUGGESTED_LINES >= len(present) and (not text or suggested != present)


def _urgency(finding: Finding) -> tuple[int, bool, float, bool, str, int]:
    """The gravest first, then what a second opinion held, the surest, and what has evidence."""
    line = finding.anchor.line if finding.anchor else 0
    unheld, unsure = finding.check not in _HELD, -(finding.confidence or 0.0)
    return -finding.severity, unheld, unsure, not finding.evidence, finding.path, line


def _can_be_sent(path: str) -> bool:
    """A path that is no valid UTF-8 cannot be named in JSON."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _proved(anchor: Anchor, known: Mapping[str, FileDiff]) -> bool:
    """Whether GitHub will take the anchor as it stands."""
    checked = anchor_fault(anchor.path, anchor.line, anchor.start_line, anchor.side, known)
    return isinstance(checked, Anchor) and checked.path == anchor.path

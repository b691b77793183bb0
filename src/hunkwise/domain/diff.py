"""The data model of a diff: files, their hunks, and the numbered lines of each side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

KEY_LENGTH: Final = 20
"""Characters of a hunk's base64 key (15 bytes of a digest).

It is long enough that the author of a change cannot find two hunks with the same key. Otherwise, once a harmless one is
reviewed, the other would be skipped.
"""


class Side(StrEnum):
    """GitHub's names for the two sides of a diff."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


class FileStatus(StrEnum):
    """GitHub's names for what happened to a file (`GET pulls/N/files`, field `status`)."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class DiffLine(NamedTuple):
    """One row of a hunk. A tuple, because a large pull request has half a million of them."""

    kind: str
    """`+` only on the RIGHT side, `-` only on the LEFT, a space on both."""
    old: int | None
    """1-based number on the LEFT side."""
    new: int | None
    """1-based number on the RIGHT side."""
    raw: bytes
    """Content without kind and line feed, in any encoding; includes the `\\r` of a CRLF line."""
    no_eol: bool = False
    """The file ends after this line without a line feed."""

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace")

    @property
    def changed(self) -> bool:
        return self.kind != " "


@dataclass(frozen=True, slots=True)
class Hunk:
    """A hunk of a diff. `heading` is the text after the second `@@`."""

    old_start: int
    new_start: int
    lines: tuple[DiffLine, ...]
    heading: str = ""
    truncated: bool = False
    """The patch ended before the counts of the header were reached."""

    @property
    def changed_lines(self) -> int:
        return sum(1 for line in self.lines if line.kind != " ")


@dataclass(frozen=True)
class FileDiff:
    """One changed file. `path` is its path at the head (at the base if it was removed)."""

    path: str
    status: FileStatus
    hunks: tuple[Hunk, ...] = ()
    additions: int = 0
    """Added lines as counted by GitHub or git, even if the hunks are unknown."""
    deletions: int = 0
    old_path: str | None = None
    """The path at the base, if it differs."""
    binary: bool = False
    script: bool = False
    """It is binary, and its head begins with `#!`, or is too large for that to be known."""
    patch_missing: bool = False
    """GitHub omitted the patch, or it could not be read: the hunks are unknown, not empty."""

    @property
    def changed_lines(self) -> int:
        return self.additions + self.deletions

    @cached_property
    def lines_by_side(self) -> dict[Side, dict[int, DiffLine]]:
        """The lines that a review comment can be on, by number: GitHub accepts any line shown in a hunk."""
        left: dict[int, DiffLine] = {}
        right: dict[int, DiffLine] = {}
        for hunk in self.hunks:
            for line in hunk.lines:
                if line.old is not None:
                    left[line.old] = line
                if line.new is not None:
                    right[line.new] = line
        return {Side.LEFT: left, Side.RIGHT: right}

    def hunk_at(self, side: Side, number: int) -> Hunk | None:
        """Returns the hunk that shows the line; None if the diff does not show it."""
        for hunk in self.hunks:
            for line in hunk.lines:
                if (line.new if side is Side.RIGHT else line.old) == number:
                    return hunk
        return None


def by_path(files: Iterable[FileDiff]) -> dict[str, FileDiff]:
    """Returns the files by their paths at the head."""
    return {file.path: file for file in files}

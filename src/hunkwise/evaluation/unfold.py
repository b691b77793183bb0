"""A diff without the tree that it was made from → as much of that tree as the diff shows."""

from __future__ import annotations

from typing import Final

from hunkwise.domain.diff import DiffLine
from hunkwise.domain.patch import parse_sections
from hunkwise.evaluation.case import Content

MAX_LINES: Final = 200_000
"""Lines of all files together: a hunk may call itself the billionth line's."""
UNSHOWN: Final = "…"
"""Stands for each line that the diff does not show, so that the others keep their numbers."""


def unfolded(diff: bytes) -> dict[str, Content] | None:
    """The files of the base with the lines that the diff shows; None where that would take more than MAX_LINES.

    Paths that no tree can have are left out: git then refuses the diff and says why.
    """
    lines_by_path: dict[str, dict[int, DiffLine]] = {}
    executable: set[str] = set()
    for section in parse_sections(diff):
        path = section.header.old_path
        if path is None or not _fit(path):
            continue
        lines = lines_by_path.setdefault(path, {})
        lines.update(
            (line.old, line) for hunk in section.hunks for line in hunk.lines if line.old is not None
        )
        if section.header.old_mode == "100755":
            executable.add(path)
    if sum(max(lines, default=1) for lines in lines_by_path.values()) > MAX_LINES:
        return None
    return {path: Content(_text(lines), path in executable) for path, lines in lines_by_path.items()}


def _text(lines: dict[int, DiffLine]) -> bytes:
    last = max(lines, default=1)
    rows = (lines[number].raw if number in lines else UNSHOWN.encode() for number in range(1, last + 1))
    open_end = last in lines and lines[last].no_eol
    return b"\n".join(rows) + (b"" if open_end else b"\n")


def _fit(path: str) -> bool:
    steps = path.lower().split("/")
    return "\0" not in path and not {"", ".", "..", ".git"} & set(steps)

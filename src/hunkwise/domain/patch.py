"""Patch bytes → hunks with numbered lines. Split on line feeds only; the counts of a header end its hunk."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hunkwise.domain.diff import DiffLine, Hunk
from hunkwise.domain.header import Header, read_header

# Fifteen digits at the most: int() refuses 4,301 of them, and nothing here may raise.
_RANGE = rb"(\d{1,15})(?:,(\d{1,15}))?"
_HUNK = re.compile(rb"@@ -" + _RANGE + rb" \+" + _RANGE + rb" @@ ?([^\n]*)")
_COMBINED = re.compile(rb"(@@@+) ((?:-\d{1,15}(?:,\d{1,15})? )+)\+" + _RANGE + rb" \1 ?([^\n]*)")
_PARENT = re.compile(rb"-" + _RANGE)
_GNU_HEADER = re.compile(rb"--- [^\n]*\n\+\+\+ [^\n]*\n@@ -")
_PLUS, _MINUS, _BLANK, _FEED, _MARKER = b"+- \n\\"
_GIT_HEADERS = (b"diff --git ", b"diff --cc ", b"diff --combined ")


@dataclass(frozen=True, slots=True)
class Section:
    """What a full diff says of one file. A change of type (file to symbolic link) makes two of them."""

    header: Header
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    lines: list[DiffLine]
    end: int
    """Position of the first byte behind the rows."""
    complete: bool


def parse_hunks(patch: bytes) -> tuple[Hunk, ...]:
    """The hunks of one file's patch, header lines or not, final line feed or not. Never raises.

    Lines before the first hunk and behind a hunk's counts are passed over. A hunk whose counts are not
    reached is `truncated`; a last line that the end of the patch cut off is then left out.
    """
    hunks: list[Hunk] = []
    position = 0
    while position < len(patch):
        found = _hunk_at(patch, position)
        if found is None:
            position = _line_end(patch, position) + 1
        else:
            hunk, position = found
            hunks.append(hunk)
    return tuple(hunks)


def parse_sections(diff: bytes) -> tuple[Section, ...]:
    """The sections of `git diff` (also combined, mailed, or GNU diff's) in their order. Never raises.

    Only a line outside of all hunks can begin a section, so content that looks like headers does not.
    """
    sections: list[Section] = []
    header: list[bytes] = []
    hunks: list[Hunk] = []
    position = 0
    while position < len(diff):
        found = _hunk_at(diff, position) if header else None
        if found is not None:
            hunk, position = found
            hunks.append(hunk)
            continue
        end = _line_end(diff, position)
        if _begins_section(diff, position, inside=bool(header and not hunks)):
            if header:
                sections.append(Section(read_header(header), tuple(hunks)))
            header, hunks = [diff[position:end]], []
        elif header and not hunks:
            header.append(diff[position:end])
        position = end + 1
    if header:
        sections.append(Section(read_header(header), tuple(hunks)))
    return tuple(sections)


def count_changes(hunks: Iterable[Hunk]) -> tuple[int, int]:
    """Added and removed lines."""
    additions = deletions = 0
    for hunk in hunks:
        for line in hunk.lines:
            additions += line.kind == "+"
            deletions += line.kind == "-"
    return additions, deletions


def _begins_section(diff: bytes, position: int, inside: bool) -> bool:
    """Whether a section begins here; `---` and `+++` do so only outside of another section's header."""
    if diff.startswith(_GIT_HEADERS, position):
        return True
    return not inside and _GNU_HEADER.match(diff, position) is not None


def _line_end(patch: bytes, position: int) -> int:
    end = patch.find(b"\n", position)
    return len(patch) if end < 0 else end


def _hunk_at(patch: bytes, position: int) -> tuple[Hunk, int] | None:
    """The hunk whose header begins here, and the position behind it."""
    if not patch.startswith(b"@@", position):
        return None
    if plain := _HUNK.match(patch, position):
        old, new = int(plain[1]), int(plain[3])
        rows = _rows(patch, plain.end() + 1, (old, _count(plain[2])), (new, _count(plain[4])))
        heading = plain[5]
    elif combined := _COMBINED.match(patch, position):
        parents = [(int(start), _count(count)) for start, count in _PARENT.findall(combined[2])]
        old, new = parents[0][0], int(combined[3])
        counts = [count for _, count in parents]
        rows = _combined_rows(patch, combined.end() + 1, counts, (new, _count(combined[4])))
        heading = combined[5]
    else:
        return None
    end = rows.end
    if rows.complete and rows.lines and patch.startswith(b"\\", end):
        rows.lines[-1] = rows.lines[-1]._replace(no_eol=True)
        end = _line_end(patch, end) + 1
    text = heading.decode("utf-8", "replace").rstrip("\r")
    return Hunk(old, new, tuple(rows.lines), text, not rows.complete), end


def _count(digits: bytes | None) -> int:
    return int(digits) if digits else 1


def _rows(patch: bytes, position: int, left: tuple[int, int], right: tuple[int, int]) -> _Rows:
    """The rows of a plain hunk; `left` and `right` are start and count. One copy of each line, no more."""
    lines: list[DiffLine] = []
    old, new = left[0], right[0]
    old_end, new_end = sum(left), sum(right)
    size = len(patch)
    while old < old_end or new < new_end:
        if position >= size:
            return _Rows(lines, position, complete=False)
        end = patch.find(b"\n", position)
        if end < 0:
            end = size
        kind = patch[position]
        content = patch[position + 1 : end]
        if kind == _PLUS and new < new_end:
            line = DiffLine("+", None, new, content)
            new += 1
        elif kind == _MINUS and old < old_end:
            line = DiffLine("-", old, None, content)
            old += 1
        elif kind in (_BLANK, _FEED) and old < old_end and new < new_end:
            # An empty line is a blank one whose leading blank somebody stripped on the way.
            line = DiffLine(" ", old, new, content)
            old, new = old + 1, new + 1
        elif kind == _MARKER and lines:
            lines[-1] = lines[-1]._replace(no_eol=True)
            position = end + 1
            continue
        else:
            return _Rows(lines, position, complete=False)
        position = end + 1
        if end == size and (old < old_end or new < new_end):
            return _Rows(lines, position, complete=False)
        lines.append(line)
    return _Rows(lines, position, complete=True)


def _combined_rows(patch: bytes, position: int, counts: list[int], right: tuple[int, int]) -> _Rows:
    """The rows of a merge's hunk: a column for each parent, and no numbers on the LEFT, which is many."""
    lines: list[DiffLine] = []
    left = list(counts)
    new, new_end = right[0], sum(right)
    width = len(counts)
    while new < new_end or any(count > 0 for count in left):
        end = _line_end(patch, position)
        columns = patch[position : min(position + width, end)].ljust(width)
        gone = b"-" in columns
        if position >= len(patch) or columns.strip(b" +-") or (not gone and new >= new_end):
            return _Rows(lines, position, complete=False)
        kind = "-" if gone else "+" if b"+" in columns else " "
        line = DiffLine(kind, None, None if gone else new, patch[position + width : end])
        new += not gone
        shown = ord("-" if gone else " ")
        left = [count - (column == shown) for count, column in zip(left, columns, strict=True)]
        position = end + 1
        if end == len(patch) and (new < new_end or any(count > 0 for count in left)):
            return _Rows(lines, position, complete=False)
        lines.append(line)
    return _Rows(lines, position, complete=True)

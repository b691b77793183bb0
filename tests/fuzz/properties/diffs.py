"""Properties of parsed diffs: each line is in the patch at the parsed position."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from itertools import pairwise

from hunkwise.domain.diff import DiffLine, Hunk
from hunkwise.domain.diff_parser import count_changes, parse_hunks, parse_sections
from hunkwise.errors import RepositoryError
from hunkwise.repository.git_output import read_changes

_COUNT = rb"(?:,(\d{1,15}))?"
_HEADER = re.compile(rb"@@ -(\d{1,15})" + _COUNT + rb" \+(\d{1,15})" + _COUNT + rb" @@")
_COMBINED = re.compile(rb"@@@+ ")


def check_hunks(patch: bytes) -> None:
    """Checks that every hunk, parsed as one file or as several, is in the patch line by line."""
    sections = parse_sections(patch)
    for hunks in (parse_hunks(patch), tuple(hunk for section in sections for hunk in section.hunks)):
        rest = patch.split(b"\n")
        for hunk in hunks:
            rest = _rest_after(hunk, rest)
            _is_numbered(hunk)
        additions, deletions = count_changes(hunks)
        assert additions + deletions == sum(hunk.changed_lines for hunk in hunks)
        assert sum(len(line.raw) for hunk in hunks for line in hunk.lines) <= len(patch)
    for section in sections:
        for path in (section.header.old_path, section.header.new_path):
            assert path is None or path.encode("utf-8", "surrogateescape") is not None


def check_truncated_patch(patch: bytes, end: int) -> None:
    """Checks that the parsed beginning of a patch is the beginning of the parsed patch."""
    whole = [_row(line) for hunk in parse_hunks(patch) for line in hunk.lines]
    part = [_row(line) for hunk in parse_hunks(patch[:end]) for line in hunk.lines]
    assert part[:-1] == whole[: len(part)][:-1]
    if part:
        *place, raw = part[-1]
        # The last line of a hunk may be cut and still match the counts: this cannot be detected.
        *there, content = whole[len(part) - 1]
        assert place == there
        assert content.startswith(raw)


def check_git_output(output: bytes, cut: bool) -> None:
    """Checks that any output of git gives consistent files, or an error with a message."""
    try:
        files = read_changes(output, cut)
    except RepositoryError:
        return
    for file in files:
        assert file.patch_missing or file.changed_lines == sum(hunk.changed_lines for hunk in file.hunks)
        assert file.path.encode("utf-8", "surrogateescape") in output or b'"' in output


def check_round_trip(old: Sequence[bytes], new: Sequence[bytes], context: int) -> None:
    """Checks that the hunks of two files' diff turn one file into the other; also `check_hunks`."""
    patch = unified(old, new, context)
    check_hunks(patch)
    hunks = parse_hunks(patch)
    result: list[bytes] = []
    position = 0
    for hunk in hunks:
        assert not hunk.truncated
        start = hunk.old_start - 1 if any(line.old for line in hunk.lines) else hunk.old_start
        result += old[position:start]
        position = start
        for line in hunk.lines:
            assert line.old is None or old[line.old - 1] == line.raw
            position += line.old is not None
            result += [line.raw] if line.new is not None else []
    assert result + list(old[position:]) == list(new)


def unified(old: Sequence[bytes], new: Sequence[bytes], context: int) -> bytes:
    """Returns the diff of two files' lines, without line feeds, with git's headers."""
    rows = list(difflib.diff_bytes(difflib.unified_diff, old, new, b"a/f", b"b/f", n=context, lineterm=b""))
    return b"".join(row + b"\n" for row in [b"diff --git a/f b/f", *rows]) if rows else b""


def _row(line: DiffLine) -> tuple[str, int | None, int | None, bytes]:
    return line.kind, line.old, line.new, line.raw


def _is_numbered(hunk: Hunk) -> None:
    for numbers in ([line.old for line in hunk.lines], [line.new for line in hunk.lines]):
        known = [number for number in numbers if number is not None]
        assert all(after == before + 1 for before, after in pairwise(known))


def _rest_after(hunk: Hunk, rows: list[bytes]) -> list[bytes]:
    """Returns the patch's lines after the hunk, which must have all of the hunk's lines in order."""
    for position, row in enumerate(rows):
        if row.startswith(b"@@") and _is_header(hunk, row):
            length = _length(hunk, rows[position + 1 :], plain=_HEADER.match(row) is not None)
            if length is not None:
                return rows[position + 1 + length :]
    raise AssertionError(f"{hunk} is not in the rest of the patch")


def _length(hunk: Hunk, rows: Sequence[bytes], *, plain: bool) -> int | None:
    """Returns the number of the hunk's lines here, with markers; None if the hunk is not here."""
    position = 0
    for line in hunk.lines:
        while position < len(rows) and rows[position].startswith(b"\\"):
            position += 1
        row = rows[position] if position < len(rows) else None
        if row is None or not row.endswith(line.raw):
            return None
        if plain and row != line.kind.encode() + line.raw and (line.kind, row) != (" ", b""):
            return None
        position += 1
    return position


def _is_header(hunk: Hunk, row: bytes) -> bool:
    """Returns whether this line can be the header of the hunk, by its numbers."""
    plain = _HEADER.match(row)
    if not plain:
        return bool(_COMBINED.match(row)) and b"+%d" % hunk.new_start in row
    if hunk.truncated:
        return (int(plain[1]), int(plain[3])) == (hunk.old_start, hunk.new_start)
    counts = [sum(line.kind != kind for line in hunk.lines) for kind in "+-"]
    numbers = [int(plain[1]), int(plain[2] or 1), int(plain[3]), int(plain[4] or 1)]
    return numbers == [hunk.old_start, counts[0], hunk.new_start, counts[1]]

"""Parses unified diffs in the formats of git and GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hunkwise.domain.diff import DiffLine, FileStatus, Hunk

NO_FILE_MODE = "000000"
"""The mode of a side without the file, as in `git diff --raw`."""
_DEV_NULL = b"/dev/null"
_WORD = re.compile(
    rb"(?:(?:old|new|new file|deleted file) mode|(?:rename|copy) (?:from|to)|index|---|\+\+\+) "
)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))
_INDEX_MODE = re.compile(rb"[0-9a-f]+\.\.[0-9a-f]+ ([0-7]{6})")


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header of a file's section, above its hunks. A path or a mode is None if the lines do not contain it."""

    status: FileStatus
    old_path: str | None
    """None if the file is added."""
    new_path: str | None
    """None if the file is removed."""
    old_mode: str | None
    new_mode: str | None
    binary: bool


def read_header(lines: Sequence[bytes]) -> FileHeader:
    """Parses the header of a section from its lines (without line feeds). Never raises."""
    words: dict[bytes, bytes] = {}
    for line in lines:
        if word := _WORD.match(line):
            words.setdefault(word[0], line[word.end() :])
    old, new = _read_paths(lines[0], words)
    old_mode, new_mode = _read_modes(words)
    return FileHeader(
        _read_status(words),
        None if old is None else old.decode("utf-8", "surrogateescape"),
        None if new is None else new.decode("utf-8", "surrogateescape"),
        old_mode,
        new_mode,
        any(_is_binary_mark(line) for line in lines),
    )


def unquote(name: bytes) -> bytes:
    """Decodes a path as git prints it: resolves C-style quotes, and cuts an unquoted path at its first tab."""
    quoted = _QUOTED.match(name)
    if quoted is None:
        return name.split(b"\t", 1)[0]
    return _ESCAPE.sub(_unescape, quoted[1])


def _unescape(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF]) if code[0] < ord("8") else code
    return bytes([_LETTERS.get(code[0], code[0])])


def _is_binary_mark(line: bytes) -> bool:
    return line == b"GIT binary patch" or (line.startswith(b"Binary files ") and line.endswith(b" differ"))


def _read_status(words: dict[bytes, bytes]) -> FileStatus:
    if b"new file mode " in words or words.get(b"--- ") == _DEV_NULL:
        return FileStatus.ADDED
    if b"deleted file mode " in words or words.get(b"+++ ") == _DEV_NULL:
        return FileStatus.REMOVED
    if b"rename to " in words:
        return FileStatus.RENAMED
    return FileStatus.COPIED if b"copy to " in words else FileStatus.MODIFIED


def _read_paths(first: bytes, words: dict[bytes, bytes]) -> tuple[bytes | None, bytes | None]:
    """Returns old and new path: from rename and copy lines, else from `---` and `+++`, else from `diff --git`."""
    for kind in (b"rename", b"copy"):
        if kind + b" from " in words and kind + b" to " in words:
            return unquote(words[kind + b" from "]), unquote(words[kind + b" to "])
    if b"--- " in words and b"+++ " in words:
        return _strip_prefixes(words[b"--- "], words[b"+++ "])
    path = _parse_first_line(first)
    status = _read_status(words)
    return (
        None if status is FileStatus.ADDED else path,
        None if status is FileStatus.REMOVED else path,
    )


def _strip_prefixes(old_line: bytes, new_line: bytes) -> tuple[bytes | None, bytes | None]:
    """Removes the prefixes `a/` and `b/` from the paths of `---` and `+++`, if both have them."""
    old = None if old_line == _DEV_NULL else unquote(old_line)
    new = None if new_line == _DEV_NULL else unquote(new_line)
    if (old is None or old.startswith(b"a/")) and (new is None or new.startswith(b"b/")):
        return old and old[2:], new and new[2:]
    return old, new


def _parse_first_line(first: bytes) -> bytes:
    """Returns the path that `diff --git a/PATH b/PATH` has twice; it can contain spaces."""
    command, _, names = first.partition(b" --")[2].partition(b" ")
    if command != b"git":
        return unquote(names)
    if quoted := _QUOTED.match(names):
        old, new = unquote(names), unquote(names[quoted.end() + 1 :])
    else:
        half = len(names) // 2
        old, new = names[:half], names[half + 1 :]
    return old[2:] if old.startswith(b"a/") and new.startswith(b"b/") else old


def _read_modes(words: dict[bytes, bytes]) -> tuple[str | None, str | None]:
    index = _INDEX_MODE.fullmatch(words.get(b"index ", b""))
    same = index[1].decode() if index else None
    old = words.get(b"old mode ", words.get(b"deleted file mode "))
    new = words.get(b"new mode ", words.get(b"new file mode "))
    old_mode = same if old is None else old.decode("ascii", "replace")
    new_mode = same if new is None else new.decode("ascii", "replace")
    if b"new file mode " in words or words.get(b"--- ") == _DEV_NULL:
        old_mode = NO_FILE_MODE
    if b"deleted file mode " in words or words.get(b"+++ ") == _DEV_NULL:
        new_mode = NO_FILE_MODE
    return old_mode, new_mode


# At most fifteen digits: int() raises for more than 4,300, and the parser must not raise.
_RANGE = rb"(\d{1,15})(?:,(\d{1,15}))?"
_HUNK = re.compile(rb"@@ -" + _RANGE + rb" \+" + _RANGE + rb" @@ ?([^\n]*)")
_COMBINED = re.compile(rb"(@@@+) ((?:-\d{1,15}(?:,\d{1,15})? )+)\+" + _RANGE + rb" \1 ?([^\n]*)")
_PARENT = re.compile(rb"-" + _RANGE)
_GNU_HEADER = re.compile(rb"--- [^\n]*\n\+\+\+ [^\n]*\n@@ -")
_PLUS, _MINUS, _SPACE, _FEED, _MARKER = b"+- \n\\"
_GIT_HEADERS = (b"diff --git ", b"diff --cc ", b"diff --combined ")


@dataclass(frozen=True, slots=True)
class FileSection:
    """The section of one file in a full diff. A change of type (file to symbolic link) has two sections."""

    header: FileHeader
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    lines: list[DiffLine]
    end: int
    """Position of the first byte after the rows."""
    complete: bool


def parse_hunks(patch: bytes) -> tuple[Hunk, ...]:
    """Parses the hunks of one file's patch, with or without header lines and final line feed. Never raises.

    Lines before the first hunk and after a hunk's counts are skipped. A hunk whose counts are not
    reached is `truncated`; a last line that is cut off by the end of the patch is then omitted.
    """
    hunks: list[Hunk] = []
    position = 0
    while position < len(patch):
        parsed = _parse_hunk(patch, position)
        if parsed is None:
            position = _find_line_end(patch, position) + 1
        else:
            hunk, position = parsed
            hunks.append(hunk)
    return tuple(hunks)


def parse_sections(diff: bytes) -> tuple[FileSection, ...]:
    """Parses the sections of a `git diff` (also combined, mailed, or of GNU diff), in order. Never raises.

    Only a line outside of all hunks can begin a section, so content that looks like a header does not.
    """
    sections: list[FileSection] = []
    header: list[bytes] = []
    hunks: list[Hunk] = []
    position = 0
    while position < len(diff):
        parsed = _parse_hunk(diff, position) if header else None
        if parsed is not None:
            hunk, position = parsed
            hunks.append(hunk)
            continue
        end = _find_line_end(diff, position)
        if _begins_section(diff, position, inside=bool(header and not hunks)):
            if header:
                sections.append(FileSection(read_header(header), tuple(hunks)))
            header, hunks = [diff[position:end]], []
        elif header and not hunks:
            header.append(diff[position:end])
        position = end + 1
    if header:
        sections.append(FileSection(read_header(header), tuple(hunks)))
    return tuple(sections)


def count_changes(hunks: Iterable[Hunk]) -> tuple[int, int]:
    """Returns the numbers of added and removed lines."""
    additions = deletions = 0
    for hunk in hunks:
        for line in hunk.lines:
            additions += line.kind == "+"
            deletions += line.kind == "-"
    return additions, deletions


def _begins_section(diff: bytes, position: int, inside: bool) -> bool:
    """Returns True if a section begins here. `---` and `+++` begin one only outside of a section's header."""
    if diff.startswith(_GIT_HEADERS, position):
        return True
    return not inside and _GNU_HEADER.match(diff, position) is not None


def _find_line_end(patch: bytes, position: int) -> int:
    end = patch.find(b"\n", position)
    return len(patch) if end < 0 else end


def _parse_hunk(patch: bytes, position: int) -> tuple[Hunk, int] | None:
    """Returns the hunk whose header begins here and the position after it; None if no hunk begins here."""
    if not patch.startswith(b"@@", position):
        return None
    if plain := _HUNK.match(patch, position):
        old, new = int(plain[1]), int(plain[3])
        rows = _parse_rows(
            patch, plain.end() + 1, (old, _parse_count(plain[2])), (new, _parse_count(plain[4]))
        )
        heading = plain[5]
    elif combined := _COMBINED.match(patch, position):
        parents = [(int(start), _parse_count(count)) for start, count in _PARENT.findall(combined[2])]
        old, new = parents[0][0], int(combined[3])
        counts = [count for _, count in parents]
        rows = _parse_combined_rows(patch, combined.end() + 1, counts, (new, _parse_count(combined[4])))
        heading = combined[5]
    else:
        return None
    end = rows.end
    if rows.complete and rows.lines and patch.startswith(b"\\", end):
        rows.lines[-1] = rows.lines[-1]._replace(no_eol=True)
        end = _find_line_end(patch, end) + 1
    text = heading.decode("utf-8", "replace").rstrip("\r")
    return Hunk(old, new, tuple(rows.lines), text, not rows.complete), end


def _parse_count(digits: bytes | None) -> int:
    return int(digits) if digits else 1


def _parse_rows(patch: bytes, position: int, left: tuple[int, int], right: tuple[int, int]) -> _Rows:
    """Parses the rows of a plain hunk; `left` and `right` are start and count. Copies each line only once."""
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
        elif kind in (_SPACE, _FEED) and old < old_end and new < new_end:
            # An empty line is an empty context line without its leading space, as mailers and editors strip it.
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


def _parse_combined_rows(patch: bytes, position: int, counts: list[int], right: tuple[int, int]) -> _Rows:
    """Parses the rows of a merge's hunk: a column per parent, and no LEFT numbers, since there are several parents."""
    lines: list[DiffLine] = []
    left = list(counts)
    new, new_end = right[0], sum(right)
    width = len(counts)
    while new < new_end or any(count > 0 for count in left):
        end = _find_line_end(patch, position)
        columns = patch[position : min(position + width, end)].ljust(width)
        removed = b"-" in columns
        if position >= len(patch) or columns.strip(b" +-") or (not removed and new >= new_end):
            return _Rows(lines, position, complete=False)
        kind = "-" if removed else "+" if b"+" in columns else " "
        line = DiffLine(kind, None, None if removed else new, patch[position + width : end])
        new += not removed
        in_parent = ord("-" if removed else " ")
        left = [count - (column == in_parent) for count, column in zip(left, columns, strict=True)]
        position = end + 1
        if end == len(patch) and (new < new_end or any(count > 0 for count in left)):
            return _Rows(lines, position, complete=False)
        lines.append(line)
    return _Rows(lines, position, complete=True)

"""Parses unified diffs as git and GitHub write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hunkwise.domain.diff import DiffLine, FileStatus, Hunk

NO_FILE_MODE = "000000"
"""The mode of the side on which there is no file, as `git diff --raw` writes it."""
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
    """What stands above a section's hunks. A name or a mode is None where the lines do not tell it."""

    status: FileStatus
    old_path: str | None
    """None where the file is added."""
    new_path: str | None
    """None where the file is removed."""
    old_mode: str | None
    new_mode: str | None
    binary: bool


def read_header(lines: Sequence[bytes]) -> FileHeader:
    """The header of a section from its lines, without line feeds. Never raises."""
    words: dict[bytes, bytes] = {}
    for line in lines:
        if word := _WORD.match(line):
            words.setdefault(word[0], line[word.end() :])
    old, new = _paths(lines[0], words)
    old_mode, new_mode = _modes(words)
    return FileHeader(
        _status(words),
        None if old is None else old.decode("utf-8", "surrogateescape"),
        None if new is None else new.decode("utf-8", "surrogateescape"),
        old_mode,
        new_mode,
        any(_says_binary(line) for line in lines),
    )


def unquote(name: bytes) -> bytes:
    """A path as git prints it → the path: C-style quotes resolved, an unquoted one cut at its first tab."""
    quoted = _QUOTED.match(name)
    if quoted is None:
        return name.split(b"\t", 1)[0]
    return _ESCAPE.sub(_unescape, quoted[1])


def _unescape(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF]) if code[0] < ord("8") else code
    return bytes([_LETTERS.get(code[0], code[0])])


def _says_binary(line: bytes) -> bool:
    return line == b"GIT binary patch" or (line.startswith(b"Binary files ") and line.endswith(b" differ"))


def _status(words: dict[bytes, bytes]) -> FileStatus:
    if b"new file mode " in words or words.get(b"--- ") == _DEV_NULL:
        return FileStatus.ADDED
    if b"deleted file mode " in words or words.get(b"+++ ") == _DEV_NULL:
        return FileStatus.REMOVED
    if b"rename to " in words:
        return FileStatus.RENAMED
    return FileStatus.COPIED if b"copy to " in words else FileStatus.MODIFIED


def _paths(first: bytes, words: dict[bytes, bytes]) -> tuple[bytes | None, bytes | None]:
    """Old and new name: from rename and copy lines, else from `---` and `+++`, else from `diff --git`."""
    for kind in (b"rename", b"copy"):
        if kind + b" from " in words and kind + b" to " in words:
            return unquote(words[kind + b" from "]), unquote(words[kind + b" to "])
    if b"--- " in words and b"+++ " in words:
        return _marked_paths(words[b"--- "], words[b"+++ "])
    name = _name_on_first_line(first)
    status = _status(words)
    return (
        None if status is FileStatus.ADDED else name,
        None if status is FileStatus.REMOVED else name,
    )


def _marked_paths(old_line: bytes, new_line: bytes) -> tuple[bytes | None, bytes | None]:
    """Without their prefixes, which are there only if the sides have different ones (`a/`, `b/`)."""
    old = None if old_line == _DEV_NULL else unquote(old_line)
    new = None if new_line == _DEV_NULL else unquote(new_line)
    if (old is None or old.startswith(b"a/")) and (new is None or new.startswith(b"b/")):
        return old and old[2:], new and new[2:]
    return old, new


def _name_on_first_line(first: bytes) -> bytes:
    """The one name that `diff --git a/NAME b/NAME` gives twice; a blank in it makes no difference."""
    command, _, names = first.partition(b" --")[2].partition(b" ")
    if command != b"git":
        return unquote(names)
    if quoted := _QUOTED.match(names):
        old, new = unquote(names), unquote(names[quoted.end() + 1 :])
    else:
        half = len(names) // 2
        old, new = names[:half], names[half + 1 :]
    return old[2:] if old.startswith(b"a/") and new.startswith(b"b/") else old


def _modes(words: dict[bytes, bytes]) -> tuple[str | None, str | None]:
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


# Fifteen digits at the most: int() refuses 4,301 of them, and nothing here may raise.
_RANGE = rb"(\d{1,15})(?:,(\d{1,15}))?"
_HUNK = re.compile(rb"@@ -" + _RANGE + rb" \+" + _RANGE + rb" @@ ?([^\n]*)")
_COMBINED = re.compile(rb"(@@@+) ((?:-\d{1,15}(?:,\d{1,15})? )+)\+" + _RANGE + rb" \1 ?([^\n]*)")
_PARENT = re.compile(rb"-" + _RANGE)
_GNU_HEADER = re.compile(rb"--- [^\n]*\n\+\+\+ [^\n]*\n@@ -")
_PLUS, _MINUS, _BLANK, _FEED, _MARKER = b"+- \n\\"
_GIT_HEADERS = (b"diff --git ", b"diff --cc ", b"diff --combined ")


@dataclass(frozen=True, slots=True)
class FileSection:
    """What a full diff says of one file. A change of type (file to symbolic link) makes two of them."""

    header: FileHeader
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


def parse_sections(diff: bytes) -> tuple[FileSection, ...]:
    """The sections of `git diff` (also combined, mailed, or GNU diff's) in their order. Never raises.

    Only a line outside of all hunks can begin a section, so content that looks like headers does not.
    """
    sections: list[FileSection] = []
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
                sections.append(FileSection(read_header(header), tuple(hunks)))
            header, hunks = [diff[position:end]], []
        elif header and not hunks:
            header.append(diff[position:end])
        position = end + 1
    if header:
        sections.append(FileSection(read_header(header), tuple(hunks)))
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

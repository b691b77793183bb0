"""Header lines of one section of a diff → names, modes and status, as far as they tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hunkwise.domain.diff import FileStatus

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
class Header:
    """What stands above a section's hunks. A name or a mode is None where the lines do not tell it."""

    status: FileStatus
    old_path: str | None
    """None where the file is added."""
    new_path: str | None
    """None where the file is removed."""
    old_mode: str | None
    new_mode: str | None
    binary: bool


def read_header(lines: Sequence[bytes]) -> Header:
    """The header of a section from its lines, without line feeds. Never raises."""
    words: dict[bytes, bytes] = {}
    for line in lines:
        if word := _WORD.match(line):
            words.setdefault(word[0], line[word.end() :])
    old, new = _paths(lines[0], words)
    old_mode, new_mode = _modes(words)
    return Header(
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

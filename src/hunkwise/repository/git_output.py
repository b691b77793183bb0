"""Parses what git prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import FileSection, count_changes, parse_sections, unquote
from hunkwise.errors import RepositoryError

_LONGEST = 4_096


def clean(path: str) -> str:
    """Without the `./` and slashes that people write around a path; empty for the root."""
    bare = path.strip("/")
    return "" if bare == "." else bare.removeprefix("./").lstrip("/")


def is_path(path: str) -> bool:
    """Whether a tree can have such a path: not empty, no `.` or `..`, and fit to be an argument."""
    if "\0" in path or not 0 < len(path) <= _LONGEST:
        return False
    return not any(part in ("", ".", "..") for part in path.split("/"))


def as_argument(text: str) -> bytes:
    """As git takes it: UTF-8, surrogate escapes as the bytes that they stand for, other surrogates as `?`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


HIT_LIMIT = 1_000
"""Bytes of a matching line that are given."""
_STATUS = {
    "A": FileStatus.ADDED,
    "C": FileStatus.COPIED,
    "D": FileStatus.REMOVED,
    "M": FileStatus.MODIFIED,
    "R": FileStatus.RENAMED,
    "T": FileStatus.CHANGED,
}


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One line of `--raw`."""

    letter: str
    old_path: str
    path: str

    @property
    def sections(self) -> int:
        """A change of type is shown as a removal and an addition."""
        return 2 if self.letter == "T" else 1


def read_changes(output: bytes, cut: bool = False) -> tuple[FileDiff, ...]:
    """The changed files: names and status from the raw lines, hunks from the patch behind them.

    Not with `-z`: it leaves names in the patch's header lines unquoted as well, so that a name with line
    feeds could pass for a section. Where the output was `cut`, files behind the cut are `patch_missing`.
    Raises RepositoryError where the two parts do not belong together.
    """
    sections = parse_sections(output)
    rest = iter(sections[:-1] if cut else sections)
    files = tuple(_file(record, tuple(islice(rest, record.sections)), cut) for record in _records(output))
    if next(rest, None) is not None:
        raise _senseless("it shows more files than it lists")
    return files


def _records(output: bytes) -> Iterator[RawRecord]:
    position = 0
    while output.startswith(b":", position):
        end = output.find(b"\n", position)
        if end < 0:
            raise _senseless("it ends within its list of files")
        words, *names = output[position:end].split(b"\t")
        letter = words.rsplit(b" ", 1)[-1][:1].decode("latin-1")
        if letter not in _STATUS or not names:
            raise _senseless(f"it has a line {output[position:end]!r}")
        paths = [unquote(name).decode("utf-8", "surrogateescape") for name in names]
        yield RawRecord(letter, paths[0], paths[-1])
        position = end + 1


def _file(record: RawRecord, sections: tuple[FileSection, ...], cut: bool) -> FileDiff:
    status = _STATUS[record.letter]
    old_path = record.old_path if record.old_path != record.path else None
    if len(sections) < record.sections:
        if not cut:
            raise _senseless(f"it shows no change of {record.path!r}")
        return FileDiff(record.path, status, old_path=old_path, patch_missing=True)
    for section in sections:
        if record.path not in (section.header.old_path, section.header.new_path):
            raise _senseless(f"the change of {record.path!r} stands at another place")
    hunks = tuple(hunk for section in sections for hunk in section.hunks)
    additions, deletions = count_changes(hunks)
    binary = any(section.header.binary for section in sections)
    return FileDiff(record.path, status, hunks, additions, deletions, old_path, binary)


def _senseless(why: str) -> RepositoryError:
    return RepositoryError(
        f"Git's account of the change could not be understood: {why}.",
        "Check the clone with `git fsck`; if it is sound, please report this with the output of `git --version`.",
    )


def read_hits(output: bytes, prefix: int, limit: int) -> list[tuple[str, int, str]]:
    """Path, line number and text of the first `limit` lines that `git grep -nz` wrote; `prefix` bytes before each path
    name the commit."""
    hits: list[tuple[str, int, str]] = []
    position = 0
    while len(hits) < limit:
        name_end = output.find(b"\0", position)
        line_end = output.find(b"\0", name_end + 1)
        end = output.find(b"\n", line_end + 1)
        if min(name_end, line_end, end) < 0:
            break
        text = output[line_end + 1 : min(end, line_end + 1 + HIT_LIMIT)].rstrip(b"\r")
        path = output[position + prefix : name_end].decode("utf-8", "surrogateescape")
        hits.append((path, int(output[name_end + 1 : line_end]), text.decode("utf-8", "replace")))
        position = end + 1
    return hits

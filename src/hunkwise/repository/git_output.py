"""Parses the output of git."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from hunkwise.domain.audit import TreeFile
from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import FileSection, count_changes, parse_sections, unquote
from hunkwise.errors import RepositoryError

_MAX_PATH = 4_096


def clean(path: str) -> str:
    """Returns the path without a leading `./` and surrounding slashes; empty for the root."""
    stripped = path.strip("/")
    return "" if stripped == "." else stripped.removeprefix("./").lstrip("/")


def is_path(path: str) -> bool:
    """Returns whether a tree can contain this path: not empty, no `.` or `..`, and valid as an argument."""
    if "\0" in path or not 0 < len(path) <= _MAX_PATH:
        return False
    return not any(part in ("", ".", "..") for part in path.split("/"))


def as_argument(text: str) -> bytes:
    """Encodes an argument for git: UTF-8, surrogate escapes as their original bytes, other surrogates as `?`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


_ARGUMENTS = 100_000
"""Bytes of paths per call: the operating system limits the length of arguments."""


def batch_paths(paths: Iterable[str]) -> Iterator[list[str]]:
    """Yields the paths in batches that fit into the arguments of one call."""
    batch: list[str] = []
    size = 0
    for path in paths:
        size += len(as_argument(path)) + 1
        if size > _ARGUMENTS and batch:
            yield batch
            batch, size = [], len(as_argument(path)) + 1
        batch.append(path)
    if batch:
        yield batch


def read_files(output: bytes) -> Iterator[TreeFile]:
    """Yields the regular files that `ls-tree -l -z` lists; the size is -1 if git does not have the content."""
    for entry in output.decode("utf-8", "surrogateescape").split("\0"):
        fields, _, path = entry.partition("\t")
        if fields.startswith("100"):
            _mode, _kind, blob, size = fields.split()
            yield TreeFile(path, blob, int(size) if size != "BAD" else -1)


def read_blobs(output: bytes, blobs: Iterable[str]) -> dict[str, bytes]:
    """Returns contents by object id, from the output of `cat-file --batch` for these ids.

    Objects that git does not have, as in a partial clone, are missing.
    """
    contents: dict[str, bytes] = {}
    position = 0
    for blob in blobs:
        end = output.find(b"\n", position)
        header = output[position:end].split(b" ") if end >= 0 else []
        position = end + 1
        if header[:1] != [blob.encode("ascii")] or header[1:2] == [b"missing"]:
            continue
        size = int(header[2])
        contents[blob] = output[position : position + size]
        position += size + 1
    return contents


HIT_LIMIT = 1_000
"""Bytes of a matching line that are returned."""
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
        """The number of sections in the patch: git shows a change of type as a removal and an addition."""
        return 2 if self.letter == "T" else 1


def read_changes(output: bytes, cut: bool = False) -> tuple[FileDiff, ...]:
    """Returns the changed files: names and status from the raw lines, hunks from the patch after them.

    The output must not be of `-z`, which also leaves names in the patch's headers unquoted, so that a name with
    line feeds could imitate a section. If the output was `cut`, files after the cut are `patch_missing`.
    Raises RepositoryError if the two parts do not match.
    """
    sections = parse_sections(output)
    rest = iter(sections[:-1] if cut else sections)
    files = tuple(_file(record, tuple(islice(rest, record.sections)), cut) for record in _records(output))
    if next(rest, None) is not None:
        raise _malformed_output_error("it shows more files than it lists")
    return files


def _records(output: bytes) -> Iterator[RawRecord]:
    position = 0
    while output.startswith(b":", position):
        end = output.find(b"\n", position)
        if end < 0:
            raise _malformed_output_error("it ends within its list of files")
        fields, *names = output[position:end].split(b"\t")
        letter = fields.rsplit(b" ", 1)[-1][:1].decode("latin-1")
        if letter not in _STATUS or not names:
            raise _malformed_output_error(f"it has a line {output[position:end]!r}")
        paths = [unquote(name).decode("utf-8", "surrogateescape") for name in names]
        yield RawRecord(letter, paths[0], paths[-1])
        position = end + 1


def _file(record: RawRecord, sections: tuple[FileSection, ...], cut: bool) -> FileDiff:
    status = _STATUS[record.letter]
    old_path = record.old_path if record.old_path != record.path else None
    if len(sections) < record.sections:
        if not cut:
            raise _malformed_output_error(f"it shows no change of {record.path!r}")
        return FileDiff(record.path, status, old_path=old_path, patch_missing=True)
    for section in sections:
        if record.path not in (section.header.old_path, section.header.new_path):
            raise _malformed_output_error(f"the change of {record.path!r} is at another place")
    hunks = tuple(hunk for section in sections for hunk in section.hunks)
    additions, deletions = count_changes(hunks)
    binary = any(section.header.binary for section in sections)
    return FileDiff(record.path, status, hunks, additions, deletions, old_path, binary)


def _malformed_output_error(why: str) -> RepositoryError:
    return RepositoryError(
        f"Git's account of the change could not be understood: {why}.",
        "Check the clone with `git fsck`; if it is sound, please report this with the output of `git --version`.",
    )


def read_hits(output: bytes, prefix: int, limit: int) -> list[tuple[str, int, str]]:
    """Returns path, line number and text of the first `limit` lines of `git grep -nz`. The commit's name takes `prefix`
    bytes before each path."""
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

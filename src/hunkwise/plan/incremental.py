"""Finds the hunks that an earlier run has already reviewed."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from hunkwise.domain.diff import KEY_LENGTH, FileDiff, FileStatus, Hunk
from hunkwise.domain.review import SkipReason
from hunkwise.plan.chunking import Chunk

KEY_BYTES = KEY_LENGTH * 3 // 4
"""Bytes of SHA-256 in a key; a multiple of three, so that base64 needs no padding."""
MOST_KEYS = 1_600
"""Keys that the summary comment has room for."""
_HUNK, _FILE = b"hunk", b"file"


@dataclass(frozen=True, slots=True)
class HunkSplit:
    """A file's hunks in order; `reviewed` is True for each that an earlier run reviewed."""

    hunks: tuple[Hunk, ...]
    reviewed: tuple[bool, ...]

    @property
    def new(self) -> tuple[Hunk, ...]:
        return tuple(hunk for hunk, done in zip(self.hunks, self.reviewed, strict=True) if not done)

    @property
    def carried(self) -> tuple[Hunk, ...]:
        return tuple(hunk for hunk, done in zip(self.hunks, self.reviewed, strict=True) if done)

    def with_answers(self, answers: Iterable[bool]) -> HunkSplit:
        """Returns the split after a run; `answers` is True for each of `new` that is reviewed now."""
        flags = iter(answers)
        return HunkSplit(self.hunks, tuple(done or next(flags) for done in self.reviewed))


def hunk_keys(path: str, hunks: Sequence[Hunk]) -> tuple[str, ...]:
    """Returns a key of KEY_LENGTH base64 characters per hunk.

    It depends on the path, the hunk's lines, and the number of identical hunks before it in the file. Line numbers and
    heading are not part of it, so that changes elsewhere in the file do not change the key.
    """
    seen: Counter[bytes] = Counter()
    keys: list[str] = []
    for hunk in hunks:
        content = _serialize_hunk(hunk)
        keys.append(_make_key(_HUNK, path, [b"%d" % seen[content], content]))
        seen[content] += 1
    return tuple(keys)


def file_key(path: str, hunks: Sequence[Hunk]) -> str:
    """Returns one key for all hunks of a file, for changes with too many hunks."""
    return _make_key(_FILE, path, [_serialize_hunk(hunk) for hunk in hunks])


def split_reviewed(file: FileDiff, reviewed: frozenset[str]) -> HunkSplit:
    """Splits a file's hunks by an earlier run's keys, also by the keys of the path before a rename.

    A truncated hunk never counts as reviewed, because the rest of it is unknown.
    """
    if not reviewed:
        return HunkSplit(file.hunks, (False,) * len(file.hunks))
    paths = [file.path]
    if file.status is FileStatus.RENAMED and file.old_path is not None:
        paths.append(file.old_path)
    whole = any(file_key(path, file.hunks) in reviewed for path in paths)
    keys_by_hunk = zip(*(hunk_keys(path, file.hunks) for path in paths), strict=True)
    flags = (whole or not reviewed.isdisjoint(keys) for keys in keys_by_hunk)
    done = tuple(flag and not hunk.truncated for hunk, flag in zip(file.hunks, flags, strict=True))
    return HunkSplit(file.hunks, done)


def kept_keys(by_file: Mapping[str, HunkSplit], most: int = MOST_KEYS) -> frozenset[str]:
    """Returns the keys of the reviewed hunks for the next run, at most `most`; `by_file` has splits by path.

    If there are more, completely reviewed files get one key each, those with the most hunks first. Keys beyond
    `most` are dropped, and their hunks are reviewed again.
    """
    counts = {path: sum(_reviewed_flags(split)) for path, split in by_file.items()}
    surplus = sum(counts.values()) - most
    whole: set[str] = set()
    for path in sorted(counts, key=lambda path: (-counts[path], path)):
        if surplus <= 0 or counts[path] < 2:
            break
        if all(_reviewed_flags(by_file[path])):
            whole.add(path)
            surplus -= counts[path] - 1
    return frozenset(islice(_iterate_keys(by_file, whole), most))


def answered_hunks(
    path: str,
    hunks: Sequence[Hunk],
    chunks: Sequence[Chunk],
    outcome_by_chunk: Mapping[int, SkipReason | None],
) -> tuple[bool, ...]:
    """Returns a flag per hunk of a file: True if every piece of it was in a chunk whose outcome is None.

    `hunks` are those that were packed into the chunks, in order. The flag of a hunk without lines is False.
    """
    pieces = (
        (len(piece.lines), outcome_by_chunk.get(chunk.index, SkipReason.INTERRUPTED) is None)
        for chunk in chunks
        for part in chunk.parts
        if part.file.path == path
        for piece in part.hunks
        if piece.lines
    )
    answers: list[bool] = []
    for hunk in hunks:
        left, whole = len(hunk.lines), bool(hunk.lines)
        while left > 0:
            shown, answered = next(pieces, (left, False))
            left -= shown
            whole = whole and answered
        answers.append(whole)
    return tuple(answers)


def _iterate_keys(by_file: Mapping[str, HunkSplit], whole: set[str]) -> Iterator[str]:
    for path, split in by_file.items():
        if path in whole:
            yield file_key(path, split.hunks)
        else:
            keys = hunk_keys(path, split.hunks)
            yield from (key for key, flag in zip(keys, _reviewed_flags(split), strict=True) if flag)


def _reviewed_flags(split: HunkSplit) -> list[bool]:
    """Returns a flag per hunk: True if the next run can skip it."""
    return [done and not hunk.truncated for hunk, done in zip(split.hunks, split.reviewed, strict=True)]


def _serialize_hunk(hunk: Hunk) -> bytes:
    """Returns the hunk's lines as in a diff: different lines have different results.

    No line contains a line feed, and only the mark for a missing final line feed begins with a backslash.
    """
    rows: list[bytes] = []
    for line in hunk.lines:
        rows.append(line.kind.encode() + line.raw)
        if line.no_eol:
            rows.append(b"\\")
    return b"\n".join(rows)


def _make_key(kind: bytes, path: str, parts: Iterable[bytes]) -> str:
    digest = sha256(kind + b"\0" + path.encode("utf-8", "surrogatepass") + b"\0")
    for part in parts:
        # With lengths, so that different parts can never be joined to the same bytes.
        digest.update(b"%d\0" % len(part))
        digest.update(part)
    return b64encode(digest.digest()[:KEY_BYTES]).decode("ascii")

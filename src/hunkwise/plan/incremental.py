"""Finds the hunks that an earlier run has reviewed already."""

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
    """A file's hunks in their order, and for each whether it is reviewed already."""

    hunks: tuple[Hunk, ...]
    known: tuple[bool, ...]

    @property
    def new(self) -> tuple[Hunk, ...]:
        return tuple(hunk for hunk, known in zip(self.hunks, self.known, strict=True) if not known)

    @property
    def carried(self) -> tuple[Hunk, ...]:
        return tuple(hunk for hunk, known in zip(self.hunks, self.known, strict=True) if known)

    def with_answers(self, answers: Iterable[bool]) -> HunkSplit:
        """The division after a run; `answers` says of each of `new` whether it is reviewed now."""
        said = iter(answers)
        return HunkSplit(self.hunks, tuple(known or next(said) for known in self.known))


def hunk_keys(path: str, hunks: Sequence[Hunk]) -> tuple[str, ...]:
    """KEY_LENGTH base64 characters a hunk: of its path, its lines, and how many twins of it come before in the file.

    Numbers and heading are left out, so that a key survives what is done elsewhere in the file.
    """
    seen: Counter[bytes] = Counter()
    keys: list[str] = []
    for hunk in hunks:
        content = _content(hunk)
        keys.append(_key(_HUNK, path, [b"%d" % seen[content], content]))
        seen[content] += 1
    return tuple(keys)


def file_key(path: str, hunks: Sequence[Hunk]) -> str:
    """One key for all hunks of a file, for changes that have too many of them."""
    return _key(_FILE, path, [_content(hunk) for hunk in hunks])


def divided(file: FileDiff, reviewed: frozenset[str]) -> HunkSplit:
    """What of the file is reviewed, by the keys that an earlier run left, also under the name before a rename.

    A truncated hunk never is: nobody knows what the rest of it says.
    """
    if not reviewed:
        return HunkSplit(file.hunks, (False,) * len(file.hunks))
    names = [file.path]
    if file.status is FileStatus.RENAMED and file.old_path is not None:
        names.append(file.old_path)
    whole = any(file_key(name, file.hunks) in reviewed for name in names)
    keys = zip(*(hunk_keys(name, file.hunks) for name in names), strict=True)
    known = (whole or not reviewed.isdisjoint(of_hunk) for of_hunk in keys)
    flags = zip(file.hunks, known, strict=True)
    return HunkSplit(file.hunks, tuple(there and not hunk.truncated for hunk, there in flags))


def kept_keys(by_file: Mapping[str, HunkSplit], most: int = MOST_KEYS) -> frozenset[str]:
    """The keys of what is reviewed, by the files' names, for the next run; at most `most`.

    Where there would be more, files that are reviewed whole get one key each, those with the most hunks
    first. What is cut off after that is only reviewed again.
    """
    counts = {path: sum(_kept(division)) for path, division in by_file.items()}
    surplus = sum(counts.values()) - most
    whole: set[str] = set()
    for path in sorted(counts, key=lambda path: (-counts[path], path)):
        if surplus <= 0 or counts[path] < 2:
            break
        if all(_kept(by_file[path])):
            whole.add(path)
            surplus -= counts[path] - 1
    return frozenset(islice(_keys(by_file, whole), most))


def answered_hunks(
    path: str,
    hunks: Sequence[Hunk],
    chunks: Sequence[Chunk],
    outcome_by_chunk: Mapping[int, SkipReason | None],
) -> tuple[bool, ...]:
    """For each of a file's hunks whether every piece of it was in a chunk whose outcome is None.

    `hunks` are those that were packed into the chunks, in their order. A hunk without lines shows nothing,
    and was not seen.
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


def _keys(by_file: Mapping[str, HunkSplit], whole: set[str]) -> Iterator[str]:
    for path, division in by_file.items():
        if path in whole:
            yield file_key(path, division.hunks)
        else:
            keys = hunk_keys(path, division.hunks)
            yield from (key for key, kept in zip(keys, _kept(division), strict=True) if kept)


def _kept(division: HunkSplit) -> list[bool]:
    """For each hunk whether the next run may pass it over."""
    flags = zip(division.hunks, division.known, strict=True)
    return [known and not hunk.truncated for hunk, known in flags]


def _content(hunk: Hunk) -> bytes:
    """The lines as a diff has them: no line holds a line feed, and none begins with a backslash but the mark."""
    rows: list[bytes] = []
    for line in hunk.lines:
        rows.append(line.kind.encode() + line.raw)
        if line.no_eol:
            rows.append(b"\\")
    return b"\n".join(rows)


def _key(kind: bytes, path: str, parts: Iterable[bytes]) -> str:
    digest = sha256(kind + b"\0" + path.encode("utf-8", "surrogatepass") + b"\0")
    for part in parts:
        # Lengths, so that no content can pose as the end of one part and the beginning of the next.
        digest.update(b"%d\0" % len(part))
        digest.update(part)
    return b64encode(digest.digest()[:KEY_BYTES]).decode("ascii")

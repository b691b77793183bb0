"""Finds the hunks that an earlier run has already reviewed."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import islice

from hunkwise.domain.diff import KEY_LENGTH, DiffLine, FileDiff, Hunk
from hunkwise.domain.limits import CHANGED_FILES
from hunkwise.domain.review import SkipReason
from hunkwise.plan.chunking import Chunk

KEY_BYTES = KEY_LENGTH * 3 // 4
"""Bytes of SHA-256 in a key; a multiple of three, so that base64 needs no padding."""
MOST_KEYS = 1_600
"""Keys that the summary comment has room for."""
_HUNK, _FILE = b"hunk", b"file"
_DEEPEST = 100
"""Indentation above which lines are treated alike."""


@dataclass(frozen=True, slots=True)
class HunkSplit:
    """A file; `reviewed` is True for each of its hunks that an earlier run reviewed."""

    file: FileDiff
    reviewed: tuple[bool, ...]

    @property
    def hunks(self) -> tuple[Hunk, ...]:
        return self.file.hunks

    @property
    def new(self) -> tuple[Hunk, ...]:
        return tuple(hunk for hunk, done in zip(self.hunks, self.reviewed, strict=True) if not done)

    @property
    def carried(self) -> tuple[Hunk, ...]:
        return tuple(hunk for hunk, done in zip(self.hunks, self.reviewed, strict=True) if done)

    def with_answers(self, answers: Iterable[bool]) -> HunkSplit:
        """Returns the split after a run; `answers` is True for each of `new` that is reviewed now."""
        flags = iter(answers)
        return HunkSplit(self.file, tuple(done or next(flags) for done in self.reviewed))


def hunk_keys(file: FileDiff) -> tuple[str, ...]:
    """Returns a key of KEY_LENGTH base64 characters per hunk.

    It depends on the hunk's lines and on where they are: the path and the one before a rename, the line in the base,
    git's heading there, and changed headers of the code around the hunk. Other changes in the file do not change it.
    """
    return _make_keys(file)[0]


def file_key(file: FileDiff) -> str:
    """Returns one key for all hunks of a file, for changes with too many hunks."""
    return _make_keys(file)[1]


@lru_cache(maxsize=CHANGED_FILES)
def _make_keys(file: FileDiff) -> tuple[tuple[str, ...], str]:
    """Returns the keys of the hunks, and of the file. Cached, because several stages of a run need them."""
    contents = [_serialize_hunk(hunk) for hunk in file.hunks]
    headers = _changed_headers(file.hunks, contents)
    keys = (_make_key(_HUNK, file, pair) for pair in zip(headers, contents, strict=True))
    return tuple(keys), _make_key(_FILE, file, contents)


def split_reviewed(file: FileDiff, reviewed: frozenset[str]) -> HunkSplit:
    """Splits a file's hunks by an earlier run's keys.

    A truncated hunk never counts as reviewed, because the rest of it is unknown, nor do two hunks with the same key.
    """
    if not reviewed:
        return HunkSplit(file, (False,) * len(file.hunks))
    whole = file_key(file) in reviewed
    keys = hunk_keys(file)
    times = Counter(keys)
    done = (whole or (key in reviewed and times[key] == 1) for key in keys)
    flags = tuple(flag and not hunk.truncated for hunk, flag in zip(file.hunks, done, strict=True))
    return HunkSplit(file, flags)


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
            yield file_key(split.file)
        else:
            keys = hunk_keys(split.file)
            yield from (key for key, flag in zip(keys, _reviewed_flags(split), strict=True) if flag)


def _reviewed_flags(split: HunkSplit) -> list[bool]:
    """Returns a flag per hunk: True if the next run can skip it."""
    return [done and not hunk.truncated for hunk, done in zip(split.hunks, split.reviewed, strict=True)]


def _serialize_hunk(hunk: Hunk) -> bytes:
    """Returns the hunk as in a diff, without its line in the head: different hunks have different results.

    Changes above do not move the line in the base. No line contains a line feed, and only the mark for a missing
    final line feed begins with a backslash.
    """
    rows = [b"%d %s" % (hunk.old_start, hunk.heading.encode("utf-8", "surrogatepass"))]
    for line in hunk.lines:
        rows.append(line.kind.encode() + line.raw)
        if line.no_eol:
            rows.append(b"\\")
    return b"\n".join(rows)


def _changed_headers(hunks: Sequence[Hunk], contents: Sequence[bytes]) -> Iterator[bytes]:
    """Yields, per hunk, a digest of the hunks above that can change the header of a function or block around it.

    A header is a changed line that is indented less, unless an unchanged line between them ends its block: one that a
    hunk shows, or the one that git's heading quotes.
    """
    open_blocks: dict[int, bytes] = {}
    for index, (hunk, content) in enumerate(zip(hunks, contents, strict=True)):
        if index and _has_heading_between(hunks[index - 1], hunk):
            open_blocks.clear()
        first = next((number for number, line in enumerate(hunk.lines) if line.changed), len(hunk.lines))
        deepest = max((_indentation(line) for line in hunk.lines if line.changed), default=0)
        for line in hunk.lines[:first]:
            _end_blocks(open_blocks, line)
        yield b"".join(open_blocks[depth] for depth in sorted(open_blocks) if depth < deepest)
        digest = sha256(content).digest()
        for line in hunk.lines[first:]:
            depth = _indentation(line)
            if not line.changed:
                _end_blocks(open_blocks, line)
            elif line.raw.strip():
                open_blocks[depth] = sha256(open_blocks.get(depth, b"") + digest).digest()


def _has_heading_between(above: Hunk, hunk: Hunk) -> bool:
    """Returns True if the line that the heading quotes is below the hunk above, so that no change affects it."""
    heading = hunk.heading.rstrip("\ufffd")  # git cuts it, maybe within a character
    return bool(heading) and not any(
        text.lstrip().startswith(heading)
        for text in (above.heading, *(line.text for line in above.lines if line.kind != "+"))
    )


def _end_blocks(open_blocks: dict[int, bytes], line: DiffLine) -> None:
    """Removes the blocks that an unchanged line ends; a line that can continue a header ends only what is deeper."""
    code = line.raw.strip()
    if not code or code.startswith((b"#", b"/", b"*", b"--", b"{", b"(", b"[")):
        return
    depth = _indentation(line) + code.startswith((b")", b"]", b"}"))
    for deeper in [block for block in open_blocks if block >= depth]:
        del open_blocks[deeper]


def _indentation(line: DiffLine) -> int:
    return min(_DEEPEST, len(line.raw) - len(line.raw.lstrip()))


def _make_key(kind: bytes, file: FileDiff, parts: Iterable[bytes]) -> str:
    digest = sha256(kind)
    paths = (path.encode("utf-8", "surrogatepass") for path in (file.path, file.old_path or ""))
    for part in (*paths, *parts):
        # With lengths, so that different parts can never be joined to the same bytes.
        digest.update(b"%d\0" % len(part))
        digest.update(part)
    return b64encode(digest.digest()[:KEY_BYTES]).decode("ascii")

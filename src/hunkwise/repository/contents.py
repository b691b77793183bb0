"""Many files of a commit in few calls of git: `git ls-tree -zl`, then `git cat-file --batch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.known import Entry, Known
from hunkwise.errors import RepositoryError
from hunkwise.repository.calls import Answer
from hunkwise.repository.paths import as_argument, clean, is_path

_ARGUMENTS = 100_000
"""Bytes of paths in one call: they are arguments, which the system bounds."""
_LISTING = 64 << 20
_HEADER = 200
"""Bytes around a content of `cat-file --batch`."""


class Run(Protocol):
    """Calls git."""

    def __call__(
        self, command: str, *arguments: str | bytes, limit: int = ..., asked: bytes = ...
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class _Blob:
    oid: str
    size: int


def read_contents(run: Run, sha: str, paths: Sequence[str], *, most: int, together: int) -> Known:
    """The contents by path, None where there is no file.

    What has more than `most` bytes is not in it, nor what would make more than `together` bytes of all.
    Raises RepositoryError.
    """
    wanted = {path: clean(path) for path in paths}
    names = [name for name in dict.fromkeys(wanted.values()) if is_path(name)]
    known: dict[str, Entry] = {}
    for some in _portions(names):
        blobs = _listed(run, sha, some)
        known |= {name: None for name in some if name not in blobs}
        chosen: dict[str, _Blob] = {}
        for name, blob in blobs.items():
            if blob.size <= min(most, together):
                chosen[name] = blob
                together -= blob.size
        contents = _read(run, list(chosen.values()))
        known |= {name: contents[blob.oid] for name, blob in chosen.items() if blob.oid in contents}
    return {path: known[name] for path, name in wanted.items() if name in known}


def _portions(names: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    size = 0
    for name in names:
        size += len(as_argument(name)) + 1
        if size > _ARGUMENTS and portion:
            yield portion
            portion, size = [], len(as_argument(name)) + 1
        portion.append(name)
    if portion:
        yield portion


def _listed(run: Run, sha: str, names: Sequence[str]) -> Mapping[str, _Blob]:
    """The files among the names; links and submodules are none."""
    where = [as_argument(name) for name in names]
    answer = run("ls-tree", "-z", "-l", "--full-tree", sha, "--", *where, limit=_LISTING)
    blobs: dict[str, _Blob] = {}
    for entry in _checked_files(answer).split(b"\0")[:-1]:
        words, _, name = entry.partition(b"\t")
        mode, _kind, oid, size = words.decode("ascii").split()
        if mode.startswith("100"):
            blobs[name.decode("utf-8", "surrogateescape")] = _Blob(oid, int(size))
    return blobs


def _read(run: Run, blobs: Sequence[_Blob]) -> dict[str, bytes]:
    """Contents by object. One that git does not have, as in a clone with a filter, is not in it."""
    if not blobs:
        return {}
    asked = "".join(f"{blob.oid}\n" for blob in blobs).encode("ascii")
    room = sum(blob.size + _HEADER for blob in blobs)
    output = _checked_files(run("cat-file", "--batch", limit=room, asked=asked))
    contents: dict[str, bytes] = {}
    position = 0
    for blob in blobs:
        end = output.find(b"\n", position)
        words = output[position:end].split(b" ") if end >= 0 else []
        position = end + 1
        if words[:1] != [blob.oid.encode("ascii")] or words[1:2] == [b"missing"]:
            continue
        size = int(words[2])
        contents[blob.oid] = output[position : position + size]
        position += size + 1
    return contents


def _checked_files(answer: Answer) -> bytes:
    if answer.code != 0:
        why = answer.complaint or "git wrote more than it announced" if answer.cut else answer.complaint
        raise RepositoryError(
            f"Files of the commit could not be read: {why or f'git ended with {answer.code}'}.",
            "Check out with `fetch-depth: 0` and without a filter.",
        )
    return answer.output

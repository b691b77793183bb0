"""Lines of a commit that match a pattern: one bounded call of `git grep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hunkwise.errors import RepositoryError
from hunkwise.repository.calls import Answer
from hunkwise.repository.paths import as_argument, clean, is_path
from hunkwise.repository.records import read_hits

GREP_TIMEOUT = 10.0
GREP_MEMORY = 1 << 29
"""Bytes: nested repetition counts make a short expression need any amount."""
_OUTPUT = 4 << 20
_PATTERN_LIMIT = 1_000
_OPTIONS = ("-n", "-z", "-I", "--no-color", "--no-textconv", "--full-name", "--threads=2")


class RunSearch(Protocol):
    """Calls git; `globs`: whether its paths may be patterns."""

    def __call__(
        self,
        command: str,
        *arguments: str | bytes,
        limit: int = ...,
        timeout: float = ...,
        memory: int | None = ...,
        globs: bool = ...,
    ) -> Answer: ...


def search(
    run: RunSearch, sha: str, pattern: str, paths: Sequence[str], limit: int, *, fixed: bool
) -> list[tuple[str, int, str]]:
    """Path, line number and text of the first `limit` lines that match.

    `pattern` is a POSIX extended expression, or plain text if `fixed`; `paths` are names, folders or
    globs (`src/**/*.py`), none meaning all. Binary files and submodules are left out. Raises RepositoryError.
    """
    if not pattern or len(pattern) > _PATTERN_LIMIT or "\0" in pattern or "\n" in pattern:
        raise RepositoryError(f"A search pattern is one line of 1 to {_PATTERN_LIMIT} characters.")
    folders = [clean(path) for path in paths]
    where = [b":(top,glob)" + as_argument(path) for path in folders if is_path(path)]
    if folders and not where and "" not in folders:
        return []
    if "" in folders:
        where = []
    kind = "-F" if fixed else "-E"
    asked: list[str | bytes] = [*_OPTIONS, kind, "-e", as_argument(pattern), sha, "--", *where]
    answer = run("grep", *asked, limit=_OUTPUT, timeout=GREP_TIMEOUT, memory=GREP_MEMORY, globs=True)
    if answer.code not in (0, 1, None):
        raise RepositoryError(
            f"The search for {pattern!r} failed: {answer.complaint or 'git grep was ended'}.",
            "Write a POSIX extended regular expression, without large repetition counts.",
        )
    return read_hits(answer.output, len(sha) + 1, limit)

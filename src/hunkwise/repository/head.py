"""The repository at one commit, from git's objects: no work tree, so no links and no .git to escape through."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from hunkwise.domain.known import Known
from hunkwise.errors import RepositoryError
from hunkwise.repository.git import Git

MAX_FILE = 2_000_000
"""Bytes."""
MAX_SMALL = 500_000
"""Bytes of one of many files."""
MAX_TOGETHER = 48_000_000
MAX_HITS = 100
MOST_LOST_SEARCHES = 3
_LOST_SECONDS = 1.0


class GitHead:
    """Reads the code under review at a pinned SHA."""

    def __init__(self, git: Git, sha: str) -> None:
        self._git = git
        self._sha = sha
        self._searching = threading.Lock()
        self._lost = 0
        """Searches that took their time and came to nothing."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file. Raises OversizeError above MAX_FILE."""
        return self._git.blob(self._sha, path, MAX_FILE)

    def read_many(self, paths: Sequence[str]) -> Known:
        """Files by their paths, None where there is no file. What is larger than MAX_SMALL, or lies past MAX_TOGETHER,
        is not in it. Raises RepositoryError."""
        return self._git.blobs(self._sha, paths, most=MAX_SMALL, together=MAX_TOGETHER)

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None:
        """(path, line, text) of the first hundred lines that match. Raises RepositoryError.

        A hostile expression takes all the time and memory that it gets: so there is one search at a time, and none
        any more when MOST_LOST_SEARCHES came to nothing.
        """
        with self._searching:
            if self._lost >= MOST_LOST_SEARCHES:
                raise RepositoryError("Too many searches took too long.", "Use repo_list and repo_read.")
            began = time.monotonic()
            try:
                return self._git.grep(self._sha, pattern, paths, MAX_HITS)
            except RepositoryError:
                self._lost += time.monotonic() - began > _LOST_SECONDS
                raise

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        return self._git.tree(self._sha, path) or None

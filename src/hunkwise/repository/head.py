"""The repository at one commit, from git's objects: no work tree, so no links and no .git to escape through."""

from __future__ import annotations

from hunkwise.repository.git import Git

_MAX_FILE = 2_000_000
_MAX_HITS = 100


class GitHead:
    """Reads the code under review at a pinned SHA."""

    def __init__(self, git: Git, sha: str) -> None:
        self._git = git
        self._sha = sha

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file, or it is larger than 2 MB."""
        return self._git.blob(self._sha, path, _MAX_FILE)

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None:
        """(path, line, text) of the first hundred lines that match."""
        return self._git.grep(self._sha, pattern, paths, _MAX_HITS)

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        return self._git.tree(self._sha, path) or None

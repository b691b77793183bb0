"""The repository at one commit, from GitHub's API: for runs without a checkout."""

from __future__ import annotations

from collections.abc import Sequence

from hunkwise.domain.known import Known
from hunkwise.forge.client import GitHub

MAX_TOOL_FILE = 2_000_000
"""Bytes."""


class ForgeHead:
    """Reads the code under review at a pinned SHA. GitHub offers no search at a commit."""

    def __init__(self, github: GitHub, sha: str) -> None:
        self._github = github
        self._sha = sha

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file. Raises OversizeError above MAX_FILE."""
        return self._github.file(path, self._sha, most=MAX_TOOL_FILE)

    def read_many(self, paths: Sequence[str]) -> Known:
        """Files by their paths, None where there is no file: what one request tells of them. Raises ForgeError."""
        return self._github.read_many(paths, self._sha)

    def search(self, _pattern: str, _paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None:
        """Always None: not to be had here."""
        return None

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        return self._github.directory(path, self._sha)

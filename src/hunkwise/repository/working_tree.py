"""The files of a working tree, read as those of a commit are: no links, nothing outside, nothing without end."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hunkwise.domain.known import Known
from hunkwise.errors import OversizeError, RepositoryError
from hunkwise.given_file import read_given

MAX_FILE: Final = 2_000_000
"""Bytes."""


class WorkingTree:
    """The repository at or above `folder` as it stands on disk; the folder itself where there is none."""

    def __init__(self, folder: Path) -> None:
        """Raises RepositoryError where there is no such folder."""
        if not folder.is_dir():
            raise RepositoryError(f"{folder} is no folder.", "Name the folder of a clone by --repository.")
        start = folder.resolve()
        self.root = next((top for top in (start, *start.parents) if (top / ".git").exists()), start)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file, and for links. Raises OversizeError, RepositoryError."""
        place = self._place(path, stat.S_IFREG)
        if place is None:
            return None
        try:
            content = self._opened(place)
        except OSError as error:
            remedy = "Make the file readable."
            raise RepositoryError(f"{path!r} could not be read: {error.strerror}.", remedy) from error
        if len(content) > MAX_FILE:
            raise OversizeError(path, MAX_FILE)
        return content

    def read_many(self, paths: Sequence[str]) -> Known:
        """Files by their paths, None where there is no file. What is too large is not in it."""
        found: dict[str, bytes | None] = {}
        for path in paths:
            with suppress(OversizeError):
                found[path] = self.read(path)
        return found

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        place = self._place(path, stat.S_IFDIR)
        if place is None:
            return None
        try:
            entries = self._names(place)
        except OSError as error:
            remedy = "Make the folder readable."
            raise RepositoryError(f"{path!r} could not be listed: {error.strerror}.", remedy) from error
        return tuple(
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries
        )

    def _opened(self, place: Path) -> bytes:
        return read_given(place, MAX_FILE)

    def _names(self, place: Path) -> Sequence[os.DirEntry[str]]:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def _place(self, path: str, kind: int) -> Path | None:
        """Where the path leads, if it leads through folders of the tree to a thing of that kind."""
        parts = path.rstrip("/").split("/")
        if {"", ".", "..", ".git"} & set(parts) or "\0" in path:
            return None
        place = self.root
        for part in parts:
            place /= part
            try:
                found = stat.S_IFMT(place.lstat().st_mode)
            except OSError:  # not there, or a file where a folder was meant
                return None
            if found == stat.S_IFLNK:
                return None
        return place if found == kind else None

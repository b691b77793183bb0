"""A folder of files → a tree, within bounds. Whoever sent it in may be a stranger: links and pipes are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.evaluation.case import Content
from hunkwise.given_file import read_given
from hunkwise.publish.characters import cut, one_line

MAX_FILES: Final = 2_000
MAX_FILE: Final = 2_000_000
"""Bytes; a model reads none that is larger."""
MAX_TREE: Final = 20_000_000
"""Bytes."""
_MAX_DEPTH: Final = 30
_MAX_TREE_FAULTS: Final = 10


@dataclass(slots=True)
class TreeReader:
    """Reads one tree of a case; what is wrong with it is in `faults`, as `path: …`."""

    folder: Path
    shown: str
    """The folder's path as the reader named it."""
    faults: list[str] = field(default_factory=list)
    _left: int = MAX_TREE

    def read(self) -> dict[str, Content]:
        """All files below the folder, in the order of their names."""
        found: dict[str, Content] = {}
        for path, entry in self._entries(self.folder, "", 0):
            if len(self.faults) >= _MAX_TREE_FAULTS:
                break
            if len(found) >= MAX_FILES:
                self._refuse("", f"it has more than {MAX_FILES:,} files; keep those that the change needs")
                break
            content = self._content(path, entry)
            if content is not None:
                found[path] = content
            if self._left < 0:
                self._refuse(
                    "", f"its files have more than {MAX_TREE:,} bytes; keep those that the change needs"
                )
                break
        return found

    def _entries(self, folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(prefix, f"it cannot be read ({error.strerror})")
            return
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if entry.name.lower() == ".git":
                self._refuse(path, "a tree has no .git; remove it")
            elif not entry.is_dir(follow_symlinks=False):
                yield path, entry
            elif depth >= _MAX_DEPTH:
                self._refuse(path, f"more than {_MAX_DEPTH} folders are in each other; flatten the tree")
            else:
                yield from self._entries(Path(entry.path), f"{path}/", depth + 1)

    def _content(self, path: str, entry: os.DirEntry[str]) -> Content | None:
        try:
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
                self._refuse(
                    path, f"it is {kind}, and a tree is made of plain files; put a file in its place"
                )
                return None
            if status.st_size > MAX_FILE:
                self._refuse(path, f"it has {status.st_size:,} bytes; keep files within {MAX_FILE:,}")
                return None
            raw = read_given(Path(entry.path), MAX_FILE)
        except OSError as error:
            self._refuse(path, f"it cannot be read ({error.strerror})")
            return None
        self._left -= len(raw)
        return Content(raw, bool(status.st_mode & stat.S_IXUSR))

    def _refuse(self, path: str, why: str) -> None:
        place = f"{self.shown}/{path}".rstrip("/")
        self.faults.append(f"{cut(one_line(place), 300)}: {why}")

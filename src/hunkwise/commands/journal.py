"""Writes the findings and the report of a run to disk."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hunkwise.domain.finding import Finding
from hunkwise.files import write_whole

logger = logging.getLogger(__name__)


class Journal:
    """Appends findings to a file, one JSON object per line. If that fails, it warns once, and the review continues.

    A line for which `holds_secret` is true is not written. `listener` receives each other finding at once.
    """

    def __init__(
        self,
        path: Path,
        holds_secret: Callable[[str], bool] = lambda _line: False,
        listener: Callable[[Finding], None] = lambda _finding: None,
    ) -> None:
        self._path = path
        self._holds_secret = holds_secret
        self._listener = listener
        self._broken = False

    def __call__(self, finding: Finding) -> None:
        line = json.dumps({**asdict(finding), "fingerprint": finding.fingerprint}, default=str)
        if self._holds_secret(line):
            return
        self._listener(finding)
        if self._broken:
            return
        try:
            _make_folder(self._path.parent)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self._broken = True
            logger.warning(
                "The journal %s cannot be written (%s); the review goes on.", self._path, error.strerror
            )


def write_json(path: Path, contents: object, *, ascii_only: bool = False) -> str:
    """Writes values as JSON, whole or not at all. Returns the path, or an empty text if it cannot be written.

    `ascii_only` escapes all other characters: for paths with surrogates, which UTF-8 does not have.
    """
    indent = None if ascii_only else 1  # large lists of numbers
    try:
        _make_folder(path.parent)
        write_whole(path, json.dumps(contents, indent=indent, ensure_ascii=ascii_only) + "\n")
    except OSError as error:
        logger.warning("%s cannot be written (%s).", path, error.strerror)
        return ""
    return str(path)


def _make_folder(folder: Path) -> None:
    """Creates the folder; as root, with the owner of its parent folder. Raises OSError.

    The runner, which is not root, wipes both at the end of the job.
    """
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)

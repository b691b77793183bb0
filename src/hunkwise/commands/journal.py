"""Findings on disk the moment they are taken: what a run found outlives the run."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from hunkwise.domain.finding import Finding

logger = logging.getLogger(__name__)


class Journal:
    """A file of one JSON object a line. A disk that takes no more is said once, and stops no review.

    What holds a secret, as `holds_secret` says of the line, is not written.
    """

    def __init__(self, path: Path, holds_secret: Callable[[str], bool] = lambda _line: False) -> None:
        self._path = path
        self._holds_secret = holds_secret
        self._broken = False

    def __call__(self, finding: Finding) -> None:
        if self._broken:
            return
        line = json.dumps({**asdict(finding), "fingerprint": finding.fingerprint}, default=str)
        if self._holds_secret(line):
            return
        try:
            _make(self._path.parent)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self._broken = True
            logger.warning(
                "The journal %s cannot be written (%s); the review goes on.", self._path, error.strerror
            )


def write_whole(path: Path, contents: object) -> str:
    """Writes values as JSON, whole or not at all; gives the path, or nothing where the disk does not take it."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        _make(path.parent)
        unfinished.write_text(json.dumps(contents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        logger.warning("%s cannot be written (%s).", path, error.strerror)
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return ""
    return str(path)


def _make(folder: Path) -> None:
    """Makes the folder; where we are root, as in a container, it is given to whose folder it is in: the runner
    wipes both at the end of the job, and is not root. Raises OSError."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)

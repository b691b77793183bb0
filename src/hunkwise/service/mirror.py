"""Bare mirrors of repositories on disk, so that a job reads Git's objects instead of the API, and can search."""

from __future__ import annotations

import base64
import logging
import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from hunkwise.errors import RepositoryError
from hunkwise.repository.git_process import call, environment

_DEPTH: Final = 50
"""Commits of each branch that are fetched: enough for most merge bases; the API has the others."""
_SECONDS: Final = 120.0
_OUTPUT: Final = 1 << 16
_log = logging.getLogger(__name__)


class Mirrors:
    """The mirrors below one folder, `limit` bytes in all: the least recently used ones are deleted."""

    def __init__(self, folder: Path, server_url: str, limit: int) -> None:
        self._folder = folder
        self._server_url = server_url
        self._limit = limit
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._in_use: defaultdict[Path, int] = defaultdict(int)

    def prepare(self, repository: str, number: int, token: str) -> Path | None:
        """Fetches the base branches, and the head of pull request `number` (0: none), into a checkout-like folder.

        Returns the folder, which has the mirror as `.git`; None if it cannot be made: the API has everything too.
        """
        place = self._folder / "mirrors" / repository.casefold()
        with self._locks[repository.casefold()]:
            try:
                if not (place / ".git" / "HEAD").is_file():
                    self._create(place)
                self._fetch(place, repository, number, token)
                os.utime(place)
            except (RepositoryError, OSError) as error:
                _log.warning("There is no mirror of %s: %s", repository, error)
                return None
        self.trim(keep=place)
        return place

    def trim(self, keep: Path | None = None) -> None:
        """Deletes the least recently used mirrors until the others are within the limit."""
        root = self._folder / "mirrors"
        found = [place for owner in _entries(root) for place in _entries(owner)]
        ages = sorted((place for place in found if place != keep), key=lambda place: place.stat().st_mtime)
        size = sum(map(_size, found))
        for place in ages:
            if size <= self._limit:
                break
            size -= _size(place)
            with self._locks[f"{place.parent.name}/{place.name}"]:
                shutil.rmtree(place, ignore_errors=True)

    def _create(self, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self._git(place, ["init", "--quiet", "--bare", str(place / ".git")], {})

    def _fetch(self, place: Path, repository: str, number: int, token: str) -> None:
        heads = [f"+refs/pull/{number}/head:refs/pull/{number}/head"] if number else []
        arguments = [
            "fetch", "--quiet", "--no-tags", "--prune", f"--depth={_DEPTH}", "--no-write-fetch-head",
            f"{self._server_url}/{repository}.git", "+refs/heads/*:refs/remotes/origin/*", *heads,
        ]  # fmt: skip
        # By the environment: it is in no file, and in no process's arguments.
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        self._git(
            place, arguments, {f"http.{self._server_url}/.extraHeader": f"Authorization: Basic {basic}"}
        )

    def _git(self, place: Path, arguments: list[str], settings: Mapping[str, str]) -> None:
        env = environment(place, {"GIT_DIR": str(place / ".git")})
        allowed = "https" if self._server_url.startswith("https:") else "http"
        settings = {
            **settings,
            f"protocol.{allowed}.allow": "always",
            "fetch.fsckObjects": "true",
            "gc.auto": "0",
        }
        first = int(env["GIT_CONFIG_COUNT"])
        for index, (name, value) in enumerate(settings.items(), first):
            env |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
        env["GIT_CONFIG_COUNT"] = str(first + len(settings))
        answer = call(arguments, env, limit=_OUTPUT, timeout=_SECONDS)
        if answer.code != 0:
            raise RepositoryError(f"git {arguments[0]} ended with {answer.code}: {answer.complaint}.")


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    return []


def _size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(path) / name).stat().st_size
    return total


def age(place: Path) -> float:
    """Returns the seconds since the mirror was used."""
    return time.time() - place.stat().st_mtime

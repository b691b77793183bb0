"""Reads a pull request once: what changed, what was said, and what its base says about reviews."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.conversation import Thread
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.pull_request import PullRequest, Snapshot
from hunkwise.errors import ForgeError
from hunkwise.flows.base_texts import BaseTexts, Commit, base_texts
from hunkwise.flows.withheld import Withheld
from hunkwise.settings.config import Config


class Forge(Protocol):
    """GitHub, as far as it is read from."""

    def pull_request(self, number: int) -> PullRequest: ...

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]: ...

    def threads(self, number: int) -> tuple[Thread, ...]: ...


@dataclass(frozen=True)
class Fetched:
    """A snapshot, and what its base says about reviews."""

    snapshot: Snapshot
    texts: BaseTexts


class Fetch:
    """Fetches one pull request, in parallel wherever one request does not need another's answer."""

    def __init__(self, forge: Forge, withheld: Withheld, commit: Callable[[str], Commit]) -> None:
        """`commit` gives the files of a commit by its SHA, from wherever they are nearest."""
        self._forge = forge
        self._withheld = withheld
        self._commit = commit
        self._notes: list[str] = []

    def run(self, number: int, config_path: str, overridden: Callable[[Config], Config]) -> Fetched:
        """Raises ForgeError where the pull request cannot be read, SettingsError where its base is wrong."""
        pull_request = self._forge.pull_request(number)
        base = self._commit(pull_request.base_sha)
        with ThreadPoolExecutor(2, thread_name_prefix="fetch") as pool:
            listing = pool.submit(self._forge.files, pull_request)
            threads = pool.submit(self._threads, number)
            texts = base_texts(base, config_path, overridden)
            files = self._withheld.completed(pull_request, listing.result(), texts.config)
            snapshot = Snapshot(
                pull_request=pull_request,
                files=files,
                threads=threads.result(),
                instructions=texts.instructions,
                unlisted_files=max(0, pull_request.changed_files - len(files)),
                notes=(*self._notes, *self._withheld.notes, *texts.notes),
            )
        return Fetched(snapshot, texts)

    def _threads(self, number: int) -> tuple[Thread, ...]:
        try:
            return self._forge.threads(number)
        except ForgeError as error:
            self._notes.append(f"Earlier threads could not be read: {error.message}")
            return ()

"""Reads a pull request once: what changed, what was said, and what its base says about reviews."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from hunkwise.domain.diff import FileDiff, FileStatus, Hunk
from hunkwise.domain.pull_request import PullRequest, Snapshot, Thread
from hunkwise.errors import ForgeError, RepositoryError
from hunkwise.flows.base_texts import BaseTexts, Commit, base_texts
from hunkwise.settings.config import Config

_MAX_WITHHELD = 50
"""Withheld files that are completed by blobs of the API, two requests each; git has no such limit."""


class Forge(Protocol):
    """GitHub, as far as it is read from."""

    def pull_request(self, number: int) -> PullRequest: ...

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]: ...

    def threads(self, number: int) -> tuple[Thread, ...]: ...

    def merge_base(self, base_sha: str, head_sha: str) -> str: ...

    def file(self, path: str, sha: str) -> bytes | None: ...


class Checkout(Protocol):
    """The work tree's git objects, where the workflow checked something out."""

    def has(self, sha: str) -> bool: ...

    def merge_base(self, one: str, other: str) -> str | None: ...

    def diff(self, base: str, head: str) -> tuple[FileDiff, ...]: ...


@dataclass(frozen=True)
class Fetched:
    """A snapshot, and what its base says about reviews."""

    snapshot: Snapshot
    texts: BaseTexts


class Fetch:
    """Fetches one pull request, in parallel wherever one request does not need another's answer."""

    def __init__(
        self,
        forge: Forge,
        checkout: Checkout | None,
        commit: Callable[[str], Commit],
        diff_blobs: Callable[[bytes, bytes], tuple[Hunk, ...]],
    ) -> None:
        """`commit` gives the files of a commit by its SHA, from wherever they are nearest."""
        self._forge = forge
        self._checkout = checkout
        self._commit = commit
        self._diff_blobs = diff_blobs
        self._notes: list[str] = []

    def run(self, number: int, config_path: str, overridden: Callable[[Config], Config]) -> Fetched:
        """Raises ForgeError where the pull request cannot be read, SettingsError where its base is wrong."""
        pull_request = self._forge.pull_request(number)
        base = self._commit(pull_request.base_sha)
        with ThreadPoolExecutor(2, thread_name_prefix="fetch") as pool:
            files = pool.submit(self._files, pull_request)
            threads = pool.submit(self._threads, number)
            texts = base_texts(base, config_path, overridden)
            snapshot = Snapshot(
                pull_request=pull_request,
                files=files.result(),
                threads=threads.result(),
                instructions=texts.instructions,
            )
        unlisted = max(0, pull_request.changed_files - len(snapshot.files))
        notes = (*self._notes, *texts.notes)
        return Fetched(replace(snapshot, unlisted_files=unlisted, notes=notes), texts)

    def _threads(self, number: int) -> tuple[Thread, ...]:
        try:
            return self._forge.threads(number)
        except ForgeError as error:
            self._notes.append(f"Earlier threads could not be read: {error.message}")
            return ()

    def _files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]:
        files = self._forge.files(pull_request)
        withheld = {file.path for file in files if file.patch_missing}
        if not withheld and len(files) >= pull_request.changed_files:
            return files
        try:
            known = self._from_git(pull_request)
        except RepositoryError as error:
            self._notes.append(f"The checkout could not be read: {error.message}")
            known = None
        if known is not None:
            listed = {file.path for file in files}
            completed = [known.get(file.path, file) if file.patch_missing else file for file in files]
            return (*completed, *(file for path, file in known.items() if path not in listed))
        return self._from_blobs(pull_request, files)

    def _from_git(self, pull_request: PullRequest) -> dict[str, FileDiff] | None:
        """The whole diff from the checkout; None where it lacks the commits."""
        git = self._checkout
        if git is None or not (git.has(pull_request.base_sha) and git.has(pull_request.head_sha)):
            return None
        merge_base = git.merge_base(pull_request.base_sha, pull_request.head_sha)
        if merge_base is None:
            return None
        return {file.path: file for file in git.diff(merge_base, pull_request.head_sha)}

    def _from_blobs(self, pull_request: PullRequest, files: Sequence[FileDiff]) -> tuple[FileDiff, ...]:
        """Completes what GitHub withheld by fetching both versions, as many as is polite."""
        withheld = [file for file in files if file.patch_missing][:_MAX_WITHHELD]
        if not withheld:
            return tuple(files)
        try:
            base = self._forge.merge_base(pull_request.base_sha, pull_request.head_sha)
        except ForgeError as error:
            self._notes.append(f"Withheld patches could not be completed: {error.message}")
            return tuple(files)
        with ThreadPoolExecutor(4, thread_name_prefix="blobs") as pool:
            completed = pool.map(lambda file: self._completed(file, base, pull_request.head_sha), withheld)
            by_path = {file.path: file for file in completed}
        return tuple(by_path.get(file.path, file) for file in files)

    def _completed(self, file: FileDiff, base: str, head: str) -> FileDiff:
        try:
            added, removed = file.status is FileStatus.ADDED, file.status is FileStatus.REMOVED
            old = b"" if added else self._forge.file(file.old_path or file.path, base)
            new = b"" if removed else self._forge.file(file.path, head)
            if old is None or new is None:
                return file  # too large for the API, or no file at all
            return with_hunks(file, old, new, self._diff_blobs)
        except (ForgeError, RepositoryError):
            return file  # it stays withheld, and is named so


def with_hunks(
    file: FileDiff, old: bytes, new: bytes, diff_blobs: Callable[[bytes, bytes], tuple[Hunk, ...]]
) -> FileDiff:
    """The file with the hunks between two versions of it."""
    if b"\0" in old[:8_000] or b"\0" in new[:8_000]:
        return replace(file, binary=True, patch_missing=False)
    hunks = diff_blobs(old, new)
    added = sum(1 for hunk in hunks for line in hunk.lines if line.kind == "+")
    removed = sum(1 for hunk in hunks for line in hunk.lines if line.kind == "-")
    return replace(file, hunks=hunks, additions=added, deletions=removed, patch_missing=False)

"""Fetches a pull request with its files and its conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from hunkwise.domain.diff import FileDiff, FileStatus, Hunk
from hunkwise.domain.pull_request import Conversation, Known, PullRequest, Snapshot
from hunkwise.domain.review import SkipReason
from hunkwise.errors import GitHubError, RepositoryError
from hunkwise.flows.base_config import (
    BaseConfig,
    CommitFiles,
    Found,
    PrefetchedFiles,
    base_texts,
    certain_paths,
    nested_instructions,
)
from hunkwise.plan.selection import is_binary_name, select
from hunkwise.settings.config import Config
from hunkwise.tracking.markers import HiddenState
from hunkwise.tracking.reconcile import shown_threads
from hunkwise.tracking.state import latest_state

_MOST = 50
"""Files that are completed by blobs of the API, two requests each; git has no such limit."""
_AT_ONCE = 4


class BlobPort(Protocol):
    """GitHub, as far as files of a commit are read from it."""

    def merge_base(self, base_sha: str, head_sha: str) -> str: ...

    def file(self, path: str, sha: str) -> bytes | None: ...


class CheckoutPort(Protocol):
    """The work tree's git objects, where the workflow checked something out."""

    def has(self, sha: str) -> bool: ...

    def merge_base(self, one: str, other: str) -> str | None: ...

    def diff(self, base: str, head: str) -> tuple[FileDiff, ...]: ...


class MissingPatches:
    """Reads the missing patches from the checkout, else from both versions of the file."""

    def __init__(
        self,
        blobs: BlobPort,
        checkout: CheckoutPort | None,
        diff_blobs: Callable[[bytes, bytes], tuple[Hunk, ...]],
    ) -> None:
        self._blobs = blobs
        self._checkout = checkout
        self._diff_blobs = diff_blobs
        self.notes: list[str] = []
        """What could not be completed, and why: one sentence each."""

    def completed(
        self, pull_request: PullRequest, files: Sequence[FileDiff], config: Config
    ) -> tuple[FileDiff, ...]:
        """All files that can be known. What stays without a patch is named so by the plan. Never raises."""
        files = tuple(_named_binary(file) for file in files)
        selection = select(files, ignore=config.ignore, only=config.paths)
        wanted = {file.path for file in selection.skipped if file.reason is SkipReason.NO_PATCH}
        if not wanted and len(files) >= pull_request.changed_files:
            return files
        known = self._from_git(pull_request)
        if known is None:
            return self._from_blobs(pull_request, files, wanted)
        listed = {file.path for file in files}
        patched = [known.get(file.path, file) if file.path in wanted else file for file in files]
        return (*patched, *(file for path, file in known.items() if path not in listed))

    def _from_git(self, pull_request: PullRequest) -> dict[str, FileDiff] | None:
        """The whole diff from the checkout; None where it lacks the commits."""
        git = self._checkout
        if git is None:
            return None
        try:
            if not (git.has(pull_request.base_sha) and git.has(pull_request.head_sha)):
                return None
            merge_base = git.merge_base(pull_request.base_sha, pull_request.head_sha)
            if merge_base is None:
                return None
            return {file.path: file for file in git.diff(merge_base, pull_request.head_sha)}
        except RepositoryError as error:
            self.notes.append(f"The checkout could not be read: {error.message}")
            return None

    def _from_blobs(
        self, pull_request: PullRequest, files: tuple[FileDiff, ...], wanted: set[str]
    ) -> tuple[FileDiff, ...]:
        """Completes by fetching both versions, as many as is polite."""
        withheld = [file for file in files if file.path in wanted][:_MOST]
        if not withheld:
            return files
        try:
            base = self._blobs.merge_base(pull_request.base_sha, pull_request.head_sha)
        except GitHubError as error:
            self.notes.append(f"Withheld patches could not be completed: {error.message}")
            return files
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="blobs") as pool:
            patched = pool.map(lambda file: self._patched(file, base, pull_request.head_sha), withheld)
            by_path = {file.path: file for file in patched}
        return tuple(by_path.get(file.path, file) for file in files)

    def _patched(self, file: FileDiff, base: str, head: str) -> FileDiff:
        try:
            new = b"" if file.status is FileStatus.REMOVED else self._blobs.file(file.path, head)
            if new is not None and _is_binary(new):
                return replace(file, binary=True, patch_missing=False)
            added = file.status is FileStatus.ADDED
            old = b"" if added else self._blobs.file(file.old_path or file.path, base)
            if old is None or new is None:
                return file  # too large for the API, a link or a submodule: it stays named as unread
            if _is_binary(old):
                return replace(file, binary=True, patch_missing=False)
            return with_hunks(file, self._diff_blobs(old, new))
        except (GitHubError, RepositoryError):
            return file


def with_hunks(file: FileDiff, hunks: tuple[Hunk, ...]) -> FileDiff:
    """The file with its hunks, and the counts that they give."""
    lines = [line.kind for hunk in hunks for line in hunk.lines]
    return replace(
        file, hunks=hunks, additions=lines.count("+"), deletions=lines.count("-"), patch_missing=False
    )


def _named_binary(file: FileDiff) -> FileDiff:
    """Pictures and the like come without patch and counts: their name saves two requests each."""
    if file.patch_missing and not file.changed_lines and is_binary_name(file.path):
        return replace(file, binary=True, patch_missing=False)
    return file


def _is_binary(content: bytes) -> bool:
    """Git's own rule."""
    return b"\0" in content[:8_000]


class GitHubPort(Protocol):
    """GitHub, as far as it is read from."""

    def pull_request(self, number: int) -> PullRequest: ...

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]: ...

    def conversation_and_base(
        self, pull_request: PullRequest, paths: Sequence[str]
    ) -> tuple[Conversation, Known]: ...


@dataclass(frozen=True)
class FetchedPullRequest:
    """A snapshot, and what its base says about reviews."""

    snapshot: Snapshot
    texts: BaseConfig
    state: HiddenState | None = None
    """What earlier runs left in our summary comment."""


class PullRequestFetch:
    """Fetches one pull request, in parallel wherever one request does not need another's answer."""

    def __init__(
        self,
        github: GitHubPort,
        withheld: MissingPatches,
        near: Callable[[str], CommitFiles | None],
        far: Callable[[str], CommitFiles],
    ) -> None:
        """Both give a commit's files by its SHA: `near` from the checkout, if it has them, `far` over the API."""
        self._github = github
        self._withheld = withheld
        self._near = near
        self._far = far
        self._notes: list[str] = []

    def run(
        self, number: int, config_path: str, overridden: Callable[[Config], Config]
    ) -> FetchedPullRequest:
        """Raises GitHubError where the pull request cannot be read, SettingsError where its base is wrong."""
        pull_request = self._github.pull_request(number)
        base = self._near(pull_request.base_sha)
        with ThreadPoolExecutor(2, thread_name_prefix="fetch") as pool:
            listing = pool.submit(self._github.files, pull_request)
            # With the conversation comes what a base that is far holds, or most of its texts: no time is lost.
            talking = pool.submit(self._talk, pull_request, () if base else certain_paths(config_path))
            if base is None:
                base = PrefetchedFiles(self._far(pull_request.base_sha), talking.result()[1])
            texts = base_texts(base, config_path, overridden)
            listed = listing.result()
            nested = pool.submit(self._nested, base, texts.config, listed)
            files = self._withheld.completed(pull_request, listed, texts.config)
            conversation = talking.result()[0]
            below, missing = nested.result()
            snapshot = Snapshot(
                pull_request=pull_request,
                files=files,
                threads=shown_threads(conversation, files) if conversation else (),
                conversation=conversation,
                instructions=(*texts.instructions, *below) if texts.config.context.instructions else (),
                unlisted_files=max(0, pull_request.changed_files - len(files)),
                notes=(*self._notes, *self._withheld.notes, *texts.notes, *missing),
            )
        comments = conversation.comments if conversation else ()
        state = latest_state(comments, repository=pull_request.repository, number=number)
        return FetchedPullRequest(snapshot, texts, state)

    def _nested(self, base: CommitFiles, config: Config, files: Sequence[FileDiff]) -> Found:
        return nested_instructions(base, files) if config.context.instructions else ((), ())

    def _talk(self, pull_request: PullRequest, paths: Sequence[str]) -> tuple[Conversation | None, Known]:
        """What was said, if it can be read, and what is known of the base's files."""
        try:
            return self._github.conversation_and_base(pull_request, paths)
        except GitHubError as error:
            self._notes.append(f"What was said before could not be read: {error.message}")
            return None, {}

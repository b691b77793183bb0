"""Fetches a pull request with its files and its conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from hunkwise.domain.diff import FileDiff, FileStatus, Hunk, by_path
from hunkwise.domain.pull_request import CommitFiles, Conversation, Entry, Known, PullRequest, Snapshot
from hunkwise.domain.review import SkipReason
from hunkwise.errors import GitHubError, GitHubErrorKind, RepositoryError
from hunkwise.flows.base_config import BaseConfig, prefetch, read_base_texts
from hunkwise.flows.instructions import read_folder_texts
from hunkwise.plan.selection import is_binary_name, select
from hunkwise.settings.config import Config
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH
from hunkwise.tracking.markers import HiddenState
from hunkwise.tracking.reconcile import shown_threads
from hunkwise.tracking.state import latest_state

_MAX_BLOB_FILES = 50
"""Files whose patches are built from blobs of the API, two requests each; git has no such limit."""
_CHECK_OUT = "Run actions/checkout with `fetch-depth: 0` first: the changed files are then read from git."
_CLONE = "Run it in a clone that has both commits: the changed files are then read from git."
_AT_ONCE = 4
_LARGEST_SCRIPT = 5_000_000
_MOST_SCRIPTS = 50_000_000
"""Bytes of all binary files that are looked into."""


class BlobPort(Protocol):
    """Reads files of a commit from GitHub."""

    def merge_base(self, base_sha: str, head_sha: str) -> str: ...

    def file(self, path: str, sha: str) -> bytes | None: ...


class CheckoutPort(Protocol):
    """Reads the git objects of the work tree, if the workflow checked one out."""

    def has(self, sha: str) -> bool: ...

    def merge_base(self, one: str, other: str) -> str | None: ...

    def diff(self, base: str, head: str) -> tuple[FileDiff, ...]: ...

    def blobs(self, sha: str, paths: Sequence[str], *, most: int, together: int) -> Known: ...


class MissingPatches:
    """Reads missing patches from the checkout, or builds them from both versions of the file."""

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
        """A sentence for each thing that could not be completed, with the reason."""

    def completed(
        self, pull_request: PullRequest, files: tuple[FileDiff, ...], texts: BaseConfig
    ) -> tuple[FileDiff, ...]:
        """Returns all files that can be read. The plan reports those that stay without a patch. Never raises."""
        config = texts.config
        selection = select(files, ignore=config.ignore, only=config.paths, attributes=texts.attributes)
        wanted = {file.path for file in selection.skipped if file.reason is SkipReason.NO_PATCH}
        if not wanted and len(files) >= pull_request.changed_files:
            return files
        diff = self._read_checkout(pull_request)
        if diff is None:
            completed = self._complete_from_blobs(pull_request, files, wanted)
            return tuple(_mark_binary(file) for file in completed)
        listed = {file.path for file in files}
        patched = [diff.get(file.path, file) if file.path in wanted else file for file in files]
        return (*patched, *(file for path, file in diff.items() if path not in listed))

    def list_from_checkout(self, pull_request: PullRequest, error: GitHubError) -> tuple[FileDiff, ...]:
        """Returns all files of the checkout's diff, where GitHub answers with `error` to the request for its list.

        Raises that error, with a hint, if GitHub did not permit the request or the checkout does not have the commits.
        """
        if error.kind not in (GitHubErrorKind.INVALID, GitHubErrorKind.UNAVAILABLE):
            raise error
        diff = self._read_checkout(pull_request)
        if diff is None:
            hints = (f"{hint} {error.hint}".rstrip() for hint in (_CHECK_OUT, _CLONE))
            raise GitHubError(error.kind, error.message, *hints) from error
        self.notes.append(f"The changed files were read from the checkout: {error.message}")
        return tuple(diff.values())

    def _read_checkout(self, pull_request: PullRequest) -> dict[str, FileDiff] | None:
        """Returns the whole diff from the checkout; None if it does not have the commits."""
        git = self._checkout
        if git is None:
            return None
        try:
            if not (git.has(pull_request.base_sha) and git.has(pull_request.head_sha)):
                return None
            merge_base = git.merge_base(pull_request.base_sha, pull_request.head_sha)
            if merge_base is None:
                return None
            files = mark_scripts(git, pull_request.head_sha, git.diff(merge_base, pull_request.head_sha))
            return by_path(files)
        except RepositoryError as error:
            self.notes.append(f"The checkout could not be read: {error.message}")
            return None

    def _complete_from_blobs(
        self, pull_request: PullRequest, files: tuple[FileDiff, ...], wanted: set[str]
    ) -> tuple[FileDiff, ...]:
        """Completes at most 50 files by fetching both versions of each; those with a binary file's name come last."""
        withheld = sorted(
            (file for file in files if file.path in wanted), key=lambda file: is_binary_name(file.path)
        )[:_MAX_BLOB_FILES]
        if not withheld:
            return files
        try:
            base = self._blobs.merge_base(pull_request.base_sha, pull_request.head_sha)
        except GitHubError as error:
            self.notes.append(f"Withheld patches could not be completed: {error.message}")
            return files
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="blobs") as pool:
            patched = pool.map(lambda file: self._complete_file(file, base, pull_request.head_sha), withheld)
            completed = by_path(patched)
        return tuple(completed.get(file.path, file) for file in files)

    def _complete_file(self, file: FileDiff, base: str, head: str) -> FileDiff:
        try:
            new = b"" if file.status is FileStatus.REMOVED else self._blobs.file(file.path, head)
            if new is not None and _is_binary(new):
                return replace(file, binary=True, script=_is_script(new), patch_missing=False)
            added = file.status is FileStatus.ADDED
            old = b"" if added else self._blobs.file(file.old_path or file.path, base)
            if old is None or new is None:
                return file  # too large for the API, a link or a submodule: it is reported as not reviewed
            if _is_binary(old):
                return replace(file, binary=True, script=_is_script(new), patch_missing=False)
            return with_hunks(file, self._diff_blobs(old, new))
        except (GitHubError, RepositoryError):
            return file


def with_hunks(file: FileDiff, hunks: tuple[Hunk, ...]) -> FileDiff:
    """Returns the file with these hunks and their counts of added and deleted lines."""
    kinds = [line.kind for hunk in hunks for line in hunk.lines]
    return replace(
        file, hunks=hunks, additions=kinds.count("+"), deletions=kinds.count("-"), patch_missing=False
    )


def mark_scripts(git: CheckoutPort, head: str, files: Sequence[FileDiff]) -> tuple[FileDiff, ...]:
    """Marks the binary files whose head begins with `#!`, or is too large to be read. Raises RepositoryError."""
    binary = {file.path for file in files if file.binary and file.status is not FileStatus.REMOVED}
    if not binary:
        return tuple(files)
    paths = sorted(binary, key=is_binary_name)
    known = git.blobs(head, paths, most=_LARGEST_SCRIPT, together=_MOST_SCRIPTS)
    scripts = {
        path for path in paths if (_is_script(known[path]) if path in known else not is_binary_name(path))
    }
    return tuple(replace(file, script=True) if file.path in scripts else file for file in files)


def _is_script(content: Entry) -> bool:
    return isinstance(content, bytes) and content.startswith(b"#!")


def _mark_binary(file: FileDiff) -> FileDiff:
    """Marks images and similar files that could not be read as binary: GitHub counts no lines of them."""
    if file.patch_missing and not file.changed_lines and is_binary_name(file.path):
        return replace(file, binary=True, patch_missing=False)
    return file


def _is_binary(content: bytes) -> bool:
    """Returns whether git would treat the content as binary."""
    return b"\0" in content[:8_000]


def _paths_at_head(files: Sequence[FileDiff]) -> set[str]:
    return {file.path for file in files if file.status is not FileStatus.REMOVED}


def _changed_settings(
    files: Sequence[FileDiff], texts: BaseConfig, config_path: str, base: str
) -> tuple[str, ...]:
    """Returns a note if the change itself changes the configuration, or a template that the configuration names.

    `base` describes the base. A named configuration that the change adds has a warning of `read_config_text` instead.
    """
    touched = {path for file in files for path in (file.path, file.old_path)}
    paths = [path for path in (config_path, *texts.config.own_files.values()) if path in touched]
    if config_path in paths and not texts.found:
        note = f"This pull request adds {config_path}: the defaults apply until it is merged."
        return (note,) if config_path == DEFAULT_CONFIG_PATH else ()
    if not paths:
        return ()
    unique = tuple(dict.fromkeys(paths))
    version = "version at {} was" if len(unique) == 1 else "versions at {} were"
    return (f"This pull request changes {', '.join(unique)}; the {version.format(base)} used.",)


class GitHubPort(Protocol):
    """Reads a pull request from GitHub."""

    def pull_request(self, number: int) -> PullRequest: ...

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]: ...

    def conversation(self, number: int, head_sha: str) -> Conversation: ...


@dataclass(frozen=True)
class FetchedPullRequest:
    """A snapshot, and the configuration of its base commit."""

    snapshot: Snapshot
    texts: BaseConfig
    state: HiddenState | None = None
    """The hidden state in our summary comment; None if there is none."""


class PullRequestFetch:
    """Fetches one pull request, in parallel where one request does not need another's response."""

    def __init__(
        self,
        github: GitHubPort,
        withheld: MissingPatches,
        near: Callable[[str], CommitFiles | None],
        far: Callable[[str], CommitFiles],
    ) -> None:
        """`near` and `far` return a commit's files by its SHA, from the checkout (if it has them) and over the API."""
        self._github = github
        self._withheld = withheld
        self._near = near
        self._far = far
        self._notes: list[str] = []

    def run(
        self, number: int, config_path: str, overridden: Callable[[Config], Config], where: str = ""
    ) -> FetchedPullRequest:
        """Fetches it. Raises GitHubError if it cannot be read, SettingsError if the base's configuration is invalid.

        `where` describes for messages where configuration and templates are, if that is not the base.
        """
        pull_request = self._github.pull_request(number)
        short_sha = pull_request.base_sha[:7]
        base = self._near(pull_request.base_sha)
        with ThreadPoolExecutor(2, thread_name_prefix="fetch") as pool:
            files_read = pool.submit(self._github.files, pull_request)
            conversation_read = pool.submit(self._read_conversation, pull_request)
            if base is None:
                base = prefetch(self._far(pull_request.base_sha), config_path)
            texts = read_base_texts(
                base,
                config_path,
                overridden,
                where or f"the base of the change ({short_sha})",
                is_added=lambda: config_path in _paths_at_head(self._listed(files_read, pull_request)),
            )
            listed = self._listed(files_read, pull_request)
            shows_instructions = texts.config.context.instructions
            below = read_folder_texts(base, listed, instructions=shows_instructions)
            texts = replace(texts, attributes={**texts.attributes, **below.attributes})
            files = self._withheld.completed(pull_request, listed, texts)
            conversation = conversation_read.result()
            snapshot = Snapshot(
                pull_request=pull_request,
                files=files,
                threads=shown_threads(conversation, files) if conversation else (),
                conversation=conversation,
                instructions=(*texts.instructions, *below.instructions) if shows_instructions else (),
                attributes=texts.attributes,
                unlisted_files=max(0, pull_request.changed_files - len(files)),
                notes=(
                    *texts.warnings,
                    *self._notes,
                    *self._withheld.notes,
                    *texts.notes,
                    *below.notes,
                    *(
                        ()
                        if where
                        else _changed_settings(listed, texts, config_path, f"the base ({short_sha})")
                    ),
                ),
            )
        comments = conversation.comments if conversation else ()
        state = latest_state(comments, repository=pull_request.repository, number=number)
        return FetchedPullRequest(snapshot, texts, state)

    def _listed(
        self, files_read: Future[tuple[FileDiff, ...]], pull_request: PullRequest
    ) -> tuple[FileDiff, ...]:
        """Returns the files that GitHub lists or, if it cannot make the list, those of the checkout's diff."""
        try:
            return files_read.result()
        except GitHubError as error:
            return self._withheld.list_from_checkout(pull_request, error)

    def _read_conversation(self, pull_request: PullRequest) -> Conversation | None:
        """Returns the conversation; None if it cannot be read."""
        try:
            return self._github.conversation(pull_request.number, pull_request.head_sha)
        except GitHubError as error:
            self._notes.append(f"The conversation could not be read: {error.message}")
            return None

"""Reads local changes as the input of a review: commits, the index, or the working tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hunkwise.commands.change_options import RangeOptions
from hunkwise.domain.pull_request import CommitFiles, PullRequest, Snapshot
from hunkwise.domain.text import count, visible
from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.flows.base_config import read_base_texts
from hunkwise.flows.fetch import mark_scripts
from hunkwise.flows.instructions import read_folder_texts
from hunkwise.flows.review import ReviewInput, ReviewRequest
from hunkwise.repository.git import Git
from hunkwise.repository.history import count_commits, is_shallow, read_subject
from hunkwise.repository.trees import GitTree, WorkingTree
from hunkwise.repository.uncommitted import UncommittedChanges
from hunkwise.settings.config import Config

_NO_DEFAULT: Final = (
    "There is no default branch to compare with (origin/HEAD, main or master): add --base REV."
)
_INDEX: Final = "index"
_WORKING_TREE: Final = "working tree"
_MOST_NAMES: Final = 5
"""Untracked files that are named."""


@dataclass(frozen=True)
class LocalRange:
    """The input of a review of local changes, with descriptions for messages."""

    ready: ReviewInput
    change: str
    """For example "main (0123456789ab)..working tree: 2 commits and uncommitted changes, 3 files"."""
    rules: str
    """Where configuration, templates and instructions were read."""
    configured: bool
    """Whether there is a configuration file."""
    remarks: tuple[str, ...]
    """Sentences about what is not part of the change."""


@dataclass(frozen=True)
class _Ends:
    """The two ends of the range, with their names."""

    start: str
    base_sha: str
    head: str
    """The name of the last commit, "working tree" or "index"."""
    commit: str
    """The SHA of the last commit."""
    head_sha: str
    """The SHA of the code under review: of `commit`, or of a temporary commit on top of it."""
    untracked: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def read_range(
    folder: Path,
    options: RangeOptions,
    *,
    config_path: str,
    demo: bool,
    at_base: bool,
    overridden: Callable[[Config], Config] = lambda config: config,
) -> LocalRange:
    """Reads the change from the merge base of `options.base` (default: the default branch) to the selected end.

    Configuration, templates and instructions are those of the working tree, or, with `at_base`, of the merge base, as
    in a workflow. Raises SettingsError, also where an option names nothing, and RepositoryError.
    """
    bare = _is_bare(folder)
    git = Git(folder, bare=bare)
    ends = _find_ends(git, folder, options, committed=bare or options.committed)
    rules, source = _rules(git, folder, ends.base_sha, at_base=at_base or bare)
    at_head = GitTree(git, ends.head_sha)
    texts = read_base_texts(
        rules, config_path, overridden, source, is_added=lambda: at_head.read(config_path) is not None
    )
    config = texts.config
    pull_request = PullRequest(
        repository=folder.resolve().name,
        number=0,
        title=read_subject(git, ends.commit),
        body="",
        author="",
        base=ends.start,
        base_sha=ends.base_sha,
        head=ends.head,
        head_sha=ends.head_sha,
    )
    files = mark_scripts(git, ends.head_sha, git.diff(ends.base_sha, ends.head_sha))
    notes = (*texts.warnings, *texts.notes, *([] if files else [_nothing_changed(ends)]))
    shows_instructions = config.context.instructions
    below = read_folder_texts(rules, files, instructions=shows_instructions)
    snapshot = Snapshot(
        pull_request,
        files,
        instructions=(*texts.instructions, *below.instructions) if shows_instructions else (),
        attributes={**texts.attributes, **below.attributes},
        notes=(*notes, *below.notes),
    )
    request = ReviewRequest(snapshot, config, texts.templates, local=True, demo=demo)
    ready = ReviewInput(request, at_head, GitTree(git, ends.base_sha))
    remarks = (*ends.remarks, *([] if options.untracked else _name_untracked(ends.untracked)))
    return LocalRange(ready, _describe(git, ends, len(files)), source, texts.found, remarks)


def _is_bare(folder: Path) -> bool:
    """Returns whether the folder itself is a bare repository, as `git init --bare` makes it."""
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and not (folder / ".git").exists()


def _rules(git: Git, folder: Path, base_sha: str, *, at_base: bool) -> tuple[CommitFiles, str]:
    if at_base:
        return GitTree(git, base_sha), f"the merge base ({base_sha[:12]})"
    return WorkingTree(folder), "the working tree"


def _find_ends(git: Git, folder: Path, options: RangeOptions, *, committed: bool) -> _Ends:
    commit = _resolve_head(git, folder, options.head)
    start = options.base or ("HEAD" if options.staged else git.default_branch())
    if options.head is not None or committed:
        if start is None:
            raise SettingsError([_NO_DEFAULT])
        return _Ends(start, _find_base(git, start, options, commit), options.head or "HEAD", commit, commit)
    base_sha = _find_base(git, start or "HEAD", options, commit)
    changes = UncommittedChanges(git, commit)
    if options.staged:
        return _Ends(start or "HEAD", base_sha, _INDEX, commit, changes.staged())
    head_sha = changes.all(untracked=options.untracked)
    if start is None and head_sha == commit:
        raise SettingsError([_NO_DEFAULT])
    remarks = () if start else ("Only uncommitted changes are reviewed. " + _NO_DEFAULT,)
    return _Ends(start or "HEAD", base_sha, _WORKING_TREE, commit, head_sha, changes.untracked(), remarks)


def _resolve_head(git: Git, folder: Path, head: str | None) -> str:
    """Returns the SHA of the last commit. Raises SettingsError, which names the option at fault."""
    if not folder.is_dir():
        raise SettingsError([f"--repository {folder}: there is no such folder."])
    try:
        return git.resolve(head or "HEAD")
    except RepositoryError as error:
        named = f"--head {head}: " if head is not None else ""
        raise SettingsError([f"{named}{error.shell_faults[0]}"]) from error


def _find_base(git: Git, start: str, options: RangeOptions, commit: str) -> str:
    """Returns the SHA of the commit that the change begins with. Raises SettingsError."""
    try:
        base_sha = git.merge_base(git.resolve(start), commit)
    except RepositoryError as error:
        raise SettingsError([f"--base {start}: {error.shell_faults[0]}"]) from error
    if base_sha is None:
        shallow = is_shallow(git)
        remedy = (
            "this is a shallow clone, run `git fetch --unshallow`" if shallow else "choose another --base"
        )
        raise SettingsError([f"{start} and {options.head or 'HEAD'} have no commit in common: {remedy}."])
    return base_sha


def _nothing_changed(ends: _Ends) -> str:
    place = f"The {ends.head}" if ends.head in (_INDEX, _WORKING_TREE) else ends.head
    return f"{place} has no changes since {ends.start} ({ends.base_sha[:12]}): name another --base."


def _describe(git: Git, ends: _Ends, files: int) -> str:
    commits = count_commits(git, ends.base_sha, ends.commit)
    parts = [count(commits, "commit")] if commits else []
    if ends.head_sha != ends.commit:
        parts.append("staged changes" if ends.head == _INDEX else "uncommitted changes")
    change = " and ".join(parts) or "no changes"
    return f"{ends.start} ({ends.base_sha[:12]})..{ends.head}: {change}, {count(files, 'file')}"


def _name_untracked(untracked: Sequence[str]) -> list[str]:
    if not untracked:
        return []
    names = ", ".join(visible(path) for path in untracked[:_MOST_NAMES])
    more = f" and {len(untracked) - _MOST_NAMES} more" if len(untracked) > _MOST_NAMES else ""
    verb = "is" if len(untracked) == 1 else "are"
    return [
        f"{count(len(untracked), 'untracked file')} {verb} not included ({names}{more}): add --untracked."
    ]

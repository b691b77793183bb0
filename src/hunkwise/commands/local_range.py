"""Reads a range of commits of a local repository as the input of a review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hunkwise.domain.pull_request import CommitFiles, PullRequest, Snapshot
from hunkwise.errors import SettingsError
from hunkwise.flows.base_config import read_base_texts, read_folder_texts
from hunkwise.flows.fetch import mark_scripts
from hunkwise.flows.review import ReviewInput, ReviewRequest
from hunkwise.repository.git import Git
from hunkwise.repository.trees import GitTree
from hunkwise.settings.config import Config


def read_range(
    folder: Path,
    *,
    base: str | None,
    head: str,
    config_path: str,
    demo: bool,
    rules: CommitFiles | None = None,
    overridden: Callable[[Config], Config] = lambda config: config,
) -> ReviewInput:
    """Reads the commits from the merge base of `base` (default: the default branch) to `head`.

    Configuration, templates and instructions are read from `rules`, else from the merge base, as in a workflow.
    Raises RepositoryError, SettingsError.
    """
    git = Git(folder)
    head_sha = git.resolve(head)
    start = base or git.default_branch()
    if start is None:
        raise SettingsError(["There is no default branch to compare with: add --base REV."])
    base_sha = git.merge_base(git.resolve(start), head_sha)
    if base_sha is None:
        raise SettingsError([f"{start} and {head} have no commit in common: choose another --base."])
    rules = rules or GitTree(git, base_sha)
    texts = read_base_texts(rules, config_path, overridden)
    config = texts.config
    pull_request = PullRequest(
        repository=folder.resolve().name,
        number=0,
        title=git.log_subject(head_sha),
        body="",
        author="",
        base=start,
        base_sha=base_sha,
        head=head,
        head_sha=head_sha,
    )
    notes = texts.notes
    if base_sha == head_sha:
        notes = (*notes, f"{head} has nothing that is not in {start}: choose another --base or --head.")
    files = mark_scripts(git, head_sha, git.diff(base_sha, head_sha))
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
    return ReviewInput(request, GitTree(git, head_sha), GitTree(git, base_sha))

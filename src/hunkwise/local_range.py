"""A range of commits in a checkout, as the snapshot that a review reads."""

from __future__ import annotations

from pathlib import Path

from hunkwise.domain.pull_request import PullRequest, Snapshot
from hunkwise.errors import SettingsError
from hunkwise.flows.base_texts import base_texts
from hunkwise.flows.review import Order, Ready
from hunkwise.repository.git import Git
from hunkwise.repository.head import GitHead


def read_range(
    folder: Path, *, base: str | None, head: str, config_path: str, model: str | None, demo: bool
) -> Ready:
    """The commits since the merge base of `base` (default: the default branch) up to `head`.

    Configuration and templates are those of the merge base, as in a workflow. Raises RepositoryError,
    SettingsError.
    """
    git = Git(folder)
    head_sha = git.resolve(head)
    start = base or git.default_branch()
    if start is None:
        raise SettingsError(["There is no default branch to compare with: add --base REV."])
    base_sha = git.merge_base(git.resolve(start), head_sha)
    if base_sha is None:
        raise SettingsError([f"{start} and {head} have no commit in common: choose another --base."])
    texts = base_texts(GitHead(git, base_sha), config_path, lambda config: config)
    config = texts.config.with_overrides({"model": model} if model else {})
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
    files = git.diff(base_sha, head_sha)
    snapshot = Snapshot(pull_request, files, instructions=texts.instructions, notes=notes)
    return Ready(Order(snapshot, config, texts.templates, local=True, demo=demo), GitHead(git, head_sha))

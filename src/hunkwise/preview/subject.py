"""What prompts are rendered over: a range of commits or a pull request, by the rules of a place."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hunkwise.commands.local_range import read_range
from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.flows.base_texts import Commit
from hunkwise.flows.order import Order
from hunkwise.flows.surroundings import Head
from hunkwise.preview.places import Place, config_path
from hunkwise.preview.templates import file_faults
from hunkwise.repository.git import Git
from hunkwise.repository.head import GitHead
from hunkwise.repository.working_tree import WorkingTree
from hunkwise.settings.config import Config

if TYPE_CHECKING:
    from hunkwise.commands.local import Wanted
    from hunkwise.forge.client import GitHub

_SECONDS: Final = 180.0
"""For all that is read from GitHub."""
Overridden = Callable[[Config], Config]


@dataclass(frozen=True)
class Subject:
    """What a review would be made of."""

    order: Order
    head: Head
    """The files that stand around the change."""
    change: str
    """What it is, in words."""
    rules: str
    """Where configuration, templates and instructions were read from, in words."""


def read_subject(
    arguments: argparse.Namespace, environ: Mapping[str, str], overridden: Overridden, stack: ExitStack
) -> Subject:
    """`stack` closes what it reads from. Raises SettingsError, RepositoryError, ForgeError."""
    folder = Path(arguments.repository)
    path = config_path(arguments.config)
    if arguments.pr and (arguments.base or arguments.head):
        raise SettingsError(["--pr names a whole pull request: leave out --base and --head."])
    tree = None if arguments.at_base else WorkingTree(folder)
    overridden = _readable(tree, overridden)
    if arguments.pr:
        return _pull_request(arguments.pr, folder, environ, path, overridden, tree, stack)
    ready = read_range(
        folder,
        base=arguments.base,
        head=arguments.head or "HEAD",
        config_path=path,
        model=None,
        demo=False,
        rules=tree,
        overridden=overridden,
    )
    of = ready.order.snapshot.pull_request
    change = f"{of.base}..{of.head} ({of.base_sha[:12]}..{of.head_sha[:12]})"
    rules = f"the merge base ({of.base_sha[:12]})" if arguments.at_base else "the working tree"
    return Subject(ready.order, GitHead(Git(folder), of.head_sha), change, rules)


def _readable(tree: WorkingTree | None, overridden: Overridden) -> Overridden:
    """Names what the tree lacks as a fault of the tree: a review speaks of the base."""
    if tree is None:
        return overridden
    place = Place(tree, "the working tree")

    def read(config: Config) -> Config:
        chosen = overridden(config)
        if faults := list(file_faults(chosen, place)):
            raise SettingsError(faults)
        return chosen

    return read


def _pull_request(
    said: str,
    folder: Path,
    environ: Mapping[str, str],
    path: str,
    overridden: Overridden,
    tree: WorkingTree | None,
    stack: ExitStack,
) -> Subject:
    """As `reading.Reading` fetches it, of which nothing else is needed here."""
    # Imported here because PyGithub takes half a second, and a range of commits does not need it.
    from hunkwise.commands.local import wanted_in
    from hunkwise.forge.client import GitHub

    wanted = wanted_in(said, environ)
    ends = time.monotonic() + _SECONDS
    github = GitHub(wanted.token, wanted.api_url, wanted.repository, deadline=lambda: ends - time.monotonic())
    stack.callback(github.close)
    return _fetched(github, wanted, _checkout(folder), path, overridden, tree)


def _fetched(
    github: GitHub,
    wanted: Wanted,
    git: Git | None,
    path: str,
    overridden: Overridden,
    tree: WorkingTree | None,
) -> Subject:
    from hunkwise.flows.fetch import Fetch
    from hunkwise.flows.withheld import Withheld
    from hunkwise.forge.head import ForgeHead

    def near(sha: str) -> GitHead | None:
        return GitHead(git, sha) if git is not None and git.has(sha) else None

    def rules(sha: str) -> Commit | None:
        return tree or near(sha)

    def far(sha: str) -> ForgeHead:
        return ForgeHead(github, sha)

    fetch = Fetch(github, Withheld(github, git, Git.diff_blobs), rules, far)
    fetched = fetch.run(wanted.number, path, overridden)
    order = Order(fetched.snapshot, fetched.texts.config, fetched.texts.templates, full=True)
    of = fetched.snapshot.pull_request
    change = f"{wanted.repository}#{wanted.number} ({of.base_sha[:12]}..{of.head_sha[:12]})"
    base = f"the pull request's base ({of.base_sha[:12]})"
    head = near(of.head_sha) or far(of.head_sha)
    return Subject(order, head, change, base if tree is None else "the working tree")


def _checkout(folder: Path) -> Git | None:
    git = Git(folder)
    try:
        git.has("0" * 40)
    except RepositoryError:
        return None
    return git

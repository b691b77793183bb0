"""Where configuration and templates are read from: the working tree, a commit, or the base of a pull request."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hunkwise.errors import OversizeError, RepositoryError, SettingsError
from hunkwise.flows.base_texts import Commit
from hunkwise.repository.git import Git
from hunkwise.repository.head import GitHead
from hunkwise.repository.working_tree import WorkingTree
from hunkwise.settings.config import Config, read_config
from hunkwise.settings.inputs import DEFAULT_CONFIG_PATH
from hunkwise.settings.strict_yaml import Document

_READING_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Place:
    """Files, and what to call the place that they are read from."""

    commit: Commit
    said: str
    sha: str | None = None
    """None for the working tree."""


@contextmanager
def place_of(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[Place]:
    """What --base or --pr name, else the working tree. Raises SettingsError, RepositoryError, ForgeError."""
    folder = Path(arguments.repository)
    if arguments.pr and arguments.base:
        raise SettingsError(["--pr and --base both name a base: keep one of them."])
    if arguments.pr:
        with _base_of_pull_request(arguments.pr, folder, environ) as place:
            yield place
    elif arguments.base:
        yield _commit(folder, arguments.base)
    else:
        yield Place(WorkingTree(folder), "the working tree")


def _commit(folder: Path, rev: str) -> Place:
    git = Git(folder)
    sha = git.resolve(rev)
    return Place(GitHead(git, sha), f"{rev} ({sha[:12]})", sha)


@contextmanager
def _base_of_pull_request(said: str, folder: Path, environ: Mapping[str, str]) -> Iterator[Place]:
    """From the checkout where the commit is there, else over the API."""
    # Imported here because PyGithub takes half a second, and nothing else needs it.
    from hunkwise.commands.local import wanted_in
    from hunkwise.forge.client import GitHub
    from hunkwise.forge.head import ForgeHead

    wanted = wanted_in(said, environ)
    github = GitHub(wanted.token, wanted.api_url, wanted.repository, deadline=lambda: _READING_SECONDS)
    try:
        sha = github.pull_request(wanted.number).base_sha
        git = Git(folder)
        commit: Commit = GitHead(git, sha) if _has(git, sha) else ForgeHead(github, sha)
        yield Place(commit, f"the base of {said} ({sha[:12]})", sha)
    finally:
        github.close()


def _has(git: Git, sha: str) -> bool:
    try:
        return git.has(sha)
    except RepositoryError:  # no checkout: the API has the files
        return False


def config_path(said: str | None) -> str:
    """The path that --config names, from the repository's root. Raises SettingsError."""
    if said is None:
        return DEFAULT_CONFIG_PATH
    path = said.removeprefix("./")
    if {"", ".", ".."} & set(path.split("/")) or "\\" in path or not path.isprintable():
        raise SettingsError(
            [
                "--config must be the path of a file in the repository, relative to its root, with slashes and"
                f" without .., such as {DEFAULT_CONFIG_PATH}, not {said!r}."
            ]
        )
    return path


def configuration(place: Place, path: str) -> tuple[Config, Document | None]:
    """The configuration as its file says it, and the file; the defaults where there is none.

    Raises SettingsError with all faults, RepositoryError or ForgeError where it cannot be read.
    """
    try:
        text = place.commit.read(path)
    except OversizeError as error:
        raise SettingsError([f"{error.message} Shorten it."]) from error
    return (Config(), None) if text is None else read_config(text, path=path)

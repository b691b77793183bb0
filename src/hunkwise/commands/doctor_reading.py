"""What a checkup reads by the adapters of a review: git's version, the base's files, GitHub with its headers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hunkwise.checkup.server import Ask
from hunkwise.commands.doctor_settings import Asked
from hunkwise.errors import RepositoryError
from hunkwise.flows.base_texts import Commit
from hunkwise.forge.client import GitHub
from hunkwise.forge.errors import Answer, no_json, refusal
from hunkwise.forge.head import ForgeHead
from hunkwise.forge.wire import wired
from hunkwise.repository.calls import call
from hunkwise.repository.git import Git
from hunkwise.repository.head import GitHead
from hunkwise.repository.hermetic import environment

_GIT_SECONDS = 10.0
_REQUEST_SECONDS = 30.0


def git_version() -> str:
    """What `git --version` says. Raises RepositoryError."""
    try:
        answer = call(["--version"], environment(Path(os.sep)), limit=200, timeout=_GIT_SECONDS)
    except OSError as error:
        raise RepositoryError(f"git could not be started: {error.strerror}.") from error
    return answer.output.decode("utf-8", "replace")


def base_commit(asked: Asked, github: GitHub | None) -> Commit | None:
    """The files of the base; None where they are only to be had from GitHub, and `github` is None.

    Raises ForgeError, RepositoryError.
    """
    git = Git(asked.checkout) if asked.checkout is not None else None
    if asked.repository is None:
        return _of_range(git)
    sha = asked.base
    if asked.number is not None and github is not None:
        sha = github.pull_request(asked.number).base_sha
    if sha is not None and git is not None and _has(git, sha):
        return GitHead(git, sha)
    return ForgeHead(github, sha) if sha is not None and github is not None else None


def _of_range(git: Git | None) -> Commit:
    """The merge base that `hunkwise review` without options goes by; HEAD where there is none."""
    if git is None:
        raise RepositoryError("--repository does not name a folder.", "Name the folder of a clone.")
    head = git.resolve("HEAD")
    branch = git.default_branch()
    start = git.merge_base(git.resolve(branch), head) if branch is not None else None
    return GitHead(git, start or head)


def _has(git: Git, sha: str) -> bool:
    try:
        return git.has(sha)
    except RepositoryError:  # no checkout: the API has the files
        return False


@contextmanager
def asking(asked: Asked) -> Iterator[Ask]:
    """Reads GitHub's API by the wire that a review uses, with the headers that a review does not look at."""
    wire = wired(asked.github_token, asked.api_url)

    def ask(path: str) -> Answer:
        request = f"GET {path}"
        answer = wire.ask("GET", path, {}, None, request, seconds=_REQUEST_SECONDS)
        if not 200 <= answer.status < 300:
            raise refusal(answer, request)
        try:
            json.loads(answer.text)
        except (ValueError, RecursionError) as error:
            raise no_json(request) from error
        return answer

    try:
        yield ask
    finally:
        wire.close()

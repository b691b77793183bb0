"""Reads the options and variables that select what a command works on: local changes, or something on GitHub."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.repository.git import Git
from hunkwise.settings.parsing import parse_url

_NAME: Final = r"[\w-]{1,100}/[\w.-]{1,100}"
_NUMBER: Final = r"[1-9]\d{0,8}"
_PULL_REQUEST: Final = re.compile(rf"(?:(?P<repository>{_NAME})#|#)?(?P<number>{_NUMBER})")
_URL_PATH: Final = re.compile(rf"/(?P<repository>{_NAME})/pull/(?P<number>{_NUMBER})(?:/.*)?")
_SSH_REMOTE: Final = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[^/].*)")
_REMOTES: Final = ("upstream", "origin")
"""The remotes that are preferred, in this order, as in GitHub's own command line."""


@dataclass(frozen=True)
class RangeOptions:
    """The options that select local changes."""

    base: str | None = None
    head: str | None = None
    """A commit; None for the working tree, or HEAD if `committed`."""
    staged: bool = False
    committed: bool = False
    untracked: bool = False

    @classmethod
    def read(cls, arguments: argparse.Namespace) -> RangeOptions:
        """Reads the options. Raises SettingsError if they contradict each other."""
        options = cls(
            arguments.base, arguments.head, arguments.staged, arguments.committed, arguments.untracked
        )
        others = [name for name in ("head", "committed") if getattr(options, name)]
        if options.staged and others:
            raise SettingsError(
                [f"--staged and --{others[0]} name different changes: leave one of them out."]
            )
        if options.untracked and (options.staged or others):
            other = "staged" if options.staged else others[0]
            raise SettingsError([f"--untracked is for the working tree, which --{other} leaves out."])
        return options


@dataclass(frozen=True)
class RequestedPullRequest:
    """A pull request of the option --pr, and the token to read it with."""

    repository: str
    number: int
    token: str
    api_url: str
    server_url: str
    in_clone: bool
    """Whether the folder of --repository is a clone of its repository."""


def requested_pull_request(option: str, folder: Path, environ: Mapping[str, str]) -> RequestedPullRequest:
    """Parses the option --pr: a URL, OWNER/REPO#N, or a number in a clone. Reads a token from the environment.

    Raises SettingsError.
    """
    server_url = url_in(environ, "GITHUB_SERVER_URL", "https://github.com")
    host = (urlsplit(server_url).hostname or "").lower()
    cloned = cloned_repositories(folder, host)
    repository, number = _parse(option, host)
    if repository is None and not cloned:
        message = f"--pr {option} needs a clone of a repository on {host}, and {folder.absolute()} is none"
        raise SettingsError([f"{message}: name the repository, --pr OWNER/REPO#{number}."])
    repository = repository or cloned[0]
    missing = (
        "--pr needs a token that may read the pull request: set GITHUB_TOKEN, for example to the output of "
        "`gh auth token`."
    )
    return RequestedPullRequest(
        repository,
        number,
        token_in(environ, missing),
        url_in(environ, "GITHUB_API_URL", "https://api.github.com"),
        server_url,
        repository.lower() in map(str.lower, cloned),
    )


def _parse(option: str, host: str) -> tuple[str | None, int]:
    if "://" in option:
        url = urlsplit(option)
        found = _URL_PATH.fullmatch(url.path)
        if found is not None and (url.hostname or "").lower() != host:
            message = f"--pr names a pull request on {url.hostname}, and the token is for {host}"
            raise SettingsError([f"{message}: set GITHUB_SERVER_URL and GITHUB_API_URL for that server."])
    else:
        found = _PULL_REQUEST.fullmatch(option)
    if found is None:
        expected = "a pull request's URL, OWNER/REPO#N, or its number in a clone; octo/site#12 for example"
        raise SettingsError([f"--pr is {option!r}; it must be {expected}."])
    return found["repository"], int(found["number"])


def cloned_repositories(folder: Path, host: str) -> tuple[str, ...]:
    """Returns `owner/name` of the clone's remotes on that host, the preferred one first; empty outside a clone."""
    return tuple(remote.repository for remote in remotes_of(folder) if remote.host in (host, f"ssh.{host}"))


class Remote(NamedTuple):
    """A repository that a clone fetches from."""

    host: str
    """In lower case."""
    repository: str
    """`owner/name`."""


def remotes_of(folder: Path) -> tuple[Remote, ...]:
    """Returns the clone's remotes with a host, the preferred one first; empty outside a clone."""
    git = Git(folder)
    try:
        urls = git.mirror.read_settings(r"^remote\..*\.url$")
    except RepositoryError:
        return ()
    finally:
        git.close()
    names = {name.split(".", 1)[1].removesuffix(".url"): url for name, url in urls.items()}
    ordered = sorted(names, key=lambda name: _REMOTES.index(name) if name in _REMOTES else len(_REMOTES))
    found = (_remote_of(names[name]) for name in ordered)
    return tuple(dict.fromkeys(remote for remote in found if remote is not None))


def _remote_of(url: str) -> Remote | None:
    """Returns host and repository of a remote's URL (https, ssh, or host:path); None if it names none."""
    if "://" in url:
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        host, path = parts.hostname or "", parts.path
    elif short := _SSH_REMOTE.fullmatch(url):
        host, path = short["host"], short["path"]
    else:
        return None
    name = path.strip("/").removesuffix(".git")
    return Remote(host.lower(), name) if host and re.fullmatch(_NAME, name) else None


def token_in(environ: Mapping[str, str], missing: str) -> str:
    """Returns the token for GitHub in the environment. Raises SettingsError with the message `missing`."""
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        raise SettingsError([missing])
    return token


def url_in(environ: Mapping[str, str], name: str, usual: str) -> str:
    """Returns the URL in a variable, or `usual` if it is not set. Raises SettingsError."""
    try:
        return parse_url(environ.get(name) or usual).text
    except ValueError as fault:
        raise SettingsError([f"{name} {fault}."]) from fault

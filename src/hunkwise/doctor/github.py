"""Checks of GitHub: server, permissions, pull request."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from hunkwise.doctor.checks import Check, error_check, ok, unchecked, warning
from hunkwise.doctor.settings import ConfigLocation, ReviewSettings
from hunkwise.errors import GitHubError, GitHubErrorKind, RepositoryError
from hunkwise.github.client import ApiTree, GitHub
from hunkwise.github.responses import invalid_json_error, refusal_error
from hunkwise.github.transport import open_transport
from hunkwise.repository.git import Git
from hunkwise.repository.git_process import call, environment
from hunkwise.repository.trees import WorkingTree, local_tree, readable

_FEW = 100
"""Requests: a review of a small change takes about ten, of a large change without a checkout about a hundred."""
_SKEW_SECONDS = 60
_LAST_TIME = 253_402_300_799
"""The end of the year 9999, the last date of datetime."""


Ask = Callable[[str], Mapping[str, str]]
"""Reads a path of the API; returns the headers by their lower-case names. Raises GitHubError unless it answers 2xx."""


def server_checks(
    ask: Ask, *, api_url: str, repository: str | None, number: int | None, now: Callable[[], float]
) -> Iterator[Check]:
    """Makes one request, and checks its answer. `now` returns the Unix time."""
    name = "Pull requests" if repository else "Rate limit"
    try:
        headers = ask(_path(repository, number))
    except GitHubError as error:
        yield from _error_checks(error, api_url, name)
        return
    yield ok("Server", f"{api_url} answers")
    yield ok("Token", "is accepted")
    if repository and number:
        yield ok(name, f"#{number} of {repository} can be read")
    elif repository:
        yield ok(name, f"those of {repository} can be read")
    else:
        yield unchecked("Pull requests", "none is named; --pr names one")
    yield unchecked("Writing", "nothing is posted by a checkup")
    yield _rate_limit_check(headers, now())
    yield _clock_check(headers, now())


def _path(repository: str | None, number: int | None) -> str:
    if repository is None:
        return "/rate_limit"
    return f"/repos/{repository}/pulls/{number}" if number else f"/repos/{repository}/pulls?per_page=1"


def _error_checks(error: GitHubError, api_url: str, name: str) -> Iterator[Check]:
    if error.kind is GitHubErrorKind.UNAVAILABLE:
        yield error_check("Server", error)
        return
    yield ok("Server", f"{api_url} answers")
    if error.kind is GitHubErrorKind.AUTHENTICATION:
        yield error_check("Token", error)
        return
    yield error_check("Rate limit" if error.kind is GitHubErrorKind.RATE_LIMIT else name, error)


def _rate_limit_check(headers: Mapping[str, str], now: float) -> Check:
    left, limit = _count(headers, "remaining"), _count(headers, "limit")
    if left is None or limit is None:
        return ok("Rate limit", "this server reports none")
    message = f"{left:,} of {limit:,} requests are left"
    reset = _count(headers, "reset")
    if reset is not None and reset <= _LAST_TIME and reset > now:
        message += f" until {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M} UTC"
    if left < _FEW:
        return warning("Rate limit", f"{message}.", "Wait until then, or let fewer runs share this token.")
    return ok("Rate limit", message)


def _count(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"x-ratelimit-{name}", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _clock_check(headers: Mapping[str, str], now: float) -> Check:
    try:
        skew = now - parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return unchecked("Clock", "the answer has no date")
    if abs(skew) > _SKEW_SECONDS:
        ahead = "ahead of" if skew > 0 else "behind"
        message = f"this machine's clock is {abs(skew):,.0f} s {ahead} GitHub's."
        return warning(
            "Clock", message, "Set it by NTP: waits for rate limits and certificates depend on it."
        )
    return ok("Clock", f"within {_SKEW_SECONDS} s of GitHub's")


_GIT_SECONDS = 10.0
_REQUEST_SECONDS = 30.0


def git_version() -> str:
    """Returns the output of `git --version`. Raises RepositoryError."""
    try:
        answer = call(["--version"], environment(Path(os.sep)), limit=200, timeout=_GIT_SECONDS)
    except OSError as error:
        raise RepositoryError(f"git could not be started: {error.strerror}.") from error
    return answer.output.decode("utf-8", "replace")


def config_location(settings: ReviewSettings, github: GitHub | None) -> ConfigLocation | None:
    """Returns where a review reads its configuration; None if only GitHub has it, and `github` is None.

    Raises GitHubError, RepositoryError.
    """
    git = Git(settings.checkout) if settings.checkout is not None else None
    if settings.repository is None:
        return _working_tree(settings.checkout, git)
    sha, name = settings.base, "the commit of the event"
    if settings.number is not None and github is not None:
        sha, name = github.pull_request(settings.number).base_sha, "the base of the pull request"
    if sha is None:
        return None
    commit = local_tree(readable(git), sha) or (ApiTree(github, sha) if github is not None else None)
    return ConfigLocation(commit, f"{name} ({sha[:7]})") if commit is not None else None


def _working_tree(folder: Path | None, git: Git | None) -> ConfigLocation:
    """Returns the working tree, as for `hunkwise review` without options. Raises RepositoryError without a clone."""
    if folder is None or git is None:
        raise RepositoryError("--repository does not name a folder.", "", "Name the folder of a clone.")
    git.resolve("HEAD")
    return ConfigLocation(WorkingTree(folder), "the working tree")


@contextmanager
def open_api(settings: ReviewSettings) -> Iterator[Ask]:
    """Opens the transport that a review uses."""
    transport = open_transport(settings.github_token, settings.api_url)

    def ask(path: str) -> Mapping[str, str]:
        request = f"GET {path}"
        answer = transport.ask("GET", path, {}, None, request, seconds=_REQUEST_SECONDS)
        if not 200 <= answer.status < 300:
            raise refusal_error(answer, request)
        try:
            json.loads(answer.text)
        except (ValueError, RecursionError) as error:
            raise invalid_json_error(request) from error
        return answer.headers

    try:
        yield ask
    finally:
        transport.close()

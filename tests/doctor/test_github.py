"""Checks of one GitHub response: rate limit, clock, and causes of errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest

from hunkwise.doctor.checks import Check, CheckState
from hunkwise.doctor.github import server_checks
from hunkwise.errors import GitHubError, GitHubErrorKind

NOW = 1_800_000_000.0
LIMITS = {"x-ratelimit-remaining": "4999", "x-ratelimit-limit": "5000", "x-ratelimit-reset": "1800003600"}
OK, WARNING, FAULT, UNCHECKED = CheckState.OK, CheckState.WARNING, CheckState.FAULT, CheckState.UNCHECKED


@dataclass
class Server:
    """Answers every path with these headers, or raises the error."""

    headers: Mapping[str, str] = field(default_factory=dict)
    error: GitHubError | None = None
    requests: list[str] = field(default_factory=list)

    def __call__(self, path: str) -> Mapping[str, str]:
        self.requests.append(path)
        if self.error is not None:
            raise self.error
        return self.headers


def checks(server: Server, repository: str | None = "o/r", number: int | None = 7) -> dict[str, Check]:
    found = server_checks(
        server, api_url="https://api", repository=repository, number=number, now=lambda: NOW
    )
    return {check.name: check for check in found}


@pytest.mark.parametrize(
    ("repository", "number", "path"),
    [
        ("o/r", 7, "/repos/o/r/pulls/7"),
        ("o/r", None, "/repos/o/r/pulls?per_page=1"),
        (None, None, "/rate_limit"),
    ],
)
def test_one_small_request_is_sent(repository: str | None, number: int | None, path: str) -> None:
    server = Server(LIMITS)
    found = checks(server, repository, number)
    assert server.requests == [path]
    assert found["Token"].state is OK
    assert found["Writing"].state is UNCHECKED
    assert found["Pull requests"].state is (OK if repository else UNCHECKED)


@pytest.mark.parametrize(
    ("headers", "state", "expected"),
    [
        (LIMITS, OK, "4,999 of 5,000 requests are left until 2027-01-15 09:00 UTC"),
        (LIMITS | {"x-ratelimit-remaining": "99"}, WARNING, "99 of 5,000 requests"),
        (LIMITS | {"x-ratelimit-reset": "1"}, OK, "4,999 of 5,000 requests are left"),
        (LIMITS | {"x-ratelimit-reset": "999999999999999"}, OK, "4,999 of 5,000 requests are left"),
        (LIMITS | {"x-ratelimit-remaining": "many"}, OK, "this server reports none"),
        ({}, OK, "this server reports none"),
    ],
)
def test_rate_limit_is_read_from_headers(headers: dict[str, str], state: CheckState, expected: str) -> None:
    check = checks(Server(headers))["Rate limit"]
    assert (check.state, expected in check.said) == (state, True)


@pytest.mark.parametrize(
    ("date", "state", "expected"),
    [
        (formatdate(NOW - 59, usegmt=True), OK, "within 60 s"),
        (formatdate(NOW - 3_600, usegmt=True), WARNING, "3,600 s ahead of"),
        (formatdate(NOW + 61, usegmt=True), WARNING, "61 s behind"),
        ("yesterday", UNCHECKED, "no date"),
        ("Fri, 99 Foo 99999 99:99:99 GMT", UNCHECKED, "no date"),
        ("", UNCHECKED, "no date"),
    ],
)
def test_clock_is_compared_with_the_server(date: str, state: CheckState, expected: str) -> None:
    check = checks(Server({"date": date}))["Clock"]
    assert (check.state, expected in check.said) == (state, True)


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        (GitHubErrorKind.UNAVAILABLE, {"Server": FAULT}),
        (GitHubErrorKind.AUTHENTICATION, {"Server": OK, "Token": FAULT}),
        (GitHubErrorKind.FORBIDDEN, {"Server": OK, "Pull requests": FAULT}),
        (GitHubErrorKind.NOT_FOUND, {"Server": OK, "Pull requests": FAULT}),
        (GitHubErrorKind.RATE_LIMIT, {"Server": OK, "Rate limit": FAULT}),
    ],
)
def test_error_is_reported_in_the_matching_check(
    kind: GitHubErrorKind, states: dict[str, CheckState]
) -> None:
    found = checks(Server(error=GitHubError(kind, "No.", "Do.")))
    assert {name: check.state for name, check in found.items()} == states

"""The GitHub App's tokens: for one repository, with the permissions of one job, valid for an hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from github import Auth

from hunkwise.errors import GitHubError
from hunkwise.github.connection import GitHubConnection
from hunkwise.service.settings import ServiceSettings

_SECONDS: Final = 30.0
"""For all requests of one call."""
_DELIVERIES: Final = 100
PERMISSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "review": {"contents": "read", "pull_requests": "write", "checks": "write", "issues": "write"},
    "command": {"contents": "read", "pull_requests": "write", "checks": "write", "issues": "write"},
    "audit": {"contents": "read", "issues": "write"},
}
"""What the token of a job may do, by the kind of the job."""
COPILOT: Final[Mapping[str, str]] = {"copilot_requests": "write"}


@dataclass(frozen=True)
class HookDelivery:
    """A delivery of a webhook, as GitHub lists it."""

    id: int
    guid: str
    at: datetime
    ok: bool
    """The service answered it with a success."""


class Installations:
    """Asks GitHub as the App. Methods raise GitHubError."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._auth = Auth.AppAuth(settings.app_id, settings.private_key)

    def token(self, installation: int, repository: str, permissions: Mapping[str, str]) -> str:
        """Returns a new token for one repository (`owner/name`) with these permissions only."""
        body = {"repositories": [repository.partition("/")[2]], "permissions": dict(permissions)}
        with self._connection() as github:
            return github.post(f"/app/installations/{installation}/access_tokens", body).text("token")

    def repositories(self) -> Iterator[tuple[int, str]]:
        """Yields each installation's number, with each of its repositories as `owner/name`."""
        with self._connection() as github:
            installations = [one.number("id") for one in github.pages("/app/installations")]
        for installation in installations:
            with self._connection() as github:
                token = github.post(
                    f"/app/installations/{installation}/access_tokens", {"permissions": {"metadata": "read"}}
                )
            with self._connection(token.text("token")) as github:
                for page in github.pages("/installation/repositories", key="repositories"):
                    yield installation, page.text("full_name")

    def deliveries(self) -> list[HookDelivery]:
        """Returns the newest deliveries, the newest first."""
        with self._connection() as github:
            answer = github.get("/app/hook/deliveries", {"per_page": _DELIVERIES})
            return [
                HookDelivery(
                    one.number("id"),
                    one.text("guid"),
                    datetime.fromisoformat(one.text("delivered_at")),
                    200 <= one.number("status_code") < 300,
                )
                for one in answer.items()
            ]

    def redeliver(self, delivery: int) -> None:
        """Has GitHub send a delivery again, with the same GUID."""
        with self._connection() as github:
            github.post(f"/app/hook/deliveries/{delivery}/attempts", {})

    @contextmanager
    def _connection(self, token: str = "") -> Iterator[GitHubConnection]:
        """`token`: empty for the App's own."""
        jwt = "" if token else self._auth.create_jwt()
        connection = GitHubConnection(
            token or jwt, self._settings.api_url, deadline=lambda: _SECONDS, bearer=bool(jwt)
        )
        with closing(connection):
            yield connection


def is_gone(error: GitHubError) -> bool:
    """Returns whether the App is not installed on the repository any more."""
    return "404" in error.message or "not found" in error.message.lower()

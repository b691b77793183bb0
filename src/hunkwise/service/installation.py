"""The GitHub App's tokens: for one repository, with the permissions of one job, valid for an hour."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hunkwise.errors import Error, GitHubError, GitHubErrorKind
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.responses import JsonValue
from hunkwise.github.transport import create_app_token
from hunkwise.service.settings import ServiceSettings
from hunkwise.settings.config import parse_config
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH

_SECONDS: Final = 30.0
"""For all requests of one call."""
_MOST_PAGES: Final = 100
"""Pages of 100 webhook deliveries that are read at a time."""
PERMISSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "review": {"contents": "read", "pull_requests": "write", "checks": "write", "issues": "write"},
    "command": {"contents": "read", "pull_requests": "write", "checks": "write", "issues": "write"},
    "audit": {"contents": "read", "issues": "write"},
    "merge-queue": {"pull_requests": "read", "checks": "write"},
}
"""What the token of a job may do, by the kind of the job."""
COPILOT: Final[Mapping[str, str]] = {"copilot_requests": "write"}
EVENTS: Final = ("issue_comment", "merge_group", "pull_request", "pull_request_review_comment")
"""The webhooks that the App must subscribe to."""
SUBSCRIPTIONS: Final[Mapping[str, str]] = {"merge_queues": "read"}
"""What the App must be permitted for that, beyond what jobs need."""
TEMPORARY: Final = (GitHubErrorKind.UNAVAILABLE, GitHubErrorKind.RATE_LIMIT)
"""Failures after which the same request can succeed later."""
_READ: Final[Mapping[str, str]] = {"contents": "read"}
_LEVELS: Final = ("none", "read", "write", "admin")
_HINTS: Final[Mapping[GitHubErrorKind, str]] = {
    GitHubErrorKind.AUTHENTICATION: "Check HUNKWISE_APP_ID, HUNKWISE_APP_KEY_FILE and the clock of this machine.",
    GitHubErrorKind.FORBIDDEN: "Look at the App's installation on that account: it may be suspended.",
    GitHubErrorKind.NOT_FOUND: "The App was probably uninstalled from that account or repository.",
    GitHubErrorKind.INVALID: (
        "Check that the App has the permissions that `hunkwise service check` names, that the account has accepted"
        " them, and that the App is installed on this repository."
    ),
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HookDelivery:
    """A delivery of a webhook, as GitHub lists it."""

    id: int
    guid: str
    at: datetime
    ok: bool
    """It needs no redelivery: the service has accepted it, or refused it (400 to 499) and would do so again."""


@dataclass(frozen=True)
class AuditTarget:
    """A repository that is to be audited at a commit of its default branch."""

    installation: int
    repository: str
    """`owner/name`."""
    sha: str


class Installations:
    """Asks GitHub as the App. Methods raise GitHubError."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings

    def token(self, installation: int, repository: str, permissions: Mapping[str, str]) -> str:
        """Returns a new token for one repository (`owner/name`) with these permissions only."""
        return self._create_token(
            installation, {"repositories": [repository.partition("/")[2]], "permissions": dict(permissions)}
        )

    def is_installed(self, repository: str) -> bool:
        """Returns whether the App is installed on a repository, and not suspended."""
        try:
            with self._connection() as github:
                installation = github.get(f"/repos/{repository}/installation")
        except GitHubError as error:
            if error.kind is GitHubErrorKind.NOT_FOUND:
                return False
            raise
        return installation.at("suspended_at").value is None

    def shas(self, repository: str, number: int, token: str) -> tuple[str, ...]:
        """Returns the commits of a pull request's base and head; for number 0 the default branch's newest commit."""
        with self._connection(token) as github:
            if not number:
                return (github.get(f"/repos/{repository}/commits/HEAD").text("sha"),)
            pull = github.get(f"/repos/{repository}/pulls/{number}")
            return pull.text("base.sha"), pull.text("head.sha")

    def installations(self) -> list[int]:
        """Returns the installations that are not suspended."""
        with self._connection() as github:
            return [
                one.number("id")
                for page in github.pages("/app/installations")
                for one in page.objects()
                if one.at("suspended_at").value is None
            ]

    def audit_targets(self, installation: int) -> list[AuditTarget]:
        """Returns an installation's repositories whose configuration has the key `audit`, by a request for each.

        Archived ones and forks are left out: GitHub runs no scheduled workflows in those either. One that cannot be
        read is logged.
        """
        found = []
        token = self._create_token(installation, {"permissions": _READ})
        with self._connection(token) as github:
            for page in github.pages("/installation/repositories"):
                for one in page.objects("repositories"):
                    if one.truth("archived") or one.truth("fork"):
                        continue
                    repository = one.text("full_name")
                    try:
                        if _has_audit(github, repository):
                            sha = github.get(f"/repos/{repository}/commits/HEAD").text("sha")
                            found.append(AuditTarget(installation, repository, sha))
                    except Error as error:
                        if isinstance(error, GitHubError) and error.kind in TEMPORARY:
                            raise
                        _log.warning("Whether %s is to be audited is unknown: %s", repository, error)
        return found

    def deliveries(self, since: datetime) -> list[HookDelivery]:
        """Returns the deliveries after a time, the newest first, at most 10,000."""
        found: list[HookDelivery] = []
        with self._connection() as github:
            for count, page in enumerate(github.pages("/app/hook/deliveries"), 1):
                rows = [_read_delivery(one) for one in page.objects()]
                found += [one for one in rows if one.at > since]
                if rows and rows[-1].at <= since:
                    break
                if count == _MOST_PAGES:
                    _log.warning("Only the newest %d webhook deliveries were looked at.", len(found))
                    break
        return found

    def redeliver(self, delivery: int) -> None:
        """Has GitHub send a delivery again, with the same GUID."""
        with self._connection() as github:
            github.post(f"/app/hook/deliveries/{delivery}/attempts", {})

    def faults(self) -> list[str]:
        """Returns a sentence for each permission and each webhook that the App lacks."""
        needed = dict(COPILOT) if self._settings.uses_app_for_copilot else {}
        for permissions in (*PERMISSIONS.values(), SUBSCRIPTIONS):
            for name, wanted in permissions.items():
                needed[name] = max(wanted, needed.get(name, "none"), key=_LEVELS.index)
        with self._connection() as github:
            app = github.get("/app")
            events = [event.value for event in app.entries("events")]
        lacking = [
            f'The App lacks the permission "{name}: {wanted}".'
            for name, wanted in needed.items()
            if _level(app.text_or(f"permissions.{name}", "none")) < _level(wanted)
        ]
        return [
            *lacking,
            *(
                f'The App does not subscribe to the event "{event}".'
                for event in EVENTS
                if event not in events
            ),
        ]

    def _create_token(self, installation: int, body: Mapping[str, object]) -> str:
        with self._connection() as github:
            return github.post(f"/app/installations/{installation}/access_tokens", body).text("token")

    @contextmanager
    def _connection(self, token: str = "") -> Iterator[GitHubConnection]:
        """`token`: empty for the App's own."""
        settings = self._settings
        connection = GitHubConnection(
            token or create_app_token(settings.app_id, settings.private_key),
            settings.api_url,
            deadline=lambda: _SECONDS,
            bearer=not token,
        )
        try:
            with closing(connection):
                yield connection
        except GitHubError as error:
            raise GitHubError(error.kind, error.message, _HINTS.get(error.kind, error.hint)) from error


def _has_audit(github: GitHubConnection, repository: str) -> bool:
    """Returns whether the configuration on the default branch has the key. Raises GitHubError and SettingsError."""
    try:
        file = github.get(f"/repos/{repository}/contents/{DEFAULT_CONFIG_PATH}", {"ref": "HEAD"})
    except GitHubError as error:
        if error.kind is GitHubErrorKind.NOT_FOUND:
            return False
        raise
    text = base64.b64decode(file.text("content"))
    return "audit" in parse_config(text, path=DEFAULT_CONFIG_PATH).model_fields_set


def _read_delivery(one: JsonValue) -> HookDelivery:
    return HookDelivery(
        one.number("id"),
        one.text("guid"),
        datetime.fromisoformat(one.text("delivered_at")),
        200 <= one.number("status_code") < 500,
    )


def _level(name: str) -> int:
    return _LEVELS.index(name) if name in _LEVELS else 0

"""A GitHub App that is installed on several repositories: its endpoints, over one fake GitHub for each repository."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.fakes.contracts import contracts
from tests.fakes.git_http import serve_git
from tests.fakes.github import FakeGitHub
from tests.fakes.github_faults import read_request
from tests.fakes.github_messages import Json, RefusedError, Reply, Request, forbidden, not_found, page_of

APP_ID = 4_711
INSTALLATION = 77
PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "pull_requests": "write",
    "checks": "write",
    "merge_queues": "read",
    "issues": "write",
    "copilot_requests": "write",
}
EVENTS = ("issue_comment", "merge_group", "pull_request", "pull_request_review_comment")
_SCOPES = {"contents": "contents", "pull_requests": "pulls", "checks": "checks", "issues": "issues"}
"""Permissions of an App, with the names that the fake GitHub has for them."""
_LONGEST = 11 * 60
"""Seconds between the two times of a JSON web token: GitHub takes ten minutes, and a clock that is a little off."""
_UNDESCRIBED = ("copilot_requests",)
"""Permissions that GitHub has and its description lacks."""
_GIT = re.compile(r"(?:/[^/]+)*?/([^/]+/[^/]+)\.git/.*")
_INSTALLED = "/app/installations/{installation_id}/access_tokens"
_INSTALLATION_OF = "/repos/{owner}/{repo}/installation"
_ATTEMPTS = "/app/hook/deliveries/{delivery_id}/attempts"


@cache
def key_pair() -> tuple[str, str]:
    """A private and a public key in PEM, made once a process."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return text.decode(), public.decode()


@dataclass(frozen=True)
class AppToken:
    """A token that the App was given for an installation."""

    text: str
    installation: int
    repositories: tuple[str, ...]
    """Each `owner/name`."""
    permissions: Mapping[str, str]


@dataclass
class AppDelivery:
    """An attempt to deliver a webhook."""

    id: int
    guid: str
    delivered_at: str
    status_code: int
    event: str = "pull_request"


@dataclass
class FakeApp:
    """An ASGI app. `violations` has every breach of GitHub's contract, those of the repositories excepted."""

    repositories: Mapping[str, FakeGitHub]
    """By `owner/name`."""
    installations: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """The repositories of each installation; all of them in one if empty."""
    permissions: Mapping[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    events: Sequence[str] = EVENTS
    suspended: set[int] = field(default_factory=set)
    """Installations."""
    archived: set[str] = field(default_factory=set)
    forks: set[str] = field(default_factory=set)
    deliveries: list[AppDelivery] = field(default_factory=list)
    """The newest first."""
    redeliver: Callable[[AppDelivery], object] = lambda _delivery: None
    """What happens when a delivery is to be sent again, besides that it is in `redelivered`."""
    redelivered: list[int] = field(default_factory=list)
    tokens: list[AppToken] = field(default_factory=list)
    journal: list[Request] = field(default_factory=list)
    """Requests for the App's own endpoints."""
    fetched: list[str] = field(default_factory=list)
    """Paths of requests by Git."""
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.installations = self.installations or {INSTALLATION: tuple(self.repositories)}
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        if found := _GIT.fullmatch(http.url.path):
            self.fetched.append(http.url.path)
            response = await self._serve_git(http, found[1])
            await response(scope, receive, send)
            return
        request_path = http.url.path
        for prefix in ("/api/v3", "/api"):
            request_path = request_path.removeprefix(prefix)
        if request_path.startswith(("/app", "/installation/")) or request_path.endswith("/installation"):
            request = read_request(http, await http.body())
            self.journal.append(request)
            reply = self._answer(request, str(http.url.replace(query="")))
            request.status = reply.status
            text = "" if reply.body is None else json.dumps(reply.body)
            headers = {"content-type": "application/json; charset=utf-8", **reply.headers}
            await Response(text, reply.status, headers)(scope, receive, send)
            return
        await self._repository_of(http, request_path)(scope, receive, send)

    def token(self, text: str) -> AppToken | None:
        """The token with this text."""
        return next((token for token in self.tokens if token.text == text), None)

    def _repository_of(self, http: HttpRequest, path: str) -> FakeGitHub:
        """The fake that answers: of the repository in the path, or of the one that the token is for."""
        if found := re.match(r"/repos/([^/]+/[^/]+)", path):
            return self.repositories.get(found[1]) or next(iter(self.repositories.values()))
        token = self.token(http.headers.get("authorization", "").partition(" ")[2])
        name = token.repositories[0] if token is not None else next(iter(self.repositories))
        return self.repositories[name]

    async def _serve_git(self, http: HttpRequest, name: str) -> Response:
        def allow(text: str) -> bool:
            token = self.token(text)
            return token is not None and name in token.repositories and "contents" in token.permissions

        git_dir = self.repositories[name].hub.store.git_dir if name in self.repositories else None
        return Response("", 404) if git_dir is None else await serve_git(http, git_dir, allow)

    def _answer(self, request: Request, url: str) -> Reply:
        routes: tuple[tuple[str, str, Callable[[Request, str, str], Reply]], ...] = (
            ("GET", "/app", self._app),
            ("GET", "/app/installations", self._list_installations),
            ("POST", _INSTALLED, self._create_token),
            ("GET", "/installation/repositories", self._list_repositories),
            ("GET", "/app/hook/deliveries", self._list_deliveries),
            ("POST", _ATTEMPTS, self._redeliver),
            ("GET", _INSTALLATION_OF, self._installation_of),
        )
        for method, template, route in routes:
            found = re.fullmatch(re.sub(r"\{\w+\}", r"([\\w.-]+)", template), request.path)
            if method == request.method and found:
                return self._checked(request, template, lambda: route(request, url, "".join(found.groups())))  # noqa: B023  # called at once
        self.violations.append(f"the fake has no route {request.method} {request.path}")
        return not_found().reply

    def _checked(self, request: Request, template: str, route: Callable[[], Reply]) -> Reply:
        body = request.json
        if isinstance(body, dict) and isinstance(body.get("permissions"), dict):
            known = {name: kind for name, kind in body["permissions"].items() if name not in _UNDESCRIBED}
            body = {**body, "permissions": known}
        faults = [*contracts().request_faults(request.method, template, request.query, body)]
        try:
            reply = route()
        except RefusedError as refusal:
            reply = refusal.reply
        faults += contracts().answer_faults(request.method, template, reply.status, reply.body)
        self.violations += faults
        return reply

    def _authenticate(self, request: Request) -> None:
        """Checks the App's JSON web token with its public key."""
        scheme, _, text = (request.authorization or "").partition(" ")
        try:
            claims = jwt.decode(text, key_pair()[1], algorithms=["RS256"], issuer=str(APP_ID))
        except jwt.PyJWTError as error:
            raise RefusedError(401, "A JSON web token could not be decoded") from error
        if scheme != "Bearer" or claims["exp"] - claims["iat"] > _LONGEST:
            raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")

    def _app(self, request: Request, url: str, _number: str) -> Reply:
        self._authenticate(request)
        known: Json = {"id": APP_ID, "slug": "hunkwise", "name": "hunkwise", "events": list(self.events)}
        app = contracts().complete("integration", known, url)
        return Reply(200, {**app, "permissions": dict(self.permissions)})

    def _list_installations(self, request: Request, url: str, _number: str) -> Reply:
        self._authenticate(request)
        return page_of(
            list(self.installations), lambda number: self._installation(number, url), request.query, url
        )

    def _installation_of(self, request: Request, url: str, _names: str) -> Reply:
        self._authenticate(request)
        name = request.path.removeprefix("/repos/").removesuffix("/installation")
        for number, names in self.installations.items():
            if name in names:
                return Reply(200, self._installation(number, url))
        raise not_found()

    def _installation(self, number: int, url: str) -> Json:
        known: Json = {
            "id": number,
            "app_id": APP_ID,
            # Of a user or an enterprise: the check wants what both have.
            "account": {
                **contracts().complete("enterprise", {}, url),
                **contracts().complete("simple-user", {"login": "octo"}, url),
            },
            "suspended_at": "2026-01-02T03:04:05Z" if number in self.suspended else None,
            "suspended_by": None,
        }
        return contracts().complete("installation", known, url)

    def _create_token(self, request: Request, _url: str, number: str) -> Reply:
        self._authenticate(request)
        installation = int(number)
        if installation not in self.installations:
            raise not_found()
        if installation in self.suspended:
            raise RefusedError(403, "This installation has been suspended")
        body: Json = request.json or {}
        own = {name.partition("/")[2]: name for name in self.installations[installation]}
        names = body.get("repositories", list(own))
        if any(name not in own for name in names):
            raise RefusedError(
                422, "There is at least one repository that does not exist or is not accessible"
            )
        wanted: Mapping[str, str] = body.get("permissions", self.permissions)
        if any(self.permissions.get(name) not in (kind, "write") for name, kind in wanted.items()):
            raise RefusedError(422, "The permissions requested are not granted to this installation.")
        text = f"ghs_{'app'}{next(self._numbers):033d}"
        token = AppToken(text, installation, tuple(own[name] for name in names), dict(wanted))
        self.tokens.append(token)
        for name in token.repositories:
            self.repositories[name].tokens[text] = _permission(token.permissions)
        shown = {name: kind for name, kind in wanted.items() if name not in _UNDESCRIBED}
        return Reply(201, {"token": text, "expires_at": "2126-01-02T03:04:05Z", "permissions": shown})

    def _list_repositories(self, request: Request, url: str, _number: str) -> Reply:
        token = self.token((request.authorization or "").partition(" ")[2])
        if token is None:
            raise forbidden()

        def shape(name: str) -> Json:
            known: Json = {
                "full_name": name,
                "name": name.partition("/")[2],
                "archived": name in self.archived,
                "fork": name in self.forks,
                "default_branch": self.repositories[name].hub.default_branch,
            }
            return contracts().complete("repository", known, url)

        page = page_of(token.repositories, shape, request.query, url)
        return Reply(200, {"total_count": len(token.repositories), "repositories": page.body}, page.headers)

    def _list_deliveries(self, request: Request, url: str, _number: str) -> Reply:
        """A page, which the id of its first delivery names."""
        self._authenticate(request)
        size = int(request.query.get("per_page", "30"))
        first = request.query.get("cursor", "").removeprefix("v1_")
        rows = [row for row in self.deliveries if not first or row.id <= int(first)]
        headers = {}
        if len(rows) > size:
            headers["link"] = f'<{url}?per_page={size}&cursor=v1_{rows[size].id}>; rel="next"'
        return Reply(200, [_delivery_row(row) for row in rows[:size]], headers)

    def _redeliver(self, request: Request, _url: str, number: str) -> Reply:
        self._authenticate(request)
        found = next((row for row in self.deliveries if row.id == int(number)), None)
        if found is None:
            raise not_found()
        self.redelivered.append(found.id)
        self.redeliver(found)
        return Reply(202, {})


def _delivery_row(row: AppDelivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "guid": row.guid,
        "delivered_at": row.delivered_at,
        "redelivery": False,
        "duration": 0.1,
        "status": "OK" if row.status_code < 300 else "failed",
        "status_code": row.status_code,
        "event": row.event,
        "action": "opened",
        "installation_id": INSTALLATION,
        "repository_id": 1,
    }


def _permission(permissions: Mapping[str, str]) -> str:
    """What the fake GitHub calls these permissions; see `github_state.Permission`."""
    words = [f"{permissions.get(name, 'none')}:{scope}" for name, scope in _SCOPES.items()]
    return ",".join([*words, "none:security-events"])

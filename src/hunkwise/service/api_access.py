"""Who may use the web API, how often, and which session is whose."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Generic, Protocol, TypeVar

from hunkwise.copilot.connection import SESSION_PREFIX
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import GitHubConnection
from hunkwise.service.database import Connection, ConnectionPool, connected, translated
from hunkwise.settings.parsing import CLASSIC_PREFIX

REMEMBERED_SECONDS: Final = 300.0
"""How long GitHub's answers about a token are used."""
MAX_REMEMBERED: Final = 1_000
"""Answers that are remembered at a time."""
MAX_REFUSED: Final = 60
"""Tokens that GitHub may refuse in a minute; until then unknown ones are not checked any more."""
AT_ONCE: Final = 4
"""Tokens that are checked at a time."""
_DATABASE_SECONDS: Final = 5.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.-]{20,1024}")
_APP_PREFIX: Final = "ghs_"
_CURSOR: Final = "api-secret"
_T = TypeVar("_T")


class ApiError(Exception):
    """A request that is not carried out: the HTTP status, and why."""

    def __init__(self, status: int, reason: str, retry_after: int = 0) -> None:
        """`retry_after`: seconds; 0 if waiting does not help, or nobody knows how long."""
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True)
class Caller:
    """A user whose token GitHub has accepted."""

    id: int
    token: str = field(repr=False)


class _Memory(Generic[_T]):
    """Remembers values for REMEMBERED_SECONDS, the newest MAX_REMEMBERED of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._values: dict[str, tuple[float, _T]] = {}

    def get(self, key: str) -> _T | None:
        until, value = self._values.get(key, (0.0, None))
        return value if until > self._clock() else None

    def put(self, key: str, value: _T) -> None:
        self._values.pop(key, None)
        if len(self._values) >= MAX_REMEMBERED:
            del self._values[next(iter(self._values))]
        self._values[key] = (self._clock() + REMEMBERED_SECONDS, value)


class InstallationPort(Protocol):
    """Says where the App is installed; see `installation.Installations`."""

    def is_installed(self, repository: str) -> bool: ...


class Callers:
    """Checks tokens and what they may read, by GitHub. Methods raise ApiError."""

    def __init__(
        self,
        api_url: str,
        installations: InstallationPort,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_url = api_url
        self._installations = installations
        self._clock = clock
        self._users = _Memory[int | ApiError](clock)
        self._repositories = _Memory[int | ApiError](clock)
        self._refused: deque[float] = deque(maxlen=MAX_REFUSED)
        self._checks = asyncio.Semaphore(AT_ONCE)

    async def identify(self, authorization: str) -> Caller:
        """Returns the user of the token in the header `Authorization`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not _TOKEN.fullmatch(token):
            raise ApiError(401, "Send your own GitHub token in the header Authorization: Bearer TOKEN.")
        if token.startswith((CLASSIC_PREFIX, _APP_PREFIX)):
            raise ApiError(
                401,
                "Copilot accepts no classic token (ghp_) and no token of an App's installation (ghs_) here.",
            )
        return Caller(await self._look_up(self._users, _digest(token), lambda: self._user(token)), token)

    async def repository(self, caller: Caller, name: str) -> int:
        """Returns the number of the repository `owner/name`, if the caller may read it and the App is installed."""
        key = _digest(f"{caller.token} {name.casefold()}")
        return await self._look_up(self._repositories, key, lambda: self._repository(caller.token, name))

    async def _look_up(self, memory: _Memory[int | ApiError], key: str, ask: Callable[[], int]) -> int:
        """Returns what is remembered, else what `ask` returns in a thread; refusals are remembered too."""
        found = memory.get(key)
        if found is None:
            async with self._checks:
                # Meanwhile others may have asked the same, or were refused.
                found = memory.get(key) or await self._check(memory, key, ask)
        if isinstance(found, ApiError):
            raise ApiError(found.status, found.reason)
        return found

    async def _check(self, memory: _Memory[int | ApiError], key: str, ask: Callable[[], int]) -> int:
        if len(self._refused) == MAX_REFUSED and self._refused[0] > self._clock() - 60:
            raise ApiError(429, "Too many tokens were refused: try again in a minute.", 60)
        try:
            found = await asyncio.to_thread(ask)
        except ApiError as refusal:
            if refusal.status in (401, 403, 404):
                # A new one: that which was raised refers to the token.
                memory.put(key, ApiError(refusal.status, refusal.reason))
                self._refused.append(self._clock())
            raise
        memory.put(key, found)
        return found

    def _user(self, token: str) -> int:
        try:
            with closing(self._connection(token)) as github:
                return github.get("/user").number("id")
        except GitHubError as error:
            if error.kind is GitHubErrorKind.AUTHENTICATION:
                raise ApiError(401, "GitHub does not accept this token.") from error
            raise refusal_error(error) from error

    def _repository(self, token: str, name: str) -> int:
        try:
            with closing(self._connection(token)) as github:
                found = github.get(f"/repos/{name}").number("id")
            if not self._installations.is_installed(name):
                raise ApiError(403, f"The App is not installed on {name}.")
        except GitHubError as error:
            if error.kind is GitHubErrorKind.NOT_FOUND:
                raise ApiError(404, f"There is no repository {name} that this token may read.") from error
            raise refusal_error(error) from error
        return found

    def _connection(self, token: str) -> GitHubConnection:
        return GitHubConnection(token, self._api_url, deadline=lambda: 0.0)  # nothing is waited for


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


_STATUS: Final = {
    GitHubErrorKind.AUTHENTICATION: 401,
    GitHubErrorKind.FORBIDDEN: 403,
    GitHubErrorKind.BLOCKED: 403,
    GitHubErrorKind.NOT_FOUND: 404,
    GitHubErrorKind.RATE_LIMIT: 429,
}


def refusal_error(error: GitHubError) -> ApiError:
    """Returns what the caller gets if GitHub refuses a request with the caller's token."""
    return ApiError(_STATUS.get(error.kind, 502), error.message)


def session_id(secret: str, caller: Caller, repository: int, number: int, name: str) -> str:
    """Returns the id of a caller's session, which nobody can guess or choose.

    `repository`: its number on GitHub; `number`: that of the pull request, 0 for the repository as a whole.
    """
    text = json.dumps([caller.id, repository, number, name])
    return f"{SESSION_PREFIX}u{caller.id}-{hmac.new(secret.encode(), text.encode(), sha256).hexdigest()[:24]}"


class ApiDatabase:
    """What all web processes know together. Use it within `opened`. Methods raise QueueError."""

    def __init__(self, url: str, size: int) -> None:
        """`size`: connections; each locked session has one."""
        self._url = url
        self._size = size
        self._pool: ConnectionPool | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[ApiDatabase]:
        async with connected(self._url, _DATABASE_SECONDS, self._size) as pool:
            self._pool = pool
            try:
                yield self
            finally:
                self._pool = None

    async def secret(self) -> str:
        """Returns the secret from which ids of sessions are derived; the first call of all makes it."""
        async with self._transaction() as connection:
            found = await connection.execute(
                "INSERT INTO hunkwise_cursors (name, value) VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING value",
                [_CURSOR, secrets.token_hex(32)],
            )
            row = await found.fetchone()
        assert row is not None, "the statement returns a row"
        return str(row["value"])

    async def count_request(self, user: int, most: int) -> None:
        """Counts a request of a user. Raises ApiError (429) if there were `most` in this hour already."""
        async with self._transaction() as connection:
            found = await connection.execute(
                "INSERT INTO hunkwise_api_users AS u (id, hour, requests) VALUES (%s, date_trunc('hour', now()), 1)"
                " ON CONFLICT (id) DO UPDATE SET hour = excluded.hour,"
                " requests = CASE WHEN u.hour = excluded.hour THEN u.requests + 1 ELSE 1 END"
                " RETURNING requests, ceil(extract(epoch FROM hour + interval '1 hour' - now()))::integer AS seconds",
                [user],
            )
            row = await found.fetchone()
        assert row is not None, "the statement returns a row"
        if row["requests"] > most:
            raise ApiError(429, f"A user may send {most} requests in an hour.", max(1, row["seconds"]))

    @asynccontextmanager
    async def locked(self, session: str) -> AsyncIterator[None]:
        """Holds the lock of a session. Raises ApiError (409) if another request has it, in any process.

        PostgreSQL frees the lock at the end of the transaction, also if this process dies.
        """
        async with self._transaction() as connection:
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            found = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS free", [session]
            )
            row = await found.fetchone()
            if row is None or not row["free"]:
                raise ApiError(409, "Another request of this session runs: send one after the other.")
            yield

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        assert self._pool is not None, "use it within `opened`"
        with translated():
            async with self._pool.connection() as connection:
                yield connection

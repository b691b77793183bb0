"""The web API: conversations about a repository or a pull request, each with the caller's own GitHub token."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hunkwise.copilot.pool import ServerPool
from hunkwise.errors import Error, GitHubError, ModelError, ModelKind, SettingsError
from hunkwise.service.api_access import (
    ApiDatabase,
    ApiError,
    Caller,
    Callers,
    InstallationPort,
    refusal_error,
    session_id,
)
from hunkwise.service.api_answer import MAX_MESSAGE, ApiAnswers, ApiSession, Report
from hunkwise.service.database import QueueError
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.settings import ServiceSettings
from hunkwise.service.webhooks import MAX_NUMBER, REPOSITORY
from hunkwise.settings.parsing import quoted

MAX_BODY: Final = 65_536
"""Bytes."""
BODY_SECONDS: Final = 10.0
"""For receiving a request's body."""
MAX_RUNNING: Final = 16
"""Requests that one process carries out at a time."""
MAX_OF_USER: Final = 4
"""Of those, of one user."""
ALIVE_SECONDS: Final = 15.0
"""After these without an event a comment is sent, so that proxies keep the connection."""
_CLIENT_GONE: Final = 499
"""nginx's status for requests whose client has closed the connection; only metrics show it."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_MODEL_STATUS: Final = {
    ModelKind.AUTHENTICATION: 403,
    ModelKind.PAYMENT: 402,
    ModelKind.FORBIDDEN: 403,
    ModelKind.RATE_LIMIT: 429,
    ModelKind.CONTENT_FILTER: 422,
    ModelKind.UNAVAILABLE_MODEL: 422,
    ModelKind.TOO_LARGE: 422,
    ModelKind.BUDGET: 422,
    ModelKind.TIMEOUT: 504,
    ModelKind.SIDECAR: 503,
}
_MODEL_HINT: Final = {
    ModelKind.AUTHENTICATION: "Send the token of a user with Copilot; a fine-grained one needs Copilot Requests.",
    ModelKind.TOO_LARGE: "Delete the session, or begin another one.",
    ModelKind.SIDECAR: "Send the message again later.",
}
_NO_SESSION: Final = "You have no such session on this repository or pull request."
_FIELDS: Final = ("message", "repository", "pull_request")
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApiParts:
    """What the API consists of."""

    callers: Callers
    database: ApiDatabase
    answers: ApiAnswers
    secret: str
    """The secret from which the ids of sessions are derived."""


class WebApi:
    """The handlers of the API's routes."""

    def __init__(
        self,
        settings: ServiceSettings,
        parts: ApiParts,
        metrics: ServiceMetrics,
        *,
        running: int = MAX_RUNNING,
        of_user: int = MAX_OF_USER,
        body_seconds: float = BODY_SECONDS,
        alive_seconds: float = ALIVE_SECONDS,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._metrics = metrics
        self._free = running
        self._of_user = of_user
        self._users: Counter[int] = Counter()
        """Requests that are carried out, by user."""
        self._body_seconds = body_seconds
        self._alive_seconds = alive_seconds

    @property
    def routes(self) -> list[Route]:
        path = "/api/sessions/{name}"
        return [
            Route(f"{path}/messages", partial(self._carry_out, self._post), methods=["POST"]),
            Route(path, partial(self._carry_out, self._get), methods=["GET"]),
            Route(path, partial(self._carry_out, self._delete), methods=["DELETE"]),
        ]

    async def _carry_out(self, act: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        """Returns the answer of a handler, or its error as JSON."""
        try:
            response = await act(request)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_GONE)
        except (ApiError, Error) as error:
            refusal = as_api_error(error)
            headers = {
                **_HEADERS,
                "Connection": "close",  # the rest of the body may still be sent
                **({"Retry-After": str(refusal.retry_after)} if refusal.retry_after else {}),
            }
            if refusal.status == 401:
                headers["WWW-Authenticate"] = "Bearer"
            response = JSONResponse({"error": refusal.reason}, refusal.status, headers)
        self._metrics.api_requests.labels(request.method, str(response.status_code)).inc()
        return response

    async def _post(self, request: Request) -> Response:
        """Answers a message: as JSON, or as events if the client accepts those."""
        caller = await self._identify(request)
        values = await self._read_body(request)
        if unknown := sorted(values.keys() - set(_FIELDS)):
            raise ApiError(400, f"Unknown field {quoted(unknown[0][:100])}; known are {', '.join(_FIELDS)}.")
        message = values.get("message")
        if not isinstance(message, str) or not message.strip():
            raise ApiError(400, "The field message must be a text.")
        if len(message) > MAX_MESSAGE:
            raise ApiError(413, f"The field message has more than {MAX_MESSAGE:,} characters.")
        session = await self._session(
            request, caller, values.get("repository"), values.get("pull_request", 0)
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reserved(session))
            answer = partial(self._parts.answers.answer, session, message)
            if "text/event-stream" in request.headers.get("accept", ""):
                return _EventStream(answer, stack.pop_all(), self._alive_seconds)
            return await self._json_response(request, answer(_ignore))

    async def _get(self, request: Request) -> Response:
        """Returns the history of a session."""
        session = await self._session_of_query(request)
        async with self._reserved(session):
            return await self._json_response(request, self._history(session))

    async def _history(self, session: ApiSession) -> dict[str, object]:
        messages = await self._parts.answers.history(session)
        if messages is None:
            raise ApiError(404, _NO_SESSION)
        return {"session": session.name, "messages": messages}

    async def _delete(self, request: Request) -> Response:
        """Deletes a session."""
        session = await self._session_of_query(request)
        async with self._reserved(session):
            if not await self._parts.answers.delete(session):
                raise ApiError(404, _NO_SESSION)
        return Response(status_code=204, headers=_HEADERS)

    async def _json_response(
        self, request: Request, work: Coroutine[Any, Any, dict[str, object]]
    ) -> Response:
        return JSONResponse(await _while_connected(request.receive, work), headers=_HEADERS)

    async def _session_of_query(self, request: Request) -> ApiSession:
        """Returns the session that the path and the query name."""
        caller = await self._identify(request)
        number = request.query_params.get("pull_request", "0")
        parsed = int(number) if number.isascii() and number.isdecimal() and len(number) < 11 else number
        return await self._session(request, caller, request.query_params.get("repository"), parsed)

    async def _identify(self, request: Request) -> Caller:
        """Returns the caller, whose request is counted."""
        caller = await self._parts.callers.identify(request.headers.get("authorization", ""))
        await self._parts.database.count_request(caller.id, self._settings.api_requests)
        return caller

    async def _session(
        self, request: Request, caller: Caller, repository: object, number: object
    ) -> ApiSession:
        """Checks the names, and that the caller may read the repository. `number`: 0 for no pull request."""
        name = request.path_params["name"]
        if not _NAME.fullmatch(name):
            raise ApiError(
                400, "The name of a session has 1 to 64 letters, digits, dots, dashes and underscores."
            )
        if not isinstance(repository, str) or not REPOSITORY.fullmatch(repository):
            raise ApiError(400, "repository must be the name of a repository: OWNER/NAME.")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MAX_NUMBER:
            raise ApiError(400, "pull_request must be the number of a pull request.")
        found = await self._parts.callers.repository(caller, repository)
        identity = session_id(self._parts.secret, caller, found, number, name)
        return ApiSession(identity, name, caller, repository, number)

    async def _read_body(self, request: Request) -> dict[str, Any]:
        """Returns the JSON object in the body."""
        body = b""
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise ApiError(413, f"The body has more than {MAX_BODY:,} bytes.")
        except TimeoutError as error:
            raise ApiError(408, "The body did not arrive in time.") from error
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ApiError(400, "The body is not JSON.") from error
        if not isinstance(values, dict):
            raise ApiError(400, "The body is not a JSON object.")
        return values

    @asynccontextmanager
    async def _reserved(self, session: ApiSession) -> AsyncIterator[None]:
        """Takes one of the places of this process, and the lock of the session."""
        if not self._free:
            raise ApiError(503, "Too many requests are carried out: try again later.", 10)
        user = session.caller.id
        if self._users[user] >= self._of_user:
            raise ApiError(429, f"A user may send {self._of_user} requests at a time.", 10)
        self._free -= 1
        self._users[user] += 1
        try:
            async with self._parts.database.locked(session.id):
                yield
        finally:
            self._free += 1
            self._users[user] -= 1
            self._users += Counter()  # forgets those that have none


class _EventStream(Response):
    """Sends what happens while an answer is made as server-sent events; the last one is the answer, or the error."""

    media_type = "text/event-stream"

    def __init__(
        self,
        answer: Callable[[Report], Coroutine[Any, Any, dict[str, object]]],
        held: AsyncExitStack,
        alive_seconds: float,
    ) -> None:
        """`held` is closed at the end; `alive_seconds`: see ALIVE_SECONDS."""
        super().__init__(headers={**_HEADERS, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._answer = answer
        self._held = held
        self._alive_seconds = alive_seconds

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with suppress(ClientDisconnect):
                await _while_connected(receive, self._send_events(send))

    async def _send_events(self, send: Send) -> None:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()

        def report(name: str, data: Mapping[str, object]) -> None:
            queue.put_nowait(_event(name, data))

        working = asyncio.ensure_future(self._answer(report))
        working.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while True:
                event: bytes | None = b": the answer is being made\n\n"
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._alive_seconds):
                        event = await queue.get()
                if event is None:
                    break
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": _last_event(working)})
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


def _event(name: str, data: Mapping[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _last_event(working: asyncio.Future[dict[str, object]]) -> bytes:
    """Returns the event with the result: an error has its HTTP status, which can no longer be sent as one."""
    try:
        return _event("answer", working.result())
    except (ApiError, Error) as error:
        refusal = as_api_error(error)
        return _event("error", {"status": refusal.status, "error": refusal.reason})


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """Returns the result of `work`; cancels it if the client closes the connection, and raises ClientDisconnect.

    The body must have been read.
    """
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _ignore(_name: str, _data: Mapping[str, object]) -> None:
    """Does nothing: with an answer in JSON no event is sent."""


def as_api_error(error: ApiError | Error) -> ApiError:
    """Returns what the caller gets for an error, with its HTTP status."""
    match error:
        case ApiError():
            return error
        case QueueError():
            _log.warning("A request to the API was not carried out: %s", error)
            return ApiError(503, "The service's database does not answer: try again later.", 10)
        case GitHubError():
            return refusal_error(error)
        case ModelError():
            reason = f"{error.message} {_MODEL_HINT.get(error.kind, '')}".rstrip()
            return ApiError(_MODEL_STATUS.get(error.kind, 502), reason)
        case SettingsError():
            return ApiError(422, " ".join(error.faults))
        case _:
            return ApiError(502, error.message)


@asynccontextmanager
async def open_api(
    settings: ServiceSettings,
    database_url: str,
    installations: InstallationPort,
    pool: ServerPool,
    metrics: ServiceMetrics,
) -> AsyncIterator[WebApi]:
    """Provides the API until the end of the block. Raises QueueError."""
    async with ApiDatabase(database_url, MAX_RUNNING + 4).opened() as database:
        secret = settings.api_secret or await database.secret()
        callers = Callers(settings.api_url, installations)
        yield WebApi(settings, ApiParts(callers, database, ApiAnswers(settings, pool), secret), metrics)

"""A GitHub over a real git repository: REST by GitHub's own contract, GraphQL on GitHub's own schema."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from tests.fakes.contracts import contracts
from tests.fakes.faults import FaultQueue, HttpFault
from tests.fakes.git_store import GitStore, MissingObjectError
from tests.fakes.github_call import Call
from tests.fakes.github_graphql import execute
from tests.fakes.github_http import faulty_reply, read_request, send_reply
from tests.fakes.github_routes import ROUTES
from tests.fakes.github_shapes import Shapes
from tests.fakes.github_state import (
    CheckRun,
    Comment,
    Hub,
    IssueComment,
    Json,
    PullRequest,
    RefusedError,
    Reply,
    Request,
    Review,
    Thread,
    not_found,
)
from tests.fakes.server import drop_connection

_GREEDY = {"path": ".*", "basehead": ".+"}


@dataclass(frozen=True)
class GraphqlRefusal:
    """What GraphQL answers to everything: a status, or 200 with errors."""

    status: int = 200
    errors: tuple[Json, ...] = ()


class FakeGitHub:
    """An ASGI app. `violations` holds every breach of GitHub's contract by client or fake: keep it empty."""

    def __init__(
        self,
        git_dir: Path,
        repository: str = "octo/repo",
        *,
        tokens: Mapping[str, str] | None = None,
        latency: float = 0.0,
        check_contracts: bool = True,
    ) -> None:
        self.hub = Hub(GitStore(git_dir), repository, dict(tokens or {"ghs_write": "write"}))
        self.latency = latency
        self.check_contracts = check_contracts
        self.journal: list[Request] = []
        self.violations: list[str] = []
        self.graphql_refusal: GraphqlRefusal | None = None
        self.faults = FaultQueue()

    @property
    def tokens(self) -> dict[str, str]:
        """Token → write, read, or none."""
        return self.hub.tokens

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.journal if request.is_write]

    @property
    def reviews(self) -> list[Review]:
        return self.hub.reviews

    @property
    def comments(self) -> list[Comment]:
        return self.hub.comments

    @property
    def threads(self) -> list[Thread]:
        return self.hub.threads

    @property
    def issue_comments(self) -> list[IssueComment]:
        return self.hub.issue_comments

    @property
    def check_runs(self) -> list[CheckRun]:
        return self.hub.check_runs

    def add_pull_request(
        self,
        number: int = 1,
        *,
        base_sha: str,
        head_sha: str,
        fork: bool = False,
        head_repository_deleted: bool = False,
        withhold: Iterable[str] = (),
        **given: Any,
    ) -> PullRequest:
        """Further fields (title, body, author, labels, draft, …) as in PullRequest; SHAs may be branches."""
        head = f"stranger/{self.hub.repository.partition('/')[2]}" if fork else self.hub.repository
        store = self.hub.store
        pull = PullRequest(
            number,
            store.commit(base_sha),
            store.commit(head_sha),
            head_repository=None if head_repository_deleted else head,
            withhold=frozenset(withhold),
            **given,
        )
        self.hub.pulls[number] = pull
        return pull

    def fault(
        self,
        method: str,
        path_regex: str,
        *,
        times: int = 1,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        delay: float = 0.0,
        truncate: bool = False,
        html: bool = False,
        commit_then_fail: bool = False,
        disconnect: bool = False,
        redirect: str | None = None,
    ) -> None:
        """Orders a fault; the first that matches method (`*`: any) and path answers the request."""
        path = re.compile(path_regex)
        fault = HttpFault(
            method, path, status, headers or {}, body, delay, truncate, html, commit_then_fail, disconnect, redirect
        )  # fmt: skip
        self.faults.order(fault, times)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        http = HttpRequest(scope, receive)
        request = read_request(http, await http.body())
        with self.hub.lock:
            self.journal.append(request)
        fault = self.faults.take(request.method, request.path)
        await asyncio.sleep(self.latency + (fault.delay if fault else 0.0))
        reply: Reply | None = None
        if fault is None or not fault.replaces or fault.commit_then_fail:
            reply = await asyncio.to_thread(
                self._answer, request, str(http.base_url).rstrip("/"), http.url.path
            )
        if fault is not None:
            if fault.disconnect:
                await drop_connection(receive, send)
                return
            if fault.replaces or fault.body is not None or reply is None:
                reply = faulty_reply(fault)
        assert reply is not None
        request.status = reply.status
        payload = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        await send_reply(send, reply, payload.encode(), truncate=fault is not None and fault.truncate)
        if fault is not None and fault.truncate:
            await asyncio.sleep(0.02)  # lets the bytes leave before the socket goes
            await drop_connection(receive, send)

    def _answer(self, request: Request, server: str, raw_path: str) -> Reply:
        prefix = raw_path.removesuffix(request.path)
        with self.hub.lock:
            try:
                return self._dispatch(request, Shapes(self.hub, server + prefix, server))
            except RefusedError as refusal:
                return refusal.reply
            except MissingObjectError:
                return not_found().reply

    def _dispatch(self, request: Request, shapes: Shapes) -> Reply:
        token = (request.authorization or "").partition(" ")[2]
        if token and token not in self.tokens:
            raise RefusedError(401, "Bad credentials")
        if not token and request.path == "/user":
            raise RefusedError(401, "Requires authentication")
        permission = self.tokens.get(token, "none")
        if request.path == "/graphql":
            return self._graphql(request, shapes, token, permission)
        for (method, template), route in ROUTES.items():
            found = _pattern(template).fullmatch(request.path)
            if found is None or method != request.method:
                continue
            params = found.groupdict()
            self._authorize(request, params, permission)
            call = Call(
                self.hub, shapes, params, request.query, request.json, self.hub.login_of(token), token,
                shapes.api + request.path,
            )  # fmt: skip
            return self._checked(request, template, partial(route, call))
        self.violations.append(f"the fake has no route {request.method} {request.path}")
        raise not_found()

    def _authorize(self, request: Request, params: Mapping[str, str], permission: str) -> None:
        if "owner" not in params:
            return
        if f"{params['owner']}/{params['repo']}" != self.hub.repository or permission == "none":
            raise not_found()
        if request.is_write and permission != "write":
            raise RefusedError(403, "Resource not accessible by integration")

    def _checked(self, request: Request, template: str, route: Callable[[], Reply]) -> Reply:
        """Runs the route between the two checks against the contract. A bad request does not reach it."""
        faults: list[str] = []
        if self.check_contracts:
            faults = list(contracts().request_faults(request.method, template, request.query, request.json))
        if faults:
            self.violations += faults
            raise RefusedError(422, "Invalid request.\n\n" + "\n".join(faults))
        try:
            reply = route()
        except RefusedError as refusal:
            reply = refusal.reply
        if self.check_contracts:
            found = contracts().answer_faults(request.method, template, reply.status, reply.body)
            self.violations += [f"the fake's own answer: {fault}" for fault in found]
        return reply

    def _graphql(self, request: Request, shapes: Shapes, token: str, permission: str) -> Reply:
        refusal = self.graphql_refusal
        if refusal is not None:
            errors = list(refusal.errors)
            body = (
                {"data": None, "errors": errors}
                if errors
                else {"message": "Resource not accessible by integration"}
            )
            return Reply(refusal.status, body)
        if not token:
            raise RefusedError(401, "Requires authentication")
        answer = execute(self.hub, shapes.web, self.hub.login_of(token), permission, request.json)
        # Refusals have a type; an error without one says that the query breaks the schema.
        broken = [error["message"] for error in answer.get("errors", ()) if "type" not in error]
        self.violations += [f"GraphQL: {message}" for message in broken]
        return Reply(200, answer)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{_GREEDY.get(m[1], '[^/]+')})", template))

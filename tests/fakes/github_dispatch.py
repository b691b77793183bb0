"""From a request to its reply: who asks, which route answers, and GitHub's contract on both sides of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from tests.fakes.contracts import contracts
from tests.fakes.git_store import MissingObjectError
from tests.fakes.github_call import Call
from tests.fakes.github_graphql import execute
from tests.fakes.github_messages import Json, RefusedError, Reply, Request, forbidden, not_found
from tests.fakes.github_routes import ROUTES
from tests.fakes.github_shapes import Shapes
from tests.fakes.github_state import GraphqlRefusal, Hub
from tests.fakes.github_tokens import Permission, level, scope_of

_GREEDY = {"path": ".*", "basehead": ".+"}


class Dispatch:
    """Answers requests over a hub, and puts every breach of the contract into `violations`."""

    def __init__(self, hub: Hub, violations: list[str], check_contracts: bool) -> None:
        self._hub = hub
        self._violations = violations
        self._check_contracts = check_contracts

    def answer(self, request: Request, server: str, raw_path: str) -> Reply:
        """The reply, GitHub's refusals included. One request at a time."""
        prefix = raw_path.removesuffix(request.path)
        with self._hub.lock:
            try:
                return self._dispatch(request, Shapes(self._hub, server + prefix, server))
            except RefusedError as refusal:
                return refusal.reply
            except MissingObjectError:
                return not_found().reply

    def _dispatch(self, request: Request, shapes: Shapes) -> Reply:
        hub, token = self._hub, (request.authorization or "").partition(" ")[2]
        if token and token not in hub.tokens:
            raise RefusedError(401, "Bad credentials")
        if not token and request.path == "/user":
            raise RefusedError(401, "Requires authentication")
        permission = hub.tokens.get(token, "none")
        if request.path == "/graphql":
            return self._graphql(request, shapes, token, permission)
        for (method, template), route in ROUTES.items():
            found = _pattern(template).fullmatch(request.path)
            if found is None or method != request.method:
                continue
            params = found.groupdict()
            self._authorize(request, template, params, permission)
            call = Call(
                hub, shapes, params, request.query, request.json, hub.login_of(token), token,
                shapes.api + request.path,
            )  # fmt: skip
            return self._checked(request, template, partial(route, call))
        self._violations.append(f"the fake has no route {request.method} {request.path}")
        raise not_found()

    def _authorize(
        self, request: Request, template: str, params: Mapping[str, str], permission: Permission
    ) -> None:
        if "owner" not in params:
            return
        if f"{params['owner']}/{params['repo']}" != self._hub.repository or permission == "none":
            raise not_found()
        allowed = level(permission, scope_of(template))
        if allowed == "none" or (request.is_write and allowed != "write"):
            raise forbidden()

    def _checked(self, request: Request, template: str, route: Callable[[], Reply]) -> Reply:
        """Runs the route between the two checks against the contract. A bad request does not reach it."""
        faults: list[str] = []
        if self._check_contracts:
            faults = list(contracts().request_faults(request.method, template, request.query, request.json))
        if faults:
            self._violations += faults
            raise RefusedError(422, "Invalid request.\n\n" + "\n".join(faults))
        try:
            reply = route()
        except RefusedError as refusal:
            reply = refusal.reply
        if self._check_contracts:
            found = contracts().answer_faults(request.method, template, reply.status, reply.body)
            self._violations += [f"the fake's own answer: {fault}" for fault in found]
        return reply

    def _graphql(self, request: Request, shapes: Shapes, token: str, permission: Permission) -> Reply:
        if self._hub.graphql_refusal is not None:
            return _refused(self._hub.graphql_refusal)
        if not token:
            raise RefusedError(401, "Requires authentication")
        answer = execute(self._hub, shapes.web, self._hub.login_of(token), permission, request.json)
        errors: Iterable[Json] = answer.get("errors", ())
        # Refusals have a type; an error without one says that the query breaks the schema.
        broken = [error["message"] for error in errors if "type" not in error]
        self._violations += [f"GraphQL: {message}" for message in broken]
        return Reply(200, answer)


def _refused(refusal: GraphqlRefusal) -> Reply:
    if refusal.errors:
        return Reply(refusal.status, {"data": None, "errors": list(refusal.errors)})
    return Reply(refusal.status, {"message": "Resource not accessible by integration"})


@cache
def _pattern(template: str) -> re.Pattern[str]:
    # A path may hold a line feed.
    regex = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{_GREEDY.get(m[1], '[^/]+')})", template)
    return re.compile(regex, re.DOTALL)

"""The fake GitHub: its HTTP server, and the events that people cause between two runs."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from tests.fakes import github_reviews as ends
from tests.fakes.git_repository import GitStore
from tests.fakes.github_faults import (
    Action,
    FaultQueue,
    HttpFault,
    Moment,
    Moments,
    faulty_reply,
    read_request,
    send_reply,
)
from tests.fakes.github_messages import Reply, Request
from tests.fakes.github_reviews import add_reply, remove_comment
from tests.fakes.github_routes import Dispatch
from tests.fakes.github_state import (
    Alert,
    CheckRun,
    Comment,
    GraphqlRefusal,
    Hub,
    Issue,
    IssueComment,
    Permission,
    PullRequest,
    Review,
    SarifUpload,
    Thread,
)
from tests.fakes.http_server import drop_connection


class Events:
    """Everything that a test can let happen. `hub.associations` says what people are to the repository."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def push(self, number: int, revision: str) -> str:
        """Moves the head to a branch or SHA, and with it every thread as GitHub does. The SHA."""
        with self.hub.lock:
            return ends.push(self.hub, self.hub.pulls[number], revision)

    def push_base(self, number: int, revision: str) -> str:
        """Moves the base branch under the pull request. The SHA."""
        with self.hub.lock:
            return ends.push_base(self.hub, self.hub.pulls[number], revision)

    def retarget(self, number: int, base: str) -> str:
        """Puts the pull request on another base branch. The SHA."""
        with self.hub.lock:
            return ends.retarget(self.hub, self.hub.pulls[number], base)

    def close(self, number: int, *, merged: bool = False) -> PullRequest:
        with self.hub.lock:
            pull = self.hub.pulls[number]
            pull.state, pull.merged = "closed", merged
            return pull

    def reopen(self, number: int) -> PullRequest:
        with self.hub.lock:
            pull = self.hub.pulls[number]
            pull.state = "open"
            return pull

    def say(self, number: int, author: str, body: str) -> IssueComment:
        """A comment in the conversation."""
        with self.hub.lock:
            return ends.add_issue_comment(self.hub, number, author, body)

    def reply(self, thread: Thread, author: str, body: str, *, edited: bool = False) -> Comment:
        """A further comment in a thread; `edited`: by its author, afterwards."""
        with self.hub.lock:
            made = add_reply(self.hub, thread, author, body)
            made.edited_by = author if edited else ""
            return made

    def react(self, comment: Comment | IssueComment, login: str, content: str = "-1") -> None:
        """A 👎, or another reaction."""
        with self.hub.lock:
            ends.add_reaction(self.hub, comment, login, content)

    def lock(self, number: int, *, locked: bool = True) -> None:
        """Locks the conversation of a pull request or an issue, or unlocks it."""
        with self.hub.lock:
            self.hub.conversation(number).locked = locked

    def resolve(self, thread: Thread, *, by: str) -> None:
        with self.hub.lock:
            thread.resolved, thread.resolved_by = True, by

    def unresolve(self, thread: Thread) -> None:
        with self.hub.lock:
            thread.resolved, thread.resolved_by = False, ""

    def dismiss(self, alert: Alert, *, by: str, reason: str = "false positive", comment: str = "") -> None:
        """Somebody dismisses an alert of code scanning."""
        with self.hub.lock:
            alert.state, alert.dismissed_by, alert.reason, alert.comment = "dismissed", by, reason, comment

    def edit(self, comment: Comment | IssueComment | Issue, body: str, *, by: str) -> None:
        """Somebody writes something else into a comment or an issue, which keeps its author."""
        with self.hub.lock:
            comment.body, comment.edited_by = body, by

    def delete(self, comment: Comment | IssueComment) -> None:
        with self.hub.lock:
            if isinstance(comment, Comment):
                remove_comment(self.hub, comment)
            else:
                self.hub.issue_comments.remove(comment)


__all__ = ["FakeGitHub", "GraphqlRefusal"]


class FakeGitHub(Events):
    """An ASGI app, and what tests let happen on it.

    `violations` holds every breach of GitHub's contract by client or fake: keep it empty.
    """

    def __init__(
        self,
        git_dir: Path,
        repository: str = "octo/repo",
        *,
        tokens: Mapping[str, Permission] | None = None,
        latency: float = 0.0,
        check_contracts: bool = True,
    ) -> None:
        super().__init__(Hub(GitStore(git_dir), repository, dict(tokens or {"ghs_write": "write"})))
        self.latency = latency
        self.journal: list[Request] = []
        self.violations: list[str] = []
        self.faults = FaultQueue()
        self.moments = Moments()
        self.underway = 0
        """Requests that are being answered, also those whose clients are gone."""
        self._dispatch = Dispatch(self.hub, self.violations, check_contracts)

    @property
    def tokens(self) -> dict[str, Permission]:
        """Token → write, read, none, or so much in each scope (github_tokens.py)."""
        return self.hub.tokens

    @property
    def graphql_refusal(self) -> GraphqlRefusal | None:
        """What GraphQL answers to everything, if it is to refuse everything."""
        return self.hub.graphql_refusal

    @graphql_refusal.setter
    def graphql_refusal(self, refusal: GraphqlRefusal | None) -> None:
        self.hub.graphql_refusal = refusal

    @property
    def refused_mutations(self) -> set[str]:
        """Names of mutations that GraphQL forbids, while all else works."""
        return self.hub.refused_mutations

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
    def issues(self) -> dict[int, Issue]:
        return self.hub.issues

    @property
    def alerts(self) -> list[Alert]:
        return self.hub.alerts

    @property
    def check_runs(self) -> list[CheckRun]:
        return self.hub.check_runs

    @property
    def sarifs(self) -> list[SarifUpload]:
        return self.hub.sarifs

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
        asking: str = "",
    ) -> None:
        """Orders a fault; the first that matches method (`*`: any) and path answers the request.

        `asking` is searched for in the JSON text of the request, and tells GraphQL's requests apart.
        """
        path = re.compile(path_regex)
        fault = HttpFault(
            method, path, status, headers or {}, body, delay, truncate, html, commit_then_fail, disconnect,
            redirect, re.compile(asking),
        )  # fmt: skip
        self.faults.order(fault, times)

    def when(
        self,
        method: str,
        path_regex: str,
        action: Action,
        *,
        after: bool = False,
        times: int = 1,
        body: str = "",
    ) -> None:
        """Orders an action, without arguments, for the moment when a matching request comes in.

        It runs before the request takes effect, or `after` that and before it is answered, in a thread of the
        server's, and may itself ask this server. `body` is searched for in the JSON text of the request.
        """
        self.moments.order(Moment(method, re.compile(path_regex), re.compile(body), action, after, times))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.underway += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self.underway -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        request = read_request(http, await http.body())
        with self.hub.lock:
            request.position, request.time = len(self.journal), time.monotonic()
            self.journal.append(request)
        # Taken at once: whom a moment was ordered for must not depend on how long an earlier request takes.
        moments = self.moments.take(request)
        await self._happen(request, moments.before)
        fault = self.faults.take(request)
        await asyncio.sleep(self.latency + (fault.delay if fault else 0.0))
        reply: Reply | None = None
        if fault is None or not fault.replaces or fault.commit_then_fail:
            reply = await asyncio.to_thread(
                self._dispatch.answer, request, str(http.base_url).rstrip("/"), str(scope["path"])
            )
        await self._happen(request, moments.after)
        if fault is not None:
            if fault.disconnect:
                await drop_connection(receive, send)
                return
            if fault.replaces or fault.body is not None or reply is None:
                reply = faulty_reply(fault)
        assert reply is not None
        request.status = reply.status
        await send_reply(send, reply, _payload(reply), truncate=fault is not None and fault.truncate)
        if fault is not None and fault.truncate:
            await asyncio.sleep(0.02)  # lets the bytes leave before the socket goes
            await drop_connection(receive, send)

    async def _happen(self, request: Request, actions: Iterable[Action]) -> None:
        for action in actions:
            done = False
            try:
                await asyncio.to_thread(action)
                done = True
            finally:  # the server answers 500, and the test must learn why
                if not done:
                    self.violations.append(f"the action ordered for {request.method} {request.path} failed")


def _payload(reply: Reply) -> bytes:
    if reply.body is None:
        return b""
    return (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()

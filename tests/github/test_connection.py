"""Requests: reads are retried, writes are sent once, and nothing is sent after the deadline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.connection import GitHubConnection
from tests.fakes.http_server import drop_connection, serve
from tests.github.conftest import NOW, Clock

LIMITED = {"x-ratelimit-remaining": "0"}
READ = "query { viewer { login } }"


@dataclass(frozen=True)
class Reply:
    """One response of the scripted server; status 0 resets the connection."""

    status: int = 200
    body: object = field(default_factory=lambda: {"ok": "yes"})
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedServer:
    """Sends its responses in order, repeats the last one, and records the requests."""

    def __init__(self, *answers: Reply) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.cookies: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw = await request.body()
        self.bodies.append(json.loads(raw) if raw else None)
        self.cookies.append(request.headers.get("cookie", ""))
        query = f"?{request.url.query}" if request.url.query else ""
        self.requests.append((request.method, request.url.path + query))
        reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if reply.status == 0:
            await drop_connection(receive, send)
            return
        body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        headers = {
            name: value.replace("HERE", str(request.base_url).rstrip("/"))
            for name, value in reply.headers.items()
        }
        await Response(None if reply.status == 204 else body, reply.status, headers)(scope, receive, send)


@contextmanager
def connect(
    server: ScriptedServer, clock: Clock | None = None, path: str = "", token: str = "ghs_x"
) -> Iterator[GitHubConnection]:
    clock = clock or Clock()
    with serve(server) as url:
        connection = GitHubConnection(
            token,
            url + path,
            deadline=clock.deadline,
            sleep=clock.sleep,
            clock=clock.elapsed,
            now=clock.now,
        )
        yield connection
        connection.close()


def test_each_verb_sends_its_body() -> None:
    server = ScriptedServer(Reply())
    with connect(server) as connection:
        connection.post("/a", {"n": 1})
        connection.patch("/b", {"n": 2})
        connection.put("/c", {"n": 3})
        connection.delete("/d")
    assert server.requests == [("POST", "/a"), ("PATCH", "/b"), ("PUT", "/c"), ("DELETE", "/d")]
    assert server.bodies == [{"n": 1}, {"n": 2}, {"n": 3}, None]


@pytest.mark.parametrize("verb", ["delete", "put"])
def test_response_without_content_is_null(verb: str) -> None:
    with connect(ScriptedServer(Reply(204))) as connection:
        reply = connection.delete("/d") if verb == "delete" else connection.put("/d", {})
    assert reply.value is None


def test_empty_response_instead_of_content_is_an_error() -> None:
    with (
        connect(ScriptedServer(Reply(200, ""))) as connection,
        pytest.raises(GitHubError, match="it is no JSON"),
    ):
        connection.get("/a")


WRITES: dict[str, Callable[[GitHubConnection], object]] = {
    "post": lambda connection: connection.post("/a", {}),
    "patch": lambda connection: connection.patch("/a", {}),
    "put": lambda connection: connection.put("/a", {}),
    "delete": lambda connection: connection.delete("/a"),
    "mutation": lambda connection: connection.graphql("mutation { x }", {}, repeat=False),
}


@pytest.mark.parametrize("reply", [Reply(502), Reply(503, "<html>"), Reply(0), Reply(200, "<html>")])
@pytest.mark.parametrize("verb", WRITES)
def test_write_is_sent_once_for_any_response(reply: Reply, verb: str) -> None:
    server = ScriptedServer(reply, Reply())
    with connect(server) as connection, pytest.raises(GitHubError) as failed:
        WRITES[verb](connection)
    assert failed.value.kind is GitHubErrorKind.UNAVAILABLE
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [Reply(502), Reply(0), Reply(200, "<html>"), Reply(200, {"data": None})])
def test_query_is_retried_like_a_read(reply: Reply) -> None:
    server, clock = (
        ScriptedServer(reply, reply, reply, Reply(body={"data": {"viewer": {"login": "a"}}})),
        Clock(),
    )
    with connect(server, clock) as connection:
        assert connection.graphql(READ, {}).text("viewer.login") == "a"
    assert len(server.requests) == 4
    assert clock.slept == [0.2, 0.4, 0.8]


def test_query_retries_are_limited_by_number_and_deadline() -> None:
    server = ScriptedServer(Reply(502))
    with connect(server) as connection, pytest.raises(GitHubError, match="with 502"):
        connection.graphql(READ, {})
    assert len(server.requests) == 4
    late = ScriptedServer(Reply(502))
    with connect(late, Clock(0.1)) as connection, pytest.raises(GitHubError, match="with 502"):
        connection.graphql(READ, {})
    assert len(late.requests) == 1


def test_refused_query_is_not_retried() -> None:
    server = ScriptedServer(Reply(403, {"message": "Resource not accessible by integration"}))
    with connect(server) as connection, pytest.raises(GitHubError) as refused:
        connection.graphql(READ, {})
    assert refused.value.kind is GitHubErrorKind.FORBIDDEN
    assert len(server.requests) == 1


def test_data_with_errors_is_an_error_except_for_partial_queries() -> None:
    reply = Reply(
        body={"data": {"a": 1, "b": None}, "errors": [{"type": "FORBIDDEN", "path": ["b"], "message": "no"}]}
    )
    with connect(ScriptedServer(reply)) as connection:
        answer = connection.graphql_partly(READ, {})
        with pytest.raises(GitHubError) as refused:
            connection.graphql(READ, {})
    assert (answer.data.number("a"), answer.fault_at("a")) == (1, None)
    assert answer.fault_at("b") is not None
    assert refused.value.kind is GitHubErrorKind.FORBIDDEN


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(429, {}, {"retry-after": "7"}), 7.0),
        (Reply(403, {"message": "You have exceeded a secondary rate limit."}), 60.0),
        (Reply(403, {}, {**LIMITED, "x-ratelimit-reset": str(NOW + 90)}), 91.0),
        (Reply(429, {}, {**LIMITED, "x-ratelimit-reset": str(NOW - 90)}), 1.0),
    ],
)
@pytest.mark.parametrize("verb", ["get", "post", "graphql"])
def test_rate_limit_is_waited_for_within_the_deadline(reply: Reply, seconds: float, verb: str) -> None:
    clock, server = Clock(), ScriptedServer(reply, Reply(body={"data": {}}))
    with connect(server, clock) as connection:
        match verb:
            case "get":
                connection.get("/a")
            case "post":
                connection.post("/a", {})
            case _:
                connection.graphql(READ, {})
    assert clock.slept == [seconds]
    assert len(server.requests) == 2


def test_graphql_rate_limit_is_waited_for() -> None:
    limit = {"data": None, "errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
    reply = Reply(200, limit, {**LIMITED, "x-ratelimit-reset": str(NOW + 9)})
    clock = Clock()
    with connect(ScriptedServer(reply, Reply(body={"data": {}})), clock) as connection:
        connection.graphql(READ, {})
    assert clock.slept == [10.0]


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "31"},
        {**LIMITED, "x-ratelimit-reset": str(NOW + 30)},
        {**LIMITED},
        {**LIMITED, "x-ratelimit-reset": "9" * 300},
    ],
)
def test_no_wait_beyond_the_deadline(headers: dict[str, str]) -> None:
    clock, server = Clock(30.0), ScriptedServer(Reply(403, {}, headers))
    with connect(server, clock) as connection, pytest.raises(GitHubError) as limited:
        connection.get("/a")
    assert limited.value.kind is GitHubErrorKind.RATE_LIMIT
    assert limited.value.hint
    assert clock.slept == []
    assert len(server.requests) == 1


def test_sum_of_waits_is_limited_by_the_deadline() -> None:
    clock, server = Clock(10.0), ScriptedServer(Reply(429, {}, {"retry-after": "6"}))
    with connect(server, clock) as connection, pytest.raises(GitHubError):
        connection.get("/a")
    assert clock.slept == [6.0]


def test_writes_are_throttled_and_reads_are_not() -> None:
    clock, server = Clock(), ScriptedServer(Reply(body={"data": {}}))
    with connect(server, clock) as connection:
        for _ in range(45):
            connection.get("/a")
            connection.graphql(READ, {})
        connection.graphql("mutation { x }", {}, repeat=False, writes=40)
        assert clock.slept == []
        connection.post("/b", {})
    assert clock.slept == [1.0]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirected_read_is_followed_on_the_same_server_with_its_query(status: int) -> None:
    server = ScriptedServer(Reply(status, {}, {"location": "HERE/repositories/1/files"}), Reply())
    with connect(server) as connection:
        connection.get("/repos/o/r/files", {"page": 2})
    assert server.requests[1] == ("GET", "/repositories/1/files?page=2")


def test_redirected_read_uses_the_query_of_the_location() -> None:
    server = ScriptedServer(Reply(301, {}, {"location": "/api/v3/repositories/1?page=2&to=x"}), Reply())
    with connect(server, path="/api/v3") as connection:
        connection.get("/repos/o/r", {"page": 2})
    assert server.requests == [
        ("GET", "/api/v3/repos/o/r?page=2"),
        ("GET", "/api/v3/repositories/1?page=2&to=x"),
    ]


@pytest.mark.parametrize(
    "location",
    ["http://evil.example/x", "https://127.0.0.1/x", "http://[::1", "", "//[/x", "http://127.0.0.1:99999/x"],
)
@pytest.mark.parametrize("status", [301, 307])
def test_redirect_to_another_server_is_not_followed(location: str, status: int) -> None:
    server = ScriptedServer(Reply(status, {}, {"location": location}))
    with connect(server) as connection, pytest.raises(GitHubError) as refused:
        connection.get("/a")
    assert refused.value.kind is GitHubErrorKind.UNAVAILABLE
    assert refused.value.hint
    assert {path for _, path in server.requests} == {"/a"}


@pytest.mark.parametrize(
    ("status", "location", "followed"),
    [
        (307, "HERE/repositories/1/b", True),
        (308, "HERE/repositories/1/b", True),
        (301, "HERE/repositories/1/b", False),
        (302, "HERE/repositories/1/b", False),
        (303, "HERE/repositories/1/b", False),
        (307, "http://evil.example/b", False),
        (308, "http://localhost/b", False),
        (307, "", False),
    ],
)
def test_redirected_write_is_repeated_on_the_same_server_only_where_the_status_says_so(
    status: int, location: str, followed: bool
) -> None:
    server = ScriptedServer(Reply(status, {}, {"location": location}), Reply(201, {"id": 1}))
    with connect(server) as connection:
        if followed:
            assert connection.post("/a", {"body": "x"}).number("id") == 1
        else:
            with pytest.raises(GitHubError, match="which was not followed"):
                connection.post("/a", {"body": "x"})
    assert server.requests == [("POST", "/a"), *[("POST", "/repositories/1/b")] * followed]
    assert server.bodies == [{"body": "x"}] * len(server.requests)


def test_redirected_mutation_is_not_repeated() -> None:
    server = ScriptedServer(Reply(307, {}, {"location": "HERE/b"}), Reply())
    with connect(server) as connection, pytest.raises(GitHubError, match="which was not followed"):
        connection.graphql("mutation { x }", {}, repeat=False)
    assert server.requests == [("POST", "/graphql")]


def test_redirect_loop_ends() -> None:
    server = ScriptedServer(Reply(302, {}, {"location": "HERE/a"}))
    with connect(server) as connection, pytest.raises(GitHubError, match="which was not followed"):
        connection.get("/a")
    assert len(server.requests) == 4


@pytest.mark.parametrize("remaining", ["unlimited", "inf", "nan"])
def test_header_that_is_not_a_number_is_an_error(remaining: str) -> None:
    headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-limit": "1"}
    with connect(ScriptedServer(Reply(200, {}, headers))) as connection, pytest.raises(GitHubError) as failed:
        connection.post("/a", {})
    assert failed.value.kind is GitHubErrorKind.UNAVAILABLE


@pytest.mark.parametrize("path", ["/a", "graphql"])
def test_token_in_a_response_is_redacted_in_the_error(path: str) -> None:
    refusal = {"message": "You sent ghs_long_enough"}
    reply = Reply(403, refusal) if path == "/a" else Reply(200, {"errors": [refusal]})
    with (
        connect(ScriptedServer(reply), token="ghs_long_enough") as connection,
        pytest.raises(GitHubError) as caught,
    ):
        connection.get(path) if path == "/a" else connection.graphql(READ, {})
    assert "You sent ***" in caught.value.message


def test_cookies_are_not_stored() -> None:
    server = ScriptedServer(Reply(headers={"set-cookie": "session=x; Path=/"}))
    with connect(server) as connection:
        connection.get("/a")
        connection.get("/b")
    assert server.cookies == ["", ""]


def test_pages_are_followed_on_the_same_server_only() -> None:
    server = ScriptedServer(
        Reply(200, [1], {"link": '<HERE/a?page=1>; rel="first", <HERE/a?cursor=v1_7>; rel="next"'}),
        Reply(200, [2], {"link": '<https://example.com/a?cursor=v1_9>; rel="next"'}),
    )
    with connect(server) as connection:
        pages = [page.value for page in connection.pages("/a", {"x": "y"})]
    assert pages == [[1], [2]]
    assert server.requests == [("GET", "/a?per_page=100&x=y"), ("GET", "/a?cursor=v1_7")]


@pytest.mark.parametrize("link", ["", "nonsense", '<http://[>; rel="next"', '<HERE/a>; rel="prev"'])
def test_a_list_without_a_next_page_has_one(link: str) -> None:
    with connect(ScriptedServer(Reply(200, [1], {"link": link}))) as connection:
        assert [page.value for page in connection.pages("/a")] == [[1]]

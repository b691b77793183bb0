"""How requests are sent: each read until it holds, each write once, and nothing past the deadline."""

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
class Said:
    """One answer of the scripted server; status 0 resets the connection."""

    status: int = 200
    body: object = field(default_factory=lambda: {"ok": "yes"})
    headers: dict[str, str] = field(default_factory=dict)


class Script:
    """Gives its answers in turn, the last one again and again, and notes what was asked."""

    def __init__(self, *answers: Said) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.cookies: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw = await request.body()
        self.bodies.append(json.loads(raw) if raw else None)
        self.cookies.append(request.headers.get("cookie", ""))
        query = f"?{request.url.query}" if request.url.query else ""
        self.asked.append((request.method, request.url.path + query))
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if said.status == 0:
            await drop_connection(receive, send)
            return
        body = said.body if isinstance(said.body, str) else json.dumps(said.body)
        headers = {
            name: value.replace("HERE", str(request.base_url).rstrip("/"))
            for name, value in said.headers.items()
        }
        await Response(None if said.status == 204 else body, said.status, headers)(scope, receive, send)


@contextmanager
def connected(
    script: Script, clock: Clock | None = None, path: str = "", token: str = "ghs_x"
) -> Iterator[GitHubConnection]:
    clock = clock or Clock()
    with serve(script) as url:
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
    script = Script(Said())
    with connected(script) as connection:
        connection.post("/a", {"n": 1})
        connection.patch("/b", {"n": 2})
        connection.put("/c", {"n": 3})
        connection.delete("/d")
    assert script.asked == [("POST", "/a"), ("PATCH", "/b"), ("PUT", "/c"), ("DELETE", "/d")]
    assert script.bodies == [{"n": 1}, {"n": 2}, {"n": 3}, None]


@pytest.mark.parametrize("verb", ["delete", "put"])
def test_an_answer_without_content_is_null(verb: str) -> None:
    with connected(Script(Said(204))) as connection:
        said = connection.delete("/d") if verb == "delete" else connection.put("/d", {})
    assert said.value is None


def test_an_empty_answer_where_content_belongs_is_senseless() -> None:
    with connected(Script(Said(200, ""))) as connection, pytest.raises(GitHubError, match="it is no JSON"):
        connection.get("/a")


WRITES: dict[str, Callable[[GitHubConnection], object]] = {
    "post": lambda connection: connection.post("/a", {}),
    "patch": lambda connection: connection.patch("/a", {}),
    "put": lambda connection: connection.put("/a", {}),
    "delete": lambda connection: connection.delete("/a"),
    "mutation": lambda connection: connection.graphql("mutation { x }", {}, repeat=False),
}


@pytest.mark.parametrize("said", [Said(502), Said(503, "<html>"), Said(0), Said(200, "<html>")])
@pytest.mark.parametrize("verb", WRITES)
def test_a_write_is_sent_once_whatever_comes_back(said: Said, verb: str) -> None:
    script = Script(said, Said())
    with connected(script) as connection, pytest.raises(GitHubError) as failed:
        WRITES[verb](connection)
    assert failed.value.kind is GitHubErrorKind.UNAVAILABLE
    assert len(script.asked) == 1


@pytest.mark.parametrize("said", [Said(502), Said(0), Said(200, "<html>"), Said(200, {"data": None})])
def test_a_query_is_repeated_like_a_read(said: Said) -> None:
    script, clock = Script(said, said, said, Said(body={"data": {"viewer": {"login": "a"}}})), Clock()
    with connected(script, clock) as connection:
        assert connection.graphql(READ, {}).text("viewer.login") == "a"
    assert len(script.asked) == 4
    assert clock.slept == [0.2, 0.4, 0.8]


def test_a_query_is_not_repeated_without_end_or_past_the_deadline() -> None:
    script = Script(Said(502))
    with connected(script) as connection, pytest.raises(GitHubError, match="with 502"):
        connection.graphql(READ, {})
    assert len(script.asked) == 4
    late = Script(Said(502))
    with connected(late, Clock(0.1)) as connection, pytest.raises(GitHubError, match="with 502"):
        connection.graphql(READ, {})
    assert len(late.asked) == 1


def test_a_refused_query_is_not_repeated() -> None:
    script = Script(Said(403, {"message": "Resource not accessible by integration"}))
    with connected(script) as connection, pytest.raises(GitHubError) as refused:
        connection.graphql(READ, {})
    assert refused.value.kind is GitHubErrorKind.FORBIDDEN
    assert len(script.asked) == 1


def test_data_beside_errors_is_an_error_unless_it_is_asked_for_partly() -> None:
    said = Said(
        body={"data": {"a": 1, "b": None}, "errors": [{"type": "FORBIDDEN", "path": ["b"], "message": "no"}]}
    )
    with connected(Script(said)) as connection:
        answer = connection.graphql_partly(READ, {})
        with pytest.raises(GitHubError) as refused:
            connection.graphql(READ, {})
    assert (answer.data.number("a"), answer.fault_at("a")) == (1, None)
    assert answer.fault_at("b") is not None
    assert refused.value.kind is GitHubErrorKind.FORBIDDEN


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (Said(429, {}, {"retry-after": "7"}), 7.0),
        (Said(403, {"message": "You have exceeded a secondary rate limit."}), 60.0),
        (Said(403, {}, {**LIMITED, "x-ratelimit-reset": str(NOW + 90)}), 91.0),
        (Said(429, {}, {**LIMITED, "x-ratelimit-reset": str(NOW - 90)}), 1.0),
    ],
)
@pytest.mark.parametrize("verb", ["get", "post", "graphql"])
def test_a_rate_limit_is_waited_out_within_the_deadline(said: Said, seconds: float, verb: str) -> None:
    clock, script = Clock(), Script(said, Said(body={"data": {}}))
    with connected(script, clock) as connection:
        match verb:
            case "get":
                connection.get("/a")
            case "post":
                connection.post("/a", {})
            case _:
                connection.graphql(READ, {})
    assert clock.slept == [seconds]
    assert len(script.asked) == 2


def test_graphqls_own_limit_is_waited_out_too() -> None:
    limit = {"data": None, "errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
    said = Said(200, limit, {**LIMITED, "x-ratelimit-reset": str(NOW + 9)})
    clock = Clock()
    with connected(Script(said, Said(body={"data": {}})), clock) as connection:
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
def test_no_wait_goes_past_the_deadline(headers: dict[str, str]) -> None:
    clock, script = Clock(30.0), Script(Said(403, {}, headers))
    with connected(script, clock) as connection, pytest.raises(GitHubError) as limited:
        connection.get("/a")
    assert limited.value.kind is GitHubErrorKind.RATE_LIMIT
    assert limited.value.hint
    assert clock.slept == []
    assert len(script.asked) == 1


def test_waits_add_up_to_no_more_than_the_deadline() -> None:
    clock, script = Clock(10.0), Script(Said(429, {}, {"retry-after": "6"}))
    with connected(script, clock) as connection, pytest.raises(GitHubError):
        connection.get("/a")
    assert clock.slept == [6.0]


def test_writes_are_paced_and_reads_are_not() -> None:
    clock, script = Clock(), Script(Said(body={"data": {}}))
    with connected(script, clock) as connection:
        for _ in range(45):
            connection.get("/a")
            connection.graphql(READ, {})
        connection.graphql("mutation { x }", {}, repeat=False, writes=40)
        assert clock.slept == []
        connection.post("/b", {})
    assert clock.slept == [1.0]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_moved_read_is_followed_on_the_same_server_with_its_query(status: int) -> None:
    script = Script(Said(status, {}, {"location": "HERE/repositories/1/files"}), Said())
    with connected(script) as connection:
        connection.get("/repos/o/r/files", {"page": 2})
    assert script.asked[1] == ("GET", "/repositories/1/files?page=2")


def test_a_moved_read_takes_the_query_that_it_is_given() -> None:
    script = Script(Said(301, {}, {"location": "/api/v3/repositories/1?page=2&to=x"}), Said())
    with connected(script, path="/api/v3") as connection:
        connection.get("/repos/o/r", {"page": 2})
    assert script.asked == [
        ("GET", "/api/v3/repos/o/r?page=2"),
        ("GET", "/api/v3/repositories/1?page=2&to=x"),
    ]


@pytest.mark.parametrize(
    "location",
    ["http://evil.example/x", "https://127.0.0.1/x", "http://[::1", "", "//[/x", "http://127.0.0.1:99999/x"],
)
@pytest.mark.parametrize("status", [301, 307])
def test_a_read_that_moved_elsewhere_is_not_followed(location: str, status: int) -> None:
    script = Script(Said(status, {}, {"location": location}))
    with connected(script) as connection, pytest.raises(GitHubError) as refused:
        connection.get("/a")
    assert refused.value.kind is GitHubErrorKind.UNAVAILABLE
    assert refused.value.hint
    assert {path for _, path in script.asked} == {"/a"}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_write_is_never_followed(status: int) -> None:
    script = Script(Said(status, {}, {"location": "HERE/b"}), Said())
    with connected(script) as connection, pytest.raises(GitHubError, match="which was not followed"):
        connection.post("/a", {})
    assert script.asked == [("POST", "/a")]


def test_a_read_that_is_sent_in_a_circle_ends() -> None:
    script = Script(Said(302, {}, {"location": "HERE/a"}))
    with connected(script) as connection, pytest.raises(GitHubError, match="which was not followed"):
        connection.get("/a")
    assert len(script.asked) == 4


@pytest.mark.parametrize("remaining", ["unlimited", "inf", "nan"])
def test_a_header_that_is_no_number_is_senseless(remaining: str) -> None:
    headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-limit": "1"}
    with connected(Script(Said(200, {}, headers))) as connection, pytest.raises(GitHubError) as failed:
        connection.post("/a", {})
    assert failed.value.kind is GitHubErrorKind.UNAVAILABLE


@pytest.mark.parametrize("path", ["/a", "graphql"])
def test_a_server_that_repeats_the_token_is_not_quoted_with_it(path: str) -> None:
    refusal = {"message": "You sent ghs_long_enough"}
    said = Said(403, refusal) if path == "/a" else Said(200, {"errors": [refusal]})
    with connected(Script(said), token="ghs_long_enough") as connection, pytest.raises(GitHubError) as caught:
        connection.get(path) if path == "/a" else connection.graphql(READ, {})
    assert "You sent ***" in caught.value.message


def test_no_cookie_is_kept() -> None:
    script = Script(Said(headers={"set-cookie": "session=x; Path=/"}))
    with connected(script) as connection:
        connection.get("/a")
        connection.get("/b")
    assert script.cookies == ["", ""]

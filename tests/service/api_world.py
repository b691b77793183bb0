"""The world of the web API: two users of one repository, two real Copilot CLIs, and a Copilot that notes its tokens."""

from __future__ import annotations

import asyncio
import copy
import http.client
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette

from hunkwise.copilot.connection import Heartbeat
from hunkwise.copilot.pool import ServerPool, open_pool
from hunkwise.copilot.sidecar import Address
from hunkwise.service.api import ApiParts, WebApi
from hunkwise.service.api_access import ApiDatabase, Callers
from hunkwise.service.api_answer import ApiAnswers
from hunkwise.service.installation import Installations
from hunkwise.service.metrics import ServiceMetrics
from hunkwise.service.settings import ServiceSettings
from tests.end_to_end.world import BASE, HEAD, wait_until
from tests.fakes.copilot_api import FakeCopilot
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.github_app import APP_ID, FakeApp, key_pair
from tests.fakes.http_server import serve
from tests.fakes.model_script import Answer, ModelRequest, ToolCall
from tests.fakes_contract.cli import RealCli, running_cli

ALICE, BOB, CAROL = "gho_CanaryAlice1234567890", "gho_CanaryBob12345678901", "gho_CanaryCarol123456789"
"""Copilot does not accept Carol's."""
SERVER_TOKEN = "github_pat_CanaryServer123456"
"""Of the CLIs themselves: no request of the API may bear it."""
REPOSITORY, HIDDEN, WITHOUT_APP = "octo/repo", "octo/hidden", "octo/without-app"
QUICK = Heartbeat(0.2, 5.0)


def recalling(request: ModelRequest) -> Answer:
    """Answers with the number of the user's messages in the conversation, in one call of the tool."""
    count = sum(message.role == "user" for message in request.messages)
    return Answer(tool_calls=(ToolCall("answer", {"text": f"This is message {count}.", "done": True}),))


@dataclass(frozen=True)
class Reply:
    """An answer of the API."""

    status: int
    body: Any
    headers: Mapping[str, str]


class ApiWorld:
    """Requests to the API, the servers behind it, and what reached Copilot."""

    def __init__(
        self, folder: Path, app: FakeApp, app_url: str, copilot: FakeCopilot, copilot_url: str
    ) -> None:
        self.app = app
        self.copilot = copilot
        self.url = ""
        self.pool: ServerPool | None = None
        self.end: Callable[[], object] = lambda: None
        """Closes what the API uses, before its server stops."""
        self.settings = ServiceSettings(
            folder / "data", None, APP_ID, key_pair()[0], (b"secret",), api_url=app_url, api=True, api_requests=1_000
        )  # fmt: skip
        self._folder = folder
        self._environ = {
            "COPILOT_API_URL": copilot_url,
            "COPILOT_DEBUG_GITHUB_API_URL": copilot_url,
            "COPILOT_GITHUB_TOKEN": SERVER_TOKEN,
        }

    @contextmanager
    def cli(self, name: str, port: int = 0, *, has_token: bool = True) -> Iterator[RealCli]:
        """Runs a server, whose sessions are in the folder of that name. `has_token`: one of its own for Copilot."""
        environ = {name: text for name, text in self._environ.items() if has_token or text != SERVER_TOKEN}
        with running_cli(self._folder / name, environ, port=port, token="connection-token-of-tests") as cli:
            yield cli

    def sessions(self, name: str) -> list[str]:
        """Returns the ids of the sessions in the folder of a server."""
        folder = self._folder / name / "copilot" / "session-state"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def files(self, *names: str) -> Iterator[str]:
        """Yields the texts of all files that the servers have written."""
        for name in names:
            for path in (self._folder / name).rglob("*"):
                if path.is_file():
                    yield path.read_text("utf-8", "replace")

    def send(
        self, name: str, message: object = "Why?", token: str = ALICE, *, body: bytes = b"", **fields: Any
    ) -> Reply:
        """Sends a message. `body` replaces the JSON."""
        text = body or json.dumps({"message": message, "repository": REPOSITORY, **fields}).encode()
        return self.request("POST", f"/api/sessions/{name}/messages", token, text)

    def read(self, name: str, token: str = ALICE, method: str = "GET", **query: Any) -> Reply:
        """Asks for the history of a session, or deletes it."""
        return self.request(
            method, f"/api/sessions/{name}?{urlencode({'repository': REPOSITORY, **query})}", token
        )

    def request(self, method: str, path: str, token: str, body: bytes | None = None) -> Reply:
        with closing(self.connection()) as connection:
            connection.request(method, path, body, {"authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            text = answer.read()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            is_json = headers.get("content-type") == "application/json"
            return Reply(answer.status, json.loads(text) if is_json else text.decode(), headers)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)

    @contextmanager
    def stream(self, name: str, message: str = "Why?") -> Iterator[http.client.HTTPResponse]:
        """Sends a message as Alice, and yields the answer as soon as it begins: events."""
        headers = {"authorization": f"Bearer {ALICE}", "accept": "text/event-stream"}
        body = json.dumps({"message": message, "repository": REPOSITORY})
        with closing(self.connection()) as connection:
            connection.request("POST", f"/api/sessions/{name}/messages", body, headers)
            with closing(connection.getresponse()) as answer:
                yield answer

    def tokens_since(self, mark: int) -> set[str]:
        """Returns the tokens of the requests to Copilot after the first `mark` ones.

        Not that with which a CLI asks for its own account at its start.
        """
        start = ("/copilot_internal/user", SERVER_TOKEN)
        return {entry.token for entry in self.copilot.journal[mark:] if (entry.path, entry.token) != start}

    def server_number(self, session: str) -> int:
        """Returns which server has the sessions of that id."""
        assert self.pool is not None
        return self.pool.servers.index(self.pool.server_of(session))

    def wait_until_up(self, number: int) -> None:
        assert self.pool is not None
        server = self.pool.servers[number]
        wait_until(lambda: server.up, 20)


def events_of(answer: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """Yields name and data of each event, as it comes."""
    name = ""
    for raw in answer:
        field, _, value = raw.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@contextmanager
def api_world(folder: Path) -> Iterator[ApiWorld]:
    """Serves GitHub and Copilot, and checks at the end what GitHub was asked."""
    repository = GitRepository.create(folder / "github")
    repository.commit({**BASE, "notes.md": "The magic number is 42.\n"})
    repository.branch("feature")
    repository.commit(HEAD)
    people = {ALICE: "alice", BOB: "bob", CAROL: "carol"}
    fakes = {}
    for name, permission in ((REPOSITORY, "read"), (HIDDEN, "none"), (WITHOUT_APP, "read")):
        fake = fakes[name] = FakeGitHub(repository.git_dir, name, tokens=dict.fromkeys(people, permission))
        fake.hub.people.update(people)
    fakes[REPOSITORY].add_pull_request(1, base_sha="main", head_sha="feature", title="Three hunks")
    app = FakeApp(fakes, installations={77: (REPOSITORY, HIDDEN)})
    copilot = FakeCopilot([ALICE, BOB, SERVER_TOKEN], recalling)
    with serve(app) as app_url, serve(copilot) as copilot_url:
        yield ApiWorld(folder, app, app_url, copilot, copilot_url)
    assert app.violations == []
    assert [violation for fake in fakes.values() for violation in fake.violations] == []


@contextmanager
def serving_api(
    world: ApiWorld,
    database: str,
    clis: Mapping[str, RealCli],
    *,
    settings: Mapping[str, Any] | None = None,
    times: Mapping[str, float] | None = None,
    **limits: Any,
) -> Iterator[ApiWorld]:
    """Serves the API with these servers, and yields a world for it. `times`: of ApiAnswers; `limits`: of WebApi."""
    served = copy.copy(world)
    chosen = ServiceSettings(**{**_fields(world.settings), **(settings or {})})
    addresses = [cli.address for cli in clis.values()]
    addresses = addresses or [Address("127.0.0.1", 1)]  # where nothing listens

    closed = threading.Event()

    async def hold(app: Starlette, ready: asyncio.Event, over: asyncio.Event) -> None:
        async with (
            ApiDatabase(database, 20).opened() as store,
            open_pool(addresses, wait=bool(clis), heartbeat=QUICK) as pool,
        ):
            served.pool = pool
            callers = Callers(chosen.api_url, Installations(chosen))
            parts = ApiParts(callers, store, ApiAnswers(chosen, pool, **(times or {})), "s" * 32)
            app.router.routes.extend(WebApi(chosen, parts, ServiceMetrics(), **limits).routes)
            await pool.wait_until_tried()
            ready.set()
            await over.wait()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        ready, over = asyncio.Event(), asyncio.Event()
        holding = asyncio.create_task(hold(app, ready, over))
        holding.add_done_callback(lambda _: closed.set())
        loop = asyncio.get_running_loop()
        served.end = lambda: loop.call_soon_threadsafe(over.set)
        await asyncio.wait({holding, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield

    with serve(Starlette(lifespan=lifespan), lifespan="on") as url:
        served.url = url
        try:
            yield served
        finally:
            served.end()
            assert closed.wait(20)


def _fields(settings: ServiceSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


@contextmanager
def two_servers(world: ApiWorld) -> Iterator[dict[str, RealCli]]:
    """Runs two servers with folders of their own."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(world.cli(name)) for name in ("first", "second")}


def until_in_flight(world: ApiWorld, count: int = 1, seconds: float = 20.0) -> None:
    """Waits until that many calls of the model are under way."""
    limit = time.monotonic() + seconds
    while world.copilot.model.in_flight != count:
        assert time.monotonic() < limit, world.copilot.model.in_flight
        time.sleep(0.01)

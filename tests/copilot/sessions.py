"""Sends questions to the real CLI through hunkwise's sessions."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from copilot.session import ProviderConfig
from starlette.types import Receive, Scope, Send

from hunkwise.copilot.connection import CopilotConnection
from hunkwise.copilot.session import ConnectionSource, Copilot, ModelSource
from hunkwise.domain.model import Budget, Deadline, ReportTool, ToolReply
from hunkwise.domain.model import Question as DomainQuestion
from hunkwise.domain.pull_request import Known, ReadableCode, SearchableCommit
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError
from hunkwise.prompts.report_findings import DESCRIPTION, REPORT, parameters
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Script

MODEL = "my-model"


@dataclass
class FakeRepository:
    """Files by path; `calls` lists the requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    hits: list[tuple[str, int, str]] | None = field(default_factory=list)
    calls: list[tuple[object, ...]] = field(default_factory=list)

    @property
    def searchable(self) -> bool:
        return self.hits is not None

    def read(self, path: str) -> bytes | None:
        self.calls.append(("read", path))
        return self.files.get(path)

    def read_many(self, paths: Sequence[str]) -> Known:
        return {path: self.files.get(path) for path in paths}

    def search(
        self, pattern: str, paths: tuple[str, ...], **_limits: object
    ) -> list[tuple[str, int, str]] | None:
        self.calls.append(("search", pattern, paths))
        return self.hits

    def list(self, path: str) -> tuple[str, ...] | None:
        self.calls.append(("list", path))
        inside = f"{path}/" if path else ""
        rests = [name.removeprefix(inside) for name in self.files if name.startswith(inside)]
        names = tuple(dict.fromkeys(rest.split("/")[0] + "/" * ("/" in rest) for rest in rests))
        return names or None


@dataclass
class ReportCollector:
    """Collects reports: the first `declined` are rejected, the next one is accepted."""

    declined: int = 0
    reports: list[Any] = field(default_factory=list)
    done: bool = False

    def take(self, arguments: object) -> ToolReply:
        self.reports.append(arguments)
        if len(self.reports) <= self.declined:
            return ToolReply("line 7 is not in the diff", accepted=False)
        self.done = True
        return ToolReply("taken", accepted=True)


@dataclass(frozen=True)
class Asked:
    """The result of a question."""

    reports: list[Any]
    error: ModelError | None
    usage: Usage
    budget: Budget


@dataclass(frozen=True)
class Question:
    """One question and its limits."""

    system: str = "You review."
    prompt: str = "Review this."
    declined: int = 0
    max_model_calls: int = 50
    max_tokens: int | None = None
    seconds: float = 30.0
    repository: SearchableCommit = field(default_factory=FakeRepository)
    code: ReadableCode | None = None
    """Replaces `repository` when set."""
    model: str | None = MODEL
    impatient: bool = False
    provider: ProviderConfig = field(default_factory=lambda: ProviderConfig(type="openai"))
    """Of the user's provider; its base URL is a path that is appended to the server's URL."""


def copilot(connections: ConnectionSource, question: Question, provider: ProviderConfig | None) -> Copilot:
    """Returns a session factory with the question's deadline."""
    return Copilot(
        connections,
        ModelSource(provider),
        question.code or ReadableCode(question.repository),
        Deadline(time.monotonic() + question.seconds, time.monotonic),
    )


def report_tool(collector: ReportCollector) -> ReportTool:
    """Returns the report tool of a diff review, which passes reports to the collector."""
    return ReportTool(REPORT, DESCRIPTION, parameters(), collector.take, lambda: collector.done)


def domain_question(question: Question, collector: ReportCollector, budget: Budget) -> DomainQuestion:
    """Converts the question to the product's class."""
    return DomainQuestion(
        "review",
        question.system,
        question.prompt,
        report_tool(collector),
        budget,
        model=question.model,
        impatient=question.impatient,
    )


async def put(
    connection: ConnectionSource,
    url: str,
    question: Question,
    *,
    own: bool = True,
    budget: Budget | None = None,
) -> Asked:
    """Sends one question to the provider at `url`, or to Copilot if `own` is false."""
    config = ProviderConfig(**question.provider)
    config["base_url"] = url + config.get("base_url", "")
    config["api_key"] = "key"  # without one the CLI asks Azure's own service for a token
    budget = budget or Budget(question.max_model_calls, question.max_tokens)
    session = copilot(connection, question, config if own else None)
    collector = ReportCollector(question.declined)
    error = None
    try:
        await session.ask(domain_question(question, collector, budget))
    except ModelError as raised:
        error = raised
    return Asked(collector.reports, error, session.usage, budget)


@dataclass(frozen=True)
class ConnectedCli:
    """One CLI and its connection, shared by the tests of a module."""

    runner: asyncio.Runner
    connection: CopilotConnection

    def ask(self, script: Script | ScriptedModel, question: Question | None = None, **changes: Any) -> Asked:
        """Sends the question to a scripted model, which is served until the answer."""
        (result,) = self.ask_all(script, [replace(question or Question(), **changes)])
        return result

    def ask_all(self, script: Script | ScriptedModel, questions: Sequence[Question]) -> list[Asked]:
        """Sends all questions concurrently."""
        model = script if isinstance(script, ScriptedModel) else ScriptedModel(script)

        async def together(url: str) -> list[Asked]:
            return list(await asyncio.gather(*(put(self.connection, url, each) for each in questions)))

        with serve(model) as url:
            return self.runner.run(together(url))


class SilentModel:
    """An ASGI app that never answers; `hung_up` counts the requests whose client disconnected."""

    def __init__(self) -> None:
        self.requests = 0
        self.hung_up = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        self.requests += 1
        while (await receive())["type"] != "http.disconnect":
            pass
        self.hung_up += 1


def environ(**changes: str) -> dict[str, str]:
    """Returns the variables that programs need, without those that select another CLI or network."""
    names = ("PATH", "TMPDIR", "LANG")
    inherited = {
        name: text
        for name, text in os.environ.items()
        if name in names or name.startswith(("COV_", "COVERAGE_"))
    }
    return inherited | changes

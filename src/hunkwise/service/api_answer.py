"""Answers messages of the web API, as `/hunkwise ask` answers comments, with the caller's token for every read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from hunkwise.copilot.chat import (
    CALL_SECONDS,
    Chat,
    ChatEvent,
    ChatMessage,
    ChatModel,
    ToolDraft,
    ToolUse,
    delete_chat,
    read_chat,
)
from hunkwise.copilot.connection import preflight
from hunkwise.copilot.pool import ServerPool
from hunkwise.domain.command import Command, CommandWord
from hunkwise.domain.diff import by_path
from hunkwise.domain.model import READING_TOOLS, Deadline
from hunkwise.domain.pull_request import PullRequest, ReadableCode, Snapshot
from hunkwise.flows.answering import SECONDS, AnswerRequest, answer
from hunkwise.flows.base_config import prefetch, read_base_texts
from hunkwise.flows.fetch import MissingPatches, PullRequestFetch
from hunkwise.github.client import ApiTree, GitHub
from hunkwise.prompts.report_answer import REPORT, draft_text, read_answer
from hunkwise.prompts.sandbox import quoted
from hunkwise.publish.documents import answer_body
from hunkwise.redaction import SecretScan
from hunkwise.repository.git import Git
from hunkwise.service.api_access import Caller
from hunkwise.service.settings import ServiceSettings
from hunkwise.settings.config import Config, parse_overrides
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH

MAX_MESSAGE: Final = 6_000
"""Characters of a message: as many as the prompt quotes."""
READ_SECONDS: Final = 60.0
"""For reading the pull request and its configuration."""
MAX_HISTORY: Final = 100
"""Messages of a history that are returned, the newest ones."""
_ABORT_SECONDS: Final = 10.0
_LEASE_SECONDS: Final = 5.0
_DRAFT_EVERY: Final = 0.5
"""Seconds between two drafts of an answer."""

USER: Final = "user"
ASSISTANT: Final = "assistant"
"""Roles in a history."""
Report = Callable[[str, Mapping[str, object]], None]
"""Is called with the name and the data of each event while an answer is made."""


@dataclass(frozen=True)
class ApiSession:
    """A session of a caller, on a repository or one of its pull requests."""

    id: str
    """See `api_access.session_id`."""
    name: str
    """What the caller calls it."""
    caller: Caller
    repository: str
    """`owner/name`."""
    number: int = 0
    """The pull request; 0 for the repository as a whole."""

    @property
    def chat(self) -> Chat:
        return Chat(self.id, self.caller.token)


class ApiAnswers:
    """Answers in sessions on the shared Copilot CLIs. Methods raise Error."""

    def __init__(
        self,
        settings: ServiceSettings,
        pool: ServerPool,
        *,
        seconds: float = SECONDS,
        read_seconds: float = READ_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`seconds`: for one answer, after the `read_seconds` for the repository; `call_seconds`: for a history."""
        self._settings = settings
        self._pool = pool
        self._seconds = seconds
        self._read_seconds = read_seconds
        self._call_seconds = call_seconds
        model = settings.model_inputs.get("model")
        self._overrides = parse_overrides({"model": model} if model else {})

    async def answer(self, session: ApiSession, message: str, report: Report) -> dict[str, object]:
        """Returns the answer to a message. If cancelled, it ends the model's turn first."""
        scan = SecretScan([session.caller.token, *self._settings.secrets])
        ends = time.monotonic() + self._read_seconds
        github = GitHub(
            session.caller.token,
            self._settings.api_url,
            session.repository,
            deadline=lambda: 0.0,  # nothing is waited for
            last=lambda: ends - time.monotonic(),
        )
        with closing(github):
            request = await asyncio.to_thread(self._read, github, session, message)
            ends = time.monotonic() + self._seconds
            offered = None
            if any(request.config.model_order):
                async with self._pool.lease(seconds=_LEASE_SECONDS) as connection:
                    offered = await preflight(
                        connection, request.config.model_order, token=session.caller.token
                    )
            model = ChatModel(
                self._pool,
                session.chat,
                ChatMessage(message),
                request.code,
                # After that of the answer, whose end aborts the model's turn.
                Deadline(time.monotonic() + self._seconds + _ABORT_SECONDS, time.monotonic),
                next_prompt=_next_prompt(message, request.snapshot.pull_request.head_sha),
                offered=offered,
                progress=AnswerEvents(report, lambda text: self._render(text, "", "", scan)).handle,
            )
            found = await answer(request, model, asyncio.Event(), seconds=self._seconds)
        content = self._render(found.text, found.suggestion, found.why_none, scan)
        return {"session": session.name, "content": content, "resumed": model.resumed, "kept": model.kept}

    async def history(self, session: ApiSession) -> list[dict[str, str]] | None:
        """Returns the messages of a session, each with `role` and `content`; None if it does not exist."""
        messages = await read_chat(self._pool, session.chat, REPORT, seconds=self._call_seconds)
        if messages is None:
            return None
        scan = SecretScan([session.caller.token, *self._settings.secrets])
        return [
            {
                "role": role,
                "content": scan.redacted(text) if role == USER else self._render(text, "", "", scan),
            }
            for role, text in history_entries(messages)
        ]

    async def delete(self, session: ApiSession) -> bool:
        """Deletes a session; returns whether it existed."""
        return await delete_chat(self._pool, session.chat, seconds=self._call_seconds)

    def _render(self, text: str, suggestion: str, why_none: str, scan: SecretScan) -> str:
        return scan.redacted(answer_body(text, suggestion, why_none, server_url=self._settings.server_url))

    def _read(self, github: GitHub, session: ApiSession, message: str) -> AnswerRequest:
        command = Command(CommandWord.ASK, message)
        if not session.number:
            return _read_repository(github, command, self._overridden)
        withheld = MissingPatches(github, None, Git.diff_blobs)
        fetch = PullRequestFetch(github, withheld, lambda _sha: None, partial(ApiTree, github))
        fetched = fetch.run(session.number, DEFAULT_CONFIG_PATH, self._overridden)
        pull_request, files = fetched.snapshot.pull_request, fetched.snapshot.files
        head, base = ApiTree(github, pull_request.head_sha), ApiTree(github, pull_request.base_sha)
        code = ReadableCode(head, base, by_path(files))
        texts = fetched.texts
        return AnswerRequest(
            command, fetched.snapshot, texts.config, texts.templates, code, state=fetched.state
        )

    def _overridden(self, config: Config) -> Config:
        return config.with_overrides(self._overrides)


def _read_repository(
    github: GitHub, command: Command, overridden: Callable[[Config], Config]
) -> AnswerRequest:
    """Returns a question about the newest commit of the default branch, and no change. Raises Error."""
    sha = github.connection.get(f"/repos/{github.repository}/commits/HEAD").text("sha")
    head = ApiTree(github, sha)
    where = f"the default branch ({sha[:7]})"
    texts = read_base_texts(prefetch(head, DEFAULT_CONFIG_PATH), DEFAULT_CONFIG_PATH, overridden, where)
    instructions = texts.instructions if texts.config.context.instructions else ()
    no_change = PullRequest(github.repository, 0, "", "", "", base="", base_sha=sha, head="", head_sha=sha)
    snapshot = Snapshot(no_change, (), instructions=instructions, attributes=texts.attributes, audit=True)
    return AnswerRequest(command, snapshot, texts.config, texts.templates, ReadableCode(head))


def _next_prompt(message: str, head_sha: str) -> str:
    """Returns what the model is sent for a further message of a session; the prompt is in its history."""
    return (
        "# The next question\n\n"
        f"Answer it like the one before, by the tool `{REPORT}`. The repository is at commit {head_sha[:12]} now: what"
        f" was read before may be out of date.\n\n{quoted(message, MAX_MESSAGE)}\n"
    )


def history_entries(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    """Returns the role and the text of each message and each answer, the newest MAX_HISTORY of them."""
    entries = []
    for message in messages[-MAX_HISTORY:]:
        entries.append((USER, message.text))
        if text := _answer_text(message.reports):
            entries.append((ASSISTANT, text))
    return entries[-MAX_HISTORY:]


def _answer_text(reports: Sequence[object]) -> str:
    """Returns the text of the last call of the tool that has one."""
    texts = (read_answer(report, suggests=False).text for report in reversed(reports))
    return next((text for text in texts if text), "")


class AnswerEvents:
    """Turns what the model does into events of the API."""

    def __init__(self, report: Report, show: Callable[[str], str]) -> None:
        self._report = report
        self._show = show
        self._next_draft = 0.0

    def handle(self, event: ChatEvent) -> None:
        match event:
            case ToolUse(name, arguments) if name in READING_TOOLS:
                self._report("tool", {"name": name, "arguments": _plain(arguments)})
            case ToolDraft(name, arguments) if name == REPORT and time.monotonic() >= self._next_draft:
                if text := draft_text(arguments):
                    self._next_draft = time.monotonic() + _DRAFT_EVERY
                    self._report("draft", {"content": self._show(text)})
            case _:
                pass


def _plain(arguments: object) -> dict[str, Any]:
    """Returns the texts and numbers of a tool's arguments, shortened."""
    values = arguments if isinstance(arguments, dict) else {}
    return {
        str(name)[:100]: value[:500] if isinstance(value, str) else value
        for name, value in values.items()
        if isinstance(value, str | int)
    }

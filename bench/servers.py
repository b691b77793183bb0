"""The other side of a measured run, in a process of its own: the fake GitHub and the scripted model.

`python -m bench.servers GIT_DIR BASE_SHA HEAD_SHA` prints its addresses as a line of JSON, and then answers
each line of its input: `journal`, or a JSON object of latencies in seconds, which also empties the journals and,
unless it says `keep`, the pull request.
"""

from __future__ import annotations

import gc
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.fakes.github import FakeGitHub
from tests.fakes.github_graphql import schema
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest, ToolCall

from bench.counterparts import GITHUB_TOKEN

_MOMENT = re.compile(r"<current_datetime>.*?</current_datetime>\s*", re.DOTALL)
_FINDINGS = 2
"""Findings that the model has of each part."""


class Timed:
    """Notes when each request to an app came, and when its answer had left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.exchanges: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"],
            "began": time.monotonic(),
            "ended": None,
            "status": None,
        }
        self.exchanges.append(exchange)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange["status"] = message["status"]
            await send(message)
            exchange["ended"] = time.monotonic()

        await self._app(scope, receive, noting)


class Reviewer:
    """A model's script: reports a finding on the first added line of some files of its prompt."""

    def __init__(self, github: FakeGitHub) -> None:
        files = github.hub.changed_files(github.hub.pull(1))
        self._lines = {file.path: _first_added(file.patch) for file in files if file.additions}

    def __call__(self, request: ModelRequest) -> Answer:
        if request.tool_results or REPORT_TOOL not in request.tool_names:
            return Answer(text="That is all.")
        findings = [self._finding(path) for path in self._shown(request.prompt)]
        return Answer(tool_calls=(ToolCall(REPORT_TOOL, {"findings": findings, "done": True}),))

    def _shown(self, prompt: str) -> list[str]:
        part = prompt.rpartition("# The part to review")[2]  # above it, files of other parts are listed too
        return [path for path in self._lines if path in part][:_FINDINGS]

    def _finding(self, path: str) -> dict[str, Any]:
        return {
            "path": path,
            "line": self._lines[path],
            "severity": "medium",
            "title": f"The limit of {Path(path).stem} is never checked",
            "body": "A negative limit passes through here and empties the basket. Check it before the call.",
        }


def _said(request: ModelRequest) -> str:
    """All messages of a request, one behind the other, without the moment that the CLI writes into them."""
    return _MOMENT.sub("", "\n".join(message.text for message in request.messages))


def _characters(request: ModelRequest) -> int:
    return sum(len(message.text) for message in request.messages)


def _common_prefix(requests: Sequence[ModelRequest]) -> float:
    """Percent of the questions over the diff that all of them begin with; 0 where there is but one."""
    texts = [_said(request) for request in requests]
    if len(texts) < 2:
        return 0.0
    pairs = zip(min(texts), max(texts), strict=False)  # what these two share, all share
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return 100 * shared * len(texts) / sum(map(len, texts))


def _first_added(patch: str) -> int:
    """The RIGHT number of the first added line."""
    number = 0
    for line in patch.split("\n"):
        if line.startswith("@@"):
            number = int(line.split("+")[1].split(" ")[0].split(",")[0])
        elif line.startswith("+"):
            return number
        else:
            number += not line.startswith("-")
    return number


def _commands() -> Iterator[dict[str, Any] | None]:
    """What to set, or None where the journal is asked for."""
    for line in sys.stdin:
        yield None if line.strip() == "journal" else json.loads(line)


def main(git_dir: str, base_sha: str, head_sha: str) -> None:
    """Serves until the input ends."""
    github = FakeGitHub(Path(git_dir), tokens={GITHUB_TOKEN: "write"}, check_contracts=False)
    github.add_pull_request(1, base_sha=base_sha, head_sha=head_sha, body="Prices are checked before orders.")
    model = ScriptedModel(Reviewer(github))
    hub, to_github = github.hub, Timed(github)
    to_model = Timed(model)
    schema()  # a second that must not fall into the first run
    for file in hub.changed_files(hub.pull(1)):
        _ = file.patch_lines, file.spans  # nor this
    gc.freeze()
    with serve(to_github) as github_url, serve(to_model) as model_url:
        print(json.dumps({"github": github_url, "model": model_url}), flush=True)
        for wanted in _commands():
            if wanted is None:
                journal = {
                    "github": to_github.exchanges,
                    "writes": len(github.writes),
                    "model": to_model.exchanges,
                    "model_calls": len(model.requests) + len(model.second_requests),
                    "prompt_characters": sum(map(_characters, (*model.requests, *model.second_requests))),
                    "common_prefix": _common_prefix(model.requests),
                    "comments": len(github.comments),
                    "violations": github.violations,
                }
                print(json.dumps(journal), flush=True)
                continue
            github.latency, model.latency = wanted["api"], wanted["model"]
            journals = (to_github.exchanges, to_model.exchanges, model.requests, model.second_requests)
            for kept in (*journals, github.journal):
                kept.clear()
            if not wanted["keep"]:
                for said in (hub.reviews, hub.comments, hub.threads, hub.issue_comments, hub.check_runs):
                    said.clear()
            print("{}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Runs the fake GitHub and the scripted model in a process of their own.

`python -m bench.servers GIT_DIR BASE_SHA HEAD_SHA` prints the addresses as a line of JSON, and then answers each line
of its input: `journal`, or a JSON object of latencies in seconds, which also empties the journals and, unless it has
`keep`, the pull request, on which it then writes `comment`.
"""

from __future__ import annotations

import gc
import itertools
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tests.fakes.github import FakeGitHub
from tests.fakes.github_graphql import schema
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import REPORT_TOOL, Answer, ModelRequest, ToolCall, agreeing

from bench.client import GITHUB_TOKEN, PERSON
from hunkwise.prompts.report_answer import REPORT as ANSWER_TOOL

_MOMENT = re.compile(r"<current_datetime>.*?</current_datetime>\s*", re.DOTALL)
_FINDINGS = 2
"""Findings of the model in each part."""


class Timed:
    """Records when each request to an app arrived, and when its response was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.arrived: list[float] = []
        self.posted: dict[str, float] = {}
        """When the last response to each kind of post was sent, by the end of its path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived.append(time.monotonic())
        is_post = False

        async def record(message: Message) -> None:
            nonlocal is_post
            if message["type"] == "http.response.start":
                is_post = message["status"] in (200, 201) and scope["method"] == "POST"
            await send(message)
            if is_post and message["type"] == "http.response.body":
                self.posted[scope["path"].rpartition("/")[2]] = time.monotonic()

        await self._app(scope, receive, record)

    def clear(self) -> None:
        self.arrived.clear()
        self.posted.clear()


class Reviewer:
    """A model's script: answers, reports a finding on the first added line of some files, and confirms all."""

    def __init__(self, github: FakeGitHub) -> None:
        files = github.hub.changed_files(github.hub.pull(1))
        self._lines = {file.path: _first_added(file.patch) for file in files if file.additions}

    def __call__(self, request: ModelRequest) -> Answer:
        if ANSWER_TOOL in request.tool_names:
            given = {"text": "A negative limit empties the basket: check it before the call.", "done": True}
            return Answer(tool_calls=(ToolCall(ANSWER_TOOL, given),))
        if REPORT_TOOL not in request.tool_names:
            return agreeing(request)
        if request.tool_results:
            return Answer(text="That is all.")
        findings = [self._finding(path) for path in self._shown(request.prompt)]
        return Answer(tool_calls=(ToolCall(REPORT_TOOL, {"findings": findings, "done": True}),))

    def _shown(self, prompt: str) -> list[str]:
        part = prompt.rpartition("# The part to review")[2]  # files of other parts are listed before
        return [path for path in self._lines if path in part][:_FINDINGS]

    def _finding(self, path: str) -> dict[str, Any]:
        return {
            "path": path,
            "line": self._lines[path],
            "severity": "medium",
            "title": f"The limit of {Path(path).stem} is never checked",
            "body": "A negative limit passes through here and empties the basket. Check it before the call.",
        }


def _all_text(request: ModelRequest) -> str:
    """Returns all messages of a request, without the current time that the CLI adds."""
    return _MOMENT.sub("", "\n".join(message.text for message in request.messages))


def _common_prefix(requests: Sequence[ModelRequest]) -> float:
    """Returns the percentage of the review prompts that all of them share as a prefix, or 0 for a single one."""
    texts = [_all_text(request) for request in requests]
    if len(texts) < 2:
        return 0.0
    pairs = zip(min(texts), max(texts), strict=False)  # all share what these two share
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return 100 * shared * len(texts) / sum(map(len, texts))


def _first_added(patch: str) -> int:
    """Returns the RIGHT number of the first added line."""
    number = 0
    for line in patch.split("\n"):
        if line.startswith("@@"):
            number = int(line.split("+")[1].split(" ")[0].split(",")[0])
        elif line.startswith("+"):
            return number
        else:
            number += not line.startswith("-")
    return number


def main(git_dir: str, base_sha: str, head_sha: str) -> None:
    """Serves until the end of the input."""
    github = FakeGitHub(Path(git_dir), tokens={GITHUB_TOKEN: "write"}, check_contracts=False)
    github.add_pull_request(1, base_sha=base_sha, head_sha=head_sha, body="Prices are checked before orders.")
    model = ScriptedModel(Reviewer(github))
    hub, timed_github, timed_model = github.hub, Timed(github), Timed(model)
    hub.associations[PERSON] = "MEMBER"
    schema()  # takes a second that must not count for the first run
    for file in hub.changed_files(hub.pull(1)):
        _ = file.patch_lines, file.spans  # nor this
    gc.freeze()

    def journal() -> dict[str, Any]:
        requests = [*model.requests, *model.second_requests]
        return {
            "github_requests": len(timed_github.arrived),
            "github_writes": len(github.writes),
            "first_github_request": timed_github.arrived[0] if timed_github.arrived else None,
            "first_model_request": timed_model.arrived[0] if timed_model.arrived else None,
            "posted": timed_github.posted,
            "model_calls": len(requests),
            "prompt_characters": sum(len(message.text) for one in requests for message in one.messages),
            "common_prefix": _common_prefix(model.requests),
            "comments": len(github.comments),
            "violations": github.violations,
        }

    def prepare(wanted: dict[str, Any]) -> dict[str, Any]:
        github.latency, model.latency = wanted["api"], wanted["model"]
        for records in (timed_github, timed_model, model.requests, model.second_requests, github.journal):
            records.clear()
        if not wanted["keep"]:
            for posts in (hub.reviews, hub.comments, hub.threads, hub.issue_comments, hub.check_runs):
                posts.clear()
        return {"comment": github.say(1, PERSON, wanted["comment"]).id if wanted["comment"] else 0}

    with serve(timed_github) as github_url, serve(timed_model) as model_url:
        print(json.dumps({"github": github_url, "model": model_url}), flush=True)
        for line in sys.stdin:
            answer = journal() if line.strip() == "journal" else prepare(json.loads(line))
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

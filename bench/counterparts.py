"""Starts the servers of a benchmark in a child process, and asks them what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.changes import Built
from bench.children import ROOT, BenchError, child_environment

GITHUB_TOKEN = "ghs_write"
"""The one that the fake GitHub lets write."""


@dataclass(frozen=True)
class Journal:
    """What the servers saw of one run. Moments are seconds of this machine's monotonic clock."""

    github_requests: int
    first_github_request: float
    first_model_request: float
    review_posted: float
    """When the answer to the posted review had left."""
    model_calls: int
    prompt_characters: int
    common_prefix: float
    """Percent of the questions over the diff that all of them begin with."""
    comments: int


@dataclass(frozen=True)
class Counts:
    """How often the servers were asked in one run."""

    github_requests: int
    github_writes: int
    model_calls: int


class Counterparts:
    """The fake GitHub and the scripted model that a run talks to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        addresses = self._answer()
        self.github_url: str = addresses["github"]
        self.model_url: str = addresses["model"]

    def prepare(self, *, api_latency: float = 0.0, model_latency: float = 0.0, keep: bool = False) -> None:
        """Forgets earlier runs (with `keep` not what they said on GitHub), sets the seconds before each answer."""
        self._ask(json.dumps({"api": api_latency, "model": model_latency, "keep": keep}))

    def counts(self) -> Counts:
        """Raises BenchError where a request made no sense to the fakes."""
        said = self._said()
        return Counts(len(said["github"]), said["writes"], said["model_calls"])

    def journal(self) -> Journal:
        """Raises BenchError where no review was posted, or a request made no sense to the fakes."""
        said = self._said()
        posted = [
            exchange["ended"]
            for exchange in said["github"]
            if exchange["method"] == "POST"
            and exchange["path"].endswith("/reviews")
            and exchange["status"] == 200
        ]
        if not posted or not said["model"]:
            raise BenchError("The run ended well and posted no review: see its log.")
        return Journal(
            github_requests=len(said["github"]),
            first_github_request=said["github"][0]["began"],
            first_model_request=said["model"][0]["began"],
            review_posted=posted[0],
            model_calls=said["model_calls"],
            prompt_characters=said["prompt_characters"],
            common_prefix=said["common_prefix"],
            comments=said["comments"],
        )

    def _said(self) -> dict[str, Any]:
        said = self._ask("journal")
        if said["violations"]:
            raise BenchError(f"The fake GitHub was asked what it does not know: {said['violations'][:3]}.")
        return said

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None, "the process was started with a pipe"
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "the process was started with a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("The benchmark's servers ended: see their traceback above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def counterparts(built: Built) -> Iterator[Counterparts]:
    """Serves the pull request from one commit to the other, for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.servers", str(built.path / ".git"), built.base_sha, built.head_sha],
        cwd=ROOT,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Counterparts(process)
    finally:
        assert process.stdin is not None, "the process was started with a pipe"
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""Starts the benchmark's servers in a child process, and asks them what they recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.children import ROOT, BenchError, child_environment

GITHUB_TOKEN = "ghs_write"
"""A token that may write on the fake GitHub."""


@dataclass(frozen=True)
class Records:
    """What the servers saw of one run. Moments are seconds of this machine's monotonic clock."""

    github_requests: int
    github_writes: int
    first_github_request: float | None
    first_model_request: float | None
    review_posted: float | None
    """When the response to the posted review was sent."""
    model_calls: int
    prompt_characters: int
    common_prefix: float
    """Percent of the review prompts that all of them share as a prefix."""
    comments: int
    violations: list[str]


class Servers:
    """The fake GitHub and the scripted model of a run."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        addresses = self._read()
        self.github_url: str = addresses["github"]
        self.model_url: str = addresses["model"]

    def prepare(self, *, api_latency: float = 0.0, model_latency: float = 0.0, keep: bool = False) -> None:
        """Sets the latencies, and deletes earlier records and, unless `keep`, the conversation on GitHub."""
        self._ask(json.dumps({"api": api_latency, "model": model_latency, "keep": keep}))

    def records(self) -> Records:
        """Raises BenchError for a request that the fakes do not know."""
        records = Records(**self._ask("journal"))
        if records.violations:
            raise BenchError(f"The fake GitHub was asked what it does not know: {records.violations[:3]}.")
        return records

    def seconds_to_review(self, start: float) -> tuple[tuple[float, float, float], Records]:
        """Returns the seconds to the first GitHub and model requests and to the posted review. Raises BenchError."""
        records = self.records()
        github, model, review = (
            records.first_github_request,
            records.first_model_request,
            records.review_posted,
        )
        if github is None or model is None or review is None:
            raise BenchError("The run succeeded without posting a review: see its log.")
        return (github - start, model - start, review - start), records

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None, "the process was started with a pipe"
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "the process was started with a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("The benchmark's servers ended: see their traceback above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def start_servers(repository: Path, base_sha: str, head_sha: str) -> Iterator[Servers]:
    """Serves the repository, with a pull request between the commits, until the end of the block."""
    command = [
        sys.executable,
        "-m",
        "bench.servers",
        str(repository / ".git"),
        base_sha,
        head_sha,
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Servers(process)
            assert process.stdin is not None, "the process was started with a pipe"
            process.stdin.close()  # ends it
            process.wait(20)
        finally:
            process.kill()

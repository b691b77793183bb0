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
PERSON = "mona"
"""A person with write access."""


@dataclass(frozen=True)
class Records:
    """What the servers saw of one run. Moments are seconds of this machine's monotonic clock."""

    github_requests: int
    github_writes: int
    first_github_request: float | None
    first_model_request: float | None
    posted: dict[str, float]
    """When the response to the last post was sent, of each of `reviews`, `comments` and others."""
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

    def prepare(
        self, *, api_latency: float = 0.0, model_latency: float = 0.0, keep: bool = False, comment: str = ""
    ) -> int:
        """Sets the latencies, and deletes earlier records and, unless `keep`, the conversation on GitHub.

        Then a person with write access writes `comment`. Returns its id, or 0 if it is empty.
        """
        wanted = {"api": api_latency, "model": model_latency, "keep": keep, "comment": comment}
        written: int = self._ask(json.dumps(wanted))["comment"]
        return written

    def records(self) -> Records:
        """Raises BenchError for a request that the fakes do not know."""
        records = Records(**self._ask("journal"))
        if records.violations:
            raise BenchError(f"The fake GitHub was asked what it does not know: {records.violations[:3]}.")
        return records

    def seconds_to_post(self, kind: str, start: float) -> tuple[tuple[float, float, float], Records]:
        """Returns the seconds to the first requests to GitHub and model, and to the post. Raises BenchError."""
        records = self.records()
        github, model, posted = (
            records.first_github_request,
            records.first_model_request,
            records.posted.get(kind),
        )
        if github is None or model is None or posted is None:
            raise BenchError(f"The run succeeded without {kind}: see its log.")
        return (github - start, model - start, posted - start), records

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

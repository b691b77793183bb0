"""`python -m bench.planning REPOSITORY BASE_SHA HEAD_SHA` plans a large change in this process and prints JSON."""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

from bench.children import peak_megabytes
from hunkwise.domain.pull_request import PullRequest, Snapshot
from hunkwise.flows.planning import plan
from hunkwise.repository.git import Git
from hunkwise.settings.config import Config


def main(path: str, base_sha: str, head_sha: str) -> None:
    """Reads the diff from git, selects and packs, as a run does before its first prompt."""
    gc.disable()  # as hunkwise.cli does until everything is read
    began = time.perf_counter()
    files = Git(Path(path)).diff(base_sha, head_sha)
    read = time.perf_counter()
    pull_request = PullRequest("octo/repo", 1, "", "", "octocat", "main", base_sha, "feature", head_sha)
    planned = plan(Snapshot(pull_request, files), Config())
    ended = time.perf_counter()
    result = {
        "seconds": ended - began,
        "diff_seconds": read - began,
        "peak": peak_megabytes("self"),
        "files": len(files),
        "changed_lines": sum(file.changed_lines for file in files),
        "planned_lines": sum(task.chunk.changed_lines for task in planned.tasks),
        "chunks": len(planned.tasks),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

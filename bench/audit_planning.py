"""`python -m bench.audit_planning REPOSITORY` plans an audit of a large repository in this process and prints JSON."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

from bench.children import MemoryWatch
from bench.history import END
from hunkwise.plan.audit_selection import order_files, pack_batches, questions_of, select_tree
from hunkwise.repository.git import Git
from hunkwise.repository.history import list_tree, read_activity
from hunkwise.settings.config import Config


def main(path: str) -> None:
    """Lists, selects, orders and packs the files, as an audit does before its first prompt."""
    gc.disable()  # as hunkwise.cli does until everything is read
    chunk_size = Config().chunk_size
    memory = MemoryWatch(os.getpid(), child=b"git\0")
    began = time.perf_counter()
    git = Git(Path(path), bare=True)
    head = git.resolve("main")
    files = list_tree(git, head)
    activity = read_activity(git, head, END)
    read = time.perf_counter()
    selection = select_tree(
        files,
        ignore=("*.md", "docs/", "**/testdata/**"),
        attributes={"": "*.svg linguist-generated\nthird_party/** linguist-vendored"},
    )
    ordered = order_files(
        selection.eligible,
        known=frozenset(),
        previous={},
        owed=frozenset(),
        activity=activity,
        weights={"src/m01/**": 3, "tests/": 0.3},
    )
    batches = pack_batches(ordered, chunk_size)
    ended = time.perf_counter()
    memory.end()
    result = {
        "seconds": ended - began,
        "git_seconds": read - began,
        "own_peak": memory.own_peak,
        "git_peak": memory.child_peak,
        "peak_together": memory.peak_together,
        "files": len(files),
        "planned_files": sum(map(len, batches)),
        "questions": sum(questions_of(batch, chunk_size) for batch in batches),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

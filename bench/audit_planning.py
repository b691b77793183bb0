"""`python -m bench.audit_planning REPOSITORY` plans an audit of a large repository in this process and prints JSON."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.children import MemoryWatch
from hunkwise.plan.audit_selection import deal, order_files, pack_batches, questions_of, select_tree
from hunkwise.repository.git import Git
from hunkwise.repository.history import list_tree, read_activity
from hunkwise.settings.config import Config

FILES, COMMITS = 100_000, 20_000
_SHARDS = 32
_FILES_PER_COMMIT = 5
_OFTEN_CHANGED = 3_000
_BEGIN, _PAUSE = 1_730_000_000, 1_500
"""Time of the first commit, and seconds between two: all are within a year."""


def build_history(folder: Path) -> Path:
    """Creates a bare repository of FILES files and COMMITS commits in the folder, always the same; returns its path."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.writelines(_stream())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return folder


def _stream() -> Iterator[bytes]:
    chance = random.Random(7)
    often = chance.sample(range(FILES), _OFTEN_CHANGED)
    for commit in range(COMMITS + 1):
        message = b"Fix it" if commit % 5 == 0 else b"Change it"
        yield b"commit refs/heads/main\ncommitter A <a@example.invalid> %d +0000\n" % _time_of(commit)
        yield b"data %d\n%s\n" % (len(message), message)
        changed = (
            chance.choice(often) if chance.random() < 0.7 else chance.randrange(FILES)
            for _ in range(_FILES_PER_COMMIT)
        )
        for number in changed if commit else range(FILES):
            content = _content(number, commit, chance.choice((3, 8, 20, 60)))
            path = b"src/m%02d/p%02d/f%d.py" % (number % 97, number // 97 % 61, number)
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(content), content)


def _content(number: int, version: int, functions: int) -> bytes:
    lines = (
        b"def f_%d_%d(x):\n    return x + %d\n" % (number, one, one + version) for one in range(functions)
    )
    return b"# file %d, version %d\n" % (number, version) + b"".join(lines)


def _time_of(commit: int) -> int:
    return _BEGIN + _PAUSE * commit


def main(path: str) -> None:
    """Lists, selects, orders and packs the files, as an audit does before its first prompt."""
    gc.disable()  # as hunkwise.cli does until everything is read
    chunk_size = Config().chunk_size
    memory = MemoryWatch(os.getpid(), child=b"git\0")
    began = time.perf_counter()
    git = Git(Path(path), bare=True)
    head = git.resolve("main")
    files = list_tree(git, head)
    activity = read_activity(git, head, _time_of(COMMITS))
    read = time.perf_counter()
    selection = select_tree(
        files,
        ignore=("*.md", "docs/", "**/testdata/**"),
        attributes="*.svg linguist-generated\nthird_party/** linguist-vendored",
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
    shards = deal(batches, _SHARDS)
    ended = time.perf_counter()
    memory.end()
    result = {
        "seconds": ended - began,
        "git_seconds": read - began,
        "own_peak": memory.own_peak,
        "git_peak": memory.child_peak,
        "files": len(files),
        "planned_files": sum(map(len, shards)),
        "questions": sum(questions_of(batch, chunk_size) for batch in batches),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

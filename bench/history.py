"""Generates large repositories, always the same: one with a year of history, one with uncommitted changes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

FILES, COMMITS = 100_000, 20_000
_FILES_PER_COMMIT = 5
_OFTEN_CHANGED = 3_000
_PAUSE = 1_500
"""Seconds between two commits: all are within a year."""
END = 1_760_000_000
"""Time of the last commit."""


def build_history(folder: Path) -> Path:
    """Creates a bare repository of FILES files and COMMITS commits in the folder, always the same; returns its path."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.writelines(_stream())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    subprocess.run(["git", "-C", str(folder), "repack", "-a", "-d", "-q"], check=True)  # as in a clone
    return folder


CLONE_FILES, CLONE_CHANGED = 50_000, 10


def build_clone(folder: Path) -> Path:
    """Creates a clone of CLONE_FILES files, of which CLONE_CHANGED have uncommitted changes; returns its path."""
    paths = [
        folder / f"src/m{number % 97:02}/p{number // 97 % 61:02}/f{number}.py"
        for number in range(CLONE_FILES)
    ]
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True)
    for number, path in enumerate(paths):
        path.write_bytes(_content(number, 0, 8))
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.invalid", "-c", "gc.auto=0")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Begin")):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    for path in paths[:: CLONE_FILES // CLONE_CHANGED]:
        with path.open("ab") as file:
            file.write(b"def run(x):\n    return eval(x)\n")
    return folder


def _stream() -> Iterator[bytes]:
    chance = random.Random(7)
    often = chance.sample(range(FILES), _OFTEN_CHANGED)
    for commit in range(COMMITS + 1):
        message = b"Fix it" if commit % 5 == 0 else b"Change it"
        seconds = END - _PAUSE * (COMMITS - commit)
        yield b"commit refs/heads/main\ncommitter A <a@example.invalid> %d +0000\n" % seconds
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

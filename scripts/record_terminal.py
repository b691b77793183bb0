"""Writes the terminal session in docs/reviewing.md: the commands, with the output that they have now.

`make docs` runs it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reviewing.md"
COLUMNS = "100"
DATE = "2026-01-02T03:04:05Z"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{role}_NAME": "Ann Author" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ann@example.com" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_DATE": DATE for role in ("AUTHOR", "COMMITTER")},
}
"""The commit is the same on each machine."""
BASE = {
    "settings.py": '"""The settings of the shop."""\n\n\ndef port(text):\n    return int(text)\n',
    ".github/hunkwise.yml": "version: 1\nfail-on: critical\n",
}
CHANGED = {
    "settings.py": BASE["settings.py"].replace("int(text)", "eval(text)")
    + "\n\ndef hosts(known=[]):\n    return known\n"
}
COMMANDS = (
    "git status --short",
    "hunkwise review --model demo",
    "git add settings.py",
    "hunkwise review --staged --format quickfix -q --model demo",
    "hunkwise config check",
)
_BLOCK = re.compile(r"(<!-- Written by `make docs`. -->\n).*?(<!-- End of the session. -->\n)", re.DOTALL)
_PROGRESS = re.compile(r"^Reviewing: .*\n", re.MULTILINE)
_SECONDS = re.compile(r"\b\d+\.\d s\b")
Hunkwise = Callable[[Sequence[str], Path], str]
"""Runs `hunkwise ARGUMENTS` in a folder; what it prints on the terminal."""


def page_with_session(text: str, folder: Path, hunkwise: Hunkwise) -> str:
    """Returns the page with the session that takes place in `folder`, an empty one."""
    _write(folder, BASE)
    for command in ("init -q -b main --object-format=sha1", "add .", "commit -q -m Shop"):
        _git(command.split(), folder)
    _write(folder, CHANGED)
    runs = {"git": _git, "hunkwise": hunkwise}
    lines = []
    for command in COMMANDS:
        program, *arguments = command.split()
        printed = _SECONDS.sub("1.0 s", _PROGRESS.sub("", runs[program](arguments, folder)))
        lines.append(f"$ {command}\n{printed}")
    session = "\n".join(lines)
    return _BLOCK.sub(lambda found: f"{found[1]}```console\n{session}```\n{found[2]}", text)


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _git(arguments: Sequence[str], folder: Path) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, text=True
    ).stdout


def _hunkwise(arguments: Sequence[str], folder: Path) -> str:
    environment = {
        **ENVIRONMENT, "HOME": str(folder.parent), "COLUMNS": COLUMNS, "PYTHONPATH": str(ROOT / "src")
    }  # fmt: skip
    command = [sys.executable, "-m", "hunkwise", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    return done.stderr + done.stdout


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hunkwise-session-") as name:
        folder = Path(name) / "shop"
        folder.mkdir()
        PAGE.write_text(
            page_with_session(PAGE.read_text(encoding="utf-8"), folder, _hunkwise), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Puts the example change into a Git repository of its own and reviews it with the demo model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHANGE = Path(__file__).resolve().parent / "change"


def commit(folder: Path, tree: Path, message: str) -> None:
    """Makes `tree` the content of the repository, in one commit."""
    for entry in folder.iterdir():
        if entry.name != ".git":
            entry.unlink()
    shutil.copytree(tree, folder, dirs_exist_ok=True)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> None:
    author = ["-c", "user.name=Example", "-c", "user.email=example@example.invalid"]
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hunkwise-example-") as name:
        folder = Path(name)
        git(folder, "init", "--quiet", "--initial-branch", "main")
        commit(folder, CHANGE / "base", "A small shop")
        git(folder, "switch", "--quiet", "--create", "price-rules")
        commit(folder, CHANGE / "head", "Add price rules and discounts")
        command = [sys.executable, "-m", "hunkwise", "review", "--repository", name, "--model", "demo"]
        return subprocess.run(command, env=os.environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

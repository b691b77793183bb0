"""Puts the example change into a Git repository of its own, and reviews or audits it with the demo model."""

from __future__ import annotations

import argparse
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


def hunkwise(*arguments: str) -> int:
    command = [sys.executable, "-m", "hunkwise", *arguments, "--model", "demo"]
    return subprocess.run(command, env=os.environ, check=False).returncode


def audit_twice(repository: str, state: Path) -> int:
    """Audits the repository, and again with nothing changed."""
    command = ("audit", "--repository", repository, "--state", str(state))
    for heading in (
        "The first audit reads all files:",
        "\nThe second audit, with nothing changed, asks no model:",
    ):
        print(heading, end="\n\n", flush=True)
        if code := hunkwise(*command):
            return code
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audit", action="store_true", help="audit the repository, twice")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hunkwise-example-") as name:
        folder = Path(name) / "shop"
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch", "main")
        commit(folder, CHANGE / "base", "A small shop")
        git(folder, "switch", "--quiet", "--create", "price-rules")
        commit(folder, CHANGE / "head", "Add price rules and discounts")
        if arguments.audit:
            return audit_twice(str(folder), Path(name) / "state.json")
        return hunkwise("review", "--repository", str(folder))


if __name__ == "__main__":
    sys.exit(main())

"""A real git repository that a test fills with commits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann Author",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_NAME": "Ann Author",
    "GIT_COMMITTER_EMAIL": "ann@example.com",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}


class GitRepository:
    """A checkout at `path`; `git_dir` is what a fake GitHub serves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git_dir = path / ".git"

    @classmethod
    def create(cls, path: Path, branch: str = "main") -> GitRepository:
        """An empty repository in a new folder."""
        path.mkdir(parents=True)
        made = cls(path)
        made.git("init", "-q", "-b", branch)
        return made

    def git(self, *arguments: str) -> str:
        """What git says, without the last line feed. Raises CalledProcessError."""
        command = ["git", "-c", "core.autocrlf=false", *arguments]
        done = subprocess.run(command, cwd=self.path, env=_ENVIRONMENT, check=True, capture_output=True)
        return done.stdout.decode("utf-8", "replace").removesuffix("\n")

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Writes the files (None removes one) and commits everything; the SHA."""
        for name, content in files.items():
            place = self.path / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, start: str = "HEAD") -> None:
        """Makes a branch and goes there."""
        self.git("checkout", "-q", "-b", name, start)

"""Real repositories with any names and contents, created with `git fast-import`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Entry = bytes | tuple[str, bytes]
"""A file's content; or mode and content (a submodule's content is its SHA)."""


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Runs the real git in a folder, without the user's configuration."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.invalid",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.invalid",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], input=stdin, capture_output=True, check=True, env=env
    )
    return done.stdout


@dataclass(frozen=True)
class Trees:
    """A repository whose commits are added as complete trees."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *options: str) -> Trees:
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--initial-branch=main", *options)
        return cls(folder)

    def commit(
        self,
        files: Mapping[bytes, Entry],
        parents: Sequence[str] = (),
        message: bytes = b"A change",
        branch: str = "main",
        seconds: int = 1_700_000_000,
    ) -> str:
        """Adds a commit with exactly these files to the branch, and returns its SHA."""
        stream = [b"reset refs/heads/%s\n" % branch.encode()] if not parents else []
        stream.append(b"commit refs/heads/%s\nmark :1\n" % branch.encode())
        stream.append(b"committer A <a@example.invalid> %d +0000\n" % seconds)
        stream.append(b"data %d\n%s\n" % (len(message), message))
        for number, parent in enumerate(parents):
            stream.append(b"%s %s\n" % (b"merge" if number else b"from", parent.encode()))
        stream.append(b"deleteall\n")
        for name, entry in files.items():
            mode, content = ("100644", entry) if isinstance(entry, bytes) else entry
            quoted = b'"' + b"".join(b"\\%03o" % byte for byte in name) + b'"'
            if mode == "160000":
                stream.append(b"M 160000 %s %s\n" % (content, quoted))
            else:
                stream.append(b"M %s inline %s\n" % (mode.encode(), quoted))
                stream.append(b"data %d\n%s\n" % (len(content), content))
        stream.append(b"get-mark :1\n")
        output = git(self.folder, "fast-import", "--quiet", "--force", stdin=b"".join(stream))
        return output.decode().strip()

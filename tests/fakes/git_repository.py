"""Real git repositories: one that a test fills with commits, and the reader that the fake GitHub serves from."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

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


_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class MissingObjectError(Exception):
    """The repository has no such commit, path or object."""


class Span(NamedTuple):
    """The lines that one hunk shows, per side, as half-open ranges of 1-based numbers."""

    left: range
    right: range


@dataclass(frozen=True)
class ChangedFile:
    """One file of a diff, as git has it. `patch` is the hunks only, without the last line feed."""

    path: str
    old_path: str | None
    status: str
    sha: str
    """Of the blob at the head; at the base, where the file was removed."""
    additions: int
    deletions: int
    patch: str
    """Empty for binary files and where no line changed."""

    @cached_property
    def patch_lines(self) -> int:
        return self.patch.count("\n") + 1 if self.patch else 0

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        return tuple(
            Span(_range(found[1], found[2]), _range(found[3], found[4]))
            for row in self.patch.encode().split(b"\n")
            if (found := _HUNK.match(row))
        )

    @cached_property
    def removed_lines(self) -> frozenset[int]:
        """The numbers on the left of the lines that the diff takes away."""
        numbers, line = set(), 0
        for row in self.patch.split("\n"):
            if found := _HUNK.match(row.encode()):
                line = int(found[1])
            elif row[:1] in ("-", " "):
                numbers.update([line] if row[0] == "-" else [])
                line += 1
        return frozenset(numbers)

    def hunk_text(self, side: str, line: int) -> str | None:
        """The hunk that shows the line (side LEFT or RIGHT), or None."""
        for number, span in enumerate(self.spans):
            if line in (span.left if side == "LEFT" else span.right):
                return re.split(r"(?m)^(?=@@ )", self.patch)[1:][number].rstrip("\n")
        return None


class TreeEntry(NamedTuple):
    """One line of `git ls-tree`. `kind` is blob, tree or commit (a submodule)."""

    mode: str
    kind: str
    sha: str
    size: int | None
    path: str


class GitStore:
    """Reads one repository, bare or not. Nothing in it is executed."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self.diff = cache(self._diff)
        self.changes = cache(self._changes)
        self.blob = cache(self._blob)
        self.tree = cache(self._tree)

    def commit(self, revision: str) -> str:
        """The SHA of a commit by branch, tag or SHA."""
        for name in (f"refs/heads/{revision}", revision):
            try:
                return (
                    self._git("rev-parse", "--verify", "-q", "--end-of-options", f"{name}^{{commit}}")
                    .decode()
                    .strip()
                )
            except MissingObjectError:
                continue
        raise MissingObjectError(revision)

    def merge_base(self, base: str, head: str) -> str:
        return self._git("merge-base", base, head).decode().strip()

    def commits(self, base: str, head: str) -> list[str]:
        """The SHAs that `head` has and `base` has not, oldest first."""
        return self._git("rev-list", "--reverse", f"{base}..{head}").decode().split()

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether the newer commit builds on the older one, or is it."""
        try:
            self._git("merge-base", "--is-ancestor", older, newer)
        except MissingObjectError:
            return False
        return True

    def _changes(self, before: str, after: str, path: str) -> bytes:
        """The hunks of one path between two commits, without lines around them."""
        return self._git(*_DIFF, "-U0", "--no-renames", before, after, "--", path)

    def entry(self, commit: str, path: str) -> TreeEntry:
        """What stands at the path."""
        entries = _entries(self._git("ls-tree", "-z", "-l", "--full-tree", commit, "--", path))
        if not entries:
            raise MissingObjectError(f"{commit}:{path}")
        return entries[0]

    def _tree(self, treeish: str, recursive: bool = False) -> list[TreeEntry]:
        options = ["-r", "-t"] if recursive else []
        return _entries(self._git("ls-tree", "-z", "-l", "--full-tree", *options, treeish))

    def _blob(self, sha: str) -> bytes:
        return self._git("cat-file", "blob", sha)

    def _diff(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        """The three-dot diff: what head changed since it left base, in git's order of paths."""
        ends = ["-M", self.merge_base(base, head), head]
        raw = self._git("diff", "--raw", "-z", "--no-abbrev", *ends)
        numbers = self._git("diff", "--numstat", "-z", *ends)
        patches = iter(re.split(rb"(?m)^diff --git ", self._git(*_DIFF, *ends))[1:])
        files = []
        for (status, sha, old, new), (added, deleted) in zip(_raw(raw), _numstat(numbers), strict=True):
            # git shows a change of type as a removal and an addition: two patches for one line of --raw.
            hunks = [_hunks(next(patches)) for _ in range(2 if status == "T" else 1)]
            old_path = old if old != new else None
            name = _STATUS[status]
            patch = "\n".join(part for part in hunks if part)
            files.append(ChangedFile(new, old_path, name, sha, added, deleted, patch))
        return tuple(files)

    def _git(self, *arguments: str) -> bytes:
        done = subprocess.run(
            ["git", "--git-dir", str(self.git_dir), "--literal-pathspecs", *arguments],
            capture_output=True,
            check=False,
            env=_STORE_ENVIRONMENT,
        )
        if done.returncode != 0:
            raise MissingObjectError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


# Somebody's own diff.noprefix or diff.algorithm must not change what the fake serves.
_STORE_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
_DIFF = ["-c", "core.quotePath=false", "diff", "--no-color", "--no-ext-diff", "--no-textconv", "-p"]


def _range(start: bytes, count: bytes | None) -> range:
    first = int(start)
    return range(first, first + (1 if count is None else int(count)))


def _entries(listing: bytes) -> list[TreeEntry]:
    entries = []
    for row in listing.split(b"\0")[:-1]:
        head, _, path = row.partition(b"\t")
        mode, kind, sha, size = head.decode().split()
        entries.append(
            TreeEntry(mode, kind, sha, None if size == "-" else int(size), path.decode("utf-8", "replace"))
        )
    return entries


def _raw(listing: bytes) -> list[tuple[str, str, str, str]]:
    """Status letter, SHA, old path and new path of each file."""
    fields = iter(listing.decode("utf-8", "replace").split("\0")[:-1])
    files = []
    for head in fields:
        _, _, old_sha, new_sha, status = head.split()
        old = next(fields)
        new = next(fields) if status[0] in "RC" else old
        files.append((status[0], old_sha if status == "D" else new_sha, old, new))
    return files


def _numstat(listing: bytes) -> list[tuple[int, int]]:
    """Added and deleted lines of each file; zeros for binary files."""
    fields = iter(listing.split(b"\0")[:-1])
    counts = []
    for head in fields:
        added, deleted, path = head.split(b"\t", 2)
        if not path:  # a rename: both paths follow as fields of their own
            next(fields)
            next(fields)
        counts.append((int(added), int(deleted)) if added != b"-" else (0, 0))
    return counts


def _hunks(patch: bytes) -> str:
    """The part of a file's patch from its first `@@` on."""
    start = re.search(rb"(?m)^@@ -", patch)
    return patch[start.start() :].removesuffix(b"\n").decode("utf-8", "replace") if start else ""

"""The files of a commit or of a working tree, and a temporary repository for given files and patches."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.pull_request import MAX_HITS, Known
from hunkwise.errors import OversizeError, RepositoryError, SettingsError
from hunkwise.files import read_bounded
from hunkwise.repository.git import GREP_TIMEOUT, Git
from hunkwise.repository.git_output import is_path
from hunkwise.repository.git_process import COMMIT_IDENTITY, GitResult, call, environment, tempfile_error

MAX_FILE = 2_000_000
"""Bytes."""
MAX_SMALL = 500_000
"""Bytes per file when many files are read."""
MAX_TOGETHER = 48_000_000
"""Bytes of all these files."""
MOST_LOST_SEARCHES = 3
_SLOW_SECONDS = 1.0


class GitTree:
    """Reads the code under review at a pinned SHA."""

    searchable = True

    def __init__(self, git: Git, sha: str) -> None:
        self._git = git
        self._sha = sha
        self._searching = threading.Lock()
        self._slow_failures = 0
        """The number of searches that failed after more than a second."""

    def read(self, path: str) -> bytes | None:
        """Returns a file's bytes; None if there is no such file. Raises OversizeError above MAX_FILE."""
        return self._git.blob(self._sha, path, MAX_FILE)

    def read_many(self, paths: Sequence[str]) -> Known:
        """Returns files by path, None if there is no file. Files above MAX_SMALL, or beyond MAX_TOGETHER in total, are
        missing. Raises RepositoryError."""
        return self._git.blobs(self._sha, paths, most=MAX_SMALL, together=MAX_TOGETHER)

    def search(
        self,
        pattern: str,
        paths: tuple[str, ...],
        *,
        limit: int = MAX_HITS + 1,
        seconds: float = GREP_TIMEOUT,
    ) -> list[tuple[str, int, str]] | None:
        """Returns (path, line, text) of the first `limit` lines that match. Raises RepositoryError.

        A malicious expression uses all the time and memory that is allowed: so only one search runs at a time, and
        none after MOST_LOST_SEARCHES slow failures.
        """
        with self._searching:
            if self._slow_failures >= MOST_LOST_SEARCHES:
                raise RepositoryError("Too many searches took too long.", "Use repo_list and repo_read.")
            start = time.monotonic()
            try:
                return self._git.grep(self._sha, pattern, paths, limit, seconds=seconds)
            except RepositoryError:
                self._slow_failures += time.monotonic() - start > _SLOW_SECONDS
                raise

    def list(self, path: str) -> tuple[str, ...] | None:
        """Lists the names in a folder, folders with a final slash; None if there is no such folder."""
        return self._git.tree(self._sha, path) or None


def readable(git: Git | None) -> Git | None:
    """Returns `git` if there is a repository in its folder."""
    try:
        if git is not None:
            git.has("0" * 40)
    except RepositoryError:
        return None
    return git


def local_tree(git: Git | None, sha: str) -> GitTree | None:
    """Returns the files of a commit; None if there is no repository, or the commit is not in it."""
    return GitTree(git, sha) if git is not None and git.has(sha) else None


class WorkingTree:
    """The files on disk of the repository at or above `folder`, or of the folder itself if there is none."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingsError if the folder does not exist."""
        if not folder.is_dir():
            raise SettingsError([f"There is no folder {folder}; name the folder of a clone."])
        start = folder.resolve()
        self.root = next((top for top in (start, *start.parents) if (top / ".git").exists()), start)

    def read(self, path: str) -> bytes | None:
        """Returns a file's bytes; None for no file and for links. Raises OversizeError, RepositoryError."""
        file = self._find(path, stat.S_IFREG)
        if file is None:
            return None
        try:
            content = self._read_bytes(file)
        except OSError as error:
            remedy = "Make the file readable."
            raise RepositoryError(f"{path!r} could not be read: {error.strerror}.", remedy) from error
        if len(content) > MAX_FILE:
            raise OversizeError(path, MAX_FILE)
        return content

    def read_many(self, paths: Sequence[str]) -> Known:
        """Returns files by path, None if there is no file. Files above MAX_FILE are missing."""
        contents: dict[str, bytes | None] = {}
        for path in paths:
            with suppress(OversizeError):
                contents[path] = self.read(path)
        return contents

    def list(self, path: str) -> tuple[str, ...] | None:
        """Lists the names in a folder, folders with a final slash; None if there is no such folder."""
        folder = self._find(path, stat.S_IFDIR)
        if folder is None:
            return None
        try:
            entries = self._sorted_entries(folder)
        except OSError as error:
            remedy = "Make the folder readable."
            raise RepositoryError(f"{path!r} could not be listed: {error.strerror}.", remedy) from error
        return tuple(
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries
        )

    def _read_bytes(self, file: Path) -> bytes:
        return read_bounded(file, MAX_FILE)

    def _sorted_entries(self, folder: Path) -> Sequence[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def _find(self, path: str, kind: int) -> Path | None:
        """Returns the full path, if it leads through folders of the tree, not links, to an entry of that kind."""
        parts = path.rstrip("/").split("/")
        if {"", ".", "..", ".git"} & set(parts) or "\0" in path:
            return None
        current = self.root
        for part in parts:
            current /= part
            try:
                current_kind = stat.S_IFMT(current.lstat().st_mode)
            except OSError:  # it does not exist, or its parent is a file
                return None
            if current_kind == stat.S_IFLNK:
                return None
        return current if current_kind == kind else None


_SECONDS = 60.0
_MEMORY = 1 << 29
_IDENTITY = "hunkwise <hunkwise@example.invalid> 1700000000 +0000"
_SHA = re.compile("[0-9a-f]{40}")
_REF = "refs/heads/made"


class ScratchRepository:
    """A bare repository in a temporary folder, which `close` deletes. Methods raise RepositoryError."""

    def __init__(self) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="hunkwise-made-")
        except OSError as error:
            raise tempfile_error(error) from error
        self._home = Path(self._folder.name).resolve()
        self._store = self._home / "made.git"
        self._env = {**environment(self._home), "GIT_DIR": str(self._store), **COMMIT_IDENTITY}
        self._count = 0
        self._checked(
            call(["init", "-q", "--bare", str(self._store)], environment(self._home), timeout=_SECONDS),
            "A repository could not be made",
        )
        self._git = Git(self._store, bare=True)

    def close(self) -> None:
        self._git.close()
        self._folder.cleanup()

    def diff(self, base: str, head: str) -> tuple[FileDiff, ...]:
        """Returns all files that differ between two commits; see `Git.diff`."""
        return self._git.diff(base, head)

    def at(self, sha: str) -> GitTree:
        """Returns the files of a commit."""
        return GitTree(self._git, sha)

    def commit(self, files: Mapping[str, tuple[bytes, bool]], parent: str | None = None) -> str:
        """Creates a commit with exactly these files (by path: bytes, executable) and returns its SHA."""
        invalid = next((path for path in files if not is_path(path)), None)
        if invalid is not None:
            raise RepositoryError(f"The files cannot be kept: no tree has the path {invalid[:200]!r}.")
        self._count += 1
        stream = b"".join(_import_stream(files, parent, f"{_REF}-{self._count}"))
        arguments = ["fast-import", "--quiet", "--force"]
        sha = self._checked(
            call(arguments, self._env, timeout=_SECONDS, stdin=stream), "The files cannot be kept"
        )
        if not _SHA.fullmatch(sha):
            raise RepositoryError("git fast-import named no commit.", "Install git 2.38 or newer.")
        return sha

    def apply(self, base: str, diff: bytes) -> str:
        """Applies the diff to a commit and returns the new commit's SHA. Raises RepositoryError if it does not apply.

        It writes Git objects only, no files: a link in the diff is never created on disk.
        """
        self._count += 1
        env = {**self._env, "GIT_INDEX_FILE": str(self._home / f"index-{self._count}")}
        patch = self._home / f"change-{self._count}.diff"
        try:
            patch.write_bytes(diff)
        except OSError as error:
            raise tempfile_error(error) from error
        self._checked(call(["read-tree", base], env, timeout=_SECONDS), "The tree could not be read")
        arguments = ["apply", "--cached", "--whitespace=nowarn", str(patch)]
        self._checked(call(arguments, env, timeout=_SECONDS, memory=_MEMORY), "It does not apply")
        tree = self._checked(call(["write-tree"], env, timeout=_SECONDS), "The tree could not be written")
        result = call(["commit-tree", tree, "-p", base, "-m", "Change"], env, timeout=_SECONDS)
        return self._checked(result, "The commit could not be made")

    def _checked(self, answer: GitResult, what: str) -> str:
        if answer.code != 0:
            complaint = answer.complaint.replace(str(self._home), "").removeprefix("error: ")
            raise RepositoryError(f"{what}: {complaint or f'git ended with {answer.code}'}.")
        return answer.output.decode("utf-8", "replace").strip()


def _import_stream(files: Mapping[str, tuple[bytes, bool]], parent: str | None, ref: str) -> Iterator[bytes]:
    """Yields the input of `git fast-import`."""
    message = b"Change" if parent else b"Base"
    yield f"commit {ref}\nmark :1\nauthor {_IDENTITY}\ncommitter {_IDENTITY}\n".encode()
    yield b"data %d\n%s\n" % (len(message), message)
    if parent:
        yield f"from {parent}\n".encode()
    yield b"deleteall\n"
    for path, (raw, executable) in sorted(files.items()):
        yield b"M %s inline %s\n" % (b"100755" if executable else b"100644", _quoted(path))
        yield b"data %d\n%s\n" % (len(raw), raw)
    yield b"\nget-mark :1\n"


def _quoted(path: str) -> bytes:
    """Returns the path in quotes, with control characters, quotes and backslashes in octal."""
    raw = path.encode("utf-8", "surrogateescape")
    return (
        b'"'
        + b"".join(b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in raw)
        + b'"'
    )

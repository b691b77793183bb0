"""The files of a commit or of a working tree, and a temporary repository that is built from files and patches."""

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
from hunkwise.domain.pull_request import Known
from hunkwise.errors import OversizeError, RepositoryError
from hunkwise.files import read_given
from hunkwise.repository.git import Git
from hunkwise.repository.git_output import is_path
from hunkwise.repository.git_process import GitResult, call, environment, tempfile_error

MAX_FILE = 2_000_000
"""Bytes."""
MAX_SMALL = 500_000
"""Bytes of one of many files."""
MAX_TOGETHER = 48_000_000
MAX_HITS = 100
MOST_LOST_SEARCHES = 3
_LOST_SECONDS = 1.0


class GitTree:
    """Reads the code under review at a pinned SHA."""

    def __init__(self, git: Git, sha: str) -> None:
        self._git = git
        self._sha = sha
        self._searching = threading.Lock()
        self._lost = 0
        """Searches that took their time and came to nothing."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file. Raises OversizeError above MAX_FILE."""
        return self._git.blob(self._sha, path, MAX_FILE)

    def read_many(self, paths: Sequence[str]) -> Known:
        """Files by their paths, None where there is no file. What is larger than MAX_SMALL, or lies past MAX_TOGETHER,
        is not in it. Raises RepositoryError."""
        return self._git.blobs(self._sha, paths, most=MAX_SMALL, together=MAX_TOGETHER)

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None:
        """(path, line, text) of the first hundred lines that match. Raises RepositoryError.

        A hostile expression takes all the time and memory that it gets: so there is one search at a time, and none
        any more when MOST_LOST_SEARCHES came to nothing.
        """
        with self._searching:
            if self._lost >= MOST_LOST_SEARCHES:
                raise RepositoryError("Too many searches took too long.", "Use repo_list and repo_read.")
            began = time.monotonic()
            try:
                return self._git.grep(self._sha, pattern, paths, MAX_HITS)
            except RepositoryError:
                self._lost += time.monotonic() - began > _LOST_SECONDS
                raise

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        return self._git.tree(self._sha, path) or None


"""Bytes."""


class WorkingTree:
    """The repository at or above `folder` as it stands on disk; the folder itself where there is none."""

    def __init__(self, folder: Path) -> None:
        """Raises RepositoryError where there is no such folder."""
        if not folder.is_dir():
            raise RepositoryError(f"{folder} is no folder.", "Name the folder of a clone by --repository.")
        start = folder.resolve()
        self.root = next((top for top in (start, *start.parents) if (top / ".git").exists()), start)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file, and for links. Raises OversizeError, RepositoryError."""
        place = self._place(path, stat.S_IFREG)
        if place is None:
            return None
        try:
            content = self._opened(place)
        except OSError as error:
            remedy = "Make the file readable."
            raise RepositoryError(f"{path!r} could not be read: {error.strerror}.", remedy) from error
        if len(content) > MAX_FILE:
            raise OversizeError(path, MAX_FILE)
        return content

    def read_many(self, paths: Sequence[str]) -> Known:
        """Files by their paths, None where there is no file. What is too large is not in it."""
        found: dict[str, bytes | None] = {}
        for path in paths:
            with suppress(OversizeError):
                found[path] = self.read(path)
        return found

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        place = self._place(path, stat.S_IFDIR)
        if place is None:
            return None
        try:
            entries = self._names(place)
        except OSError as error:
            remedy = "Make the folder readable."
            raise RepositoryError(f"{path!r} could not be listed: {error.strerror}.", remedy) from error
        return tuple(
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries
        )

    def _opened(self, place: Path) -> bytes:
        return read_given(place, MAX_FILE)

    def _names(self, place: Path) -> Sequence[os.DirEntry[str]]:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def _place(self, path: str, kind: int) -> Path | None:
        """Where the path leads, if it leads through folders of the tree to a thing of that kind."""
        parts = path.rstrip("/").split("/")
        if {"", ".", "..", ".git"} & set(parts) or "\0" in path:
            return None
        place = self.root
        for part in parts:
            place /= part
            try:
                found = stat.S_IFMT(place.lstat().st_mode)
            except OSError:  # not there, or a file where a folder was meant
                return None
            if found == stat.S_IFLNK:
                return None
        return place if found == kind else None


_SECONDS = 60.0
_MEMORY = 1 << 29
_WHO = "hunkwise <hunkwise@example.invalid> 1700000000 +0000"
_DATED = {
    f"GIT_{role}_{part}": said
    for role in ("AUTHOR", "COMMITTER")
    for part, said in (
        ("NAME", "hunkwise"),
        ("EMAIL", "hunkwise@example.invalid"),
        ("DATE", "1700000000 +0000"),
    )
}
_SHA = re.compile("[0-9a-f]{40}")
_REF = "refs/heads/made"


class ScratchRepository:
    """A bare repository in a folder of its own, which goes with `close`. Raises RepositoryError."""

    def __init__(self) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="hunkwise-made-")
        except OSError as error:
            raise tempfile_error(error) from error
        self._home = Path(self._folder.name).resolve()
        self._store = self._home / "made.git"
        self._env = {**environment(self._home), "GIT_DIR": str(self._store), **_DATED}
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
        """All files that differ between two commits; see repository.git."""
        return self._git.diff(base, head)

    def at(self, sha: str) -> GitTree:
        """The files of a commit."""
        return GitTree(self._git, sha)

    def commit(self, files: Mapping[str, tuple[bytes, bool]], parent: str | None = None) -> str:
        """The SHA of a commit with exactly these files: bytes and whether they are executable, by path."""
        strange = next((path for path in files if not is_path(path)), None)
        if strange is not None:
            raise RepositoryError(f"The files cannot be kept: no tree has the path {strange[:200]!r}.")
        self._count += 1
        stream = b"".join(_stream(files, parent, f"{_REF}-{self._count}"))
        arguments = ["fast-import", "--quiet", "--force"]
        said = self._checked(
            call(arguments, self._env, timeout=_SECONDS, asked=stream), "The files cannot be kept"
        )
        if not _SHA.fullmatch(said):
            raise RepositoryError("git fast-import named no commit.", "Install git 2.38 or newer.")
        return said

    def apply(self, base: str, diff: bytes) -> str:
        """The SHA of the commit that the diff makes of another one. Raises RepositoryError where it does not apply.

        Nothing is written but git's objects: a link in the diff stays a word.
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
        made = call(["commit-tree", tree, "-p", base, "-m", "Change"], env, timeout=_SECONDS)
        return self._checked(made, "The commit could not be made")

    def _checked(self, answer: GitResult, what: str) -> str:
        if answer.code != 0:
            complaint = answer.complaint.replace(str(self._home), "").removeprefix("error: ")
            raise RepositoryError(f"{what}: {complaint or f'git ended with {answer.code}'}.")
        return answer.output.decode("utf-8", "replace").strip()


def _stream(files: Mapping[str, tuple[bytes, bool]], parent: str | None, ref: str) -> Iterator[bytes]:
    """What git fast-import reads."""
    message = b"Change" if parent else b"Base"
    yield f"commit {ref}\nmark :1\nauthor {_WHO}\ncommitter {_WHO}\n".encode()
    yield b"data %d\n%s\n" % (len(message), message)
    if parent:
        yield f"from {parent}\n".encode()
    yield b"deleteall\n"
    for path, (raw, executable) in sorted(files.items()):
        yield b"M %s inline %s\n" % (b"100755" if executable else b"100644", _quoted(path))
        yield b"data %d\n%s\n" % (len(raw), raw)
    yield b"\nget-mark :1\n"


def _quoted(path: str) -> bytes:
    """In quotes, with what could end the line or the quotes in octal."""
    raw = path.encode("utf-8", "surrogateescape")
    return (
        b'"'
        + b"".join(b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in raw)
        + b'"'
    )

"""Reads a repository's history: diffs, files of commits, searches."""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from hunkwise.domain.audit import TreeFile
from hunkwise.domain.diff import FileDiff, Hunk
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.pull_request import Entry, Known
from hunkwise.domain.text import is_sha
from hunkwise.errors import OversizeError, RepositoryError
from hunkwise.repository.git_output import (
    as_argument,
    batch_paths,
    clean,
    is_path,
    read_blobs,
    read_changes,
    read_files,
    read_hits,
)
from hunkwise.repository.git_process import (
    EMPTY_TREES,
    TIMEOUT,
    GitResult,
    Mirror,
    call,
    environment,
    kill,
    tempfile_error,
)

_LISTING = 64 << 20
_FILES = "Files of the commit could not be read"
_HEADER = 200
"""Bytes that `cat-file --batch` adds to each content, at most."""


class RunGit(Protocol):
    """Runs git. `stdin` is its standard input."""

    def __call__(
        self, command: str, *arguments: str | bytes, limit: int = ..., stdin: bytes = ...
    ) -> GitResult: ...


def read_contents(run: RunGit, sha: str, paths: Sequence[str], *, most: int, together: int) -> Known:
    """Returns contents by path, None if there is no file.

    Files with more than `most` bytes are missing, as are files beyond `together` bytes in total.
    Raises RepositoryError.
    """
    names_by_path = {path: clean(path) for path in paths}
    names = [name for name in dict.fromkeys(names_by_path.values()) if is_path(name)]
    entries: dict[str, Entry] = {}
    for batch in batch_paths(names):
        files = _list_files(run, sha, batch)
        entries |= {name: None for name in batch if name not in files}
        selected: list[TreeFile] = []
        for file in files.values():
            if 0 <= file.size <= min(most, together):
                selected.append(file)
                together -= file.size
        contents = _read_blobs(run, selected)
        entries |= {file.path: contents[file.blob] for file in selected if file.blob in contents}
    return {path: entries[name] for path, name in names_by_path.items() if name in entries}


def _list_files(run: RunGit, sha: str, names: Sequence[str]) -> Mapping[str, TreeFile]:
    """Returns the regular files among the names, without links and submodules."""
    pathspecs = [as_argument(name) for name in names]
    answer = run("ls-tree", "-z", "-l", "--full-tree", sha, "--", *pathspecs, limit=_LISTING)
    return {file.path: file for file in read_files(checked_output(answer, _FILES))}


def _read_blobs(run: RunGit, files: Sequence[TreeFile]) -> dict[str, bytes]:
    """Returns contents by object id. Objects that git does not have, as in a partial clone, are missing."""
    if not files:
        return {}
    stdin = "".join(f"{file.blob}\n" for file in files).encode("ascii")
    limit = sum(file.size + _HEADER for file in files)
    output = checked_output(run("cat-file", "--batch", limit=limit, stdin=stdin), _FILES)
    return read_blobs(output, [file.blob for file in files])


GREP_TIMEOUT = 10.0
GREP_MEMORY = 1 << 29
"""Bytes: with nested repetition counts, a short expression can need any amount."""
_OUTPUT = 4 << 20
_PATTERN_LIMIT = 1_000
_OPTIONS = ("-n", "-z", "-I", "--no-color", "--no-textconv", "--full-name", "--threads=2")


class RunSearch(Protocol):
    """Runs git; `globs`: whether its paths may be patterns."""

    def __call__(
        self,
        command: str,
        *arguments: str | bytes,
        limit: int = ...,
        timeout: float = ...,
        memory: int | None = ...,
        globs: bool = ...,
    ) -> GitResult: ...


def search(
    run: RunSearch,
    sha: str,
    pattern: str,
    paths: Sequence[str],
    limit: int,
    *,
    fixed: bool,
    seconds: float = GREP_TIMEOUT,
) -> list[tuple[str, int, str]]:
    """Returns path, line number and text of the first `limit` lines that match.

    `pattern` is a POSIX extended expression, or plain text if `fixed`; `paths` are names, folders or globs
    (`src/**/*.py`), empty for all files. Binary files and submodules are skipped. Raises RepositoryError.
    """
    if not pattern or len(pattern) > _PATTERN_LIMIT or "\0" in pattern or "\n" in pattern:
        raise RepositoryError(f"A search pattern is one line of 1 to {_PATTERN_LIMIT} characters.")
    folders = [clean(path) for path in paths]
    pathspecs = [b":(top,glob)" + as_argument(path) for path in folders if is_path(path)]
    if folders and not pathspecs and "" not in folders:
        return []
    if "" in folders:
        pathspecs = []
    syntax = "-F" if fixed else "-E"
    arguments: list[str | bytes] = [*_OPTIONS, syntax, "-e", as_argument(pattern), sha, "--", *pathspecs]
    answer = run("grep", *arguments, limit=_OUTPUT, timeout=seconds, memory=GREP_MEMORY, globs=True)
    if answer.code not in (0, 1, None):
        raise RepositoryError(
            f"The search for {pattern!r} failed: {answer.complaint or 'git grep was ended'}.",
            "Write a POSIX extended regular expression, without large repetition counts.",
        )
    return read_hits(answer.output, len(sha) + 1, limit)


DIFF_LIMIT = 64 << 20
"""Bytes of a diff that are read; files after them are `patch_missing`."""
DIFF_TIMEOUT = 180.0
SMALL_OUTPUT = 1 << 20
"""Bytes of any other output."""
_RAW_LINE = 160
"""Bytes of a line of `--raw` besides the path, which can be four times as long when quoted."""
_DIFF_OPTIONS = ("-U3", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
_PATCHES = ("-p", "--submodule=short", *_DIFF_OPTIONS)
_FETCH_MORE = (
    "Check out with `fetch-depth: 0` and without a filter, so that both sides of the change are there.",
    "Fetch the whole history (`git fetch --unshallow`), or clone again without a filter.",
)
_NAME_ANOTHER = (
    "Name a branch, a tag or a commit that is there, or check out with `fetch-depth: 0`.",
    "Name a branch, a tag or a commit that is there; `git fetch` gets those of the remote.",
)


class Git:
    """Reads the repository at or above `path`: a checkout, a linked work tree, or, if `bare`, a bare repository.

    The repository's configuration is ignored, and none of its programs run (`repository.git_process`). Paths are
    text with surrogate escapes for bytes that are not UTF-8. Every method raises RepositoryError if there is no
    repository, or git fails or takes too long; a SHA must be a full one (see `resolve`).
    """

    def __init__(
        self,
        path: Path,
        *,
        bare: bool = False,
        diff_limit: int = DIFF_LIMIT,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """`seconds_left`: returns the seconds until the run's deadline, which ends all calls of git."""
        self._path = path
        self._bare = bare
        self._seconds_left = seconds_left
        self._diff_limit = diff_limit
        self._running: set[Popen[bytes]] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._mirror: Mirror | None = None

    def close(self) -> None:
        """Ends the calls that other threads wait for; later calls fail."""
        self._closed = True
        for process in tuple(self._running):
            kill(process)
        if self._mirror is not None:
            self._mirror.close()

    @property
    def mirror(self) -> Mirror:
        """The private folder through which git reads the repository."""
        with self._lock:
            if self._mirror is None:
                self._mirror = Mirror(self._path, bare=self._bare, ask=self._call)
            return self._mirror

    def has(self, sha: str) -> bool:
        """Returns whether the repository contains the commit."""
        return self.run("cat-file", "-e", checked_sha(sha) + "^{commit}").code == 0

    def resolve(self, rev: str) -> str:
        """Returns the SHA of the commit that a branch, a tag, a SHA or an expression like `HEAD~2` refers to."""
        answer = None
        if "\0" not in rev and rev:
            name = as_argument(rev + "^{commit}")
            answer = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        sha = answer.output.decode("ascii", "replace").strip() if answer and answer.code == 0 else ""
        if not is_sha(sha):
            if not self.run("for-each-ref", "--count=1").output and rev == "HEAD":
                raise RepositoryError("This repository has no commits yet.", "", "Commit something first.")
            raise RepositoryError(f"There is no commit {rev!r} in {self._path.absolute()}.", *_NAME_ANOTHER)
        return sha

    def default_branch(self) -> str | None:
        """Returns the branch of origin/HEAD (`origin/main`), else an existing main or master, else None."""
        answer = self.run("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        names = [answer.output.decode("utf-8", "replace").strip()] if answer.code == 0 else []
        for name in [*names, "origin/main", "origin/master", "main", "master"]:
            commit = f"{name}^{{commit}}"
            if self.run("rev-parse", "--verify", "--quiet", "--end-of-options", commit).code == 0:
                return name
        return None

    def merge_base(self, a: str, b: str) -> str | None:
        """Returns the SHA of the best common ancestor; None if the available history has none."""
        answer = self.run("merge-base", checked_sha(a), checked_sha(b))
        if answer.code == 1:
            return None
        return checked_output(answer, "The merge base could not be found").decode("ascii").split("\n")[0]

    def diff(self, base: str, head: str, paths: Sequence[str] = ()) -> tuple[FileDiff, ...]:
        """Returns the files that differ between two commits or trees, with three lines of context.

        Without `paths`, all files, with renames. With them, only those that are named exactly, in the order of
        `paths`; a renamed file is then a removed and an added one.
        """
        commits = checked_sha(base), checked_sha(head)
        if not paths:
            return self._diff(commits, ["-M", *_PATCHES], [], self._diff_limit)[0]
        changes: dict[str, FileDiff] = {}
        room = self._diff_limit
        for batch in batch_paths(path for path in dict.fromkeys(paths) if is_path(path)):
            fits = room > sum(_RAW_LINE + 4 * len(as_argument(path)) for path in batch)
            patches, limit = (_PATCHES, room) if fits else ((), _LISTING)
            files, used = self._diff(commits, ["--no-renames", *patches], batch, limit)
            changes |= {file.path: file for file in files}
            room -= used
        return tuple(changes[path] for path in dict.fromkeys(paths) if path in changes)

    def _diff(
        self, commits: tuple[str, str], options: Sequence[str], paths: Sequence[str], limit: int
    ) -> tuple[tuple[FileDiff, ...], int]:
        """Returns the changed files, and the bytes that git wrote. Without `_PATCHES` they are `patch_missing`."""
        arguments = ["-r", "--raw", "--no-abbrev", *options, *commits, "--"]
        pathspecs = map(as_argument, paths)
        answer = self.run("diff-tree", *arguments, *pathspecs, limit=limit, timeout=DIFF_TIMEOUT)
        if not answer.cut:
            checked_output(answer, f"The change {commits[0][:12]}..{commits[1][:12]} could not be read")
        missing = answer.cut or "-p" not in options
        return read_changes(answer.output, missing), len(answer.output)

    @staticmethod
    def empty_tree(sha: str) -> str:
        """Returns the id of the empty tree in the object format of this SHA: the base of a diff of all files."""
        return EMPTY_TREES["sha1" if len(checked_sha(sha)) == 40 else "sha256"]

    def blob(self, sha: str, path: str, limit: int) -> bytes | None:
        """Returns a file's content; None for no file and for links. Raises OversizeError above `limit` bytes."""
        cleaned = clean(path)
        for mode, oid, name in self._list_entries(sha, cleaned) if cleaned else ():
            if name == cleaned and mode.startswith("100"):
                answer = self.run("cat-file", "blob", oid, limit=limit)
                if answer.cut:
                    raise OversizeError(path, limit)
                return checked_output(answer, f"{path!r} could not be read")
        return None

    def blobs(self, sha: str, paths: Sequence[str], *, most: int, together: int) -> Known:
        """Returns files by path, in two calls of git; see `read_contents`."""
        return read_contents(self.run, checked_sha(sha), paths, most=most, together=together)

    def tree(self, sha: str, prefix: str = "") -> tuple[str, ...]:
        """Lists the names in the folder `prefix`, folders with a final `/`; empty if there is no such folder."""
        folder = clean(prefix)
        root = f"{folder}/" if folder else ""
        names = ((mode, name.removeprefix(root)) for mode, _, name in self._list_entries(sha, root))
        return tuple(name + "/" if mode == "040000" else name for mode, name in names)

    def grep(
        self,
        sha: str,
        pattern: str,
        paths: Sequence[str],
        limit: int,
        *,
        fixed: bool = False,
        seconds: float = GREP_TIMEOUT,
    ) -> list[tuple[str, int, str]]:
        """Returns path, line number and text of the first `limit` lines that match; see `search`."""
        return search(self.run, checked_sha(sha), pattern, paths, limit, fixed=fixed, seconds=seconds)

    @staticmethod
    def diff_blobs(old: bytes, new: bytes) -> tuple[Hunk, ...]:
        """Returns the hunks of `git diff` between two contents; none if one is binary. Needs no repository."""
        arguments = ["diff", "--no-index", *_DIFF_OPTIONS, "--", "old", "new"]
        try:
            with tempfile.TemporaryDirectory(prefix="hunkwise-blobs-") as folder:
                home = Path(folder).resolve()
                (home / "old").write_bytes(old)
                (home / "new").write_bytes(new)
                answer = call(arguments, environment(home), limit=DIFF_LIMIT, timeout=TIMEOUT)
        except OSError as error:
            raise tempfile_error(error) from error
        return parse_hunks(checked_output(answer, "Two files could not be compared", (0, 1)))

    def _list_entries(self, sha: str, path: str) -> list[tuple[str, str, str]]:
        """Returns mode, object id and full path of the entry at `path`, or of the entries of a folder (`path/`)."""
        if path and not is_path(path.removesuffix("/")):
            return []
        pathspecs = [as_argument(path)] if path else []
        answer = self.run("ls-tree", "-z", "--full-tree", checked_sha(sha), "--", *pathspecs, limit=_LISTING)
        output = (
            answer.output if answer.cut else checked_output(answer, f"The files of {sha} could not be listed")
        )
        entries = []
        for entry in output.split(b"\0")[:-1]:
            fields, _, name = entry.partition(b"\t")
            mode, _, oid = fields.decode("ascii").split(" ")
            entries.append((mode, oid, name.decode("utf-8", "surrogateescape")))
        return entries

    def run(
        self,
        command: str,
        *arguments: str | bytes,
        limit: int = SMALL_OUTPUT,
        timeout: float = TIMEOUT,
        memory: int | None = None,
        globs: bool = False,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> GitResult:
        """Runs git in the repository; paths are literal unless `globs`. `env` replaces the mirror's environment.

        See `git_process.call`.
        """
        env = env or (self.mirror.env if globs else {**self.mirror.env, "GIT_LITERAL_PATHSPECS": "1"})
        return self._call(
            [command, *arguments], env, limit=limit, timeout=timeout, memory=memory, stdin=stdin
        )

    def _call(
        self,
        arguments: Sequence[str | bytes],
        env: Mapping[str, str],
        *,
        limit: int,
        timeout: float = TIMEOUT,
        memory: int | None = None,
        stdin: bytes = b"",
    ) -> GitResult:
        if self._closed:
            raise RepositoryError("The repository was not read: the run is over.")
        seconds = min(timeout, max(0.0, self._seconds_left()))
        return call(
            arguments, env, limit=limit, timeout=seconds, memory=memory, running=self._running, stdin=stdin
        )


def checked_output(answer: GitResult, what: str, codes: Sequence[int | None] = (0,)) -> bytes:
    """Returns git's output. Raises RepositoryError, which says `what` failed, for any other exit code."""
    if answer.code not in codes:
        reason = "git wrote more than was expected" if answer.cut else f"git ended with {answer.code}"
        raise RepositoryError(f"{what}: {answer.complaint or reason}.", *_FETCH_MORE)
    return answer.output


def checked_sha(sha: str) -> str:
    """Returns the SHA. Raises RepositoryError if it is not a full one."""
    if not is_sha(sha):
        raise RepositoryError(f"{sha!r} is not the full SHA of a commit.", "Name all 40 (or 64) hex digits.")
    return sha

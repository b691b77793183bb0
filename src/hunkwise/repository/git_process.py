"""Runs git so that the configuration of the reviewed repository has no effect.

The repository is never opened directly. Git uses a private folder that links to its objects and refs and has no
configuration, hooks, attributes, index or work tree. So there is no driver, filter, monitor, alias or promisor remote
that it could run, and no `-diff` attribute that could mark a change as binary. Root, as in a container, runs git as
the owner of the checkout: objects are untrusted data, and git is a large program.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from hunkwise.errors import RepositoryError
from hunkwise.files import PrivateFolder

TIMEOUT = 60.0
"""Default time limit of a call of git, in seconds."""


@dataclass(frozen=True, slots=True)
class GitResult:
    """Git's output and exit code. `code` is None if reading stopped at the limit."""

    code: int | None
    output: bytes
    complaint: str = ""
    """The first line that git wrote to stderr."""

    @property
    def cut(self) -> bool:
        return self.code is None


def call(
    arguments: Sequence[str | bytes],
    env: Mapping[str, str],
    *,
    limit: int | None = None,
    timeout: float = TIMEOUT,
    memory: int | None = None,
    running: set[subprocess.Popen[bytes]] | None = None,
    stdin: bytes = b"",
) -> GitResult:
    """Runs `git` with the arguments and reads at most `limit` bytes of its output; `stdin` is its standard input.

    `memory` limits the bytes that it may allocate, if the system supports this (Linux). While the process runs it
    is in `running`, so that another thread can `kill` it.
    Raises RepositoryError if git is not installed or does not end within `timeout` seconds.
    """
    timed_out = threading.Event()
    with ExitStack() as files:
        stderr = files.enter_context(_temporary_file())
        process = _start(arguments, env, stderr, _input_file(stdin, files))
        running = set() if running is None else running
        running.add(process)
        if memory is not None and hasattr(resource, "prlimit"):
            _limit_memory(process.pid, memory)
        watchdog = threading.Timer(timeout, _end, (process, timed_out))
        watchdog.daemon = True
        try:
            watchdog.start()
        except RuntimeError as error:
            _end(process, timed_out)
            raise RepositoryError("No thread could be started to watch git.", "Raise `ulimit -u`.") from error
        try:
            output, complete = _read_output(process, limit)
        finally:
            watchdog.cancel()
            running.discard(process)
        if timed_out.is_set():
            raise RepositoryError(
                f"`git {_command_name(arguments)}` was not done within {timeout:g} s and was ended.",
                "Narrow the question, or look whether the disk or the repository is damaged (git fsck).",
            )
        stderr.seek(0)
        complaint = stderr.read(2_000).decode("utf-8", "replace").partition("\n")[0]
    return GitResult(process.returncode if complete else None, output, complaint)


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # closed below; only its creation is in `try`
    except OSError as error:
        raise tempfile_error(error) from error
    with file:
        yield file


def _input_file(stdin: bytes, files: ExitStack) -> IO[bytes] | int:
    """Returns a file, not a pipe: git could block if it writes output before it has read all input."""
    if not stdin:
        return subprocess.DEVNULL
    file = files.enter_context(_temporary_file())
    file.write(stdin)
    file.seek(0)
    return file


def tempfile_error(error: OSError) -> RepositoryError:
    """Returns the error for a temporary file or folder that cannot be created or written."""
    message = f"Git could not be given a temporary file: {error.strerror or error}."
    return RepositoryError(message, "Look at the space on the disk, and at the rights of TMPDIR.")


def _start(
    arguments: Sequence[str | bytes],
    env: Mapping[str, str],
    stderr: IO[bytes],
    stdin: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    home = Path(env["HOME"])
    try:
        owner = home.stat()
        switch_user = os.geteuid() == 0 != owner.st_uid  # `_give_to_owner` has changed the folder's owner
        return subprocess.Popen(
            ["git", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(env),
            cwd=home,
            user=owner.st_uid if switch_user else None,
            group=owner.st_gid if switch_user else None,
            extra_groups=() if switch_user else None,
            start_new_session=True,  # so that its child processes can be killed with it
        )
    except OSError as error:
        raise RepositoryError(f"git could not be started: {error}.", "Install git 2.38 or newer.") from error


def _read_output(process: subprocess.Popen[bytes], limit: int | None) -> tuple[bytes, bool]:
    """Returns the output, and whether it is complete. The process has ended afterwards."""
    assert process.stdout is not None
    with process, process.stdout as stream:
        output = stream.read() if limit is None else stream.read(limit)
        complete = limit is None or not stream.read(1)
        if not complete:
            kill(process)
    return output, complete


def _end(process: subprocess.Popen[bytes], timed_out: threading.Event) -> None:
    timed_out.set()
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the process and its child processes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _limit_memory(pid: int, memory: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
    except (ProcessLookupError, PermissionError):
        return  # it has ended already


def _command_name(arguments: Sequence[str | bytes]) -> str:
    words = (word for word in arguments if isinstance(word, str) and not word.startswith("-"))
    return next(words, "")


COMMIT_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (
        ("NAME", "hunkwise"),
        ("EMAIL", "hunkwise@example.invalid"),
        ("DATE", "1700000000 +0000"),
    )
}
"""Variables for temporary commits."""
_SMALL_FILE = 10_000
_SETTINGS = 1 << 20
_LINKED = ("refs", "packed-refs", "reftable", "logs", "shallow", "FETCH_HEAD", "ORIG_HEAD")
EMPTY_TREES = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_EXTENSIONS = {"objectformat": ("sha1", "sha256"), "refstorage": ("files", "reftable")}
_OVERRIDES = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.pager": "cat",
    "diff.external": "",
    "core.bigFileThreshold": "64m",  # larger files count as binary, and are never completely in memory
    "protocol.allow": "never",
    "safe.directory": "*",
}


class AskGit(Protocol):
    """Runs git with arguments and environment variables; see `call`."""

    def __call__(
        self, arguments: Sequence[str | bytes], env: Mapping[str, str], *, limit: int
    ) -> GitResult: ...


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns all environment variables for git; `home` is a private folder."""
    settings = {
        f"GIT_CONFIG_{part}_{number}": text
        for number, pair in enumerate(_OVERRIDES.items())
        for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        "GIT_CONFIG_COUNT": str(len(_OVERRIDES)),
        **settings,
        **(more or {}),
    }


class Mirror:
    """A private folder that gives git access to the objects and refs of the repository at `path`.

    Raises RepositoryError if there is no repository. The folder is deleted together with this object.
    """

    def __init__(self, path: Path, *, bare: bool = False, ask: AskGit = call) -> None:
        """`bare`: accept a bare repository too. Untrusted files may contain one with forged objects: git does not
        verify that an object matches its id. `ask` runs git."""
        self.work_tree, self.own, self.common = _locate(path, bare=bare)
        """The folder with the files (of a bare repository the repository itself), and the Git folder of this work
        tree, which has its index."""
        try:
            private = PrivateFolder("hunkwise-git-")
            self.close = weakref.finalize(self, private.wipe)
            """Deletes the folder; may be called again."""
            self.folder = private.path
            self._create(self.own, self.common, ask)
        except OSError as error:
            raise tempfile_error(error) from error

    def _create(self, own: Path, common: Path, ask: AskGit) -> None:
        _give_to_owner(self.folder, common / "objects")
        for name in _LINKED:
            if (common / name).exists():
                (self.folder / name).symlink_to((common / name).absolute())
        (self.folder / "refs").mkdir(exist_ok=True)
        (self.folder / "HEAD").write_text(_read_small_file(own / "HEAD") + "\n")
        extensions = _read_extensions(common, self.folder, ask)
        lines = [f"\t{name} = {value}\n" for name, value in extensions.items()]
        (self.folder / "config").write_text(
            "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n" + "".join(lines)
        )
        self.env = environment(
            self.folder,
            {
                "GIT_DIR": str(self.folder),
                "GIT_OBJECT_DIRECTORY": str((common / "objects").absolute()),
                "GIT_ATTR_SOURCE": EMPTY_TREES[extensions.get("objectformat", "sha1")],
            },
        )

    def copy_index(self) -> Path | None:
        """Copies the repository's index into the folder; from now on git writes new objects there. Returns None if the
        repository has no index. Raises RepositoryError."""
        index, objects = self.folder / "index", self.folder / "objects"
        try:
            if not (self.own / "index").is_file():
                return None
            # With its time of change, by which git sees whether a file may have changed since it was listed.
            for file in (self.own / "index", *self.common.glob("sharedindex.*")):
                shutil.copy2(file, self.folder / file.name)
            (objects / "info").mkdir(parents=True, exist_ok=True)
            (objects / "info" / "alternates").write_text(f"{(self.common / 'objects').absolute()}\n")
            for path in (index, objects, objects / "info"):
                _give_to_owner(path, self.common / "objects")
        except OSError as error:
            raise tempfile_error(error) from error
        self.env["GIT_OBJECT_DIRECTORY"] = str(objects)
        return index

    def read_settings(self, pattern: str) -> dict[str, str]:
        """Returns the repository's, the user's and the system's settings whose names match the expression, by
        lower-case names. Reading them runs no program. Raises RepositoryError."""
        env = environment(self.folder, {"GIT_DIR": str(self.own.absolute())})
        for name in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"):
            del env[name]
        home = Path(os.environ.get("HOME", ""))
        if home.is_dir() and home.is_absolute():
            env |= {
                "HOME": str(home),
                "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", f"{home}/.config"),
            }
        answer = call(["config", "-z", "--includes", "--get-regexp", pattern], env, limit=_SETTINGS)
        pairs = (
            entry.partition("\n") for entry in answer.output.decode("utf-8", "replace").split("\0") if entry
        )
        return {name.lower(): value if newline else "true" for name, newline, value in pairs}


def _give_to_owner(path: Path, objects: Path) -> None:
    """If we are root, changes the owner of the path to that of the objects: git then runs as that user."""
    if os.geteuid() == 0 and objects.is_dir():
        owner = objects.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _locate(path: Path, *, bare: bool) -> tuple[Path, Path, Path]:
    """Returns `path` or the folder above it that has a Git folder, that one, and the one that it shares with other
    work trees."""
    try:
        start = path.resolve()
        for folder in (start, *start.parents):
            own = _git_folder(folder, bare=bare)
            if own is not None:
                link = own / "commondir"
                return folder, own, own / _read_small_file(link) if link.is_file() else own
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise RepositoryError(f"The repository at {path} could not be read: {error}.") from error
    raise RepositoryError(
        f"There is no git repository at {start}.",
        "Run actions/checkout first.",
        "Change to a folder of a clone, or name one by --repository.",
    )


def _read_small_file(path: Path) -> str:
    """Returns the stripped text of one of Git's small files."""
    with path.open("rb") as file:
        return file.read(_SMALL_FILE).decode().strip()


def _git_folder(folder: Path, *, bare: bool) -> Path | None:
    inner = folder / ".git"
    if inner.is_file():
        inner = folder / _read_small_file(inner).removeprefix("gitdir:").strip()
    for candidate in (inner, folder) if bare else (inner,):
        if (candidate / "HEAD").is_file() and (candidate / "refs").is_dir():
            return candidate
        if (candidate / "HEAD").is_file() and (candidate / "commondir").is_file():
            return candidate
    return None


def _read_extensions(common: Path, home: Path, ask: AskGit) -> dict[str, str]:
    """Reads the format of objects and refs: the only two settings of the repository that are used."""
    if not (common / "config").is_file():
        return {}
    arguments = [
        "config",
        "--file",
        str(common / "config"),
        "--no-includes",
        "--get-regexp",
        r"^extensions\.",
    ]
    answer = ask(arguments, environment(home), limit=10_000)
    pairs = (line.partition(" ") for line in answer.output.decode("utf-8", "replace").lower().split("\n"))
    settings = {name.removeprefix("extensions."): value for name, _, value in pairs}
    return {name: settings[name] for name, values in _EXTENSIONS.items() if settings.get(name) in values}

"""Runs git so that nothing the reviewed repository configures has an effect.

The repository is never opened as such. Git sees a private folder that links to its objects and refs and has no
configuration, hooks, attributes, index or work tree. So there is no driver, filter, monitor, alias or promisor remote
that it could run, and no `-diff` attribute by which a change could pass for binary. Root, as in a container, reads a
checkout as the user who owns it: objects are untrusted bytes, and git is large.
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

TIMEOUT = 60.0
"""Seconds that a call of git may take unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class GitResult:
    """What git wrote and how it ended. `code` is None where reading stopped at the limit."""

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
    asked: bytes = b"",
) -> GitResult:
    """Runs `git` with the arguments and reads at most `limit` bytes of its output; `asked` is its standard input.

    `memory` bounds the bytes that it may allocate, where the system can (Linux). While it runs it is in `running`,
    so that another thread can `kill` it.
    Raises RepositoryError where git is not installed or is not done within `timeout` seconds.
    """
    late = threading.Event()
    with ExitStack() as files:
        complaints = files.enter_context(_temporary())
        process = _start(arguments, env, complaints, _input(asked, files))
        running = set() if running is None else running
        running.add(process)
        if memory is not None and hasattr(resource, "prlimit"):
            _bound_memory(process.pid, memory)
        watchdog = threading.Timer(timeout, _end, (process, late))
        watchdog.daemon = True
        try:
            watchdog.start()
        except RuntimeError as error:
            _end(process, late)
            raise RepositoryError("No thread could be started to watch git.", "Raise `ulimit -u`.") from error
        try:
            output, ended = _read(process, limit)
        finally:
            watchdog.cancel()
            running.discard(process)
        if late.is_set():
            raise RepositoryError(
                f"`git {_name(arguments)}` was not done within {timeout:g} s and was ended.",
                "Narrow the question, or look whether the disk or the repository is damaged (git fsck).",
            )
        complaints.seek(0)
        complaint = complaints.read(2_000).decode("utf-8", "replace").partition("\n")[0]
    return GitResult(process.returncode if ended else None, output, complaint)


@contextmanager
def _temporary() -> Iterator[IO[bytes]]:
    try:
        made = tempfile.TemporaryFile()  # noqa: SIM115  # closed below, apart from the errors of making it
    except OSError as error:
        raise tempfile_error(error) from error
    with made:
        yield made


def _input(asked: bytes, files: ExitStack) -> IO[bytes] | int:
    """A file, so that a git that writes before it has read everything cannot wait for us."""
    if not asked:
        return subprocess.DEVNULL
    standard_input = files.enter_context(_temporary())
    standard_input.write(asked)
    standard_input.seek(0)
    return standard_input


def tempfile_error(error: OSError) -> RepositoryError:
    """Git's own few files cannot be written."""
    message = f"Git could not be given a temporary file: {error.strerror or error}."
    return RepositoryError(message, "Look at the space on the disk, and at the rights of TMPDIR.")


def _start(
    arguments: Sequence[str | bytes],
    env: Mapping[str, str],
    complaints: IO[bytes],
    standard_input: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    home = Path(env["HOME"])
    try:
        owner = home.stat()
        other = os.geteuid() == 0 != owner.st_uid  # root gave the folder to the owner of the objects
        return subprocess.Popen(
            ["git", *arguments],
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=dict(env),
            cwd=home,
            user=owner.st_uid if other else None,
            group=owner.st_gid if other else None,
            extra_groups=() if other else None,
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
    except OSError as error:
        raise RepositoryError(f"git could not be started: {error}.", "Install git 2.38 or newer.") from error


def _read(process: subprocess.Popen[bytes], limit: int | None) -> tuple[bytes, bool]:
    """The output, and whether that was all of it; the process is gone afterwards."""
    assert process.stdout is not None
    with process, process.stdout as stream:
        output = stream.read() if limit is None else stream.read(limit)
        ended = limit is None or not stream.read(1)
        if not ended:
            kill(process)
    return output, ended


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends it and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _bound_memory(pid: int, memory: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
    except (ProcessLookupError, PermissionError):
        return  # it is done already


def _name(arguments: Sequence[str | bytes]) -> str:
    words = (word for word in arguments if isinstance(word, str) and not word.startswith("-"))
    return next(words, "")


_SMALL_FILE = 10_000
_LINKED = ("refs", "packed-refs", "reftable", "logs", "shallow", "FETCH_HEAD", "ORIG_HEAD")
_EMPTY_TREE = {
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
    "core.bigFileThreshold": "64m",  # what is larger counts as binary, and is never held in memory whole
    "protocol.allow": "never",
    "safe.directory": "*",
}


class AskGit(Protocol):
    """Calls git with arguments and an environment; see repository.git_process."""

    def __call__(
        self, arguments: Sequence[str | bytes], env: Mapping[str, str], *, limit: int
    ) -> GitResult: ...


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Git's whole environment, from scratch; `home` is a private folder."""
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
    """The private folder through which git sees the objects and refs of the repository at `path`.

    Raises RepositoryError where there is no repository. The folder goes when the object goes.
    """

    def __init__(self, path: Path, *, bare: bool = False, ask: AskGit = call) -> None:
        """`bare`: a bare repository counts as well. Among foreign files one may lie whose objects are forged:
        git does not look whether they are what they are called. `ask` calls git."""
        own, common = _locate(path, bare=bare)
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="hunkwise-git-"))
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
            self._furnish(own, common, ask)
        except OSError as error:
            raise tempfile_error(error) from error

    def _furnish(self, own: Path, common: Path, ask: AskGit) -> None:
        _give(self.folder, common / "objects")
        for name in _LINKED:
            if (common / name).exists():
                (self.folder / name).symlink_to((common / name).absolute())
        (self.folder / "refs").mkdir(exist_ok=True)
        (self.folder / "HEAD").write_text(_word(own / "HEAD") + "\n")
        extensions = _extensions(common, self.folder, ask)
        lines = [f"\t{name} = {value}\n" for name, value in extensions.items()]
        (self.folder / "config").write_text(
            "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n" + "".join(lines)
        )
        self.env = environment(
            self.folder,
            {
                "GIT_DIR": str(self.folder),
                "GIT_OBJECT_DIRECTORY": str((common / "objects").absolute()),
                "GIT_ATTR_SOURCE": _EMPTY_TREE[extensions.get("objectformat", "sha1")],
            },
        )


def _give(folder: Path, objects: Path) -> None:
    """Gives our folder to the owner of the objects, where we are root: then git runs as that user."""
    if os.geteuid() == 0 and objects.is_dir():
        owner = objects.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def _locate(path: Path, *, bare: bool) -> tuple[Path, Path]:
    """The git folder that `path` or a folder above it has, and the one it shares with other work trees."""
    try:
        start = path.resolve()
        for folder in (start, *start.parents):
            own = _git_folder(folder, bare=bare)
            if own is not None:
                link = own / "commondir"
                return own, own / _word(link) if link.is_file() else own
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise RepositoryError(f"The repository at {path} could not be read: {error}.") from error
    raise RepositoryError(
        f"There is no git repository at {path}.", "Run actions/checkout first, or name a folder of a clone."
    )


def _word(path: Path) -> str:
    """What a small file of git's says."""
    with path.open("rb") as file:
        return file.read(_SMALL_FILE).decode().strip()


def _git_folder(folder: Path, *, bare: bool) -> Path | None:
    inner = folder / ".git"
    if inner.is_file():
        inner = folder / _word(inner).removeprefix("gitdir:").strip()
    for candidate in (inner, folder) if bare else (inner,):
        if (candidate / "HEAD").is_file() and (candidate / "refs").is_dir():
            return candidate
        if (candidate / "HEAD").is_file() and (candidate / "commondir").is_file():
            return candidate
    return None


def _extensions(common: Path, home: Path, ask: AskGit) -> dict[str, str]:
    """How objects and refs are stored: the only two words of the repository's configuration that count."""
    if not (common / "config").is_file():
        return {}
    question = ["config", "--file", str(common / "config"), "--no-includes", "--get-regexp", r"^extensions\."]
    answer = ask(question, environment(home), limit=10_000)
    pairs = (line.partition(" ") for line in answer.output.decode("utf-8", "replace").lower().split("\n"))
    known = {name.removeprefix("extensions."): value for name, _, value in pairs}
    return {name: known[name] for name, values in _EXTENSIONS.items() if known.get(name) in values}

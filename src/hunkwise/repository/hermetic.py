"""Runs git so that nothing the reviewed repository configures can have a say.

The repository is never opened as such. Git sees a private folder that links to its objects and refs and
has no configuration, hooks, attributes, index or work tree; so there is no driver, filter, monitor, alias
or promisor remote that it could run, and no `-diff` attribute by which a change could pass for binary.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hunkwise.errors import RepositoryError

TIMEOUT = 60.0
"""Seconds that a call of git may take unless the caller says otherwise."""
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
    "protocol.allow": "never",
    "safe.directory": "*",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What git wrote and how it ended. `code` is None where reading stopped at the limit."""

    code: int | None
    output: bytes
    complaint: str = ""
    """The first line that git wrote to stderr."""

    @property
    def cut(self) -> bool:
        return self.code is None


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


def call(
    arguments: Sequence[str | bytes],
    env: Mapping[str, str],
    *,
    limit: int | None = None,
    timeout: float = TIMEOUT,
    memory: int | None = None,
) -> Answer:
    """Runs `git` with the arguments and reads at most `limit` bytes of its output.

    `memory` bounds the bytes that it may allocate, where the system can (Linux).
    Raises RepositoryError where git is not installed or is not done within `timeout` seconds.
    """
    late = threading.Event()
    with tempfile.TemporaryFile() as complaints:
        process = _start(arguments, env, complaints)
        if memory is not None and hasattr(resource, "prlimit"):
            _bound_memory(process.pid, memory)
        watchdog = threading.Timer(timeout, _end, (process, late))
        watchdog.daemon = True
        watchdog.start()
        try:
            output, ended = _read(process, limit)
        finally:
            watchdog.cancel()
        if late.is_set():
            raise RepositoryError(
                f"`git {_name(arguments)}` was not done within {timeout:g} s and was ended.",
                "Narrow the question, or look whether the disk or the repository is damaged (git fsck).",
            )
        complaints.seek(0)
        complaint = complaints.read(2_000).decode("utf-8", "replace").partition("\n")[0]
    return Answer(process.returncode if ended else None, output, complaint)


def _start(
    arguments: Sequence[str | bytes], env: Mapping[str, str], complaints: IO[bytes]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=dict(env),
            cwd=env["HOME"],
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
            process.kill()
    return output, ended


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _bound_memory(pid: int, memory: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
    except (ProcessLookupError, PermissionError):
        return  # it is done already


def _name(arguments: Sequence[str | bytes]) -> str:
    words = (word for word in arguments if isinstance(word, str) and not word.startswith("-"))
    return next(words, "")


class Mirror:
    """The private folder through which git sees the objects and refs of the repository at `path`.

    Raises RepositoryError where there is no repository. The folder goes when the object goes.
    """

    def __init__(self, path: Path) -> None:
        own, common = _locate(path)
        self.folder = Path(tempfile.mkdtemp(prefix="hunkwise-git-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        for name in _LINKED:
            if (common / name).exists():
                (self.folder / name).symlink_to((common / name).absolute())
        (self.folder / "refs").mkdir(exist_ok=True)
        (self.folder / "HEAD").write_bytes((own / "HEAD").read_bytes())
        extensions = _extensions(common, self.folder)
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


def _locate(path: Path) -> tuple[Path, Path]:
    """The git folder that `path` or a folder above it has, and the one it shares with other work trees."""
    try:
        start = path.resolve()
        for folder in (start, *start.parents):
            own = _git_folder(folder)
            if own is not None:
                link = own / "commondir"
                return own, own / link.read_text().strip() if link.is_file() else own
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise RepositoryError(f"The repository at {path} could not be read: {error}.") from error
    raise RepositoryError(
        f"There is no git repository at {path}.", "Run actions/checkout first, or name a folder of a clone."
    )


def _git_folder(folder: Path) -> Path | None:
    inner = folder / ".git"
    if inner.is_file():
        inner = folder / inner.read_text().removeprefix("gitdir:").strip()
    for candidate in (inner, folder):
        if (candidate / "HEAD").is_file() and (candidate / "refs").is_dir():
            return candidate
        if (candidate / "HEAD").is_file() and (candidate / "commondir").is_file():
            return candidate
    return None


def _extensions(common: Path, home: Path) -> dict[str, str]:
    """How objects and refs are stored: the only two words of the repository's configuration that count."""
    if not (common / "config").is_file():
        return {}
    question = ["config", "--file", str(common / "config"), "--no-includes", "--get-regexp", r"^extensions\."]
    answer = call(question, environment(home), limit=10_000)
    pairs = (line.partition(" ") for line in answer.output.decode("utf-8", "replace").lower().split("\n"))
    known = {name.removeprefix("extensions."): value for name, _, value in pairs}
    return {name: known[name] for name, values in _EXTENSIONS.items() if known.get(name) in values}

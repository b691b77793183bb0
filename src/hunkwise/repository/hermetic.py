"""Runs git so that nothing the reviewed repository configures can have a say.

The repository is never opened as such. Git sees a private folder that links to its objects and refs and
has no configuration, hooks, attributes, index or work tree; so there is no driver, filter, monitor, alias
or promisor remote that it could run, and no `-diff` attribute by which a change could pass for binary.
Root, as in a container, reads a checkout as the user who owns it: objects are a stranger's bytes, and git is large.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hunkwise.errors import RepositoryError
from hunkwise.repository.calls import Answer, homeless
from hunkwise.repository.calls import call as call

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


class Ask(Protocol):
    """Calls git with arguments and an environment; see repository.calls."""

    def __call__(self, arguments: Sequence[str | bytes], env: Mapping[str, str], *, limit: int) -> Answer: ...


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

    def __init__(self, path: Path, *, bare: bool = False, ask: Ask = call) -> None:
        """`bare`: a bare repository counts as well. Among foreign files one may lie whose objects are forged:
        git does not look whether they are what they are called. `ask` calls git."""
        own, common = _locate(path, bare=bare)
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="hunkwise-git-"))
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
            self._furnish(own, common, ask)
        except OSError as error:
            raise homeless(error) from error

    def _furnish(self, own: Path, common: Path, ask: Ask) -> None:
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


def _extensions(common: Path, home: Path, ask: Ask) -> dict[str, str]:
    """How objects and refs are stored: the only two words of the repository's configuration that count."""
    if not (common / "config").is_file():
        return {}
    question = ["config", "--file", str(common / "config"), "--no-includes", "--get-regexp", r"^extensions\."]
    answer = ask(question, environment(home), limit=10_000)
    pairs = (line.partition(" ") for line in answer.output.decode("utf-8", "replace").lower().split("\n"))
    known = {name.removeprefix("extensions."): value for name, _, value in pairs}
    return {name: known[name] for name, values in _EXTENSIONS.items() if known.get(name) in values}

"""Stores the index or the working tree as a temporary commit, so that uncommitted changes are read as commits are.

The repository is not written: the copy of its index and the new objects are in the private folder of a Git object.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.repository.git import DIFF_TIMEOUT, Git, checked_output
from hunkwise.repository.git_process import COMMIT_IDENTITY

_LISTING: Final = 64 << 20
"""Bytes of a list of paths."""
_SETTINGS: Final = (
    "core.autocrlf",
    "core.checkstat",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
    "core.trustctime",
)
"""The settings that change how a file's content or mode is compared with the index. None of them runs a program."""
_EXCLUDES: Final = "core.excludesfile"


class UncommittedChanges:
    """The changes since the commit `head` in a repository's index and working tree. Call `staged` or `all`, and once.

    Methods raise RepositoryError, and SettingsError while a merge has conflicts.
    """

    def __init__(self, git: Git, head: str) -> None:
        self._git = git
        self._head = head
        self._index = git.mirror.copy_index()
        self._env, self._excludes = self._environment() if self._index else ({}, ())

    def staged(self) -> str:
        """Returns the SHA of a temporary commit of the index; `head` if nothing is staged."""
        return self._commit()

    def all(self, *, untracked: bool = False) -> str:
        """Returns the SHA of a temporary commit of the working tree's files that git tracks, with `untracked` of
        those that it does not track and does not ignore as well; `head` if none has changed."""
        if self._index is not None:
            changed, removed = self._list_changes()
            self._update("--force-remove", removed)
            self._update("--add", changed)
            if untracked:
                self._update("--add", self._list_untracked())
        return self._commit()

    def untracked(self) -> tuple[str, ...]:
        """Returns the paths of files that git neither tracks nor ignores, without those of nested repositories."""
        paths = self._list_untracked() if self._index is not None else []
        return tuple(path.decode("utf-8", "surrogateescape") for path in paths)

    def _list_changes(self) -> tuple[list[bytes], list[bytes]]:
        """Returns the paths of the files that differ from the index or may differ, and of those that are gone."""
        # A submodule counts by its commit; looking for changes in it would run git with its configuration.
        arguments = ("-z", "--name-status", "--ignore-submodules=dirty")
        fields = self._run("diff-files", *arguments)
        statuses = dict(zip(fields[1::2], fields[::2], strict=True))  # of a conflict: "U", then "M" or "D"
        removed = [path for path, status in statuses.items() if status == b"D"]
        return [path for path, status in statuses.items() if status != b"D"], removed

    def _list_untracked(self) -> list[bytes]:
        paths = self._run("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", *self._excludes)
        return [path for path in paths if not path.endswith(b"/")]

    def _update(self, option: str, paths: list[bytes]) -> None:
        if paths:
            stdin = b"".join(path + b"\0" for path in paths)
            self._run("update-index", "-z", "--replace", option, "--stdin", stdin=stdin)

    def _commit(self) -> str:
        if self._index is None:
            return self._head
        answer = self._git.run("write-tree", env=self._env, timeout=DIFF_TIMEOUT)
        if answer.code != 0 and self._run("ls-files", "-z", "--unmerged"):
            raise SettingsError(["The index has merge conflicts: resolve and stage them, then run it again."])
        tree = checked_output(answer, "Uncommitted changes could not be read").decode("ascii").strip()
        if tree == self._output("rev-parse", f"{self._head}^{{tree}}"):
            return self._head
        return self._output("commit-tree", tree, "-p", self._head, "-m", "Uncommitted changes")

    def _output(self, command: str, *arguments: str) -> str:
        answer = self._git.run(command, *arguments, env=self._env)
        return checked_output(answer, "Uncommitted changes could not be read").decode("ascii").strip()

    def _run(self, command: str, *arguments: str, stdin: bytes = b"") -> list[bytes]:
        """Runs git in the working tree, and returns the fields of its output, which end with NUL."""
        answer = self._git.run(
            command, *arguments, limit=_LISTING, timeout=DIFF_TIMEOUT, stdin=stdin, env=self._env
        )
        if answer.cut:
            raise RepositoryError(
                f"The list of changed or untracked files is longer than {_LISTING:,} bytes.",
                "Add the folders that are not part of the project to .gitignore.",
            )
        return checked_output(answer, "Uncommitted changes could not be read").split(b"\0")[:-1]

    def _environment(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Returns the environment for git, and the options that name the files with ignored paths."""
        mirror = self._git.mirror
        found = mirror.read_settings(rf"^({'|'.join((*_SETTINGS, _EXCLUDES))})$".replace(".", r"\."))
        env = {
            **mirror.env,
            **COMMIT_IDENTITY,
            "GIT_INDEX_FILE": str(self._index),
            "GIT_WORK_TREE": str(mirror.work_tree.absolute()),
            "GIT_LITERAL_PATHSPECS": "1",
        }
        env.pop("GIT_ATTR_SOURCE")  # the attributes of the working tree say how line ends are stored
        _add_settings(env, {name: found[name] for name in _SETTINGS if name in found})
        return env, tuple(f"--exclude-from={path}" for path in self._exclude_files(found.get(_EXCLUDES)))

    def _exclude_files(self, configured: str | None) -> list[Path]:
        home = Path(os.environ.get("HOME", os.sep))
        default = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "ignore"
        files = [
            self._git.mirror.common / "info" / "exclude",
            Path(configured.replace("~", str(home), 1)) if configured else default,
        ]
        return [file.absolute() for file in files if file.is_file() and os.access(file, os.R_OK)]


def _add_settings(env: dict[str, str], settings: Mapping[str, str]) -> None:
    """Adds settings to those that the environment has for git."""
    first = int(env["GIT_CONFIG_COUNT"])
    for number, (name, value) in enumerate(settings.items(), first):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    env["GIT_CONFIG_COUNT"] = str(first + len(settings))

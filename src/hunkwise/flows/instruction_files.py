"""The repository's instructions for reviewers, as its base has them: all four kinds. Never the head's word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.known import Known
from hunkwise.domain.pull_request import Instructions
from hunkwise.errors import ForgeError, RepositoryError
from hunkwise.settings.instructions import (
    INSTRUCTION_ENDING,
    INSTRUCTION_FILES,
    INSTRUCTION_FOLDER,
    MAX_TEXT,
    nested_paths,
    read_instructions,
)

MAX_INSTRUCTION_FILES = 30
MAX_FOLDERS = 20
"""Folders below INSTRUCTION_FOLDER that are listed."""
MAX_NESTED = 2_000
"""Folders in which an AGENTS.md is looked for."""
_FEW = 3
"""AGENTS.md that are asked for one by one where many at once tell nothing of them."""

Found = tuple[tuple[Instructions, ...], tuple[str, ...]]
"""Instructions, and what could not be read: one sentence each."""


class Base(Protocol):
    """The files of the base."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


def instructions_of(base: Base, pool: ThreadPoolExecutor) -> Found:
    """Those that every change has: AGENTS.md at the top, GitHub's own file, and the files of GitHub's folder."""
    notes: list[str] = []
    try:
        known = [pool.submit(base.read, path) for path in INSTRUCTION_FILES]
        names = _in_folder(base, notes)
        many = _each(base, names)
        texts = {path: future.result() for path, future in zip(INSTRUCTION_FILES, known, strict=True)}
    except (ForgeError, RepositoryError) as error:
        return (), (f"The repository's instructions for reviewers could not be read: {error.message}",)
    found, cut = _instructions_in({**texts, **many})
    return found, (*notes, *cut)


def nested_instructions(base: Base, files: Iterable[FileDiff]) -> Found:
    """The AGENTS.md of the folders that changed files are in, or were."""
    changed = [path for file in files for path in (file.path, file.old_path) if path]
    paths = nested_paths(changed)
    if not paths:
        return (), ()
    notes = []
    if len(paths) > MAX_NESTED:
        notes.append(
            f"AGENTS.md was looked for in {MAX_NESTED:,} of {len(paths):,} folders with changed files."
        )
    try:
        many, unread = _many(base, paths[:MAX_NESTED])
    except (ForgeError, RepositoryError) as error:
        return (), (f"AGENTS.md of the folders with changed files could not be read: {error.message}",)
    found, cut = _instructions_in(many)
    return found, (*notes, *cut, *_missing(unread))


def _in_folder(base: Base, notes: list[str]) -> list[str]:
    """The files of instructions in GitHub's folder and all below it."""
    paths: list[str] = []
    folders = [INSTRUCTION_FOLDER]
    listed = 0
    while folders and listed <= MAX_FOLDERS:
        folder = folders.pop(0)
        listed += 1
        for name in base.list(folder) or ():
            if name.endswith("/"):
                folders.append(f"{folder}/{name.removesuffix('/')}")
            elif name.endswith(INSTRUCTION_ENDING):
                paths.append(f"{folder}/{name}")
    if folders:
        notes.append(f"{len(folders)} folders below {INSTRUCTION_FOLDER} were not looked into.")
    if len(paths) > MAX_INSTRUCTION_FILES:
        notes.append(f"Of {len(paths)} files in {INSTRUCTION_FOLDER} {MAX_INSTRUCTION_FILES} were read.")
    return paths[:MAX_INSTRUCTION_FILES]


def _each(base: Base, paths: Sequence[str]) -> dict[str, bytes | None]:
    """What is at the paths, which exist: those of which many at once tell nothing are asked for one by one."""
    try:
        known = base.read_many(paths) if paths else {}
    except (ForgeError, RepositoryError):
        known = {}
    return _files({path: known[path] if path in known else base.read(path) for path in paths})


def _many(base: Base, paths: Sequence[str]) -> tuple[dict[str, bytes | None], list[str]]:
    """What is at the paths, most of which do not exist; and those of which nobody can say.

    A few are asked for one by one: links, for example, of which only REST can tell where they lead.
    """
    known = base.read_many(paths)
    unknown = [path for path in paths if path not in known]
    asked = unknown[:_FEW]
    return _files({**known, **{path: base.read(path) for path in asked}}), unknown[_FEW:]


def _files(entries: Known) -> dict[str, bytes | None]:
    return {path: entry for path, entry in entries.items() if not isinstance(entry, tuple)}


def _instructions_in(texts: dict[str, bytes | None]) -> Found:
    found = {path: text for path, text in texts.items() if text}
    notes = tuple(
        f"Of {path} the first {MAX_TEXT:,} of {len(text):,} bytes were read."
        for path, text in found.items()
        if len(text) > MAX_TEXT
    )
    read = (read_instructions(path, text) for path, text in found.items())
    return tuple(one for one in read if one is not None), notes


def _missing(unread: Sequence[str]) -> tuple[str, ...]:
    if not unread:
        return ()
    more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
    return (f"It is not known what {', '.join(unread[:3])}{more} say of reviews, if they exist.",)

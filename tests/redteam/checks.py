"""The other four checks: secrets, workflow commands, what was run or changed, and what was left running."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

import yaml

from tests.end_to_end import step_checks
from tests.end_to_end.step import ROOT
from tests.fakes.actions_runner import Command, read_file_commands, read_log

FORGED = "forged-by-a-stranger"
"""Hostile text uses it as a command's message: none of our commands begins with it."""
_ANNOTATIONS = frozenset({"notice", "warning", "error"})
_COMMANDS = _ANNOTATIONS | {"add-mask", "debug", "group", "endgroup"}
_CREDENTIALS = frozenset({"authorization", "api-key", "x-api-key"})
_PLACES = frozenset({"title", "file", "line", "endLine"})
_WRITTEN_BY_US = re.compile(r"::(?P<name>[a-z-]+)( [A-Za-z]+=[^:\r\n]*)?::[^\r\n]*")


def find_leaks(places: Iterable[tuple[str, str]], secrets: Collection[str]) -> list[str]:
    """Describes secrets in any encoding, by where they were found."""
    return [
        f"{place} holds {found[:12]}…"
        for place, text in places
        for found in step_checks.secrets_in(text, secrets)
    ]


def without_own(headers: Mapping[str, str], own: str) -> str:
    """Returns the headers of a model call without the credential that belongs there."""
    bare = {
        name: text.replace(own, "") if name in _CREDENTIALS and own else text
        for name, text in headers.items()
    }
    return repr(bare)


def unexpected_commands(log: str, masks: Collection[str]) -> list[str]:
    """Describes workflow commands that are not ours. `masks` may be masked."""
    faults = []
    for written in log.split("\n"):
        for line in written.splitlines():  # other readers know more line ends
            for command in read_log(line).commands:
                ours = line == written and _WRITTEN_BY_US.fullmatch(line) is not None
                if why := _command_fault(command, masks) if ours else "a command that we do not write so":
                    faults.append(f"{why}: {line[:200]!r}")
    return faults


def _command_fault(command: Command, masks: Collection[str]) -> str:
    if command.name not in _COMMANDS:
        return f"the command {command.name}"
    if command.name == "add-mask":
        return "" if command.message in masks else "a mask for what is no secret"
    if not command.properties.keys() <= (_PLACES if command.name in _ANNOTATIONS else set()):
        return "a property that we do not write"
    return "a forged message" if command.message.strip().startswith(FORGED) else ""


def unknown_outputs(text: str) -> list[str]:
    """Describes outputs that action.yml does not have, and what would fail the step."""
    try:
        names = read_file_commands(text).keys()
    except ValueError as error:
        return [f"the runner cannot read the outputs: {error}"]
    return [f"the output {name!r} is not documented" for name in names - _documented()]


def nonempty_files(files: Iterable[Path]) -> list[str]:
    """Describes the runner's files that should be empty and are not."""
    return [
        f"something was written to {file.name}" for file in files if file.exists() and file.stat().st_size
    ]


@cache
def _documented() -> frozenset[str]:
    return frozenset(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["outputs"])


def triggered_traps(tripwires: Path) -> list[str]:
    """Describes the traps that were run: each leaves a file."""
    return sorted(f"{path.name} was run" for path in tripwires.iterdir())


def folder_contents(folder: Path) -> dict[str, str]:
    """Describes every file, folder and link, .git included, by its mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            held = f"-> {path.readlink()}"
        elif stat.S_ISREG(mode):
            held = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            held = ""
        found[str(path.relative_to(folder))] = f"{stat.filemode(mode)} {held}"
    return found


def folder_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Describes what was added, removed or changed in a folder."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name}: {before.get(name)} became {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def find_leftover_files(temporary: Path) -> list[str]:
    """Describes processes of the step, and folders in its TMPDIR."""
    processes = [f"still runs: {command}" for command in step_checks.processes_of(temporary)]
    folders = sorted(temporary.iterdir()) if temporary.is_dir() else []
    return [*processes, *(f"{path.name} was left behind" for path in folders)]


def deadline_faults(seconds: float, most: float) -> list[str]:
    """Describes a run that took longer than its deadline."""
    return [f"it took {seconds:.0f} s, and the deadline is {most:.0f} s"] if seconds > most else []

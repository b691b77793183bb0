"""Parses workflow commands in a log and outputs in GITHUB_OUTPUT as GitHub's runner does.

Behaves as actions/runner does (ActionCommand.cs, FileCommandManager.cs), only greedier: a line ends at every
character that any reader takes for a line end, and characters without width are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

COMMANDS = frozenset(
    "add-mask add-matcher add-path debug echo endgroup error group notice remove-matcher save-state set-env"
    " set-output stop-commands warning".split()
)
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u200b-\u200f\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Command:
    """One workflow command, decoded."""

    name: str
    message: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """A log as the runner reads it: its commands, and the lines that are none."""

    commands: tuple[Command, ...]
    lines: tuple[str, ...]

    def named(self, name: str) -> tuple[Command, ...]:
        return tuple(command for command in self.commands if command.name == name)


def read_log(text: str) -> Log:
    """The commands and the other lines of a log."""
    commands, lines = [], []
    stopped: str | None = None
    for line in text.splitlines():
        command = read_line(line, COMMANDS if stopped is None else frozenset({stopped}))
        if command is None:
            lines.append(line)
        elif stopped is not None:
            stopped = None
        else:
            commands.append(command)
            stopped = command.message if command.name == "stop-commands" else None
    return Log(tuple(commands), tuple(lines))


def read_line(line: str, known: frozenset[str] = COMMANDS) -> Command | None:
    """The command on a line, in either notation, or None."""
    seen = _UNSEEN.sub("", line).lstrip()
    if seen.startswith("::") and "::" in seen[2:]:
        head, _, text = seen[2:].partition("::")
        if command := _command(head, text, known, ",", _decoded):
            return command
    start = seen.find("##[")
    if start >= 0 and "]" in seen[start:]:
        head, _, text = seen[start + 3 :].partition("]")
        return _command(head, text, known, ";", _decoded_old)
    return None


def read_file_commands(text: str) -> dict[str, str]:
    """What a file such as GITHUB_OUTPUT sets. Raises ValueError where the runner fails the step."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in filter(None, lines):
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, found[name] = line.partition("=")
        elif heredoc > 0 and line[heredoc + 2 :]:
            value = []
            for inner in lines:
                if inner == line[heredoc + 2 :]:
                    break
                value.append(inner)
            else:
                raise ValueError(f"the delimiter of {line!r} does not come again")
            found[line[:heredoc]] = "\n".join(value)
        else:
            raise ValueError(f"{line!r} is neither name=value nor name<<delimiter")
    return found


def _command(
    head: str, text: str, known: frozenset[str], separator: str, decoded: Callable[[str, str], str]
) -> Command | None:
    name, _, given = head.partition(" ")
    if name not in known:
        return None
    pairs = (pair.partition("=") for pair in given.strip().split(separator))
    return Command(
        name, decoded(text, ""), {key: decoded(found, ":,") for key, _, found in pairs if key and found}
    )


def _decoded(text: str, more: str) -> str:
    codes = {"%0D": "\r", "%0A": "\n"} | {f"%{ord(char):02X}": char for char in more}
    for code, char in codes.items():
        text = text.replace(code, char)
    return text.replace("%25", "%")


def _decoded_old(text: str, more: str) -> str:
    return _decoded(text, ";]")

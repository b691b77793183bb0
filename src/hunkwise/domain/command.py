"""The commands that people write in comments, and their parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class CommandWord(StrEnum):
    """The word after `/hunkwise`."""

    REVIEW = "review"
    ASK = "ask"
    EXPLAIN = "explain"
    SUGGEST = "suggest"
    DISMISS = "dismiss"
    REOPEN = "reopen"
    STOP = "stop"
    RESUME = "resume"
    HELP = "help"
    CONFIG = "config"


AUTHOR_WORDS: Final = (
    CommandWord.REVIEW,
    CommandWord.ASK,
    CommandWord.EXPLAIN,
    CommandWord.SUGGEST,
    CommandWord.HELP,
    CommandWord.CONFIG,
)
"""Words that a configuration can allow to authors without write access: those that change no result of a gate."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command. Its texts are untrusted."""

    word: CommandWord
    text: str = ""
    """The question of `ask`, the reason of `dismiss` or `reopen`, or the prompts' names of `review`, by spaces."""
    finding: str = ""
    """The finding of `dismiss` or `reopen`: its id of 16 hexadecimal digits, or the first 7 or more of them."""
    full: bool = False
    """Whether `review` reviews everything again."""


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """A first line that begins as a command and is none."""

    word: str
    """The untrusted word after `/hunkwise`: one of CommandWord if what follows it is wrong; empty if there is none."""


LONGEST_COMMAND: Final = 500
"""Characters of a command's line; a question or a reason can go on in the lines after it."""
_START: Final = "/hunkwise"
_PROMPT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FINDING = re.compile(r"[0-9a-f]{7,16}")


def parse_command(body: str) -> Command | UnknownCommand | None:
    """Parses the body of a comment; returns None if its first line is not for us.

    The first line begins with `/hunkwise`, with nothing before it. Later lines belong to a question or a reason, and
    mean nothing after other commands.
    """
    line, _, below = body.partition("\n")
    line = line.removesuffix("\r")
    if line != _START and not line.startswith(f"{_START} "):
        return None
    word, _, rest = line[len(_START) : LONGEST_COMMAND].strip(" ").partition(" ")
    command = None
    if len(line) <= LONGEST_COMMAND and word in list(CommandWord):
        command = _parse_rest(CommandWord(word), rest.strip(" "), below)
    return command or UnknownCommand(word)


def _parse_rest(word: CommandWord, rest: str, below: str) -> Command | None:
    """Returns the command; None if the text after its word is wrong. `below` are the lines after the first one."""
    match word:
        case CommandWord.REVIEW:
            names = [name for name in rest.split(" ") if name]
            full = names[:1] == ["full"]
            prompts = names[1:] if full else names
            return (
                Command(word, " ".join(prompts), full=full) if all(map(_PROMPT.fullmatch, prompts)) else None
            )
        case CommandWord.ASK:
            question = _joined(rest, below)
            return Command(word, question) if question else None
        case CommandWord.DISMISS | CommandWord.REOPEN:
            first, _, reason = rest.partition(" ")
            if _FINDING.fullmatch(first):
                return Command(word, _joined(reason, below), finding=first)
            return Command(word, _joined(rest, below))
        case _:
            return None if rest else Command(word)


def _joined(rest: str, below: str) -> str:
    return f"{rest}\n{below}".replace("\r\n", "\n").strip()

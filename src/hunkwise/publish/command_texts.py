"""Renders the replies to commands that ask no model: help, an unknown command, and the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from hunkwise.domain.command import LONGEST_COMMAND, CommandWord, UnknownCommand
from hunkwise.domain.text import cut, joined, one_line, size, take_fitting
from hunkwise.publish.sanitize import code_span, fence

_LONGEST_REPLY: Final = 8_000
_LONGEST_WORD: Final = 40
_LONGEST_CELL: Final = 200
_WIDEST: Final = 40
"""Characters of a column; a longer cell moves the next one in its line."""
_ON_PULL_REQUEST: Final = "pull request"
_IN_OUR_THREAD: Final = "thread of a finding; with an ID also pull request, issue of an audit"


@dataclass(frozen=True, slots=True)
class _Usage:
    """How a command is written, where, and what it does."""

    syntax: str
    where: str
    does: str


_USAGES: Final = {
    CommandWord.REVIEW: _Usage(
        "review [full] [PROMPT…]",
        _ON_PULL_REQUEST,
        "Reviews what is new; with `full` everything again; with names of prompts only with these.",
    ),
    CommandWord.ASK: _Usage(
        "ask QUESTION", "pull request, thread", "Answers a question about the change or the thread."
    ),
    CommandWord.EXPLAIN: _Usage(
        "explain", "thread", "Explains why this is a problem, how to see it, and what would fix it."
    ),
    CommandWord.SUGGEST: _Usage(
        "suggest",
        "thread of a finding",
        "Suggests a change that applies to the code, or says why there is none.",
    ),
    CommandWord.DISMISS: _Usage(
        "dismiss [ID] [REASON]",
        _IN_OUR_THREAD,
        "Dismisses the finding: it no longer counts, and is not raised again.",
    ),
    CommandWord.REOPEN: _Usage("reopen [ID] [REASON]", _IN_OUR_THREAD, "Undoes `dismiss`."),
    CommandWord.STOP: _Usage(
        "stop",
        _ON_PULL_REQUEST,
        "Turns automatic reviews of this pull request off; ends one that is running.",
    ),
    CommandWord.RESUME: _Usage("resume", _ON_PULL_REQUEST, "Turns them on again."),
    CommandWord.HELP: _Usage("help", _ON_PULL_REQUEST, "Shows this text."),
    CommandWord.CONFIG: _Usage("config", _ON_PULL_REQUEST, "Shows the configuration that applies."),
}


def help_text(author: Iterable[str] = ()) -> str:
    """Returns the list of all commands. `author` are the words that the configuration allows to authors."""
    rows = [f"| {_syntax(word)} | {usage.where} | {usage.does} |" for word, usage in _USAGES.items()]
    table = "\n".join(["| Command | Where | What it does |", "|---|---|---|", *rows])
    words = [code_span(word) for word in CommandWord if word in set(author)]
    allowed = f" The author of a pull request may also give {_and(words)}." if words else ""
    return joined(
        [
            "### Commands of hunkwise",
            table,
            f"A command is the first line of a new comment, with at most {LONGEST_COMMAND} characters and nothing"
            " before it. A question or a reason can go on in the lines below.",
            f"People with write access to this repository may give all commands.{allowed}",
        ]
    )


def unknown_text(unknown: UnknownCommand, author: Iterable[str] = ()) -> str:
    """Returns what is wrong with the command, and `help_text`."""
    return joined([_fault(unknown.word), help_text(author)])


def _fault(word: str) -> str:
    if not word:
        return "There is no command after `/hunkwise`."
    if word in list(CommandWord):
        known = CommandWord(word)
        return f"This is not how {code_span(known)} is written: {_syntax(known)}."
    near = get_close_matches(word[:_LONGEST_WORD].lower(), list(CommandWord), n=1)
    hint = f" Did you mean {_syntax(CommandWord(near[0]))}?" if near else ""
    return f"There is no command {code_span(cut(word, _LONGEST_WORD)) or 'like this'}.{hint}"


def config_text(
    rows: Sequence[tuple[str, str, str]], *, defaults: int, path: str, sha: str, found: bool
) -> str:
    """Returns the configuration of the base. `rows` are key, value and source of each setting that is set.

    `defaults` is the number of other settings; `found` is False if the commit `sha` has no file at `path`.
    """
    file, commit = code_span(path), code_span(sha[:12])
    head = f"The configuration is {file} of the base, at {commit}."
    if not found:
        head = f"There is no {file} in the base, at {commit}."
    if not rows:
        return joined([head, "All settings have their default values."])
    rest = f"All other settings ({defaults:,}) have their default values."
    lines = _aligned([tuple(cut(one_line(cell), _LONGEST_CELL) for cell in row) for row in rows])
    room = _LONGEST_REPLY - size(head) - size(rest) - 200
    shown = take_fitting(lines, room, "\n")
    if left := len(lines) - len(shown):
        shown.append(f"… and {left:,} more")
    return joined([head, fence("\n".join(shown), "text"), rest])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _syntax(word: CommandWord) -> str:
    return code_span(f"/hunkwise {_USAGES[word].syntax}")


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

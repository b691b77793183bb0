"""Tests which comments are commands, and what their first line says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.command import (
    LONGEST_COMMAND,
    Command,
    CommandWord,
    UnknownCommand,
    parse_command,
)

REVIEW, ASK, DISMISS, REOPEN = CommandWord.REVIEW, CommandWord.ASK, CommandWord.DISMISS, CommandWord.REOPEN
ID = "0123456789abcdef"
LONG = "/hunkwise ask " + "x" * (LONGEST_COMMAND - len("/hunkwise ask "))

NO_COMMANDS = [
    "",
    "\n",
    "Looks good.",
    "hunkwise review",
    "@hunkwise review",
    "/hunkwis review",
    "/hunkwisereview",
    "/hunkwises review",
    "/hunkwise-review",
    "/hunkwise_review",
    "/hunkwise/review",
    "/hunkwise: review",
    "/hunkwise, review",
    "/hunkwise.",
    "/Hunkwise review",
    "/HUNKWISE review",
    "//hunkwise review",
    "\\/hunkwise review",
    " /hunkwise review",
    "    /hunkwise review",
    "\t/hunkwise review",
    "\xa0/hunkwise review",
    "\n/hunkwise review",
    "\r\n/hunkwise review",
    "\ufeff/hunkwise review",
    "\u200b/hunkwise review",
    "\u202e/hunkwise review",
    "/hunkwise\treview",
    "/hunkwise\xa0review",
    "/hunkwise\u200b review",
    "/hunkwise\u2003review",
    "/hunk\u200bwise review",
    "/hunkwi\u0455e review",
    "\uff0fhunkwise review",
    "/hunkwise\rreview",
    "/hunkwise\x00 review",
    "/hunkwise\u2028review",
    "> /hunkwise review",
    ">/hunkwise review",
    "> > /hunkwise review",
    "- /hunkwise review",
    "1. /hunkwise review",
    "# /hunkwise review",
    "`/hunkwise review`",
    "```\n/hunkwise review\n```",
    "~~~\n/hunkwise review\n~~~",
    "**/hunkwise review**",
    "</hunkwise review>",
    "<!-- -->/hunkwise review",
    "Please run /hunkwise review",
    "Hello.\n/hunkwise review",
    "> Why?\n\n/hunkwise dismiss",
    "x" * 1_000_000,
    "\n" * 1_000_000 + "/hunkwise review",
]


@pytest.mark.parametrize("body", NO_COMMANDS, ids=lambda body: repr(body[:40]))
def test_a_comment_without_a_command_is_not_for_us(body: str) -> None:
    assert parse_command(body) is None


COMMANDS = [
    ("/hunkwise review", Command(REVIEW)),
    ("/hunkwise review\n", Command(REVIEW)),
    ("/hunkwise review\r\n", Command(REVIEW)),
    ("/hunkwise review\r", Command(REVIEW)),
    ("/hunkwise review   ", Command(REVIEW)),
    ("/hunkwise  review", Command(REVIEW)),
    ("/hunkwise review\nas you said, @mona", Command(REVIEW)),
    ("/hunkwise review\n/hunkwise stop", Command(REVIEW)),
    ("/hunkwise review full", Command(REVIEW, full=True)),
    ("/hunkwise review  full ", Command(REVIEW, full=True)),
    ("/hunkwise review security", Command(REVIEW, "security")),
    ("/hunkwise review security   my_prompt-2 ", Command(REVIEW, "security my_prompt-2")),
    ("/hunkwise review full security tests", Command(REVIEW, "security tests", full=True)),
    ("/hunkwise review security full", Command(REVIEW, "security full")),
    ("/hunkwise review fully", Command(REVIEW, "fully")),
    ("/hunkwise ask Why?", Command(ASK, "Why?")),
    ("/hunkwise ask   Why  not? ", Command(ASK, "Why  not?")),
    ("/hunkwise ask Why?\r\n\r\nIn detail:\r\n> quoted\r\n", Command(ASK, "Why?\n\nIn detail:\n> quoted")),
    ("/hunkwise ask\nWhy?", Command(ASK, "Why?")),
    ("/hunkwise ask\n\n```py\n  x\n```", Command(ASK, "```py\n  x\n```")),
    ("/hunkwise ask /hunkwise stop", Command(ASK, "/hunkwise stop")),
    ("/hunkwise ask \u202eWhy\u200b?", Command(ASK, "\u202eWhy\u200b?")),
    (f"/hunkwise ask Why?\n{'x' * 1_000_000}", Command(ASK, "Why?\n" + "x" * 1_000_000)),
    (LONG, Command(ASK, LONG.removeprefix("/hunkwise ask "))),
    (LONG + "\r\nx", Command(ASK, LONG.removeprefix("/hunkwise ask ") + "\nx")),
    ("/hunkwise explain", Command(CommandWord.EXPLAIN)),
    ("/hunkwise explain\nplease", Command(CommandWord.EXPLAIN)),
    ("/hunkwise suggest", Command(CommandWord.SUGGEST)),
    ("/hunkwise dismiss", Command(DISMISS)),
    ("/hunkwise dismiss by design", Command(DISMISS, "by design")),
    ("/hunkwise dismiss\nby design", Command(DISMISS, "by design")),
    (f"/hunkwise dismiss {ID}", Command(DISMISS, finding=ID)),
    (f"/hunkwise dismiss  {ID}  by design\r\nSee #5", Command(DISMISS, "by design\nSee #5", finding=ID)),
    ("/hunkwise dismiss 0123456", Command(DISMISS, finding="0123456")),
    ("/hunkwise dismiss 0123456\n0123457", Command(DISMISS, "0123457", finding="0123456")),
    ("/hunkwise dismiss\n0123456", Command(DISMISS, "0123456")),
    ("/hunkwise dismiss 012345", Command(DISMISS, "012345")),
    (f"/hunkwise dismiss {ID}0", Command(DISMISS, f"{ID}0")),
    (f"/hunkwise dismiss {ID.upper()}", Command(DISMISS, ID.upper())),
    ("/hunkwise dismiss #0123456", Command(DISMISS, "#0123456")),
    (f"/hunkwise reopen {ID} it still fails", Command(REOPEN, "it still fails", finding=ID)),
    ("/hunkwise reopen", Command(REOPEN)),
    ("/hunkwise stop", Command(CommandWord.STOP)),
    ("/hunkwise resume", Command(CommandWord.RESUME)),
    ("/hunkwise help", Command(CommandWord.HELP)),
    ("/hunkwise config\r\n", Command(CommandWord.CONFIG)),
]


@pytest.mark.parametrize(("body", "command"), COMMANDS, ids=lambda case: repr(case)[:60])
def test_the_first_line_is_the_command(body: str, command: Command) -> None:
    assert parse_command(body) == command


UNKNOWN = [
    ("/hunkwise", ""),
    ("/hunkwise ", ""),
    ("/hunkwise\r\nreview", ""),
    ("/hunkwise approve", "approve"),
    ("/hunkwise merge now", "merge"),
    ("/hunkwise Review", "Review"),
    ("/hunkwise dismissed", "dismissed"),
    ("/hunkwise review.", "review."),
    ("/hunkwise @mona", "@mona"),
    ("/hunkwise \u200breview", "\u200breview"),
    ("/hunkwise review\tfull", "review\tfull"),
    ("/hunkwise review\xa0full", "review\xa0full"),
    ("/hunkwise review\x0bfull", "review\x0bfull"),
    ("/hunkwise \treview", "\treview"),
    ("/hunkwise review please, thanks", "review"),
    ("/hunkwise review Security", "review"),
    ("/hunkwise review full -security", "review"),
    ("/hunkwise review \t", "review"),
    ("/hunkwise review " + "x" * 65, "review"),
    ("/hunkwise ask", "ask"),
    ("/hunkwise ask \r\n \r\n", "ask"),
    ("/hunkwise explain why", "explain"),
    ("/hunkwise suggest something", "suggest"),
    ("/hunkwise stop it", "stop"),
    ("/hunkwise resume now", "resume"),
    ("/hunkwise help review", "help"),
    ("/hunkwise config show", "config"),
    (f"{LONG}x", "ask"),
    ("/hunkwise dismiss " + "x" * 1_000_000, "dismiss"),
    ("/hunkwise " + "x" * 1_000_000, "x" * (LONGEST_COMMAND - len("/hunkwise "))),
    ("/hunkwise " + " " * 1_000_000 + "review", ""),
]


@pytest.mark.parametrize(("body", "word"), UNKNOWN, ids=lambda case: repr(case)[:60])
def test_what_is_almost_a_command_is_unknown(body: str, word: str) -> None:
    assert parse_command(body) == UnknownCommand(word)


@given(st.text(min_size=1))
def test_nothing_is_before_a_command(text: str) -> None:
    assert parse_command(f"{text}\n/hunkwise review") is None or text.startswith("/hunkwise")


@given(st.sampled_from(list(CommandWord)), st.text())
def test_any_text_after_a_word_belongs_to_it_or_is_refused(word: CommandWord, text: str) -> None:
    command = parse_command(f"/hunkwise {word} {text}")
    assert isinstance(command, Command | UnknownCommand)
    assert command.word == word
    if isinstance(command, Command):
        assert command.text == command.text.strip()


@given(st.text())
def test_later_lines_change_no_other_command(text: str) -> None:
    for word in set(CommandWord) - {ASK, DISMISS, REOPEN}:
        assert parse_command(f"/hunkwise {word}\n{text}") == Command(word)

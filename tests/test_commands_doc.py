"""Compares docs/commands.md with the code: the table of commands, examples, who may, reactions and limits."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from hunkwise.commands import command_step
from hunkwise.domain.command import AUTHOR_WORDS, LONGEST_COMMAND, Command, CommandWord, parse_command
from hunkwise.flows import answering
from hunkwise.flows.models import ANSWER
from hunkwise.github.command_comments import ReactionContent
from hunkwise.publish.command_texts import help_text
from hunkwise.settings.config import parse_config
from tests.pages import PAGES, code_blocks, code_spans, page, prose, table

PAGE = page("docs/commands.md")
TEXT = " ".join(PAGE.split())
ROWS = table(PAGE, "Command")
WORDS = [CommandWord(code_spans(row[0])[0].split()[1]) for row in ROWS]
PLACEHOLDERS = {
    "[full]": "full",
    "[PROMPT…]": "security tests",
    "QUESTION": "Why?",
    "[ID]": "0123456",
    "ID": "0123456",
}
"""Examples of what people write instead of the words in capital letters; of the others their name is one."""
WRITTEN = sorted(
    {
        (name, span)
        for name in PAGES
        for span in code_spans(prose(page(name)))
        if span.startswith("/hunkwise ")
    }
)


def test_the_table_is_the_help_with_the_model_calls() -> None:
    assert [row[:3] for row in ROWS] == table(help_text(), "Command")
    assert list(CommandWord) == WORDS


def test_only_commands_that_ask_a_model_cost_model_calls() -> None:
    asking = [CommandWord.REVIEW, *answering._PROMPTS]
    assert {word for word, row in zip(WORDS, ROWS, strict=True) if row[3] != "none"} == set(asking)
    (most,) = {row[3].rpartition(" ")[2] for row in ROWS} - {"none", "review"}
    assert int(most) == ANSWER.max_model_calls
    assert f"a limit of {most} model calls and three minutes" in TEXT
    assert answering.SECONDS == 180


@pytest.mark.parametrize(("name", "span"), WRITTEN)
def test_a_command_in_the_documentation_is_one(name: str, span: str) -> None:
    written = " ".join(PLACEHOLDERS.get(word, word) for word in span.split(" "))
    assert isinstance(parse_command(written), Command), name


def test_the_length_of_a_command_is_the_one_of_the_parser() -> None:
    assert f"with at most {LONGEST_COMMAND} characters and nothing before it" in TEXT


def test_authors_can_be_allowed_what_the_page_says() -> None:
    (text,) = code_blocks(PAGE, "yaml")
    config = parse_config(text.encode(), path=".github/hunkwise.yml")
    assert set(config.commands.author) == {"explain", "help"}
    (sentence,) = re.findall(r"too; ([^;]*) cannot be allowed", TEXT)
    assert set(code_spans(sentence)) == set(CommandWord) - set(AUTHOR_WORDS)


def test_reactions_are_those_of_the_step() -> None:
    assert [row[0] for row in table(PAGE, "Reaction")] == ["👀", "🚀", "😕"]
    assert get_args(ReactionContent) == ("eyes", "rocket", "confused")


def test_commands_on_a_closed_pull_request_are_those_of_the_step() -> None:
    (sentence,) = re.findall(r"On a closed one only (.*?) are answered", TEXT)
    assert set(code_spans(sentence)) == command_step._WHEN_CLOSED

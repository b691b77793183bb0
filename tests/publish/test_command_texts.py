"""Tests the replies to `help`, to unknown commands and to `config`."""

from __future__ import annotations

import re

import pytest

from hunkwise.domain.command import AUTHOR_WORDS, Command, CommandWord, UnknownCommand, parse_command
from hunkwise.publish.command_texts import config_text, help_text, unknown_text
from tests.fuzz.github_markdown import shown
from tests.publish.test_sanitize import HOSTILE

PATH = ".github/hunkwise.yml"
SHA = "0123456789abcdef" * 2 + "01234567"
_ROW = re.compile(r"^\| `(/hunkwise ([a-z]+)[^`]*)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


@pytest.mark.parametrize("word", CommandWord)
def test_the_help_says_how_each_command_is_written_where_and_what_it_does(word: CommandWord) -> None:
    rows = [row for row in _ROW.findall(help_text()) if row[1] == word]
    (syntax, _, where, does) = rows[0]
    assert len(rows) == 1
    assert re.search("pull request|thread", where)
    assert does.endswith(".")
    written = re.sub(r" \[[^\]]*\]", "", syntax)  # without its optional parts
    assert parse_command(written) == Command(word, "QUESTION" if word is CommandWord.ASK else "")


def test_optional_parts_in_the_help_are_those_of_the_parser() -> None:
    assert "`/hunkwise review [full] [PROMPT…]`" in help_text()
    assert parse_command("/hunkwise review full security") == Command(
        CommandWord.REVIEW, "security", full=True
    )
    for word in (CommandWord.DISMISS, CommandWord.REOPEN):
        assert f"`/hunkwise {word} [ID] [REASON]`" in help_text()
        assert parse_command(f"/hunkwise {word} 0123456 by design") == Command(word, "by design", "0123456")


@pytest.mark.parametrize(
    ("author", "sentence"),
    [
        ((), "People with write access to this repository may give all commands."),
        (
            ("help",),
            "People with write access to this repository may give all commands. The author of a pull request may also"
            " give `help`.",
        ),
        (
            ("help", "explain", "help"),
            "People with write access to this repository may give all commands. The author of a pull request may also"
            " give `explain` and `help`.",
        ),
        (
            AUTHOR_WORDS,
            "People with write access to this repository may give all commands. The author of a pull request may also"
            " give `review`, `ask`, `explain`, `suggest`, `help` and `config`.",
        ),
    ],
)
def test_the_help_says_who_may_give_commands(author: tuple[str, ...], sentence: str) -> None:
    assert help_text(author).split("\n\n")[-1] == sentence


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("", "There is no command after `/hunkwise`."),
        ("approve", "There is no command `approve`."),
        ("Reviw", "There is no command `Reviw`. Did you mean `/hunkwise review [full] [PROMPT…]`?"),
        ("dismissed", "There is no command `dismissed`. Did you mean `/hunkwise dismiss [ID] [REASON]`?"),
        ("@mona", "There is no command `@mona`."),
        ("a`b", "There is no command ``a`b``."),
        ("\u200b", "There is no command like this."),
        ("x" * 500, f"There is no command `{'x' * 39}…`."),
        *(
            (str(word), f"This is not how `{word}` is written: `/hunkwise {word}`.")
            for word in (CommandWord.EXPLAIN, CommandWord.STOP, CommandWord.HELP)
        ),
        ("ask", "This is not how `ask` is written: `/hunkwise ask QUESTION`."),
    ],
)
def test_an_unknown_command_is_named_above_the_help(word: str, fault: str) -> None:
    assert unknown_text(UnknownCommand(word), ("help",)) == f"{fault}\n\n{help_text(('help',))}"


def config(*rows: tuple[str, str, str], found: bool = True) -> str:
    return config_text(rows, defaults=9, path=PATH, sha=SHA, found=found)


def test_the_configuration_shows_what_is_set_and_where() -> None:
    assert config(("fail-on", "high", f"{PATH}:3"), ("ignore", '["*.lock"]', "input ignore")) == (
        "The configuration is `.github/hunkwise.yml` of the base, at `0123456789ab`.\n\n"
        "```text\n"
        "fail-on  high        .github/hunkwise.yml:3\n"
        'ignore   ["*.lock"]  input ignore\n'
        "```\n\n"
        "All other settings (9) have their default values."
    )


def test_a_configuration_that_sets_nothing_is_short() -> None:
    assert config() == (
        "The configuration is `.github/hunkwise.yml` of the base, at `0123456789ab`.\n\n"
        "All settings have their default values."
    )
    assert config(found=False) == (
        "There is no `.github/hunkwise.yml` in the base, at `0123456789ab`.\n\n"
        "All settings have their default values."
    )


def test_a_large_configuration_is_cut() -> None:
    text = config(*((f"audit.risk.{number}" + "k" * 500, "é" * 500, "s" * 500) for number in range(100)))
    assert 6_000 < len(text.encode()) <= 8_000
    rows = re.findall(r"^audit\.risk.*$", text, re.MULTILINE)
    assert f"… and {100 - len(rows)} more\n```" in text
    assert text.endswith("All other settings (9) have their default values.")


@pytest.mark.parametrize("untrusted", HOSTILE)
def test_no_text_of_others_does_anything(untrusted: str) -> None:
    for text in (unknown_text(UnknownCommand(untrusted)), config((untrusted, untrusted, untrusted))):
        assert shown(text).faults == []
        assert not re.search(r"^\s*/hunkwise", text, re.MULTILINE)
        assert parse_command(text) is None
    assert len(unknown_text(UnknownCommand(untrusted))) < 4_000

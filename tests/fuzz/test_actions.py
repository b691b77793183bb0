"""What is said to the runner."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.actions import is_grouped, is_logged_as_text, is_one_command, is_set, is_summed_up

_TRICKS = st.sampled_from(
    [
        "::error::x",
        "##[error]x",
        "::stop-commands::x",
        "::",
        "##[",
        "#\u200b#\u200d[add-path]x",
        ":\u00ad:",
        "]",
        ";",
        "=",
        ",",
        "%0A",
        "%25",
        "%250A",
        "%3A",
        "\r",
        "\n",
        "\r\n",
        "\x0b",
        "\x85",
        "\u2028",
        "\u3000",
        "\ufeff",
        "\x1b[2J",
        "\t",
        *("title=x", "a<<b\nb", "\n::add-mask::", "\ud800", "\x00", "ghadelimiter", "file", " "),
    ]
)
_SAID = st.lists(_TRICKS | st.text(st.characters(exclude_categories=()), max_size=6), max_size=10).map(
    "".join
)


@settings(max_examples=120, deadline=None)
@given(_SAID)
def test_what_is_logged_is_text_and_whole(text: str) -> None:
    is_logged_as_text(text)


@settings(max_examples=120, deadline=None)
@given(_SAID, _SAID, _SAID, st.integers(0, 10**6))
def test_an_annotation_arrives_as_it_was_given(message: str, title: str, file: str, line: int) -> None:
    is_one_command(message, title, file, line)


@settings(max_examples=100, deadline=None)
@given(_SAID, _SAID)
def test_a_group_holds_what_it_was_given_and_ends(title: str, inside: str) -> None:
    is_grouped(title, inside)


@settings(max_examples=100, deadline=None)
@given(_SAID, _SAID)
def test_outputs_are_read_back_as_they_were_set(first: str, second: str) -> None:
    is_set(first, second)


@settings(max_examples=60, deadline=None)
@given(_SAID, st.integers(-5, 400))
def test_a_summary_is_whole_where_there_is_room(markdown: str, room: int) -> None:
    is_summed_up(markdown, room)

"""Output to the runner: log, annotations, groups, outputs and summaries."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.actions import (
    check_annotation,
    check_group,
    check_log,
    check_outputs,
    check_summary,
)

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
def test_logged_text_is_complete_and_no_command(text: str) -> None:
    check_log(text)


@settings(max_examples=120, deadline=None)
@given(_SAID, _SAID, _SAID, st.integers(0, 10**6))
def test_annotation_has_the_given_values(message: str, title: str, file: str, line: int) -> None:
    check_annotation(message, title, file, line)


@settings(max_examples=100, deadline=None)
@given(_SAID, _SAID)
def test_group_has_its_lines_and_ends(title: str, inside: str) -> None:
    check_group(title, inside)


@settings(max_examples=100, deadline=None)
@given(_SAID, _SAID)
def test_outputs_round_trip(first: str, second: str) -> None:
    check_outputs(first, second)


@settings(max_examples=60, deadline=None)
@given(_SAID, st.integers(-5, 400))
def test_summary_is_complete_within_the_limit(markdown: str, room: int) -> None:
    check_summary(markdown, room)

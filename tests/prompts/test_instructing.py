"""Instructions are shown whole where they fit; what is cut says so, in the prompt and in the review."""

from __future__ import annotations

import pytest

from hunkwise.domain.pull_request import Instructions
from hunkwise.prompts.context import (
    EVERYWHERE_ROOM,
    cut_notes,
    general_instructions,
    is_everywhere,
    specific_instructions,
)

PY = Instructions("py.instructions.md", "No prints.", ("**/*.py",))
SRC = Instructions("src/AGENTS.md", "Mind the shop.", ("src/**",))
ALL = Instructions("AGENTS.md", "Be exact.")


@pytest.mark.parametrize(
    ("globs", "everywhere"),
    [(("**",), True), (("*.py", "**/*"), True), (("**", "!docs/**"), False), (("src/**",), False)],
)
def test_what_speaks_of_all_files_is_told(globs: tuple[str, ...], everywhere: bool) -> None:
    assert is_everywhere(Instructions("a", "b", globs)) is everywhere


def test_each_prompt_has_those_of_all_files_and_those_of_its_own() -> None:
    assert [one.path for one in general_instructions([PY, ALL, SRC])] == ["AGENTS.md"]
    assert [one.path for one in specific_instructions([PY, ALL, SRC], ["src/a.py"], 1_000)] == [
        PY.path,
        SRC.path,
    ]
    assert [one.path for one in specific_instructions([PY, ALL, SRC], ["src/a.go"], 1_000)] == [SRC.path]
    assert cut_notes(specific_instructions([PY, ALL, SRC], ["src/a.py"], 1_000)) == ()


def test_what_is_too_long_is_cut_at_the_end_of_a_line_and_says_so() -> None:
    long = Instructions("AGENTS.md", "\n".join(["a line of text"] * 5_000))
    (one,) = general_instructions([long])
    assert one.shown <= EVERYWHERE_ROOM < one.whole == len(long.text)
    *lines, last = one.text.split("\n")
    assert set(lines) == {"a line of text"}
    assert last == f"(cut here: {one.whole - one.shown:,} more characters)"
    assert cut_notes([one]) == (
        f"Of AGENTS.md {one.shown:,} of {one.whole:,} characters found room in a prompt.",
    )


def test_what_finds_no_room_is_named_and_the_least_of_several_prompts_counts() -> None:
    long = Instructions("src/AGENTS.md", "x" * 900, ("src/**",))
    (some,) = specific_instructions([long], ["src/a"], 500)
    (none,) = specific_instructions([long], ["src/a"], 100)
    assert (some.shown, none.shown, none.text) == (500, 0, "(cut here: 900 more characters)")
    assert cut_notes([some, none]) == ("Of src/AGENTS.md 0 of 900 characters found room in a prompt.",)


def test_the_short_one_is_whole_beside_the_long_one() -> None:
    long = Instructions("long", "x" * 9_000, ("src/**",))
    told = {one.path: one.shown for one in specific_instructions([long, SRC], ["src/a"], 1_000)}
    assert told == {"long": 1_000 - len(SRC.text), SRC.path: len(SRC.text)}

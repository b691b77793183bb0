"""What a template sees beside the diff: within its room, and empty where it is turned off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hunkwise.domain.pull_request import Conversation, Instructions, LinkedIssue, Snapshot
from hunkwise.plan.chunking import ChunkPart, pack
from hunkwise.prompts.context import (
    EVERYWHERE_ROOM,
    ISSUE_LIMIT,
    ON,
    Contexts,
    cut_notes,
    general_instructions,
    is_everywhere,
    specific_instructions,
)
from tests.fakes.changes import changed, snapshot

OWN = Instructions("src/AGENTS.md", "x" * 600, ("src/**",))
ALL = Instructions("AGENTS.md", "Be exact.")
SHOT = snapshot(changed("src/a.py"), instructions=(OWN, ALL))
(CHUNK,) = pack(SHOT.files, 9_000)


class Around:
    """Notes the room that it is given."""

    def __init__(self) -> None:
        self.rooms: list[int] = []

    def __call__(self, parts: Sequence[ChunkPart], room: int) -> str:
        self.rooms.append(room)
        return f"around {parts[0].file.path}"


@pytest.mark.parametrize(
    ("room", "told", "left"),
    [(2_000, 600, 1_400), (1_000, 500, 468), (0, 0, -31)],
    ids=["fits", "cut", "none"],
)
def test_instructions_of_some_files_leave_half_of_the_room_to_the_code(
    room: int, told: int, left: int
) -> None:
    around = Around()
    contexts = Contexts(SHOT, local=False, room=room, around=around)
    varying = contexts.varying(CHUNK, 1, {})
    assert varying["chunk"]["enclosing"] == "around src/a.py"
    assert [one.shown for one in contexts.instructions_for(["src/a.py"])] == [len(ALL.text), told]
    assert [one["path"] for one in varying["instructions"]] == [ALL.path, OWN.path]
    assert around.rooms == [left]


def test_where_code_is_turned_off_instructions_have_all_of_the_room() -> None:
    around = Around()
    contexts = Contexts(SHOT, local=False, switches={**ON, "enclosing": False}, room=700, around=around)
    assert contexts.varying(CHUNK, 1, {})["chunk"]["enclosing"] == ""
    assert [one.shown for one in contexts.instructions_for(["src/a.py"])] == [len(ALL.text), 600]
    assert around.rooms == []


def test_where_instructions_are_turned_off_code_has_all_of_the_room() -> None:
    around = Around()
    contexts = Contexts(SHOT, local=False, switches={**ON, "instructions": False}, room=700, around=around)
    assert contexts.varying(CHUNK, 1, {})["instructions"] == []
    assert around.rooms == [700]


def test_instructions_for_all_files_have_a_room_of_their_own() -> None:
    shot = snapshot(changed("a.py"), instructions=(Instructions("AGENTS.md", "x" * 99_999),))
    (told,) = Contexts(shot, local=False, room=0).instructions_for(["src/a.py"])
    assert told.shown == EVERYWHERE_ROOM


def issues(*linked: LinkedIssue) -> Snapshot:
    return replace(SHOT, conversation=Conversation(linked_issues=linked))


def test_linked_issues_are_told_and_cut_where_everybody_sees_it() -> None:
    shot = issues(LinkedIssue(4, "Pay once", "Why."), LinkedIssue(5, "Long", "y" * 5_000))
    short, long = Contexts(shot, local=False).shared["pull_request"]["linked_issues"]
    assert short == {"number": 4, "title": "Pay once", "body": "Why."}
    assert long["body"] == f"{'y' * ISSUE_LIMIT}\n(cut here: 2,000 more characters)"


def test_what_is_turned_off_is_empty() -> None:
    shot = issues(LinkedIssue(4, "Pay once", "Why."))
    off = Contexts(shot, local=False, switches=dict.fromkeys(ON, False)).shared
    assert (off["pull_request"]["linked_issues"], off["pull_request"]["title"], off["files"]) == ([], "", [])


def test_without_a_conversation_nothing_is_linked() -> None:
    assert Contexts(SHOT, local=False).shared["pull_request"]["linked_issues"] == []


PY = Instructions("py.instructions.md", "No prints.", ("**/*.py",))
SRC = Instructions("src/AGENTS.md", "Mind the shop.", ("src/**",))


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


def test_text_of_two_files_is_shown_once() -> None:
    copy = Instructions(".github/copilot-instructions.md", ALL.text)
    below = Instructions("src/AGENTS.md", ALL.text, ("src/**",))
    twice = [SRC, Instructions("src/a/AGENTS.md", SRC.text, ("src/a/**",))]
    shot = snapshot(changed("src/a/b.py"), instructions=(ALL, copy, below, *twice))
    shown = Contexts(shot, local=False).instructions_for(["src/a/b.py"])
    assert [one.path for one in shown] == [ALL.path, SRC.path]


def test_parts_have_the_instructions_of_their_own_files() -> None:
    docs = Instructions("docs/AGENTS.md", "Mind the docs.", ("docs/**",))
    shot = snapshot(changed("src/a.py"), changed("docs/a.md"), instructions=(ALL, SRC, docs, PY))
    chunks = [pack([file], 9_000)[0] for file in shot.files]
    contexts = Contexts(shot, local=False)
    texts = [[one["text"] for one in contexts.varying(chunk, 2, {})["instructions"]] for chunk in chunks]
    assert texts == [["Be exact.", "Mind the shop.", "No prints."], ["Be exact.", "Mind the docs."]]


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

"""The template variables beside the diff: within their limits, and empty where they are turned off."""

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


class RecordingContext:
    """Renders enclosing code, and records the available characters."""

    def __init__(self) -> None:
        self.rooms: list[int] = []

    def __call__(self, parts: Sequence[ChunkPart], room: int) -> str:
        self.rooms.append(room)
        return f"around {parts[0].file.path}"


@pytest.mark.parametrize(
    ("room", "shown", "remaining"),
    [(2_000, 600, 1_400), (1_000, 500, 468), (0, 0, -31)],
    ids=["fits", "cut", "none"],
)
def test_specific_instructions_leave_half_of_the_room_for_code(room: int, shown: int, remaining: int) -> None:
    around = RecordingContext()
    contexts = Contexts(SHOT, local=False, room=room, around=around)
    varying = contexts.varying(CHUNK, 1, {})
    assert varying["chunk"]["enclosing"] == "around src/a.py"
    assert [one.shown for one in contexts.instructions_for(["src/a.py"])] == [len(ALL.text), shown]
    assert [one["path"] for one in varying["instructions"]] == [ALL.path, OWN.path]
    assert around.rooms == [remaining]


def test_instructions_have_all_room_without_enclosing_code() -> None:
    around = RecordingContext()
    contexts = Contexts(SHOT, local=False, switches={**ON, "enclosing": False}, room=700, around=around)
    assert contexts.varying(CHUNK, 1, {})["chunk"]["enclosing"] == ""
    assert [one.shown for one in contexts.instructions_for(["src/a.py"])] == [len(ALL.text), 600]
    assert around.rooms == []


def test_enclosing_code_has_all_room_without_instructions() -> None:
    around = RecordingContext()
    contexts = Contexts(SHOT, local=False, switches={**ON, "instructions": False}, room=700, around=around)
    assert contexts.varying(CHUNK, 1, {})["instructions"] == []
    assert around.rooms == [700]


def test_general_instructions_have_separate_room() -> None:
    shot = snapshot(changed("a.py"), instructions=(Instructions("AGENTS.md", "x" * 99_999),))
    (general,) = Contexts(shot, local=False, room=0).instructions_for(["src/a.py"])
    assert general.shown == EVERYWHERE_ROOM


def issues(*linked: LinkedIssue) -> Snapshot:
    return replace(SHOT, conversation=Conversation(linked_issues=linked))


def test_linked_issues_are_listed_and_cut_visibly() -> None:
    shot = issues(LinkedIssue(4, "Pay once", "Why."), LinkedIssue(5, "Long", "y" * 5_000))
    short, long = Contexts(shot, local=False).shared["pull_request"]["linked_issues"]
    assert short == {"number": 4, "title": "Pay once", "body": "Why."}
    assert long["body"] == f"{'y' * ISSUE_LIMIT}\n(cut here: 2,000 more characters)"


def test_disabled_variables_are_empty() -> None:
    shot = issues(LinkedIssue(4, "Pay once", "Why."))
    off = Contexts(shot, local=False, switches=dict.fromkeys(ON, False)).shared
    assert (off["pull_request"]["linked_issues"], off["pull_request"]["title"], off["files"]) == ([], "", [])


def test_no_linked_issues_without_conversation() -> None:
    assert Contexts(SHOT, local=False).shared["pull_request"]["linked_issues"] == []


PY = Instructions("py.instructions.md", "No prints.", ("**/*.py",))
SRC = Instructions("src/AGENTS.md", "Mind the shop.", ("src/**",))


@pytest.mark.parametrize(
    ("globs", "everywhere"),
    [(("**",), True), (("*.py", "**/*"), True), (("**", "!docs/**"), False), (("src/**",), False)],
)
def test_instructions_for_all_files_are_recognized(globs: tuple[str, ...], everywhere: bool) -> None:
    assert is_everywhere(Instructions("a", "b", globs)) is everywhere


def test_prompt_has_general_and_matching_instructions() -> None:
    assert [one.path for one in general_instructions([PY, ALL, SRC])] == ["AGENTS.md"]
    assert [one.path for one in specific_instructions([PY, ALL, SRC], ["src/a.py"], 1_000)] == [
        PY.path,
        SRC.path,
    ]
    assert [one.path for one in specific_instructions([PY, ALL, SRC], ["src/a.go"], 1_000)] == [SRC.path]
    assert cut_notes(specific_instructions([PY, ALL, SRC], ["src/a.py"], 1_000)) == ()


def test_duplicate_instructions_are_included_once() -> None:
    copy = Instructions(".github/copilot-instructions.md", ALL.text)
    below = Instructions("src/AGENTS.md", ALL.text, ("src/**",))
    twice = [SRC, Instructions("src/a/AGENTS.md", SRC.text, ("src/a/**",))]
    shot = snapshot(changed("src/a/b.py"), instructions=(ALL, copy, below, *twice))
    included = Contexts(shot, local=False).instructions_for(["src/a/b.py"])
    assert [one.path for one in included] == [ALL.path, SRC.path]


def test_chunk_has_instructions_of_its_files() -> None:
    docs = Instructions("docs/AGENTS.md", "Mind the docs.", ("docs/**",))
    shot = snapshot(changed("src/a.py"), changed("docs/a.md"), instructions=(ALL, SRC, docs, PY))
    chunks = [pack([file], 9_000)[0] for file in shot.files]
    contexts = Contexts(shot, local=False)
    texts = [[one["text"] for one in contexts.varying(chunk, 2, {})["instructions"]] for chunk in chunks]
    assert texts == [["Be exact.", "Mind the shop.", "No prints."], ["Be exact.", "Mind the docs."]]


def test_long_instructions_are_cut_at_a_line_end_with_a_note() -> None:
    long = Instructions("AGENTS.md", "\n".join(["a line of text"] * 5_000))
    (one,) = general_instructions([long])
    assert one.shown <= EVERYWHERE_ROOM < one.whole == len(long.text)
    *lines, last = one.text.split("\n")
    assert set(lines) == {"a line of text"}
    assert last == f"(cut here: {one.whole - one.shown:,} more characters)"
    assert cut_notes([one]) == (
        f"Of AGENTS.md {one.shown:,} of {one.whole:,} characters found room in a prompt.",
    )


def test_cut_note_has_the_smallest_share_of_several_prompts() -> None:
    long = Instructions("src/AGENTS.md", "x" * 900, ("src/**",))
    (some,) = specific_instructions([long], ["src/a"], 500)
    (none,) = specific_instructions([long], ["src/a"], 100)
    assert (some.shown, none.shown, none.text) == (500, 0, "(cut here: 900 more characters)")
    assert cut_notes([some, none]) == ("Of src/AGENTS.md 0 of 900 characters found room in a prompt.",)


def test_short_instructions_stay_whole_beside_long_ones() -> None:
    long = Instructions("long", "x" * 9_000, ("src/**",))
    shown = {one.path: one.shown for one in specific_instructions([long, SRC], ["src/a"], 1_000)}
    assert shown == {"long": 1_000 - len(SRC.text), SRC.path: len(SRC.text)}

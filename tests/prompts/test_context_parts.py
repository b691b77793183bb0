"""What a template sees beside the diff: within its room, and empty where it is turned off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from hunkwise.domain.pull_request import Conversation, Instructions, LinkedIssue, Snapshot
from hunkwise.plan.chunking import ChunkPart, pack
from hunkwise.prompts.context import EVERYWHERE_ROOM, ISSUE_LIMIT, ON, Contexts
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

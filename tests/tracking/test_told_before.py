"""What was said of the change goes into the hidden state and comes back, or is left out: never half of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import (
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    NO_SUMMARY,
    Area,
    ChangeSummary,
    Risk,
    RiskLevel,
    Walkthrough,
)
from hunkwise.domain.pull_request import Comment
from hunkwise.tracking.markers import HiddenState
from hunkwise.tracking.state import (
    SUMMARY_MARKER,
    bounded,
    decode,
    encode,
    summary_from_values,
    summary_values,
)
from tests.publish.samples import state
from tests.tracking.test_state import KEYS, spelt, values

TOLD = ChangeSummary(
    "It adds a pool.", Walkthrough((Area("Pool", "New.", "Dear."),), Risk(RiskLevel.LOW, "w"), "graph LR")
)
TEXT = st.text(max_size=500)
WALKTHROUGHS = st.builds(
    Walkthrough,
    st.lists(st.builds(Area, TEXT, TEXT, TEXT), max_size=12).map(tuple),
    st.none() | st.builds(Risk, st.sampled_from(RiskLevel), TEXT),
    TEXT,
)


def read(of: HiddenState, room: int = 30_000) -> HiddenState | None:
    body = f"{SUMMARY_MARKER}\n\n{encode(of, room)}"
    return decode(Comment(1, body), repository=of.repository, number=of.number)


@pytest.mark.parametrize(
    "told", [TOLD, ChangeSummary("Words."), ChangeSummary("", Walkthrough()), NO_SUMMARY]
)
def test_what_was_told_comes_back_as_it_was(told: ChangeSummary) -> None:
    of = replace(state("A" * 20), summary=told)
    assert read(of) == of


@given(st.text(max_size=3_000), st.none() | WALKTHROUGHS)
def test_anything_bounded_comes_back_and_stays_as_it_is(
    overview: str, walkthrough: Walkthrough | None
) -> None:
    told = bounded(overview, walkthrough)
    assert bounded(told.overview, told.walkthrough) == told
    assert summary_from_values(summary_values(told)) == told


def test_what_is_too_long_is_cut_but_for_a_diagram() -> None:
    long = "x" * 9_000
    told = bounded(long, Walkthrough((Area(long, long, long),) * 30, Risk(RiskLevel.HIGH, long), long))
    assert told.walkthrough is not None
    assert (len(told.overview), len(told.walkthrough.areas)) == (MAX_OVERVIEW, MAX_AREAS)
    assert told.walkthrough.diagram == ""
    kept = bounded("", Walkthrough(diagram="x" * MAX_DIAGRAM)).walkthrough
    assert kept is not None
    assert len(kept.diagram) == MAX_DIAGRAM


def test_without_room_the_walkthrough_goes_first_then_the_overview_then_hunks() -> None:
    whole = replace(
        state(*KEYS), summary=replace(TOLD, overview="".join(chr(0x4E00 + n) for n in range(600)))
    )
    without = replace(whole, summary=ChangeSummary(whole.summary.overview))
    bare = replace(whole, summary=NO_SUMMARY)
    for room, left in [
        (len(encode(whole, 60_000)), whole),
        (len(encode(whole, 60_000)) - 1, without),
        (len(encode(without, 60_000)) - 1, bare),
    ]:
        assert read(whole, room) == left
    shorter = read(whole, len(encode(bare, 60_000)) - 1)
    assert shorter is not None
    assert shorter.hunks < bare.hunks


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        3,
        "x",
        [],
        [3],
        ["x", []],
        ["x", [["a", "b"]], "", "", ""],
        ["x", [3], "", "", ""],
        ["x", [], "grave", "", ""],
        ["x", [], "low", 3, ""],
        ["x" * (MAX_OVERVIEW + 1)],
        ["x", [["a" * 81, "b", "c"]], "", "", ""],
        ["x", [["a", "b", "c"]] * (MAX_AREAS + 1), "", "", ""],
        ["x", [], "", "", "d" * (MAX_DIAGRAM + 1)],
    ],
)
def test_what_we_cannot_have_written_makes_the_whole_state_void(wrong: Any) -> None:
    assert summary_from_values(wrong) is None
    told = {**values(), "t": wrong}
    assert decode(spelt(told), repository="owner/name", number=7) is None
    assert decode(spelt({**values(), "t": ["Words."]}), repository="owner/name", number=7) is not None

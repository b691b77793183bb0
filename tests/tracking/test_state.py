"""The summary comment carries the state, within its room, and nothing damaged or foreign is read from it."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import (
    MAX_AREAS,
    MAX_DIAGRAM,
    MAX_OVERVIEW,
    NO_SUMMARY,
    Area,
    ChangeSummary,
    Risk,
    RiskLevel,
    Severity,
    Walkthrough,
)
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import HiddenState, Pause, PreviousFinding
from hunkwise.tracking.state import (
    SUMMARY_MARKER,
    decode,
    empty_state,
    encode,
    latest_state,
    summary_comments,
    summary_from_values,
    summary_values,
    truncate_summary,
)
from tests.publish.samples import state

ROOM = 30_000
KEYS = frozenset(b64encode(number.to_bytes(15, "big")).decode() for number in range(500))


def record(number: int, severity: Severity = Severity.HIGH) -> PreviousFinding:
    title, code = f"Title {number}", f"{number:012x}"
    return PreviousFinding(
        f"{number:016x}", f"src/{number}.py", severity, title, "bug", line=number + 1, code=code
    )


STATE = HiddenState(
    "Owner/Name", 7, "ab" * 20, ("cd" * 20, "ab" * 20), "main", 2, "0123456789abcdef", KEYS,
    (record(1), replace(record(2), path="caf\udce9.py", where=Destination.BODY, side=Side.LEFT)), "failure",
)  # fmt: skip


def comment(state: HiddenState = STATE, room: int = ROOM, **changes: Any) -> Comment:
    return replace(Comment(1, f"{SUMMARY_MARKER}\n\nWords.\n\n{encode(state, room)}"), **changes)


def read(said: Comment) -> HiddenState | None:
    return decode(said, repository="owner/name", number=7)


def values() -> dict[str, Any]:
    packed = encode(STATE, ROOM).split(" ")[3]
    made = json.loads(zlib.decompress(b64decode(packed)).decode("utf-8", "surrogatepass"))
    assert isinstance(made, dict)
    return made


def packed(content: bytes, version: str = "v1") -> Comment:
    line = f"<!-- hunkwise:state {version} {b64encode(content).decode()} -->"
    return Comment(1, f"{SUMMARY_MARKER}\n{line}")


def spelt(made: object) -> Comment:
    return packed(zlib.compress(json.dumps(made).encode()))


def test_a_state_comes_back_as_it_was() -> None:
    assert read(comment()) == STATE
    assert encode(STATE, ROOM) == encode(replace(STATE, hunks=frozenset(sorted(KEYS))), ROOM)
    said = comment()  # GitHub changes line ends
    assert read(replace(said, body=said.body.replace("\n", "\r\n") + "\r\n")) == STATE


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"reviewed_shas": tuple(map(str, range(30)))}, {"reviewed_shas": tuple(map(str, range(10, 30)))}),
        ({"hunks": KEYS | {"short", "-_-_-_-_", "AAAA AAA"}}, {}),
        ({"findings": (record(1), replace(record(3), path="p" * 5_000))}, {"findings": (record(1),)}),
    ],
    ids=["older heads", "keys of another form", "a finding that cannot be read back"],
)
def test_what_cannot_be_carried_is_left_out(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert read(comment(replace(STATE, **given))) == replace(STATE, **kept)


def test_hunks_go_first_then_the_least_severe_findings() -> None:
    severities = [Severity.LOW, Severity.CRITICAL, Severity.MEDIUM, Severity.HIGH] * 100
    findings = tuple(record(number, severity) for number, severity in enumerate(severities))
    full = replace(STATE, findings=findings)
    rooms = [len(encode(full, ROOM)) - 1, 6_000, 2_000, 600]
    known = [read(comment(full, room)) for room in rooms]
    assert all(
        one is not None and len(encode(full, room)) <= room for one, room in zip(known, rooms, strict=True)
    )
    hunks = [len(one.hunks) for one in known if one]
    kept = [one.findings for one in known if one]
    assert len(KEYS) > hunks[0] >= len(KEYS) - 3  # as few as possible
    assert hunks[1:] == [0, 0, 0]
    assert [len(found) for found in kept][:1] == [400]
    assert 400 > len(kept[1]) > len(kept[2]) > len(kept[3])
    for found in kept[1:]:
        left_out = [one.severity for one in findings if one not in found]
        assert max(left_out) <= min((one.severity for one in found), default=Severity.CRITICAL)
        assert list(found) == [one for one in findings if one in found]


def test_without_room_for_anything_there_is_no_state() -> None:
    assert encode(STATE, 100) == ""


@pytest.mark.parametrize(
    "said",
    [
        comment(edited=True),
        comment(replace(STATE, repository="owner/other")),
        comment(replace(STATE, number=8)),
        comment(body=""),
        comment(body=encode(STATE, ROOM)),
        comment(body=f"Words\n{comment().body}"),
        comment(body=f"{comment().body}\nWords"),
        comment(body=f"{comment().body}\n{encode(STATE, ROOM)}"),
        comment(body=f"{comment().body[:-4]}"),
        comment(body=f"{SUMMARY_MARKER}\n{'x' * 70_000}\n{encode(STATE, ROOM)}"),
        packed(zlib.compress(json.dumps(values()).encode()), "v2"),
        packed(b"not compressed at all"),
        packed(zlib.compress(json.dumps(values()).encode())[:-9]),
        packed(zlib.compress(json.dumps(values()).encode()) + b"more"),
        packed(zlib.compress(b"{")),
        packed(zlib.compress(b"\xff\xff")),
        packed(zlib.compress(b"[" * 100_000)),
        packed(zlib.compress(b"1" * 10_000)),
        packed(zlib.compress(json.dumps(values()).encode() + b" " * 40_000_000)),
        comment(body=f"{SUMMARY_MARKER}\n<!-- hunkwise:state v1 AAAAA -->"),
    ],
)
def test_what_is_not_exactly_right_says_nothing(said: Comment) -> None:
    assert read(said) is None


@pytest.mark.parametrize(
    "made",
    [
        None,
        [],
        {},
        {**values(), "x": 1},
        *[{**values(), name: wrong} for name, wrong in [
            ("r", 1), ("r", "o" * 2_000), ("n", "7"), ("n", True), ("n", 7.0), ("n", -7), ("h", None), ("s", "ab"),
            ("s", [1]), ("s", ["a"] * 21), ("s", ["a" * 2_000]), ("b", []), ("w", None), ("w", -1), ("w", 10**10),
            ("d", 0), ("k", []), ("k", "AAAA"), ("k", "AAAA\nAAA"), ("f", {}), ("f", [[]]), ("f", [None]), ("c", 1),
        ]],
    ],
)  # fmt: skip
def test_values_that_are_not_exactly_right_say_nothing(made: object) -> None:
    assert read(spelt(values())) == STATE
    assert read(spelt(made)) is None


@given(st.text())
def test_no_body_makes_the_reader_fail(text: str) -> None:
    assert read(Comment(1, f"{SUMMARY_MARKER}\n{text}")) is None


@given(st.binary(max_size=200))
def test_no_content_makes_the_reader_fail(content: bytes) -> None:
    assert read(packed(content)) is None
    assert read(packed(zlib.compress(content))) is None


def test_the_newest_summary_that_can_be_read_counts() -> None:
    old = comment(replace(STATE, conclusion="old"))
    new = comment(replace(STATE, conclusion="new"))
    broken = comment(edited=True)
    other = Comment(2, f"Some words\n{SUMMARY_MARKER}")
    assert summary_comments([old, other, broken]) == (old, broken)
    latest = latest_state([old, new, broken, other], repository="owner/name", number=7)
    assert latest is not None
    assert latest.conclusion == "new"
    assert latest_state([other, broken], repository="owner/name", number=7) is None


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


def told_before_read(of: HiddenState, room: int = 30_000) -> HiddenState | None:
    body = f"{SUMMARY_MARKER}\n\n{encode(of, room)}"
    return decode(Comment(1, body), repository=of.repository, number=of.number)


@pytest.mark.parametrize(
    "told", [TOLD, ChangeSummary("Words."), ChangeSummary("", Walkthrough()), NO_SUMMARY]
)
def test_what_was_told_comes_back_as_it_was(told: ChangeSummary) -> None:
    of = replace(state("A" * 20), summary=told)
    assert told_before_read(of) == of


@given(st.text(max_size=3_000), st.none() | WALKTHROUGHS)
def test_anything_bounded_comes_back_and_stays_as_it_is(
    overview: str, walkthrough: Walkthrough | None
) -> None:
    told = truncate_summary(overview, walkthrough)
    assert truncate_summary(told.overview, told.walkthrough) == told
    assert summary_from_values(summary_values(told)) == told


def test_what_is_too_long_is_cut_but_for_a_diagram() -> None:
    long = "x" * 9_000
    told = truncate_summary(
        long, Walkthrough((Area(long, long, long),) * 30, Risk(RiskLevel.HIGH, long), long)
    )
    assert told.walkthrough is not None
    assert (len(told.overview), len(told.walkthrough.areas)) == (MAX_OVERVIEW, MAX_AREAS)
    assert told.walkthrough.diagram == ""
    kept = truncate_summary("", Walkthrough(diagram="x" * MAX_DIAGRAM)).walkthrough
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
        assert told_before_read(whole, room) == left
    shorter = told_before_read(whole, len(encode(bare, 60_000)) - 1)
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


PAUSE = Pause("octocat", "2026-01-02T03:04:05Z")


def test_state_of_older_versions_is_read_as_not_paused() -> None:
    assert "p" not in values()
    known = read(spelt(values()))
    assert known is not None
    assert known.paused is None
    assert read(comment(replace(STATE, paused=PAUSE))) == replace(STATE, paused=PAUSE)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        "octocat",
        ["octocat"],
        ["octocat", "2026-01-02T03:04:05Z", ""],
        [7, "2026-01-02T03:04:05Z"],
        ["octocat", 7],
        ["octocat", ""],
        ["octocat", "2026-01-02"],
        ["octocat", "2026-01-02T03:04:05Z\n"],
        ["octocat", "２026-01-02T03:04:05Z"],
        ["o" * 101, "2026-01-02T03:04:05Z"],
    ],
)
def test_pause_that_we_cannot_have_written_makes_the_state_void(wrong: Any) -> None:
    assert read(spelt({**values(), "p": ["octocat", "2026-01-02T03:04:05Z"]})) is not None
    assert read(spelt({**values(), "p": wrong})) is None


def test_without_room_the_pause_is_kept_last() -> None:
    paused = replace(STATE, paused=PAUSE, findings=tuple(record(number) for number in range(100)))
    shortest = replace(paused, hunks=frozenset(), findings=())
    room = len(encode(shortest, ROOM))
    assert read(comment(paused, room)) == shortest
    assert encode(paused, room - 1) == ""


def test_empty_state_comes_back() -> None:
    for paused in (None, PAUSE):
        state = replace(empty_state("Owner/Name", 7), paused=paused)
        assert read(comment(state)) == state


@given(
    st.builds(
        HiddenState,
        st.just("Owner/Name"),
        st.just(7),
        st.text(max_size=80),
        st.lists(st.text(max_size=80), max_size=20).map(tuple),
        st.text(max_size=80),
        st.integers(0, 10**9),
        st.text(max_size=80),
        hunks=st.sets(st.sampled_from(sorted(KEYS)), max_size=20).map(frozenset),
        findings=st.lists(st.integers(0, 10**6).map(record), max_size=5).map(tuple),
        conclusion=st.text(max_size=80),
        summary=st.just(NO_SUMMARY) | st.just(TOLD),
        paused=st.none() | st.builds(Pause, st.text(max_size=100), st.just(PAUSE.at)),
    )
)
def test_any_state_comes_back_paused_or_not(state: HiddenState) -> None:
    assert read(comment(state)) == state

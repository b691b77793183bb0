"""The state of audits comes back as it was, within its room; nothing damaged, edited or of others is read."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.audit import TreeFile
from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Severity, Verification
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import Destination, SkipReason
from hunkwise.tracking.audit_state import (
    AuditState,
    WeekSpending,
    apply_dismissal,
    as_json,
    bitmap_of,
    blobs_of,
    decode_comment,
    encode_comment,
    from_json,
    state_digest,
)
from hunkwise.tracking.ledger import (
    LONGEST_NAME,
    LONGEST_REASON,
    DismissalChange,
    LedgerEntry,
    LedgerStatus,
)
from hunkwise.tracking.markers import PreviousFinding, compress
from hunkwise.tracking.reconcile import MAX_TEXT
from tests.tracking.ledgers import FIRST, TODAY, entry_of

ROOM = 65_536
BINARY, LOCK = SkipReason.BINARY.value, SkipReason.LOCK_FILE.value
WEEKS = (WeekSpending("2026-11-02", 41, 7_000), WeekSpending("2026-11-09", 18, 0))
STATE = AuditState(
    "Owner/Name", "ab" * 20, "0123456789abcdef", 20, b"\x01\x80\x0f", b"\x02", {BINARY: b"\x10", LOCK: b""},
    3, FIRST, 9, TODAY, WEEKS, WeekSpending("2026-08-03", 700, 10**12),
    (
        entry_of(1, Severity.HIGH, body="In full."),
        entry_of(2, status=LedgerStatus.DISMISSED, by="octocat", why="By design.", closed=TODAY),
        entry_of(3, status=LedgerStatus.UNCONFIRMED, refuted=2, closed=TODAY),
        entry_of(4, Severity.LOW, status=LedgerStatus.FIXED, closed=TODAY),
    ),
)  # fmt: skip


def comment(state: AuditState = STATE, room: int = ROOM) -> Comment:
    return Comment(1, encode_comment(state, room)[0])


def read(said: Comment) -> AuditState | None:
    return decode_comment(said, "owner/name")


def values() -> dict[str, Any]:
    made = as_json(STATE)["state"]
    assert isinstance(made, dict)
    return made


def words() -> list[str]:
    made = as_json(STATE)["words"]
    assert isinstance(made, list)
    return made


def spelt(content: bytes, *bitmaps: str, version: str = "v1") -> Comment:
    line = " ".join(["<!-- hunkwise:audit-state", version, compress(content), *bitmaps, "-->"])
    return Comment(1, f"Words.\n\n{line}")


def test_a_state_comes_back_as_it_was() -> None:
    assert read(comment()) == STATE
    assert from_json(as_json(STATE), "OWNER/name") == STATE
    crlf = comment().body.replace("\n", "\r\n") + "\r\n"  # GitHub changes line ends
    assert read(Comment(1, crlf)) == STATE
    assert read(spelt(json.dumps(values()).encode(), *words())) == STATE


def test_a_comment_says_what_it_is() -> None:
    assert comment().body.startswith("hunkwise keeps the state of its audits in this comment. ")
    assert comment().body.count("-->") == 1


def test_the_digest_is_of_everything() -> None:
    assert state_digest(STATE) == state_digest(replace(STATE))
    assert len(state_digest(STATE)) == 64
    changed = [
        replace(STATE, seen=b"\x01\x80\x0e"),
        replace(STATE, runs=10),
        replace(STATE, entries=STATE.entries[:3]),
    ]
    assert len({state_digest(one) for one in (STATE, *changed)}) == 4


@pytest.mark.parametrize("given", range(30))
def test_a_bitmap_marks_the_files_of_blobs(given: int) -> None:
    files = [TreeFile(f"{index}.py", f"{index // 2:040x}", 1) for index in range(given)]
    blobs = {file.blob for file in files[::3]}
    bitmap = bitmap_of(files, blobs)
    assert len(bitmap) == (given + 7) // 8
    assert blobs_of(files, bitmap) == blobs
    assert blobs_of(files, b"") == frozenset()
    assert blobs_of(files[:3], bitmap) == {file.blob for file in files[:3]} & blobs


def test_a_bit_is_the_file_at_its_place() -> None:
    files = [TreeFile(f"{index}.py", f"{index:040x}", 1) for index in range(10)]
    assert bitmap_of(files, {files[0].blob, files[3].blob, files[9].blob}) == b"\x09\x02"


DATES = st.sampled_from(["", FIRST, TODAY, "1999-12-31"])
TEXT = st.text(st.characters(codec=None), max_size=60) | st.text("a\udce9\n-->", max_size=5)
COUNTS = st.integers(0, 10**6)
LINES = st.none() | st.integers(1, 10**6)


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    line = draw(LINES)
    start = None if line is None else draw(st.none() | st.integers(max(1, line - 500), line))
    record = PreviousFinding(
        draw(st.text("0123456789abcdef", min_size=16, max_size=16)), draw(TEXT.filter(bool)),
        draw(st.sampled_from(Severity)), draw(TEXT), draw(TEXT), draw(TEXT), draw(st.sampled_from(Side)), line,
        start, draw(st.sampled_from(["", "0123456789ab"])), draw(st.sampled_from(Destination)),
        check=draw(st.none() | st.sampled_from(Verification)),
    )  # fmt: skip
    return LedgerEntry(
        record, draw(DATES), draw(DATES), draw(TEXT), draw(st.sampled_from(LedgerStatus)), draw(TEXT),
        draw(TEXT), draw(st.integers(0, 2)), draw(DATES),
    )  # fmt: skip


SHAS = st.text("0123456789abcdef", min_size=40, max_size=40)


@st.composite
def states(draw: st.DrawFn) -> AuditState:
    files = draw(st.integers(0, 100))
    bitmaps = st.binary(max_size=(files + 7) // 8)
    weeks = st.builds(WeekSpending, DATES, COUNTS, COUNTS)
    return AuditState(
        "owner/name", draw(SHAS), draw(TEXT), files, draw(bitmaps), draw(bitmaps),
        draw(st.dictionaries(st.sampled_from([reason.value for reason in SkipReason]), bitmaps, max_size=4)),
        draw(COUNTS), draw(DATES), draw(COUNTS), draw(DATES), tuple(draw(st.lists(weeks, max_size=8))),
        draw(weeks), tuple(draw(st.lists(entries(), max_size=6))),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(states())
def test_any_state_comes_back_as_it_was(state: AuditState) -> None:
    text, dropped = encode_comment(state)
    assert (read(Comment(1, text)), dropped) == (state, 0)
    assert from_json(json.loads(json.dumps(as_json(state))), "owner/name") == state


@settings(max_examples=40, deadline=None)
@given(states(), st.integers(0, 3_000))
def test_with_any_room_the_rest_is_still_right(state: AuditState, room: int) -> None:
    text, dropped = encode_comment(state, room)
    assert len(text) <= room
    known = read(Comment(1, text))
    assert (known is None) == (text == "")
    kept = known.entries if known else ()
    bare = [replace(one, body="") for one in state.entries]
    assert [replace(one, body="") for one in kept] == _in_order(bare, kept)
    open_before = sum(one.status is LedgerStatus.OPEN for one in state.entries)
    assert dropped == open_before - sum(one.status is LedgerStatus.OPEN for one in kept)
    if known:
        parts = replace(known, entries=state.entries, skipped=state.skipped)
        assert parts == state
        assert known.skipped in ({}, state.skipped)


def _in_order(all_of: list[LedgerEntry], kept: tuple[LedgerEntry, ...]) -> list[LedgerEntry]:
    """Those that were kept, in their old order."""
    rest = [replace(one, body="") for one in kept]
    taken = []
    for one in all_of:
        if rest and one == rest[0]:
            taken.append(rest.pop(0))
    return taken


WORDS = [f"{start}{end}" for start in "sql pool lock read file user path token cache retry".split()
         for end in ("", "s", " is", " is not", " has no", " of the", " before", " twice", " without")]  # fmt: skip


def large_ledger(number: int, body: str = "") -> tuple[LedgerEntry, ...]:
    """As many different findings in different files, with digests and titles that do not compress well."""
    pick = random.Random(7)
    made = []
    for index in range(number):
        title = " ".join(pick.choices(WORDS, k=5)).capitalize()
        path = f"src/{pick.choice(WORDS).replace(' ', '_')}/{pick.choice(WORDS).replace(' ', '_')}_{index}.py"
        line = pick.randrange(1, 3_000)
        record = PreviousFinding(
            f"{pick.getrandbits(64):016x}", path, pick.choice(list(Severity)), title, pick.choice(["bug", "security"]),
            "audit", line=line, start_line=pick.choice([None, max(1, line - 3)]),
            code=f"{pick.getrandbits(48):012x}", where=Destination.REPORT, check=Verification.CONFIRMED,
        )  # fmt: skip
        made.append(LedgerEntry(record, FIRST, TODAY, body))
    return tuple(made)


def large_state(share: float, findings: int) -> AuditState:
    """A tree of 100,000 files of which this share was read, at random: the worst that a bitmap can be."""
    pick = random.Random(11)
    files = [TreeFile(f"src/{index}.py", f"{index:040x}", 1) for index in range(100_000)]
    seen = bitmap_of(files, {file.blob for file in files if pick.random() < share})
    owed = bitmap_of(files, {file.blob for file in pick.sample(files, 200)})
    state = replace(STATE, files=len(files), seen=seen, owed=owed, skipped={})
    return replace(state, entries=large_ledger(findings))


@pytest.mark.parametrize("share", [0.02, 0.5, 1])
def test_100_000_files_and_1_000_findings_fit_into_a_comment(share: float) -> None:
    state = large_state(share, 1_000)
    text, dropped = encode_comment(state)
    assert (len(text) <= ROOM, dropped) == (True, 0)
    assert read(Comment(1, text)) == state


def test_without_room_as_little_as_possible_is_omitted() -> None:
    """Texts first, then what was skipped, then closed findings, and open ones last; the least severe first."""
    pick = random.Random(3)
    kinds = [(status, severity) for status in LedgerStatus for severity in Severity for _ in range(5)]
    pick.shuffle(kinds)
    mixed = tuple(
        replace(one, status=status, record=replace(one.record, severity=severity), body=one.record.title * 5)
        for one, (status, severity) in zip(large_ledger(len(kinds)), kinds, strict=True)
    )  # fmt: skip
    state = replace(STATE, files=4_800, skipped={BINARY: pick.randbytes(600)}, entries=mixed)
    full = len(encode_comment(state)[0])
    seen: set[str] = set()
    for room in range(full, 500, -211):
        text, dropped = encode_comment(state, room)
        known = read(Comment(1, text))
        assert known is not None
        whole = [one for one in known.entries if one.body]
        lost = [one for one in state.entries if one.record not in {kept.record for kept in known.entries}]
        assert dropped == sum(one.status is LedgerStatus.OPEN for one in lost)
        without_body = [one for one in known.entries if not one.body]
        assert max(map(rank, whole), default=0) <= min(map(rank, without_body), default=99)
        assert max(map(rank, known.entries), default=0) <= min(map(rank, lost), default=99)
        if lost:
            assert (whole, known.skipped) == ([], {})
            seen.add(f"lost {max(one.status for one in lost if rank(one) == min(map(rank, lost)))}")
        elif not known.skipped:
            assert whole == []
            seen.add("skipped")
        elif without_body:
            seen.add("bodies")
    assert seen == {"bodies", "skipped", "lost fixed", "lost unconfirmed", "lost dismissed", "lost open"}


def rank(entry: LedgerEntry) -> int:
    """How early an entry is omitted: the greatest first."""
    order = [LedgerStatus.OPEN, LedgerStatus.DISMISSED, LedgerStatus.UNCONFIRMED, LedgerStatus.FIXED]
    return 4 * order.index(entry.status) + 4 - entry.record.severity


def test_texts_are_kept_as_long_as_there_is_room() -> None:
    state = replace(STATE, entries=large_ledger(100, body="x" * MAX_TEXT))
    assert read(comment(state)) == state
    everything = replace(
        STATE, entries=large_ledger(1_500, body="x" * MAX_TEXT)
    )  # above the bound of the JSON
    text, dropped = encode_comment(everything)
    known = read(Comment(1, text))
    assert known is not None
    assert dropped > 0  # 1,500 open findings
    assert len(known.entries) == 1_500 - dropped
    assert from_json(as_json(everything), "owner/name") == everything


def test_without_room_for_anything_there_is_no_comment() -> None:
    assert encode_comment(STATE, 300) == ("", 1)


def test_what_cannot_be_stored_is_counted() -> None:
    long = replace(STATE.entries[0], record=replace(STATE.entries[0].record, path="p" * 5_000))
    state = replace(STATE, entries=(long, *STATE.entries), weeks=WEEKS * 8)
    text, dropped = encode_comment(state)
    assert (read(Comment(1, text)), dropped) == (replace(STATE, weeks=WEEKS * 4), 1)
    assert from_json(as_json(state), "owner/name") == replace(STATE, weeks=WEEKS * 4)


def test_long_texts_are_cut() -> None:
    long = replace(STATE.entries[1], by="b" * 500, why="w" * 5_000, body="t" * 9_000)
    known = read(comment(replace(STATE, entries=(long,))))
    assert known is not None
    lengths = [len(text) for text in (known.entries[0].by, known.entries[0].why, known.entries[0].body)]
    assert lengths == [LONGEST_NAME, LONGEST_REASON, MAX_TEXT]


CONTENT = json.dumps(values()).encode()


@pytest.mark.parametrize(
    "said",
    [
        replace(comment(), edited=True),
        comment(replace(STATE, repository="owner/other")),
        Comment(1, ""),
        Comment(1, f"{comment().body}\nWords"),
        Comment(1, f"{comment().body}\n{comment().body}"),
        Comment(1, comment().body[:-4]),
        Comment(1, "x" * 70_000 + f"\n{comment().body}"),
        spelt(CONTENT, *words(), version="v2"),
        spelt(CONTENT),
        spelt(CONTENT, *words()[:-1]),
        spelt(CONTENT, *words(), words()[-1]),
        spelt(CONTENT, "AAAAA", *words()[1:]),
        spelt(CONTENT, words()[0][:-4], *words()[1:]),
        spelt(CONTENT, *words()[:1], compress(b"\x01\x80\x0f\x00"), *words()[2:]),
        spelt(CONTENT, *words()[:1], compress(b"\x00" * 10**7), *words()[2:]),
        spelt(CONTENT, compress(b"\x00" * 10**7), *words()[1:]),
        spelt(CONTENT, compress(b"\x00" * (14 * 4 - 1)), *words()[1:]),
        spelt(CONTENT + b" " * 4_000_000, *words()),
        spelt(b"{", *words()),
        spelt(b"[" * 100_000, *words()),
        Comment(1, f"<!-- hunkwise:audit-state v1 {b64encode(CONTENT).decode()} -->"),
    ],
)
def test_what_is_not_exactly_right_is_not_read(said: Comment) -> None:
    assert read(said) is None


def with_field(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda made: {**made, name: value}


def with_column(index: int, value: object) -> Callable[[dict[str, Any]], object]:
    """Sets a value of the second entry."""

    def changed(made: dict[str, Any]) -> object:
        columns = [list(column) for column in made["f"]]
        columns[index][1] = value
        return {**made, "f": columns}

    return changed


WRONG_FIELDS: list[tuple[str, object]] = [
    ("r", 1), ("t", None), ("t", "HEAD"), ("w", []), ("w", "a" * 2_000), ("n", -1), ("n", True), ("n", 7.0),
    ("n", 10**9), ("n", 16), ("b", None), ("b", [1]), ("b", [BINARY, BINARY]), ("b", [LOCK, BINARY]),
    ("b", ["lazy", LOCK]),
    ("l", "3"), ("l", -1), ("g", None), ("g", "yesterday"), ("g", "2026-13-01"), ("g", "20261102"), ("u", None),
    ("d", "2026-W40-1"), ("s", {}), ("s", [["2026-11-02", 1]]), ("s", [["2026-11-02", 1, True]]),
    ("s", [["2026-11-02", -1, 0]]), ("s", [["2026-11-02", 1, 10**19]]), ("s", [["soon", 1, 2]]),
    ("s", [["2026-11-02", 1, 2]] * 9), ("a", None), ("a", ["", 1]), ("f", None), ("f", []), ("f", [[]] * 19),
    ("f", [None] * 19), ("f", {}),
]  # fmt: skip
WRONG_COLUMNS: list[tuple[int, object]] = [
    (0, ""), (1, 9), (8, False), (8, 1), (9, "nowhere"), (10, None), (10, ["certain"]), (11, "soon"),
    (11, None), (12, 1), (13, "grave"), (13, None), (14, "b" * 101), (15, "w" * 401), (15, None),
    (16, -1), (16, True), (16, "1"), (17, "late"), (18, "t" * 4_001), (18, None),
]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda _made: None,
        lambda made: [made],
        lambda made: {**made, "x": 1},
        lambda made: {name: value for name, value in made.items() if name != "l"},
        *[with_field(name, wrong) for name, wrong in WRONG_FIELDS],
        lambda made: {**made, "f": made["f"][:-1]},
        lambda made: {**made, "f": [*made["f"], made["f"][-1]]},
        lambda made: {**made, "f": [*made["f"][:-1], made["f"][-1][:-1]]},
        *[with_column(index, wrong) for index, wrong in WRONG_COLUMNS],
    ],
)
def test_values_that_are_not_exactly_right_are_not_read(change: Callable[[dict[str, Any]], object]) -> None:
    wrong = json.dumps(change(values())).encode()
    assert read(spelt(wrong, *words())) is None
    assert from_json({"state": change(values()), "words": words()}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        "state",
        {"state": values()},
        {"state": values(), "words": words()[:-1]},
        {"state": values(), "words": [1, 2, 3, 4, 5]},
        {"state": values(), "words": {}},
        {"state": values(), "words": words(), "more": 1},
    ],
)
def test_a_file_that_is_damaged_or_of_another_repository_is_not_read(wrong: object) -> None:
    assert from_json(wrong) is None
    assert from_json(as_json(STATE)) == STATE
    assert from_json(as_json(STATE), "owner/other") is None


@given(st.text(), st.binary(max_size=200))
def test_nothing_makes_the_reader_fail(text: str, content: bytes) -> None:
    assert read(Comment(1, text)) is None
    assert read(spelt(content, *words())) is None


def test_command_dismisses_open_finding_with_reason() -> None:
    opened = STATE.entries[0]
    change = DismissalChange(opened.fingerprint, True, "o" * 200, "w" * 900)
    settled = apply_dismissal(STATE, change, "2026-12-01")
    entry = settled.entries[0]
    assert (entry.status, entry.closed) == (LedgerStatus.DISMISSED, "2026-12-01")
    assert (len(entry.by), len(entry.why)) == (LONGEST_NAME, LONGEST_REASON)
    assert replace(settled, entries=()) == replace(STATE, entries=())
    assert settled.entries[1:] == STATE.entries[1:]
    assert read(comment(settled)) == settled
    reopened = apply_dismissal(settled, DismissalChange(opened.fingerprint, False, "octocat"), TODAY)
    assert reopened == STATE


@pytest.mark.parametrize(
    ("number", "dismissed", "status"),
    [
        (0, False, LedgerStatus.OPEN),
        (1, True, LedgerStatus.DISMISSED),
        (1, False, LedgerStatus.OPEN),
        (2, True, LedgerStatus.DISMISSED),
        (2, False, LedgerStatus.UNCONFIRMED),
        (3, True, LedgerStatus.FIXED),
        (3, False, LedgerStatus.FIXED),
    ],
)
def test_command_changes_what_it_can_change(number: int, dismissed: bool, status: LedgerStatus) -> None:
    before = STATE.entries[number]
    after = apply_dismissal(STATE, DismissalChange(before.fingerprint, dismissed, "mona"), TODAY)
    assert after.entries[number].status is status
    assert (after == STATE) is (before.status is status)


def test_command_decides_all_findings_of_an_id_and_no_others() -> None:
    twins = (entry_of(1), replace(entry_of(2), record=entry_of(1).record), entry_of(3))
    after = apply_dismissal(replace(STATE, entries=twins), DismissalChange("0" * 15 + "1", True), TODAY)
    dismissed = [entry.status is LedgerStatus.DISMISSED for entry in after.entries]
    assert dismissed == [True, True, False]
    assert apply_dismissal(STATE, DismissalChange("f" * 16, True), TODAY) == STATE

"""Encodes and decodes the state of a repository's audits: what was read in this lap, and the ledger.

On GitHub it is a hidden line in a comment of ours on the audit's issue; locally it is a file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Any, Final

from hunkwise.domain.audit import TreeFile
from hunkwise.domain.limits import BODY_CHARACTERS
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import SkipReason
from hunkwise.domain.text import cut, is_sha
from hunkwise.tracking.ledger import (
    LONGEST_NAME,
    LONGEST_REASON,
    DismissalChange,
    LedgerEntry,
    LedgerStatus,
    apply_change,
)
from hunkwise.tracking.markers import (
    COMPRESSED,
    LONGEST_TEXT,
    as_bytes,
    as_values,
    compress,
    count_markers,
    decompress,
    from_bytes,
    from_values,
    marker,
    marker_pattern,
)
from hunkwise.tracking.reconcile import MAX_TEXT
from hunkwise.tracking.state import parse_all

MOST_WEEKS: Final = 8
_KIND = "audit-state"
_NOTE = "hunkwise keeps the state of its audits in this comment. Please do not edit or delete it."
_LINE = marker_pattern(_KIND, f"({COMPRESSED}(?: {COMPRESSED})*)")
_LARGEST = 1024 * 1024
"""Maximum size of the JSON in a comment in bytes."""
_MOST_FILES = 10**7
_MOST_COUNT = 10**18
_LONGEST_TEXT = 1_000
_STATUSES = {status.value: status for status in LedgerStatus}
_REASONS = frozenset(reason.value for reason in SkipReason)


@dataclass(frozen=True, slots=True)
class WeekSpending:
    """What the audits of a week used."""

    monday: str = ""
    """ISO date of the first day."""
    model_calls: int = 0
    nano_credits: int = 0


@dataclass(frozen=True)
class AuditState:
    """What the next audit has to know.

    A bitmap has one bit for each file of `tree`, in the order of `repository.history.list_tree`; see `bitmap_of`.
    """

    repository: str
    """`owner/name`, so that a copy in another repository is ignored."""
    tree: str
    """SHA of the commit that the last audit read."""
    settings: str
    """Digest of prompts, models and paths: if it differs, a new lap begins."""
    files: int
    """Number of regular files in the tree."""
    seen: bytes = b""
    """Bitmap of the files that were read completely in this lap."""
    owed: bytes = b""
    """Bitmap of the files that the last audit planned to read, and did not."""
    skipped: Mapping[str, bytes] = field(default_factory=dict)
    """Bitmaps of the files that were skipped, by the value of the `SkipReason`."""
    lap: int = 1
    lap_began: str = ""
    """ISO date."""
    runs: int = 0
    """Audits since the first one."""
    last: str = ""
    """ISO date of the last audit."""
    weeks: tuple[WeekSpending, ...] = ()
    """The newest 8 weeks with an audit, the latest last."""
    total: WeekSpending = WeekSpending()
    """All weeks since `monday`."""
    entries: tuple[LedgerEntry, ...] = ()


def bitmap_of(files: Sequence[TreeFile], blobs: Collection[str]) -> bytes:
    """Returns one bit for each file, the lowest bit of a byte first: whether its content is one of the blobs."""
    bits = bytearray((len(files) + 7) // 8)
    for index, file in enumerate(files):
        if file.blob in blobs:
            bits[index >> 3] |= 1 << (index & 7)
    return bytes(bits)


def blobs_of(files: Sequence[TreeFile], bitmap: bytes) -> frozenset[str]:
    """Returns the blobs of the files whose bit is set; bits beyond the end of the bitmap are not."""
    covered = files[: len(bitmap) * 8]
    return frozenset(file.blob for index, file in enumerate(covered) if bitmap[index >> 3] >> (index & 7) & 1)


def apply_dismissal(state: AuditState, change: DismissalChange, today: str) -> AuditState:
    """Returns the state after a command dismissed or reopened the findings of a fingerprint, between two audits.

    The box of these findings must be ticked or cleared as well, and first: the next audit believes the boxes.
    """
    entries = (
        apply_change(entry, change, today) if entry.fingerprint == change.fingerprint else entry
        for entry in state.entries
    )
    return replace(state, entries=tuple(entries))


def encode_comment(state: AuditState, room: int = BODY_CHARACTERS) -> tuple[str, int]:
    """Returns the whole comment, of at most `room` characters, and how many open findings had no room in it.

    If the state does not fit, as little as possible is omitted, in this order: texts of findings, those of open ones
    last; which files were skipped; fixed and unconfirmed findings; dismissed ones; open ones. The least severe go
    first. The comment is empty if nothing fits.
    """
    entries = _storable(state.entries)
    order = sorted(range(len(entries)), key=lambda index: _importance(entries[index]))
    most = 2 * len(order) + 1

    def reduced(omitted: int) -> AuditState:
        """Returns the state without this many of the parts."""
        with_body = set(order[: max(0, len(order) - omitted)])
        kept = tuple(
            entries[index] if index in with_body else replace(entries[index], body="")
            for index in sorted(order[: most - omitted])
        )
        return replace(state, entries=kept, skipped=state.skipped if omitted <= len(order) else {})

    def fits(omitted: int) -> bool:
        return _encode(reduced(omitted), room) != ""

    left = reduced(0 if fits(0) else bisect_left(range(most), True, key=fits))
    return _encode(left, room), _count_open(state) - _count_open(left)


def is_state_comment(body: str) -> bool:
    """Returns whether a comment of ours has a state, valid or not."""
    return count_markers(_KIND, body) > 0


def decode_comment(comment: Comment, repository: str) -> AuditState | None:
    """Returns the state of a comment of ours; None if it is not valid, edited, or of another repository."""
    body = comment.body.replace("\r\n", "\n").rstrip()
    if comment.edited or len(body) > LONGEST_TEXT or count_markers(_KIND, body) != 1:
        return None
    line = _LINE.fullmatch(body.rpartition("\n")[2])
    if line is None:
        return None
    first, *words = line[1].split(" ")
    content = decompress(first, _LARGEST)
    return _parse_state(from_bytes(content), words, repository) if content is not None else None


def as_json(state: AuditState) -> dict[str, object]:
    """Returns the whole state as JSON values, for a file. Texts may have surrogates, as paths do."""
    whole = replace(state, entries=_storable(state.entries))
    return {"state": _state_values(whole), "words": _state_words(whole)}


def from_json(values: object, repository: str | None = None) -> AuditState | None:
    """Returns the state from values by `as_json`; None if they are not valid, or of another repository than this."""
    match values:
        case {"state": state, "words": list(words), **more} if not more:
            return _parse_state(state, words, repository)
    return None


def state_digest(state: AuditState) -> str:
    """Returns 64 hex digits that identify the state."""
    return sha256(as_bytes(as_json(state))).hexdigest()


_IMPORTANT_FIRST = (LedgerStatus.OPEN, LedgerStatus.DISMISSED, LedgerStatus.UNCONFIRMED, LedgerStatus.FIXED)


def _importance(entry: LedgerEntry) -> tuple[int, int]:
    return _IMPORTANT_FIRST.index(entry.status), -entry.record.severity


def _storable(entries: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """Returns the entries that can be read back: a path, for example, can be too long."""
    return tuple(entry for entry in entries if as_values(entry.record) is not None)


def _count_open(state: AuditState) -> int:
    return sum(entry.status is LedgerStatus.OPEN for entry in state.entries)


def _encode(state: AuditState, room: int) -> str:
    """Returns the comment; empty if it would be too large."""
    content = as_bytes(_state_values(state))
    if len(content) > _LARGEST:
        return ""
    text = f"{_NOTE}\n\n{marker(_KIND, compress(content), *_state_words(state))}"
    return text if len(text) <= room else ""


def _state_values(state: AuditState) -> dict[str, object]:
    """Returns everything except what `_state_words` returns.

    Findings are columns: values of one kind in a row compress to nine tenths of the size.
    """
    rows = map(_entry_values, state.entries)
    return {
        "r": state.repository,
        "t": state.tree,
        "w": state.settings,
        "n": state.files,
        "b": sorted(state.skipped),
        "l": state.lap,
        "g": state.lap_began,
        "u": state.runs,
        "d": state.last,
        "s": [_week_values(week) for week in state.weeks[-MOST_WEEKS:]],
        "a": _week_values(state.total),
        "f": [[*column] for column in zip(*rows, strict=True)] or [[]] * _COLUMNS,
    }


def _state_words(state: AuditState) -> list[str]:
    """Returns digests of findings and bitmaps, which hardly compress: within a text they would be a tenth larger."""
    digests = "".join(entry.record.fingerprint + entry.record.code for entry in state.entries)
    skipped = (state.skipped[reason] for reason in sorted(state.skipped))
    return [compress(content) for content in (bytes.fromhex(digests), state.seen, state.owed, *skipped)]


def _parse_state(values: object, words: Sequence[object], repository: str | None) -> AuditState | None:
    """Returns the state from `_state_values` and `_state_words`; None if they are not valid."""
    if not isinstance(values, dict) or values.keys() != set("rtwnblgudsaf"):
        return None
    if not all(isinstance(values[name], str) and len(values[name]) <= _LONGEST_TEXT for name in "rtwgd"):
        return None
    if not all(_is_count(values[name], _MOST_FILES) for name in "nlu"):
        return None
    if not (
        is_sha(values["t"]) and _is_date(values["g"]) and _is_date(values["d"]) and _are_reasons(values["b"])
    ):
        return None
    if len(words) != 3 + len(values["b"]):
        return None
    if repository is not None and values["r"].casefold() != repository.casefold():
        return None
    size = (values["n"] + 7) // 8
    bitmaps = parse_all([*words[1:]], lambda word: _parse_word(word, size))
    entries = _parse_entries(values["f"], words[0])
    weeks, total = parse_all(values["s"], _parse_week), _parse_week(values["a"])
    if bitmaps is None or entries is None or weeks is None or len(weeks) > MOST_WEEKS or total is None:
        return None
    return AuditState(
        repository=values["r"],
        tree=values["t"],
        settings=values["w"],
        files=values["n"],
        seen=bitmaps[0],
        owed=bitmaps[1],
        skipped=dict(zip(values["b"], bitmaps[2:], strict=True)),
        lap=values["l"],
        lap_began=values["g"],
        runs=values["u"],
        last=values["d"],
        weeks=weeks,
        total=total,
        entries=entries,
    )


def _week_values(week: WeekSpending) -> list[Any]:
    return [week.monday, week.model_calls, week.nano_credits]


def _parse_week(row: object) -> WeekSpending | None:
    match row:
        case [str(monday), int(calls), int(credits)] if _is_date(monday):
            valid = _is_count(calls, _MOST_COUNT) and _is_count(credits, _MOST_COUNT)
            return WeekSpending(monday, calls, credits) if valid else None
    return None


_DIGEST, _KEY = 8, 6
"""Bytes of a fingerprint, and of the key of a finding's code."""
_COLUMNS = 19


def _entry_values(entry: LedgerEntry) -> list[Any]:
    """Returns the entry's values for JSON, with whether there is code instead of its two digests."""
    _, *values = as_values(entry.record) or []
    return [
        *values[:8],
        entry.record.code != "",
        values[9],
        values[10:],
        entry.first,
        entry.last,
        entry.status.value,
        cut(entry.by, LONGEST_NAME),
        cut(entry.why, LONGEST_REASON),
        entry.refuted,
        entry.closed,
        cut(entry.body, MAX_TEXT),
    ]


def _parse_entries(columns: object, word: object) -> tuple[LedgerEntry, ...] | None:
    """Returns the entries from their columns and the word with their digests; None if these are not valid."""
    if not isinstance(columns, list) or not all(isinstance(column, list) for column in columns):
        return None
    number = len(columns[0]) if columns else 0
    digests = _parse_word(word, number * (_DIGEST + _KEY))
    if len(columns) != _COLUMNS or any(len(column) != number for column in columns) or digests is None:
        return None
    entries, start = [], 0
    for row in zip(*columns, strict=True):
        middle = start + _DIGEST
        end = middle + _KEY * (row[8] is True)
        entry = _parse_entry([*row], digests[start:middle].hex(), digests[middle:end].hex())
        if entry is None:
            return None
        entries.append(entry)
        start = end
    return tuple(entries) if start == len(digests) else None


def _parse_entry(row: list[Any], fingerprint: str, code: str) -> LedgerEntry | None:
    match row[8:]:
        case [
            bool(), where, list(optional), str(first), str(last), str(status), str(by), str(why),
            int(refuted), str(closed), str(body),
        ]:  # fmt: skip
            record = from_values([fingerprint, *row[:8], code, where, *optional])
        case _:
            return None
    if record is None or status not in _STATUSES or not _is_count(refuted, _MOST_FILES):
        return None
    if len(by) > LONGEST_NAME or len(why) > LONGEST_REASON or len(body) > MAX_TEXT:
        return None
    if not (_is_date(first) and _is_date(last) and _is_date(closed)):
        return None
    return LedgerEntry(record, first, last, body, _STATUSES[status], by, why, refuted, closed)


def _parse_word(word: object, size: int) -> bytes | None:
    """Returns the content of a word of at most `size` bytes."""
    content = decompress(word, size + 1) if isinstance(word, str) else None
    return content if content is not None and len(content) <= size else None


def _are_reasons(values: object) -> bool:
    """Returns whether these are different values of `SkipReason`, sorted."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return False
    return set(values) <= _REASONS and values == sorted(set(values))


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _is_date(text: str) -> bool:
    """Returns whether it is an ISO date, or empty."""
    try:
        return text == "" or date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False

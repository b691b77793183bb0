"""What was raised before, and the thread of each: from the hidden state, and from our own comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from hunkwise.domain.conversation import Conversation, ReviewState, Thread
from hunkwise.domain.outcome import Where
from hunkwise.domain.state import Raised, State
from hunkwise.publish.lifecycle.dismissal import Dismissal, dismissal, is_closed_as_fixed
from hunkwise.publish.lifecycle.pairing import paired
from hunkwise.publish.markers import raised_in

_COMMENTED = frozenset({Where.INLINE, Where.FILE})
_FAR = 10**9
DISMISSED = 2
"""`Entry.rank` of what somebody dismissed who may."""


class Rank(IntEnum):
    """How much a thread still asks for; of several that could be an entry's, the least rank is."""

    OPEN = 0
    """Also where an untrusted author resolved it."""
    DISMISSED = 1
    FIXED = 2


@dataclass(frozen=True, slots=True)
class OurThread:
    """A thread that carries a finding of ours."""

    thread: Thread
    record: Raised
    """What its first comment says, as it was written."""
    dismissed: Dismissal | None
    rank: Rank


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was raised and may still stand."""

    raised: Raised
    """As it was last known."""
    thread: Thread | None = None
    dismissed: Dismissal | None = None
    paths: tuple[str, ...] = ()
    """Names that its file has had, the latest first."""
    line: int | None = None
    """The line to look for its code at first."""

    @property
    def rank(self) -> int:
        """Who comes first to lines that several could stand on: no open thread is closed for another entry."""
        if self.dismissed is Dismissal.TRUSTED:
            return DISMISSED
        return 0 if self.thread is not None else 1

    @property
    def lines(self) -> tuple[int, ...]:
        """Where the thread is, or was."""
        shown = self.thread.line if self.thread else None
        return tuple({line for line in (self.raised.line, shown, self.line) if line is not None})


def raised_before(state: State | None, conversation: Conversation | None) -> tuple[Raised, ...]:
    """Everything that earlier runs raised and did not close: one entry a finding, also where two look the same.

    The state's come first, in its order, then what only our own comments remember, for a run that was killed.
    """
    known = list(state.findings) if state else []
    if conversation is None:
        return tuple(known)
    threads = our_threads(conversation)
    linked = _linked(known, threads)
    open_still = [
        record
        for index, record in enumerate(known)
        if index not in linked or threads[linked[index]].rank is not Rank.FIXED
    ]
    spoken_for = set(linked.values())
    commented = [
        ours.record
        for index, ours in enumerate(threads)
        if index not in spoken_for and ours.rank is not Rank.FIXED and not ours.thread.edited
    ]
    threaded = {_place(ours.record) for ours in threads}
    in_bodies = _in_bodies(conversation, [*open_still, *commented])
    return (*open_still, *commented, *(record for record in in_bodies if _place(record) not in threaded))


def entries(before: Iterable[Raised], conversation: Conversation) -> tuple[Entry, ...]:
    """Each with its thread and what people did to it; those that we closed as fixed are left out."""
    known = list(before)
    threads = our_threads(conversation)
    linked = _linked(known, threads)
    unreadable = {
        thread.path
        for thread in conversation.threads
        if thread.ours and (thread.edited or "hunkwise:finding" in thread.body) and not raised_in(thread.body)
    }
    made = []
    for index, record in enumerate(known):
        ours = threads[linked[index]] if index in linked else None
        if ours is None:
            # Without a name of our own nothing is known to be ours, and so nothing to be missing.
            missing = (
                record.where in _COMMENTED and record.path not in unreadable and conversation.viewer != ""
            )
            kept = replace(record, deleted=record.deleted or missing)
            made.append(
                Entry(kept, None, Dismissal.TRUSTED if kept.deleted else None, (record.path,), record.line)
            )
        elif ours.rank is not Rank.FIXED:
            made.append(_entry(record, ours))
    return tuple(made)


def our_threads(conversation: Conversation) -> tuple[OurThread, ...]:
    """The threads of ours whose first comment carries a finding, in their order."""
    found = []
    for thread in conversation.threads:
        # Our marker is the last of a comment; what else would look like one was not written by us.
        record = raised_in(thread.body)[-1:] if thread.ours else ()
        if record:
            dismissed = dismissal(thread, conversation)
            settled = Rank.FIXED if is_closed_as_fixed(thread, conversation) else Rank.OPEN
            rank = Rank.DISMISSED if dismissed is Dismissal.TRUSTED else settled
            found.append(OurThread(thread, record[0], dismissed, rank))
    return tuple(found)


def _entry(record: Raised, ours: OurThread) -> Entry:
    thread = ours.thread
    paths = tuple(dict.fromkeys((record.path, ours.record.path, thread.path)))
    where = record.where if record.where in _COMMENTED else ours.record.where
    # GitHub moves a thread along with its line. It says nothing of code that the finding moved on to.
    follows = ours.record.code == record.code and thread.side is record.side and not thread.outdated
    line = thread.line if follows and thread.line is not None and record.line is not None else record.line
    return Entry(replace(record, where=where), thread, ours.dismissed, paths, line)


def _linked(known: Sequence[Raised], threads: Sequence[OurThread]) -> dict[int, int]:
    """Index of a record → index of its thread, one to one, among those of the same fingerprint."""
    by_fingerprint: dict[str, list[int]] = {}
    for index, ours in enumerate(threads):
        by_fingerprint.setdefault(ours.record.fingerprint, []).append(index)
    return paired(
        (score, index, candidate)
        for index, record in enumerate(known)
        for candidate in by_fingerprint.get(record.fingerprint, ())
        if (score := _score(record, threads[candidate])) is not None
    )


def _score(record: Raised, ours: OurThread) -> tuple[float, ...] | None:
    """How well the thread fits, the less the better; None where it cannot be the record's."""
    if record.deleted:
        return None
    apart = min(_apart(record.line, ours.record.line), _apart(record.line, ours.thread.line))
    elsewhere = record.path not in (ours.record.path, ours.thread.path)
    # Fingerprints say nothing of the side, but a finding may have come over from the other.
    across = record.side is not ours.record.side and None not in (record.line, ours.record.line)
    uncommented = record.where not in _COMMENTED
    if uncommented and (apart or elsewhere or across or ours.rank is not Rank.OPEN):
        return None  # it has a thread only where its posting was not noticed
    return uncommented, across, record != ours.record, ours.rank, elsewhere, apart


def _apart(one: int | None, other: int | None) -> int:
    if one is None or other is None:
        return 0 if one is other else _FAR
    return abs(one - other)


def _in_bodies(conversation: Conversation, known: Sequence[Raised]) -> list[Raised]:
    """What the bodies of our reviews raised, without what is known already."""
    said = {
        _place(record): record
        for review in conversation.reviews
        if review.state is not ReviewState.PENDING
        for record in raised_in(review.body)
    }
    records = list(said.values())
    by_fingerprint: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        by_fingerprint.setdefault(record.fingerprint, []).append(index)
    linked = paired(
        ((record.side is not other.side, _apart(record.line, other.line)), index, candidate)
        for index, record in enumerate(known)
        if record.where not in _COMMENTED
        for candidate in by_fingerprint.get(record.fingerprint, ())
        for other in [records[candidate]]
    )
    spoken_for = set(linked.values())
    places = {_place(record) for record in known}
    return [
        record
        for index, record in enumerate(records)
        if index not in spoken_for and _place(record) not in places
    ]


def _place(record: Raised) -> tuple[str, str, str, int | None, int | None]:
    return record.fingerprint, record.path, record.side, record.line, record.start_line

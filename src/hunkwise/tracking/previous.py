"""Findings that earlier runs posted, read from our own comments, and who dismissed them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from hunkwise.domain.pull_request import Conversation, Reply, ReviewState, Thread
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import LONGEST_TITLE, HiddenState, PreviousFinding, is_fixed, raised_in

_WORD = re.compile(r"[^\W_]+")
_TELL_NOTHING = frozenset(
    "the and for not with that this from into are can may was has its when where which without".split()
)


def paired(scored: Iterable[tuple[tuple[float, ...], int, int]]) -> dict[int, int]:
    """Left to right, each in one pair at the most, the least score first. Takes (score, left, right)."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, left, right in sorted(scored):
        if left not in pairs and right not in taken:
            pairs[left] = right
            taken.add(right)
    return pairs


def words(title: str) -> frozenset[str]:
    """The words of a title, as far as a marker carries it."""
    return frozenset(_WORD.findall(title[:LONGEST_TITLE].casefold()))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """0 to 1: the share of words that two titles have in common."""
    return len(one & other) / max(1, len(one | other))


def speak_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two titles have a word in common that says something."""
    return any(len(word) > 2 for word in (one & other) - _TELL_NOTHING)


_LONGEST_REPLY = 4_000
_LONGEST_LINE = 500
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_INDENTED_CODE = re.compile(r" {4}| {0,3}\t")
_COMMAND = re.compile(r"/hunkwise +dismiss(?: .*)?")
_WORDS = re.compile(
    r"[*_]{0,3}(?:"
    r"won'?t[ -]?fix|will not fix|false[ -]positive|not a bug|by design"
    r"|work(?:s|ing) as intended|intended(?! (?:to|for|fix)\b)"
    r")\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|[*_]|$)")


class Dismissal(StrEnum):
    """Who dismissed a finding; see `dismissal`."""

    TRUSTED = "trusted"
    """Somebody who may: it leaves the gates, and is never raised again."""
    AUTHOR = "author"
    """The pull request's own author, untrusted: it is not repeated, but counts for the gates."""


def dismissal(thread: Thread, conversation: Conversation) -> Dismissal | None:
    """Who dismissed the finding of a thread of ours; None where nobody did who may, or it is another's thread."""
    if not thread.ours:
        return None
    if any(_may(login, conversation) for login in thread.thumbs_down):
        return Dismissal.TRUSTED
    if any(_dismisses(reply) for reply in thread.replies):
        return Dismissal.TRUSTED
    if not thread.resolved or is_closed_as_fixed(thread, conversation):
        return None
    # Only writers and the author can resolve. Both logins are empty where the accounts are gone.
    by_author = thread.resolved_by.casefold() == conversation.author.casefold()
    return Dismissal.AUTHOR if by_author and not conversation.author_trusted else Dismissal.TRUSTED


def is_closed_as_fixed(thread: Thread, conversation: Conversation) -> bool:
    """Whether we said that the thread of ours is fixed, and nobody opened it again."""
    if not thread.ours:
        return False
    if is_fixed(thread.body) and not thread.edited:
        return True
    said = _said_fixed(thread)
    if not thread.id:  # REST does not say what is resolved
        return said
    by_us = thread.resolved_by != "" and thread.resolved_by.casefold() == conversation.viewer.casefold()
    return thread.resolved and (said or by_us)


def is_reopened(thread: Thread) -> bool:
    """Whether a thread of ours is open although we closed it as fixed: a person did not agree."""
    return thread.ours and bool(thread.id) and not thread.resolved and _said_fixed(thread)


def _said_fixed(thread: Thread) -> bool:
    return any(reply.ours and not reply.edited and is_fixed(reply.body) for reply in thread.replies)


def _may(login: str, conversation: Conversation) -> bool:
    name = login.casefold()
    if not name:
        return False
    if conversation.author_trusted and name == conversation.author.casefold():
        return True
    return any(name == writer.casefold() for writer in conversation.writers)


def _dismisses(reply: Reply) -> bool:
    """Whether somebody who may says in a reply that nothing is to be done."""
    if reply.ours or reply.bot or reply.edited or not reply.trusted:
        return False
    said = next(_said_lines(reply.body[:_LONGEST_REPLY]), "")[:_LONGEST_LINE].replace("’", "'")
    if _COMMAND.fullmatch(said):
        return True
    if not _WORDS.match(said):
        return False
    end = _SENTENCE_END.search(said)
    return end is None or "?" not in end[0]  # "By design?" asks


def _said_lines(body: str) -> Iterator[str]:
    """The lines of a reply that are neither empty, nor a quotation, nor code."""
    fence = ""
    for line in body.replace("\r\n", "\n").split("\n"):
        opening = _FENCE.match(line)
        if fence:
            bare = line.strip()
            if bare.startswith(fence) and not bare.strip(fence[0]):
                fence = ""
        elif opening:
            fence = opening[1]
        elif line.strip() and not _INDENTED_CODE.match(line) and not line.lstrip().startswith(">"):
            yield line.strip()


_COMMENTED = frozenset({Destination.INLINE, Destination.FILE})
_FAR = 10**9
DISMISSED = 2
"""`Entry.rank` of what somebody dismissed who may."""


class ThreadStatus(IntEnum):
    """How much a thread still asks for; of several that could be an entry's, the least rank is."""

    OPEN = 0
    """Also where an untrusted author resolved it."""
    DISMISSED = 1
    FIXED = 2


@dataclass(frozen=True, slots=True)
class FindingThread:
    """A thread that carries a finding of ours."""

    thread: Thread
    record: PreviousFinding
    """What its first comment says, as it was written."""
    dismissed: Dismissal | None
    rank: ThreadStatus


@dataclass(frozen=True, slots=True)
class TrackedFinding:
    """Something that was raised and may still stand."""

    raised: PreviousFinding
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


def raised_before(
    state: HiddenState | None, conversation: Conversation | None
) -> tuple[PreviousFinding, ...]:
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
        if index not in linked or threads[linked[index]].rank is not ThreadStatus.FIXED
    ]
    spoken_for = set(linked.values())
    commented = [
        ours.record
        for index, ours in enumerate(threads)
        if index not in spoken_for and ours.rank is not ThreadStatus.FIXED and not ours.thread.edited
    ]
    threaded = {_place(ours.record) for ours in threads}
    in_bodies = _in_bodies(conversation, [*open_still, *commented])
    return (*open_still, *commented, *(record for record in in_bodies if _place(record) not in threaded))


def entries(before: Iterable[PreviousFinding], conversation: Conversation) -> tuple[TrackedFinding, ...]:
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
                TrackedFinding(
                    kept, None, Dismissal.TRUSTED if kept.deleted else None, (record.path,), record.line
                )
            )
        elif ours.rank is not ThreadStatus.FIXED:
            made.append(_entry(record, ours))
    return tuple(made)


def our_threads(conversation: Conversation) -> tuple[FindingThread, ...]:
    """The threads of ours whose first comment carries a finding, in their order."""
    found = []
    for thread in conversation.threads:
        # Our marker is the last of a comment; what else would look like one was not written by us.
        record = raised_in(thread.body)[-1:] if thread.ours else ()
        if record:
            dismissed = dismissal(thread, conversation)
            settled = ThreadStatus.FIXED if is_closed_as_fixed(thread, conversation) else ThreadStatus.OPEN
            rank = ThreadStatus.DISMISSED if dismissed is Dismissal.TRUSTED else settled
            found.append(FindingThread(thread, record[0], dismissed, rank))
    return tuple(found)


def _entry(record: PreviousFinding, ours: FindingThread) -> TrackedFinding:
    thread = ours.thread
    paths = tuple(dict.fromkeys((record.path, ours.record.path, thread.path)))
    where = record.where if record.where in _COMMENTED else ours.record.where
    # GitHub moves a thread along with its line. It says nothing of code that the finding moved on to.
    follows = ours.record.code == record.code and thread.side is record.side and not thread.outdated
    line = thread.line if follows and thread.line is not None and record.line is not None else record.line
    return TrackedFinding(replace(record, where=where), thread, ours.dismissed, paths, line)


def _linked(known: Sequence[PreviousFinding], threads: Sequence[FindingThread]) -> dict[int, int]:
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


def _score(record: PreviousFinding, ours: FindingThread) -> tuple[float, ...] | None:
    """How well the thread fits, the less the better; None where it cannot be the record's."""
    if record.deleted:
        return None
    apart = min(_apart(record.line, ours.record.line), _apart(record.line, ours.thread.line))
    elsewhere = record.path not in (ours.record.path, ours.thread.path)
    # Fingerprints say nothing of the side, but a finding may have come over from the other.
    across = record.side is not ours.record.side and None not in (record.line, ours.record.line)
    uncommented = record.where not in _COMMENTED
    if uncommented and (apart or elsewhere or across or ours.rank is not ThreadStatus.OPEN):
        return None  # it has a thread only where its posting was not noticed
    return uncommented, across, record != ours.record, ours.rank, elsewhere, apart


def _apart(one: int | None, other: int | None) -> int:
    if one is None or other is None:
        return 0 if one is other else _FAR
    return abs(one - other)


def _in_bodies(conversation: Conversation, known: Sequence[PreviousFinding]) -> list[PreviousFinding]:
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


def _place(record: PreviousFinding) -> tuple[str, str, str, int | None, int | None]:
    return record.fingerprint, record.path, record.side, record.line, record.start_line

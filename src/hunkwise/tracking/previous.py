"""Reads the findings of earlier runs from our own comments, and who dismissed them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from hunkwise.domain.pull_request import Conversation, Reply, ReviewState, Thread
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import LONGEST_TITLE, HiddenState, PreviousFinding, is_fixed, raised_in

_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(
    "the and for not with that this from into are can may was has its when where which without".split()
)


def paired(scored: Iterable[tuple[tuple[float, ...], int, int]]) -> dict[int, int]:
    """Returns `right` by `left` for items of (score, left, right): one to one, the lowest scores first."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, left, right in sorted(scored):
        if left not in pairs and right not in taken:
            pairs[left] = right
            taken.add(right)
    return pairs


def words(title: str) -> frozenset[str]:
    """Returns the words of a title, cut to the length that a marker stores."""
    return frozenset(_WORD.findall(title[:LONGEST_TITLE].casefold()))


def title_similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Returns the share of words that two titles have in common, from 0 to 1."""
    return len(first & second) / max(1, len(first | second))


def share_a_word(first: frozenset[str], second: frozenset[str]) -> bool:
    """Returns whether two titles share a word of more than 2 letters that is not a stop word."""
    return any(len(word) > 2 for word in (first & second) - _STOP_WORDS)


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
    """A trusted user: the finding no longer counts for the gates, and is never raised again."""
    AUTHOR = "author"
    """The pull request's own, untrusted author: the finding is not repeated, but counts for the gates."""


def dismissal(thread: Thread, conversation: Conversation) -> Dismissal | None:
    """Returns who dismissed the finding of a thread; None if no permitted user did, or the thread is not ours."""
    if not thread.ours:
        return None
    if any(_may_dismiss(login, conversation) for login in thread.thumbs_down):
        return Dismissal.TRUSTED
    if any(_is_dismissal(reply) for reply in thread.replies):
        return Dismissal.TRUSTED
    if not thread.resolved or is_closed_as_fixed(thread, conversation):
        return None
    # Only writers and the author can resolve a thread. Both logins are empty if the accounts were deleted.
    by_author = thread.resolved_by.casefold() == conversation.author.casefold()
    return Dismissal.AUTHOR if by_author and not conversation.author_trusted else Dismissal.TRUSTED


def is_closed_as_fixed(thread: Thread, conversation: Conversation) -> bool:
    """Returns whether we marked our thread as fixed, and nobody reopened it."""
    if not thread.ours:
        return False
    if is_fixed(thread.body) and not thread.edited:
        return True
    marked_fixed = _has_fixed_reply(thread)
    if not thread.id:  # REST does not report whether a thread is resolved
        return marked_fixed
    by_us = thread.resolved_by != "" and thread.resolved_by.casefold() == conversation.viewer.casefold()
    return thread.resolved and (marked_fixed or by_us)


def is_reopened(thread: Thread) -> bool:
    """Returns whether our thread is open although we marked it as fixed: a person reopened it."""
    return thread.ours and bool(thread.id) and not thread.resolved and _has_fixed_reply(thread)


def _has_fixed_reply(thread: Thread) -> bool:
    return any(reply.ours and not reply.edited and is_fixed(reply.body) for reply in thread.replies)


def _may_dismiss(login: str, conversation: Conversation) -> bool:
    name = login.casefold()
    if not name:
        return False
    if conversation.author_trusted and name == conversation.author.casefold():
        return True
    return any(name == writer.casefold() for writer in conversation.writers)


def _is_dismissal(reply: Reply) -> bool:
    """Returns whether a trusted user dismisses the finding in the first line of a reply."""
    if reply.ours or reply.bot or reply.edited or not reply.trusted:
        return False
    first_line = next(_prose_lines(reply.body[:_LONGEST_REPLY]), "")[:_LONGEST_LINE].replace("’", "'")
    if _COMMAND.fullmatch(first_line):
        return True
    if not _WORDS.match(first_line):
        return False
    end = _SENTENCE_END.search(first_line)
    return end is None or "?" not in end[0]  # "By design?" is a question


def _prose_lines(body: str) -> Iterator[str]:
    """Yields the lines of a reply that are neither empty, nor quoted, nor code."""
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
"""`TrackedFinding.rank` of a finding that a trusted user dismissed."""


class ThreadStatus(IntEnum):
    """Status of a thread; if several threads fit a finding, the one with the lowest status is used."""

    OPEN = 0
    """Also if an untrusted author resolved it."""
    DISMISSED = 1
    FIXED = 2


@dataclass(frozen=True, slots=True)
class FindingThread:
    """A thread of ours with its finding."""

    thread: Thread
    record: PreviousFinding
    """Read from the marker in the first comment."""
    dismissed: Dismissal | None
    rank: ThreadStatus


@dataclass(frozen=True, slots=True)
class TrackedFinding:
    """A finding that was raised and may still be open."""

    raised: PreviousFinding
    """Its last recorded state."""
    thread: Thread | None = None
    dismissed: Dismissal | None = None
    paths: tuple[str, ...] = ()
    """Paths that its file has had, the latest first."""
    line: int | None = None
    """The line at which the search for its code begins."""

    @property
    def rank(self) -> int:
        """Priority, 0 first, for a line that fits several: no open thread is closed for one without a thread."""
        if self.dismissed is Dismissal.TRUSTED:
            return DISMISSED
        return 0 if self.thread is not None else 1

    @property
    def lines(self) -> tuple[int, ...]:
        """Present and earlier lines of the finding and its thread."""
        thread_line = self.thread.line if self.thread else None
        return tuple({line for line in (self.raised.line, thread_line, self.line) if line is not None})


def raised_before(
    state: HiddenState | None, conversation: Conversation | None
) -> tuple[PreviousFinding, ...]:
    """Returns every finding that earlier runs raised and did not close, also those that look the same.

    The findings of the state come first, in its order; then those that only our comments have, after a run that
    was killed.
    """
    from_state = list(state.findings) if state else []
    if conversation is None:
        return tuple(from_state)
    threads = our_threads(conversation)
    linked = _link_threads(from_state, threads)
    still_open = [
        record
        for index, record in enumerate(from_state)
        if index not in linked or threads[linked[index]].rank is not ThreadStatus.FIXED
    ]
    linked_threads = set(linked.values())
    commented = [
        ours.record
        for index, ours in enumerate(threads)
        if index not in linked_threads and ours.rank is not ThreadStatus.FIXED and not ours.thread.edited
    ]
    threaded = {_place(ours.record) for ours in threads}
    in_bodies = _raised_in_bodies(conversation, [*still_open, *commented])
    return (*still_open, *commented, *(record for record in in_bodies if _place(record) not in threaded))


def entries(before: Iterable[PreviousFinding], conversation: Conversation) -> tuple[TrackedFinding, ...]:
    """Returns the findings with their threads and dismissals; those that we closed as fixed are omitted."""
    records = list(before)
    threads = our_threads(conversation)
    linked = _link_threads(records, threads)
    unreadable = {
        thread.path
        for thread in conversation.threads
        if thread.ours and (thread.edited or "hunkwise:finding" in thread.body) and not raised_in(thread.body)
    }
    tracked = []
    for index, record in enumerate(records):
        ours = threads[linked[index]] if index in linked else None
        if ours is None:
            # Without our login no comment is known to be ours, and so none can be known to be deleted.
            missing = (
                record.where in _COMMENTED and record.path not in unreadable and conversation.viewer != ""
            )
            updated = replace(record, deleted=record.deleted or missing)
            dismissed = Dismissal.TRUSTED if updated.deleted else None
            tracked.append(TrackedFinding(updated, None, dismissed, (record.path,), record.line))
        elif ours.rank is not ThreadStatus.FIXED:
            tracked.append(_with_thread(record, ours))
    return tuple(tracked)


def our_threads(conversation: Conversation) -> tuple[FindingThread, ...]:
    """Returns our threads whose first comment has a finding's marker, in their order."""
    finding_threads = []
    for thread in conversation.threads:
        # Our marker is the last one in a comment; any other that looks like one was not written by us.
        record = raised_in(thread.body)[-1:] if thread.ours else ()
        if record:
            dismissed = dismissal(thread, conversation)
            status = ThreadStatus.FIXED if is_closed_as_fixed(thread, conversation) else ThreadStatus.OPEN
            rank = ThreadStatus.DISMISSED if dismissed is Dismissal.TRUSTED else status
            finding_threads.append(FindingThread(thread, record[0], dismissed, rank))
    return tuple(finding_threads)


def _with_thread(record: PreviousFinding, ours: FindingThread) -> TrackedFinding:
    thread = ours.thread
    paths = tuple(dict.fromkeys((record.path, ours.record.path, thread.path)))
    where = record.where if record.where in _COMMENTED else ours.record.where
    # GitHub moves a thread along with its line, but not to other code that the finding was matched with later.
    follows = ours.record.code == record.code and thread.side is record.side and not thread.outdated
    line = thread.line if follows and thread.line is not None and record.line is not None else record.line
    return TrackedFinding(replace(record, where=where), thread, ours.dismissed, paths, line)


def _link_threads(records: Sequence[PreviousFinding], threads: Sequence[FindingThread]) -> dict[int, int]:
    """Returns the thread's index by the record's index, one to one, both with the same fingerprint."""
    by_fingerprint: dict[str, list[int]] = {}
    for index, ours in enumerate(threads):
        by_fingerprint.setdefault(ours.record.fingerprint, []).append(index)
    return paired(
        (score, index, candidate)
        for index, record in enumerate(records)
        for candidate in by_fingerprint.get(record.fingerprint, ())
        if (score := _thread_score(record, threads[candidate])) is not None
    )


def _thread_score(record: PreviousFinding, ours: FindingThread) -> tuple[float, ...] | None:
    """Returns how well the thread fits, lower is better; None if it cannot belong to the record."""
    if record.deleted:
        return None
    distance = min(_distance(record.line, ours.record.line), _distance(record.line, ours.thread.line))
    other_path = record.path not in (ours.record.path, ours.thread.path)
    # A fingerprint does not include the side, and a finding may have moved from the other side.
    other_side = record.side is not ours.record.side and None not in (record.line, ours.record.line)
    uncommented = record.where not in _COMMENTED
    if uncommented and (distance or other_path or other_side or ours.rank is not ThreadStatus.OPEN):
        return None  # it has a thread only if its comment was posted without the run noticing
    return uncommented, other_side, record != ours.record, ours.rank, other_path, distance


def _distance(first: int | None, second: int | None) -> int:
    if first is None or second is None:
        return 0 if first is second else _FAR
    return abs(first - second)


def _raised_in_bodies(conversation: Conversation, known: Sequence[PreviousFinding]) -> list[PreviousFinding]:
    """Returns the findings in the bodies of our reviews, without those in `known`."""
    record_by_place = {
        _place(record): record
        for review in conversation.reviews
        if review.state is not ReviewState.PENDING
        for record in raised_in(review.body)
    }
    records = list(record_by_place.values())
    by_fingerprint: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        by_fingerprint.setdefault(record.fingerprint, []).append(index)
    linked = paired(
        ((record.side is not other.side, _distance(record.line, other.line)), index, candidate)
        for index, record in enumerate(known)
        if record.where not in _COMMENTED
        for candidate in by_fingerprint.get(record.fingerprint, ())
        for other in [records[candidate]]
    )
    linked_records = set(linked.values())
    places = {_place(record) for record in known}
    return [
        record
        for index, record in enumerate(records)
        if index not in linked_records and _place(record) not in places
    ]


def _place(record: PreviousFinding) -> tuple[str, str, str, int | None, int | None]:
    return record.fingerprint, record.path, record.side, record.line, record.start_line

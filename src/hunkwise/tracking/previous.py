"""Reads the findings of earlier runs from our own comments, and links them to their threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hunkwise.domain.finding import Anchor, Finding, Verification
from hunkwise.domain.pull_request import Conversation, ReviewState, Thread
from hunkwise.domain.review import Destination
from hunkwise.tracking.assignment import Cost, assign_by_cost, group_by
from hunkwise.tracking.dismissal import Dismissal, dismissal, is_closed_as_fixed, is_reopened
from hunkwise.tracking.markers import HiddenState, PreviousFinding, count_markers, raised_in

COMMENTED = frozenset({Destination.INLINE, Destination.FILE})
_FAR = 10**9
DISMISSED = 2
"""`TrackedFinding.priority` of a finding that a trusted user dismissed."""


@dataclass(frozen=True, eq=False)
class FindingThread:
    """A thread of ours with its finding."""

    thread: Thread
    record: PreviousFinding
    """Read from the marker in the first comment."""
    dismissal: Dismissal | None
    fixed: bool
    """We closed it as fixed, and no trusted user dismissed it."""


@dataclass(frozen=True)
class CodeLocation:
    """Where the code of an earlier finding is at the head."""

    path: str


@dataclass(frozen=True)
class InDiff(CodeLocation):
    """The diff shows the code."""

    anchor: Anchor


@dataclass(frozen=True)
class OutsideDiff(CodeLocation):
    """The code is in the file at the head, on lines that the diff does not show."""

    anchor: Anchor


class WholeFile(CodeLocation):
    """The finding is about the file, which is in the diff, or unchanged since the finding was raised."""


class Unreadable(CodeLocation):
    """The file could not be read."""


@dataclass(frozen=True)
class Removed(CodeLocation):
    """The code no longer exists."""

    changed: bool
    """The diff shows the file as it is at the head: the code there now may have the same fault in another form."""


@dataclass(eq=False, slots=True)
class TrackedFinding:
    """An earlier finding in this run, which links it to its thread, locates its code, matches and classifies it.

    It is compared by identity: two findings can be equal in all values.
    """

    previous: PreviousFinding
    """Its last recorded state."""
    posted: FindingThread | None = None
    location: CodeLocation | None = None
    """Where its code is at the head; None until `locate.CodeSearch` has set it."""
    match: Finding | None = None
    """The finding of this run that repeats it."""

    @property
    def key(self) -> str:
        """Identifies it in a run, also after the conversation was read again."""
        record = self.previous
        return (
            f"{self.thread.comment_id}"
            if self.thread
            else f"{record.fingerprint} {record.path} {record.line}"
        )

    @property
    def thread(self) -> Thread | None:
        return self.posted.thread if self.posted else None

    @property
    def dismissal(self) -> Dismissal | None:
        if self.posted:
            return self.posted.dismissal
        return Dismissal.TRUSTED if self.previous.deleted else None

    @property
    def closed(self) -> bool:
        """We closed its thread as fixed."""
        return self.posted is not None and self.posted.fixed

    @property
    def reopened(self) -> bool:
        """A person says that it is not fixed."""
        return self.thread is not None and is_reopened(self.thread)

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths that its file has had, the latest first."""
        posted = (self.posted.record.path, self.posted.thread.path) if self.posted else ()
        return (self.previous.path, *posted)

    @property
    def line(self) -> int | None:
        """The line at which the search for its code begins.

        GitHub moves a thread along with its line, but not to other code that the finding was matched with later.
        """
        line = self.previous.line
        if line is None or self.posted is None:
            return line
        thread = self.posted.thread
        same_code = self.posted.record.code == self.previous.code and thread.side is self.previous.side
        return thread.line if same_code and not thread.outdated and thread.line is not None else line

    @property
    def priority(self) -> int:
        """0 is the first to get a line that fits several: no open thread is closed for one without a thread."""
        if self.dismissal is Dismissal.TRUSTED:
            return DISMISSED
        return 0 if self.posted else 1


def raised_before(
    state: HiddenState | None, conversation: Conversation | None
) -> tuple[PreviousFinding, ...]:
    """Returns every finding that earlier runs raised and did not close, also those that look the same.

    The findings of the state come first, in its order; then those that only our comments have, after a run that
    was killed.
    """
    from_state = state.findings if state else ()
    if conversation is None:
        return from_state
    threads = our_threads(conversation)
    tracked = _link_threads(from_state, threads)
    linked = {item.posted for item in tracked}
    unlinked = (ours for ours in threads if ours not in linked and not ours.fixed and not ours.thread.edited)
    known = [
        *(item.previous for item in tracked if item.previous.fixed or not item.closed),
        *(ours.record for ours in unlinked),
    ]
    return (*known, *_only_in_bodies(conversation, known, threads))


def track(before: Sequence[PreviousFinding], conversation: Conversation) -> list[TrackedFinding]:
    """Returns the findings, linked to their threads; those that we closed as their code was gone are omitted."""
    unreadable = {
        thread.path
        for thread in conversation.threads
        if thread.ours
        and (thread.edited or count_markers("finding", thread.body))
        and not raised_in(thread.body)
    }
    tracked = _link_threads(before, our_threads(conversation))
    for item in tracked:
        record = item.previous
        commented = record.where in COMMENTED
        # Without our login no comment is known to be ours, and so none can be known to be deleted.
        if item.posted is None and commented and record.path not in unreadable and conversation.viewer:
            item.previous = replace(record, deleted=True, fixed=False)
        elif record.fixed and item.reopened:
            item.previous = replace(record, fixed=False, check=Verification.OUTDATED)
        elif item.posted is not None and not commented:
            item.previous = replace(record, where=item.posted.record.where)
    return [item for item in tracked if item.previous.fixed or not item.closed]


def find_findings(prefix: str, state: HiddenState | None, conversation: Conversation) -> list[TrackedFinding]:
    """Returns the findings, open or dismissed, whose fingerprint begins with `prefix`, linked to their threads."""
    tracked = track(raised_before(state, conversation), conversation)
    return [item for item in tracked if item.previous.fingerprint.startswith(prefix)]


def apply_command(
    state: HiddenState, conversation: Conversation, fingerprint: str, *, dismissed: bool
) -> HiddenState:
    """Returns the state after a command dismissed or reopened the findings of a fingerprint that have no thread.

    Without its conclusion, so that the next run writes the summary comment even if nothing else has changed.
    """
    tracked = _link_threads(raised_before(state, conversation), our_threads(conversation))
    found = [
        item.previous for item in tracked if item.posted is None and item.previous.fingerprint == fingerprint
    ]
    decided = (_dismissed(record) if dismissed else _reopened(record) for record in found)
    others = (record for record in state.findings if record not in found)
    return replace(state, findings=(*others, *decided), conclusion="")


def _dismissed(record: PreviousFinding) -> PreviousFinding:
    return replace(record, deleted=True, fixed=False)


def _reopened(record: PreviousFinding) -> PreviousFinding:
    """Returns an open finding without a comment: a person may have deleted the one that it had."""
    return replace(record, deleted=False, fixed=False, where=Destination.BODY)


def our_threads(conversation: Conversation) -> list[FindingThread]:
    """Returns our threads whose first comment has a finding's marker, in their order."""
    finding_threads = []
    for thread in conversation.threads:
        # Our marker is the last one in a comment; any other that looks like one was not written by us.
        record = raised_in(thread.body)[-1:] if thread.ours else ()
        if record:
            dismissed = dismissal(thread, conversation)
            fixed = dismissed is not Dismissal.TRUSTED and is_closed_as_fixed(thread, conversation)
            finding_threads.append(FindingThread(thread, record[0], dismissed, fixed))
    return finding_threads


def _link_threads(
    records: Iterable[PreviousFinding], threads: Iterable[FindingThread]
) -> list[TrackedFinding]:
    """Returns the findings, each with a thread of its own fingerprint if there is one that fits."""
    tracked = [TrackedFinding(record) for record in records]
    by_fingerprint = group_by(threads, lambda ours: ours.record.fingerprint)
    linked = assign_by_cost(
        (cost, item, ours)
        for item in tracked
        for ours in by_fingerprint.get(item.previous.fingerprint, ())
        if (cost := _thread_cost(item.previous, ours)) is not None
    )
    for item, ours in linked.items():
        item.posted = ours
    return tracked


def _thread_cost(record: PreviousFinding, ours: FindingThread) -> Cost | None:
    """Returns how badly the thread fits; None if it cannot belong to the record."""
    if record.deleted:
        return None
    distance = min(_distance(record.line, ours.record.line), _distance(record.line, ours.thread.line))
    other_path = record.path not in (ours.record.path, ours.thread.path)
    # A fingerprint does not include the side, and a finding may have moved from the other side.
    other_side = record.side is not ours.record.side and None not in (record.line, ours.record.line)
    uncommented = record.where not in COMMENTED
    dismissed = ours.dismissal is Dismissal.TRUSTED
    if uncommented and (distance or other_path or other_side or dismissed or ours.fixed):
        return None  # it has a thread only if its comment was posted without the run noticing
    other_end = ours.fixed != record.fixed
    return uncommented, other_side, record != ours.record, other_end, dismissed, other_path, distance


def _distance(first: int | None, second: int | None) -> int:
    if first is None or second is None:
        return 0 if first is second else _FAR
    return abs(first - second)


def _only_in_bodies(
    conversation: Conversation, known: Sequence[PreviousFinding], threads: Iterable[FindingThread]
) -> list[PreviousFinding]:
    """Returns the findings in the bodies of our reviews that are neither in `known` nor in a thread."""
    record_by_place = {
        _place(record): record
        for review in conversation.reviews
        if review.state is not ReviewState.PENDING
        for record in raised_in(review.body)
    }
    by_fingerprint = group_by(record_by_place.values(), lambda record: record.fingerprint)
    linked = assign_by_cost(
        ((record.side is not other.side, _distance(record.line, other.line)), number, other)
        for number, record in enumerate(known)
        if record.where not in COMMENTED
        for other in by_fingerprint.get(record.fingerprint, ())
    )
    elsewhere = set(map(_place, (*known, *linked.values(), *(ours.record for ours in threads))))
    return [record for place, record in record_by_place.items() if place not in elsewhere]


def _place(record: PreviousFinding) -> tuple[str, str, str, int | None, int | None]:
    return record.fingerprint, record.path, record.side, record.line, record.start_line

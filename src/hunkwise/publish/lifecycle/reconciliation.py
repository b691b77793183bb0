"""Earlier findings × this run's × what people said: what to post, what stands, what is fixed or dismissed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hunkwise.domain.conversation import Conversation, Thread
from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Where
from hunkwise.domain.state import Raised
from hunkwise.publish.lifecycle.dismissal import Dismissal, is_reopened
from hunkwise.publish.lifecycle.matching import matched
from hunkwise.publish.lifecycle.remembered import Entry, Rank, entries, our_threads, raised_before
from hunkwise.publish.lifecycle.whereabouts import Gone, InDiff, OnFile, Outside, Whereabouts, whereabouts
from hunkwise.publish.markers import raised, without_markers

__all__ = ["Kept", "Reconciled", "raised_before", "reconcile", "shown_threads"]

_IN_THREAD = "Raised before; its thread has the details."
_BEFORE = "Raised before."


@dataclass(frozen=True)
class Kept:
    """Something that an earlier run raised and that stands; it is not posted again."""

    finding: Finding
    """In this run's words where it was found again. `raised_as` is its fingerprint."""
    raised: Raised
    """As the next run is to know it: where it stands now, on the rung that it was posted on."""
    thread: Thread | None = None


@dataclass(frozen=True)
class Reconciled:
    """What becomes of the findings of a run, and of those before."""

    post: tuple[Finding, ...] = ()
    """New, in the order in which they came."""
    kept: tuple[Kept, ...] = ()
    """Standing since an earlier run: they count for the gates."""
    fixed: tuple[Thread, ...] = ()
    """Open threads of ours whose code is no longer there, and is not there in another form."""
    dismissed: tuple[Raised, ...] = ()
    """Standing, but dismissed by somebody who may: they count for nothing."""
    repeated: int = 0
    """Findings of this run that had been dismissed. `post`, those in `kept` and these are all that it found.

    One that was found on both sides of the same line is among these, too.
    """

    @property
    def deleted(self) -> tuple[Raised, ...]:
        """Those of `dismissed` whose comment a person deleted: only the state can remember them."""
        return tuple(record for record in self.dismissed if record.deleted)

    def remembered(self, where: Mapping[Finding, Where]) -> tuple[Raised, ...]:
        """What the state is to carry; `where` says on which rung each of `post` ended."""
        posted = (raised(finding, where.get(finding, Where.REPORT)) for finding in self.post)
        return (*(kept.raised for kept in self.kept), *posted, *self.deleted)


def reconcile(
    found: Sequence[Finding],
    before: Sequence[Raised],
    conversation: Conversation,
    files: Sequence[FileDiff],
    *,
    reviewed: Callable[[str], bool],
    text_at_head: Callable[[str], str | None],
) -> Reconciled:
    """Sorts what was found and what was raised before.

    `before`: from `raised_before`. `reviewed` says of a path of the diff whether all of its hunks were reviewed,
    now or earlier. `text_at_head` gives a file's text, empty where the head has no such file, None where it
    cannot be read: then nothing is taken for fixed.
    """
    by_path = {file.path: file for file in files}
    offered = len(found)
    found = list(dict.fromkeys(_on_the_right(finding, by_path.get(finding.path)) for finding in found))
    known = entries(before, conversation)
    stand = whereabouts(known, files, text_at_head)
    pairs = matched(found, known, stand)
    by_entry = {entry: finding for finding, entry in pairs.items()}
    kept: list[Kept] = []
    fixed: dict[Thread, None] = {}
    dismissed: list[Raised] = []
    repeated = offered - len(found)
    for index, (entry, standing) in enumerate(zip(known, stand, strict=True)):
        again = found[by_entry[index]] if index in by_entry else None
        one = _found_again(entry, standing, again) if again else _not_found(entry, standing)
        if again is None and _is_fixed(entry, standing, reviewed):
            if entry.thread is not None and not entry.thread.resolved and entry.dismissed is None:
                fixed[entry.thread] = None
        elif entry.dismissed is Dismissal.TRUSTED:
            dismissed.append(one.raised)
            repeated += again is not None
        else:
            kept.append(one)
    post = tuple(finding for index, finding in enumerate(found) if index not in pairs)
    return Reconciled(post, tuple(kept), tuple(fixed), tuple(dismissed), repeated)


def shown_threads(conversation: Conversation, files: Sequence[FileDiff]) -> tuple[Thread, ...]:
    """What a model is told is raised already: ours whose code the diff still shows, and open ones of the trusted.

    Ours come with the place where they stand now, and as open also where somebody dismissed them: they are not
    to be raised again. One whose code was changed is left out, so that a fault that is still there is found.
    """
    ours = {one.thread: one for one in our_threads(conversation) if one.rank is not Rank.FIXED}
    known = entries([one.record for one in ours.values()], conversation)
    places = {
        entry.thread: standing
        for entry, standing in zip(known, whereabouts(known, files, _unread), strict=True)
        if entry.thread is not None
    }
    shown: list[Thread] = []
    for thread in conversation.threads:
        match places.get(thread):
            case InDiff(anchor):
                shown.append(_shown(thread, anchor.path, anchor.line))
            case OnFile(path):
                shown.append(_shown(thread, path, None))
            case _ if thread.trusted and not thread.ours and not thread.resolved:
                shown.append(thread)
            case _:
                pass
    return tuple(shown)


def _unread(_path: str) -> None:
    return None


def _shown(thread: Thread, path: str, line: int | None) -> Thread:
    return replace(thread, path=path, line=line, body=without_markers(thread.body), resolved=False)


def _on_the_right(finding: Finding, file: FileDiff | None) -> Finding:
    """The finding on the RIGHT side, where what it points at on the LEFT is shown but not removed.

    Only what is removed is looked for on the LEFT: the same code, put back, must not pass for removed.
    """
    anchor = finding.anchor
    if file is None or anchor is None or anchor.side is Side.RIGHT:
        return finding
    rows = [file.lines_by_side[Side.LEFT].get(number) for number in anchor.lines]
    numbers = [row.new for row in rows if row is not None and row.new is not None]
    if not numbers or numbers != list(range(numbers[0], numbers[0] + len(rows))):
        return finding
    start_line = None if anchor.start_line is None else numbers[0]
    return replace(finding, anchor=replace(anchor, side=Side.RIGHT, line=numbers[-1], start_line=start_line))


def _is_fixed(entry: Entry, standing: Whereabouts, reviewed: Callable[[str], bool]) -> bool:
    """Whether the code is gone, and whoever looked at what is there now found the fault no more."""
    if not isinstance(standing, Gone) or (standing.changed and not reviewed(standing.path)):
        return False
    return entry.thread is None or not is_reopened(entry.thread)  # a person said that it is not fixed


def _found_again(entry: Entry, standing: Whereabouts, finding: Finding) -> Kept:
    """The finding of this run under the old fingerprint; without a line of its own, on the one that is known.

    Where that one's code is gone, it is about the file from now on: else the next run took it for fixed.
    """
    again = replace(finding, raised_as=entry.raised.fingerprint)
    if again.anchor is None and isinstance(standing, InDiff):
        again = replace(again, anchor=standing.anchor, suggestion=None)
    if again.anchor is None and entry.raised.line is not None and not isinstance(standing, Gone):
        return replace(_not_found(entry, standing), finding=again)
    # The category stays that of the fingerprint: by it the same code is told from another fault on its line.
    record = raised(again, entry.raised.where)
    record = replace(record, category=entry.raised.category, deleted=entry.raised.deleted)
    return Kept(again, record, entry.thread)


def _not_found(entry: Entry, standing: Whereabouts) -> Kept:
    """What stands although this run did not speak of it; where nobody knows, as it was."""
    record = entry.raised
    anchor = standing.anchor if isinstance(standing, InDiff) else None
    match standing:
        case InDiff(place):
            record = replace(record, path=place.path, line=place.line, start_line=place.start_line)
        case Outside(path, line):
            start_line = line - record.span + 1 if record.span > 1 else None
            record = replace(record, path=path, line=line, start_line=start_line)
        case OnFile(path):
            record = replace(record, path=path)
        case _:
            pass
    finding = Finding(
        path=record.path,
        severity=record.severity,
        title=record.title,
        body=_IN_THREAD if entry.thread is not None else _BEFORE,
        anchor=anchor,
        category=record.category,
        prompt=record.prompt,
        said_line=None if anchor else record.line,
        raised_as=record.fingerprint,
        check=record.check,
    )
    return Kept(finding, record, entry.thread)

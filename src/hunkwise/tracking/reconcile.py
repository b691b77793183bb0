"""Matches this run's findings with earlier ones: new, open, fixed or dismissed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding
from hunkwise.domain.pull_request import Conversation, Thread
from hunkwise.domain.review import Destination
from hunkwise.tracking.locate import (
    NEARBY,
    CodeLocation,
    InDiff,
    OutsideDiff,
    Removed,
    Unreadable,
    WholeFile,
    whereabouts,
)
from hunkwise.tracking.markers import LONGEST_CATEGORY, PreviousFinding, raised, without_markers
from hunkwise.tracking.previous import (
    Dismissal,
    ThreadStatus,
    TrackedFinding,
    entries,
    is_reopened,
    likeness,
    our_threads,
    paired,
    speak_alike,
    words,
)

_Score = tuple[float, ...] | None
_Rule = Callable[[int, int], _Score]
_TWINS = 0.7
"""Likeness of titles from which two findings at one place are the same."""
_MENDED = 0.5
"""Likeness of titles from which a finding is what became of one whose code was changed."""
_CLOSE = 10
"""Lines within which the category and a word in common say so too."""


def matched(
    found: Sequence[Finding], entries: Sequence[TrackedFinding], stand: Sequence[CodeLocation]
) -> dict[int, int]:
    """Index of a finding → index of the entry that it repeats, one to one, by the surest signs first."""
    return _Matching(found, entries, stand).pairs()


class _Matching:
    """Each rule scores a finding and an entry of the same file, the less the better; None where they differ."""

    def __init__(
        self, found: Sequence[Finding], entries: Sequence[TrackedFinding], stand: Sequence[CodeLocation]
    ) -> None:
        self._found = found
        self._entries = entries
        self._stand = stand
        self._words_found = [words(finding.title) for finding in found]
        self._words_known = [words(entry.raised.title) for entry in entries]
        self._at_path: dict[str, list[int]] = {}
        for index, standing in enumerate(stand):
            self._at_path.setdefault(standing.path, []).append(index)

    def pairs(self) -> dict[int, int]:
        pairs: dict[int, int] = {}
        for rule in (self._same_fingerprint, self._twins, self._same_code, self._without_line, self._mended):
            pairs |= paired(self._scored(rule, pairs))
        return pairs

    def _scored(self, rule: _Rule, pairs: dict[int, int]) -> Iterator[tuple[tuple[float, ...], int, int]]:
        taken = set(pairs.values())
        for index, finding in enumerate(self._found):
            if index in pairs:
                continue
            for known in self._at_path.get(finding.path, ()):
                if known not in taken and (score := rule(index, known)) is not None:
                    yield score, index, known

    def _same_fingerprint(self, index: int, known: int) -> _Score:
        finding, entry = self._found[index], self._entries[known]
        if finding.fingerprint != entry.raised.fingerprint:
            return None
        unlike = -self._likeness(index, known)  # of several on one line each has its own words
        if finding.anchor is None or entry.raised.line is None:
            return (0, unlike)
        if finding.anchor.side is not entry.raised.side:
            return None
        match self._stand[known]:
            case InDiff(anchor):
                # The same code on other lines is another fault: it stands in both places.
                apart = abs(finding.anchor.line - anchor.line)
                return (apart, unlike) if _overlap(finding.anchor, anchor) else None
            case OutsideDiff() | Removed() | Unreadable() | WholeFile():
                return (_apart(finding, entry), unlike)

    def _twins(self, index: int, known: int) -> _Score:
        if self._shared_place(index, known) is None:
            return None
        alike = self._likeness(index, known)
        return (-alike,) if alike >= _TWINS else None

    def _same_code(self, index: int, known: int) -> _Score:
        """For a renamed or moved file, and for code that a finding was carried over to."""
        finding, record = self._found[index], self._entries[known].raised
        anchor = self._shared_place(index, known)
        if anchor is None or finding.code != record.code or not _same_category(finding, record.category):
            return None
        return abs(anchor.line - (finding.anchor or anchor).line), -self._likeness(index, known)

    def _without_line(self, index: int, known: int) -> _Score:
        """Where one of the two is about the file, and the other, as far as it names a line, not elsewhere."""
        finding, entry = self._found[index], self._entries[known]
        if finding.anchor is not None and entry.raised.line is not None:
            return None
        alike = self._likeness(index, known)
        apart = _apart(finding, entry)
        return (-alike, apart) if alike >= _TWINS and apart <= NEARBY else None

    def _mended(self, index: int, known: int) -> _Score:
        """Where the code was changed, and the fault is still there."""
        finding, entry = self._found[index], self._entries[known]
        if not isinstance(self._stand[known], Removed | Unreadable):
            return None
        if finding.anchor is not None and finding.anchor.side is not entry.raised.side:
            return None
        alike = self._likeness(index, known)
        apart = _apart(finding, entry)
        if entry.dismissed is Dismissal.TRUSTED:
            # What was dismissed was the code as it was: only the very same words are taken for it.
            return (-alike, apart) if alike >= _TWINS and apart <= _CLOSE else None
        related = _same_category(finding, entry.raised.category) and speak_alike(
            self._words_found[index], self._words_known[known]
        )
        near = alike >= _MENDED and apart <= NEARBY
        close = finding.category != "" and related and apart <= _CLOSE
        return (-alike, apart) if near or close else None

    def _likeness(self, index: int, known: int) -> float:
        return likeness(self._words_found[index], self._words_known[known])

    def _shared_place(self, index: int, known: int) -> Anchor | None:
        """The entry's present place, where the finding is on some of its lines."""
        anchor, standing = self._found[index].anchor, self._stand[known]
        if anchor is None or not isinstance(standing, InDiff) or not _overlap(anchor, standing.anchor):
            return None
        return standing.anchor


def _overlap(one: Anchor, other: Anchor) -> bool:
    same_side = one.side is other.side
    return same_side and one.lines.start < other.lines.stop and other.lines.start < one.lines.stop


def _apart(finding: Finding, entry: TrackedFinding) -> int:
    """Lines between the finding and where the entry is or was; 0 where one of them names no line."""
    line = finding.anchor.line if finding.anchor else finding.said_line
    if line is None:
        return 0
    return min((abs(line - known) for known in entry.lines), default=0)


def _same_category(finding: Finding, category: str) -> bool:
    return finding.category[:LONGEST_CATEGORY].casefold() == category.casefold()


_IN_THREAD = "Raised before; its thread has the details."
_BEFORE = "Raised before."


@dataclass(frozen=True)
class OpenFinding:
    """Something that an earlier run raised and that stands; it is not posted again."""

    finding: Finding
    """In this run's words where it was found again. `raised_as` is its fingerprint."""
    raised: PreviousFinding
    """As the next run is to know it: where it stands now, on the rung that it was posted on."""
    thread: Thread | None = None


@dataclass(frozen=True)
class Reconciliation:
    """What becomes of the findings of a run, and of those before."""

    post: tuple[Finding, ...] = ()
    """New, in the order in which they came."""
    kept: tuple[OpenFinding, ...] = ()
    """PublishPlan since an earlier run: they count for the gates."""
    fixed: tuple[Thread, ...] = ()
    """Open threads of ours whose code is no longer there, and is not there in another form."""
    dismissed: tuple[PreviousFinding, ...] = ()
    """PublishPlan, but dismissed by somebody who may: they count for nothing."""
    repeated: int = 0
    """Findings of this run that had been dismissed. `post`, those in `kept` and these are all that it found.

    One that was found on both sides of the same line is among these, too.
    """

    @property
    def deleted(self) -> tuple[PreviousFinding, ...]:
        """Those of `dismissed` whose comment a person deleted: only the state can remember them."""
        return tuple(record for record in self.dismissed if record.deleted)

    def remembered(self, where: Mapping[Finding, Destination]) -> tuple[PreviousFinding, ...]:
        """What the state is to carry; `where` says on which rung each of `post` ended."""
        posted = (raised(finding, where.get(finding, Destination.REPORT)) for finding in self.post)
        return (*(kept.raised for kept in self.kept), *posted, *self.deleted)


def reconcile(
    found: Sequence[Finding],
    before: Sequence[PreviousFinding],
    conversation: Conversation,
    files: Sequence[FileDiff],
    *,
    reviewed: Callable[[str], bool],
    text_at_head: Callable[[str], str | None],
) -> Reconciliation:
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
    kept: list[OpenFinding] = []
    fixed: dict[Thread, None] = {}
    dismissed: list[PreviousFinding] = []
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
    return Reconciliation(post, tuple(kept), tuple(fixed), tuple(dismissed), repeated)


def shown_threads(conversation: Conversation, files: Sequence[FileDiff]) -> tuple[Thread, ...]:
    """What a model is told is raised already: ours whose code the diff still shows, and open ones of the trusted.

    Ours come with the place where they stand now, and as open also where somebody dismissed them: they are not
    to be raised again. One whose code was changed is left out, so that a fault that is still there is found.
    """
    ours = {one.thread: one for one in our_threads(conversation) if one.rank is not ThreadStatus.FIXED}
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
            case WholeFile(path):
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


def _is_fixed(entry: TrackedFinding, standing: CodeLocation, reviewed: Callable[[str], bool]) -> bool:
    """Whether the code is gone, and whoever looked at what is there now found the fault no more."""
    if not isinstance(standing, Removed) or (standing.changed and not reviewed(standing.path)):
        return False
    return entry.thread is None or not is_reopened(entry.thread)  # a person said that it is not fixed


def _found_again(entry: TrackedFinding, standing: CodeLocation, finding: Finding) -> OpenFinding:
    """The finding of this run under the old fingerprint; without a line of its own, on the one that is known.

    Where that one's code is gone, it is about the file from now on: else the next run took it for fixed.
    """
    again = replace(finding, raised_as=entry.raised.fingerprint)
    if again.anchor is None and isinstance(standing, InDiff):
        again = replace(again, anchor=standing.anchor, suggestion=None)
    if again.anchor is None and entry.raised.line is not None and not isinstance(standing, Removed):
        return replace(_not_found(entry, standing), finding=again)
    # The category stays that of the fingerprint: by it the same code is told from another fault on its line.
    record = raised(again, entry.raised.where)
    record = replace(record, category=entry.raised.category, deleted=entry.raised.deleted)
    return OpenFinding(again, record, entry.thread)


def _not_found(entry: TrackedFinding, standing: CodeLocation) -> OpenFinding:
    """What stands although this run did not speak of it; where nobody knows, as it was."""
    record = entry.raised
    anchor = standing.anchor if isinstance(standing, InDiff) else None
    match standing:
        case InDiff(place):
            record = replace(record, path=place.path, line=place.line, start_line=place.start_line)
        case OutsideDiff(path, line):
            start_line = line - record.span + 1 if record.span > 1 else None
            record = replace(record, path=path, line=line, start_line=start_line)
        case WholeFile(path):
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
    return OpenFinding(finding, record, entry.thread)

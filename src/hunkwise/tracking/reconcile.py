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
    locate_entries,
)
from hunkwise.tracking.markers import LONGEST_CATEGORY, PreviousFinding, raised, without_markers
from hunkwise.tracking.previous import (
    Dismissal,
    ThreadStatus,
    TrackedFinding,
    entries,
    is_reopened,
    our_threads,
    paired,
    share_a_word,
    title_similarity,
    words,
)

_Score = tuple[float, ...] | None
_Rule = Callable[[int, int], _Score]
_SAME = 0.7
"""Title similarity from which two findings in the same place are the same."""
_RELATED = 0.5
"""Title similarity from which a finding continues one whose code was changed."""
_CLOSE = 10
"""Maximum distance in lines at which the same category and a shared word suffice for that."""


def matched(
    findings: Sequence[Finding], entries: Sequence[TrackedFinding], locations: Sequence[CodeLocation]
) -> dict[int, int]:
    """Returns, by the finding's index, the index of the entry that it repeats; one to one, strictest rule first."""
    return _Matching(findings, entries, locations).pairs()


class _Matching:
    """Matches findings and entries by rules.

    Each rule returns a score for a finding and an entry of the same file, lower is better; None for no match.
    """

    def __init__(
        self,
        findings: Sequence[Finding],
        entries: Sequence[TrackedFinding],
        locations: Sequence[CodeLocation],
    ) -> None:
        self._findings = findings
        self._entries = entries
        self._locations = locations
        self._finding_words = [words(finding.title) for finding in findings]
        self._entry_words = [words(entry.raised.title) for entry in entries]
        self._entries_by_path: dict[str, list[int]] = {}
        for index, location in enumerate(locations):
            self._entries_by_path.setdefault(location.path, []).append(index)

    def pairs(self) -> dict[int, int]:
        pairs: dict[int, int] = {}
        for rule in (
            self._match_fingerprint,
            self._match_title,
            self._match_code,
            self._match_without_line,
            self._match_changed_code,
        ):
            pairs |= paired(self._scored(rule, pairs))
        return pairs

    def _scored(self, rule: _Rule, pairs: dict[int, int]) -> Iterator[tuple[tuple[float, ...], int, int]]:
        taken = set(pairs.values())
        for finding_index, finding in enumerate(self._findings):
            if finding_index in pairs:
                continue
            for entry_index in self._entries_by_path.get(finding.path, ()):
                if entry_index not in taken and (score := rule(finding_index, entry_index)) is not None:
                    yield score, finding_index, entry_index

    def _match_fingerprint(self, finding_index: int, entry_index: int) -> _Score:
        finding, entry = self._findings[finding_index], self._entries[entry_index]
        if finding.fingerprint != entry.raised.fingerprint:
            return None
        similarity = self._similarity(finding_index, entry_index)  # of several on one line, titles decide
        if finding.anchor is None or entry.raised.line is None:
            return (0, -similarity)
        if finding.anchor.side is not entry.raised.side:
            return None
        match self._locations[entry_index]:
            case InDiff(anchor):
                # The same code on other lines is another fault: both findings are reported.
                distance = abs(finding.anchor.line - anchor.line)
                return (distance, -similarity) if _overlap(finding.anchor, anchor) else None
            case OutsideDiff() | Removed() | Unreadable() | WholeFile():
                return (_distance(finding, entry), -similarity)

    def _match_title(self, finding_index: int, entry_index: int) -> _Score:
        if self._shared_place(finding_index, entry_index) is None:
            return None
        similarity = self._similarity(finding_index, entry_index)
        return (-similarity,) if similarity >= _SAME else None

    def _match_code(self, finding_index: int, entry_index: int) -> _Score:
        """Matches the same code in a renamed or moved file, or code that an entry was matched with before."""
        finding, record = self._findings[finding_index], self._entries[entry_index].raised
        anchor = self._shared_place(finding_index, entry_index)
        if anchor is None or finding.code != record.code or not _same_category(finding, record.category):
            return None
        similarity = self._similarity(finding_index, entry_index)
        return abs(anchor.line - (finding.anchor or anchor).line), -similarity

    def _match_without_line(self, finding_index: int, entry_index: int) -> _Score:
        """Matches similar titles where one of the two is about the file, and the lines are near if both are known."""
        finding, entry = self._findings[finding_index], self._entries[entry_index]
        if finding.anchor is not None and entry.raised.line is not None:
            return None
        similarity = self._similarity(finding_index, entry_index)
        distance = _distance(finding, entry)
        return (-similarity, distance) if similarity >= _SAME and distance <= NEARBY else None

    def _match_changed_code(self, finding_index: int, entry_index: int) -> _Score:
        """Matches an entry whose code was changed but still has the fault."""
        finding, entry = self._findings[finding_index], self._entries[entry_index]
        if not isinstance(self._locations[entry_index], Removed | Unreadable):
            return None
        if finding.anchor is not None and finding.anchor.side is not entry.raised.side:
            return None
        similarity = self._similarity(finding_index, entry_index)
        distance = _distance(finding, entry)
        if entry.dismissed is Dismissal.TRUSTED:
            # The dismissal was about the old code: it applies to new code only with nearly the same title.
            return (-similarity, distance) if similarity >= _SAME and distance <= _CLOSE else None
        related = _same_category(finding, entry.raised.category) and share_a_word(
            self._finding_words[finding_index], self._entry_words[entry_index]
        )
        near = similarity >= _RELATED and distance <= NEARBY
        close = finding.category != "" and related and distance <= _CLOSE
        return (-similarity, distance) if near or close else None

    def _similarity(self, finding_index: int, entry_index: int) -> float:
        return title_similarity(self._finding_words[finding_index], self._entry_words[entry_index])

    def _shared_place(self, finding_index: int, entry_index: int) -> Anchor | None:
        """Returns the entry's present place if the finding overlaps it."""
        anchor, location = self._findings[finding_index].anchor, self._locations[entry_index]
        if anchor is None or not isinstance(location, InDiff) or not _overlap(anchor, location.anchor):
            return None
        return location.anchor


def _overlap(first: Anchor, second: Anchor) -> bool:
    same_side = first.side is second.side
    return same_side and first.lines.start < second.lines.stop and second.lines.start < first.lines.stop


def _distance(finding: Finding, entry: TrackedFinding) -> int:
    """Returns the distance in lines to the nearest line of the entry; 0 if one of them has no line."""
    line = finding.anchor.line if finding.anchor else finding.said_line
    if line is None:
        return 0
    return min((abs(line - entry_line) for entry_line in entry.lines), default=0)


def _same_category(finding: Finding, category: str) -> bool:
    return finding.category[:LONGEST_CATEGORY].casefold() == category.casefold()


_IN_THREAD = "Raised before; its thread has the details."
_BEFORE = "Raised before."


@dataclass(frozen=True)
class OpenFinding:
    """A finding that an earlier run raised and that is still open; it is not posted again."""

    finding: Finding
    """As this run reported it, if it was found again. `raised_as` is its fingerprint."""
    raised: PreviousFinding
    """The record for the next run: its present place, and the destination it was posted to."""
    thread: Thread | None = None


@dataclass(frozen=True)
class Reconciliation:
    """The findings of this run and of earlier ones, sorted by their status."""

    post: tuple[Finding, ...] = ()
    """New findings, in their original order."""
    kept: tuple[OpenFinding, ...] = ()
    """Open since an earlier run: they count for the gates."""
    fixed: tuple[Thread, ...] = ()
    """Open threads of ours whose code no longer exists, also not in another form."""
    dismissed: tuple[PreviousFinding, ...] = ()
    """Not fixed, but dismissed by a trusted user: they do not count for the gates."""
    repeated: int = 0
    """Number of this run's findings that are neither in `post` nor in `kept`: dismissed ones and duplicates.

    A duplicate is a finding that was found on both sides of the same line.
    """

    @property
    def deleted(self) -> tuple[PreviousFinding, ...]:
        """Those of `dismissed` whose comment a person deleted: only the state has them."""
        return tuple(record for record in self.dismissed if record.deleted)

    def remembered(self, where: Mapping[Finding, Destination]) -> tuple[PreviousFinding, ...]:
        """Returns the records for the state; `where` has the destination of each finding in `post`."""
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
    """Matches the findings of this run, `found`, with those that were raised `before` (from `raised_before`).

    `reviewed` returns whether all hunks of a path of the diff were reviewed, now or earlier. `text_at_head` returns
    a file's text, empty if the head has no such file, None if it cannot be read: then no finding of the file
    counts as fixed.
    """
    by_path = {file.path: file for file in files}
    findings = list(dict.fromkeys(_moved_to_right(finding, by_path.get(finding.path)) for finding in found))
    tracked = entries(before, conversation)
    locations = locate_entries(tracked, files, text_at_head)
    pairs = matched(findings, tracked, locations)
    finding_by_entry = {entry: finding for finding, entry in pairs.items()}
    kept: list[OpenFinding] = []
    fixed: dict[Thread, None] = {}
    dismissed: list[PreviousFinding] = []
    repeated = len(found) - len(findings)
    for index, (entry, location) in enumerate(zip(tracked, locations, strict=True)):
        match = findings[finding_by_entry[index]] if index in finding_by_entry else None
        updated = _found_again(entry, location, match) if match else _not_found(entry, location)
        if match is None and _is_fixed(entry, location, reviewed):
            if entry.thread is not None and not entry.thread.resolved and entry.dismissed is None:
                fixed[entry.thread] = None
        elif entry.dismissed is Dismissal.TRUSTED:
            dismissed.append(updated.raised)
            repeated += match is not None
        else:
            kept.append(updated)
    post = tuple(finding for index, finding in enumerate(findings) if index not in pairs)
    return Reconciliation(post, tuple(kept), tuple(fixed), tuple(dismissed), repeated)


def shown_threads(conversation: Conversation, files: Sequence[FileDiff]) -> tuple[Thread, ...]:
    """Returns the threads for the prompt: ours whose code the diff still shows, and open ones of trusted users.

    Ours have their present place, and are open even if dismissed: a model must not raise them again. Threads
    whose code was changed are omitted, so that a fault that still exists is found.
    """
    ours = {item.thread: item for item in our_threads(conversation) if item.rank is not ThreadStatus.FIXED}
    tracked = entries([item.record for item in ours.values()], conversation)
    location_by_thread = {
        entry.thread: location
        for entry, location in zip(tracked, locate_entries(tracked, files, _unreadable), strict=True)
        if entry.thread is not None
    }
    threads: list[Thread] = []
    for thread in conversation.threads:
        match location_by_thread.get(thread):
            case InDiff(anchor):
                threads.append(_open_at(thread, anchor.path, anchor.line))
            case WholeFile(path):
                threads.append(_open_at(thread, path, None))
            case _ if thread.trusted and not thread.ours and not thread.resolved:
                threads.append(thread)
            case _:
                pass
    return tuple(threads)


def _unreadable(_path: str) -> None:
    return None


def _open_at(thread: Thread, path: str, line: int | None) -> Thread:
    return replace(thread, path=path, line=line, body=without_markers(thread.body), resolved=False)


def _moved_to_right(finding: Finding, file: FileDiff | None) -> Finding:
    """Returns the finding on the RIGHT side if its lines on the LEFT are unchanged; else as it was.

    On the LEFT only removed lines are searched later: unchanged ones must not be taken for removed.
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


def _is_fixed(entry: TrackedFinding, location: CodeLocation, reviewed: Callable[[str], bool]) -> bool:
    """Returns whether the code was removed and the file's changes, if any, are reviewed; False if reopened."""
    if not isinstance(location, Removed) or (location.changed and not reviewed(location.path)):
        return False
    return entry.thread is None or not is_reopened(entry.thread)  # a person says that it is not fixed


def _found_again(entry: TrackedFinding, location: CodeLocation, finding: Finding) -> OpenFinding:
    """Returns this run's finding under the old fingerprint; without a line of its own, at the entry's line.

    If the entry's code was removed, the finding is then about the file: else the next run would count it as fixed.
    """
    repeated = replace(finding, raised_as=entry.raised.fingerprint)
    if repeated.anchor is None and isinstance(location, InDiff):
        repeated = replace(repeated, anchor=location.anchor, suggestion=None)
    if repeated.anchor is None and entry.raised.line is not None and not isinstance(location, Removed):
        return replace(_not_found(entry, location), finding=repeated)
    # Keep the category of the fingerprint: it distinguishes this finding from another fault on the same line.
    record = raised(repeated, entry.raised.where)
    record = replace(record, category=entry.raised.category, deleted=entry.raised.deleted)
    return OpenFinding(repeated, record, entry.thread)


def _not_found(entry: TrackedFinding, location: CodeLocation) -> OpenFinding:
    """Returns the entry as an open finding at its present place; at its recorded place if that is unknown."""
    record = entry.raised
    anchor = location.anchor if isinstance(location, InDiff) else None
    match location:
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

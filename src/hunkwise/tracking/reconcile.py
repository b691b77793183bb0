"""Matches this run's findings with earlier ones: new, open, fixed or dismissed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Anchor, Finding, Recheck, RecheckState, Verification
from hunkwise.domain.pull_request import Conversation, Thread
from hunkwise.domain.review import Destination
from hunkwise.domain.text import cut
from hunkwise.tracking.assignment import Cost, assign_by_cost, group_by
from hunkwise.tracking.dismissal import Dismissal
from hunkwise.tracking.locate import NEARBY, CodeSearch
from hunkwise.tracking.markers import (
    LONGEST_CATEGORY,
    LONGEST_TITLE,
    PreviousFinding,
    make_record,
    without_markers,
)
from hunkwise.tracking.previous import (
    InDiff,
    OutsideDiff,
    Removed,
    TrackedFinding,
    Unreadable,
    WholeFile,
    our_threads,
    track,
)

_SAME = 0.7
"""Title similarity from which two findings in the same place are the same."""
_RELATED = 0.5
"""Title similarity from which a finding continues one whose code was changed."""
_CLOSE = 10
"""Maximum distance in lines at which the same category and a shared word suffice for that."""
MAX_TEXT, MAX_OLD_CODE, MAX_OLD_ROWS = 4_000, 4_000, 60
"""Characters of an earlier finding's text and of its former code, and rows of that."""
_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(
    "the and for not with that this from into are can may was has its when where which without".split()
)


def _match_findings(findings: Sequence[Finding], tracked: Sequence[TrackedFinding]) -> None:
    """Sets `match` of the earlier findings that were found again, one to one.

    Each rule, the strictest first, returns a cost for a finding and an earlier one of the same file, None for no match.
    """
    tracked_by_path = group_by(
        tracked, lambda item: item.location.path if item.location else item.previous.path
    )
    matched: set[Finding] = set()
    for rule in (_same_fingerprint, _same_title, _same_code, _without_line, _changed_code):
        assigned = assign_by_cost(
            (cost, finding, item)
            for finding in findings
            if finding not in matched
            for item in tracked_by_path.get(finding.path, ())
            if item.match is None and (cost := rule(finding, item)) is not None
        )
        for finding, item in assigned.items():
            item.match = finding
        matched.update(assigned)


def _same_fingerprint(finding: Finding, item: TrackedFinding) -> Cost | None:
    if finding.fingerprint != item.previous.fingerprint:
        return None
    similarity = _similarity(finding, item)  # of several on one line, titles decide
    if finding.anchor is None or item.previous.line is None:
        return (0, -similarity)
    if finding.anchor.side is not item.previous.side:
        return None
    if isinstance(item.location, InDiff):
        # The same code on other lines is another fault: both findings are reported.
        anchor = item.location.anchor
        distance = abs(finding.anchor.line - anchor.line)
        return (distance, -similarity) if finding.anchor.overlaps(anchor) else None
    return (_distance(finding, item), -similarity)


def _same_title(finding: Finding, item: TrackedFinding) -> Cost | None:
    if _shared_place(finding, item) is None:
        return None
    similarity = _similarity(finding, item)
    return (-similarity,) if similarity >= _SAME else None


def _same_code(finding: Finding, item: TrackedFinding) -> Cost | None:
    """Matches the same code in a renamed or moved file, or code that the earlier finding was matched with before."""
    anchor = _shared_place(finding, item)
    if anchor is None or finding.code != item.previous.code or not _same_category(finding, item):
        return None
    return abs(anchor.line - (finding.anchor or anchor).line), -_similarity(finding, item)


def _without_line(finding: Finding, item: TrackedFinding) -> Cost | None:
    """Matches similar titles where one of the two is about the file, and the lines are near if both are known."""
    if finding.anchor is not None and item.previous.line is not None:
        return None
    similarity, distance = _similarity(finding, item), _distance(finding, item)
    return (-similarity, distance) if similarity >= _SAME and distance <= NEARBY else None


def _changed_code(finding: Finding, item: TrackedFinding) -> Cost | None:
    """Matches an earlier finding whose code was changed but still has the fault."""
    if not isinstance(item.location, Removed | Unreadable):
        return None
    if finding.anchor is not None and finding.anchor.side is not item.previous.side:
        return None
    similarity, distance = _similarity(finding, item), _distance(finding, item)
    if item.dismissal is Dismissal.TRUSTED:
        # The dismissal was about the old code: it applies to new code only with nearly the same title.
        return (-similarity, distance) if similarity >= _SAME and distance <= _CLOSE else None
    near = similarity >= _RELATED and distance <= NEARBY
    related = finding.category != "" and _same_category(finding, item) and _share_a_word(finding, item)
    return (-similarity, distance) if near or (related and distance <= _CLOSE) else None


def _shared_place(finding: Finding, item: TrackedFinding) -> Anchor | None:
    """Returns the earlier finding's present place if the finding overlaps it."""
    anchor = item.location.anchor if isinstance(item.location, InDiff) else None
    return anchor if anchor and finding.anchor and finding.anchor.overlaps(anchor) else None


def _distance(finding: Finding, item: TrackedFinding) -> int:
    """Returns the distance in lines to the nearest line of the earlier finding; 0 if one of them has no line."""
    line = finding.anchor.line if finding.anchor else finding.reported_line
    if line is None:
        return 0
    known = (item.previous.line, item.thread.line if item.thread else None)
    return min((abs(line - other) for other in known if other is not None), default=0)


def _same_category(finding: Finding, item: TrackedFinding) -> bool:
    return finding.category[:LONGEST_CATEGORY].casefold() == item.previous.category.casefold()


def _similarity(finding: Finding, item: TrackedFinding) -> float:
    """Returns the share of words that the two titles have in common, from 0 to 1."""
    first, second = _words(finding.title), _words(item.previous.title)
    return len(first & second) / max(1, len(first | second))


def _share_a_word(finding: Finding, item: TrackedFinding) -> bool:
    """Returns whether the two titles share a word of more than 2 letters that is not a stop word."""
    shared = _words(finding.title) & _words(item.previous.title)
    return any(len(word) > 2 for word in shared - _STOP_WORDS)


@lru_cache(maxsize=4_096)
def _words(title: str) -> frozenset[str]:
    """Returns the words of a title, cut to the length that a marker stores."""
    return frozenset(_WORD.findall(title[:LONGEST_TITLE].casefold()))


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
    """Threads of ours to close: the code no longer exists, also not in another form, or was found to be fixed."""
    dismissed: tuple[PreviousFinding, ...] = ()
    """Not fixed, but dismissed by a trusted user: they do not count for the gates."""
    repeated: int = 0
    """Number of this run's findings that are neither in `post` nor in `kept`: dismissed ones and duplicates.

    A duplicate is a finding that was found on both sides of the same line.
    """
    evidence: Mapping[Thread, str] = field(default_factory=dict)
    """What shows that a thread of `fixed` is fixed although its code still exists; untrusted text."""
    ended: tuple[PreviousFinding, ...] = ()
    """Found to be fixed although their code still exists: the state keeps them, so that none counts as open again."""

    @property
    def deleted(self) -> tuple[PreviousFinding, ...]:
        """Those of `dismissed` whose comment a person deleted: only the state has them."""
        return tuple(record for record in self.dismissed if record.deleted)

    def remembered(self, where: Mapping[Finding, Destination]) -> tuple[PreviousFinding, ...]:
        """Returns the records for the state; `where` has the destination of each finding in `post`."""
        posted = (make_record(finding, where.get(finding, Destination.REPORT)) for finding in self.post)
        return (*(kept.raised for kept in self.kept), *posted, *self.deleted, *self.ended)


def compare(
    found: Sequence[Finding],
    before: Sequence[PreviousFinding],
    conversation: Conversation,
    files: Sequence[FileDiff],
    text_at_head: Callable[[str], str | None],
) -> tuple[tuple[Finding, ...], list[TrackedFinding]]:
    """Returns this run's findings without duplicates, and the earlier ones, located and matched with them."""
    files_by_path = by_path(files)
    findings = dict.fromkeys(_moved_to_right(finding, files_by_path.get(finding.path)) for finding in found)
    tracked = track(before, conversation)
    CodeSearch(files, text_at_head).locate(tracked)
    # What comes back after it was fixed is raised anew.
    _match_findings([*findings], [item for item in tracked if not item.previous.fixed])
    return tuple(findings), tracked


def reconcile(
    found: Sequence[Finding],
    before: Sequence[PreviousFinding],
    conversation: Conversation,
    files: Sequence[FileDiff],
    *,
    reviewed: Callable[[str], bool],
    text_at_head: Callable[[str], str | None],
    recheck: Callable[[str], Recheck | None] = lambda _key: None,
) -> Reconciliation:
    """Matches the findings of this run, `found`, with those that were raised `before` (from `raised_before`).

    `reviewed` returns whether all hunks of a path of the diff were reviewed, now or earlier. `text_at_head` returns
    a file's text, empty if the head has no such file, None if it cannot be read: then no finding of the file
    counts as fixed. `recheck` returns whether the finding of this key still applies, None if nothing changed around it.
    """
    findings, tracked = compare(found, before, conversation, files, text_at_head)
    kept: list[OpenFinding] = []
    fixed: dict[Thread, str] = {}
    ended: list[PreviousFinding] = []
    dismissed: list[PreviousFinding] = []
    repeated = len(found) - len(findings)
    for item in tracked:
        answer = recheck(item.key) if item.match is None else None
        updated = carry_over(item, answer)
        if item.match is None and _is_fixed(item, reviewed):
            if item.thread is not None and not item.thread.resolved and item.dismissal is None:
                fixed[item.thread] = ""
        elif item.dismissal is Dismissal.TRUSTED:
            dismissed.append(updated.raised)
            repeated += item.match is not None
        elif item.previous.fixed or (answer and answer.state is RecheckState.FIXED and not item.reopened):
            ended.append(replace(updated.raised, fixed=True, check=None))
            if item.thread is not None and not item.closed:
                fixed[item.thread] = answer.evidence if answer else ""
        else:
            kept.append(updated)
    matched = {item.match for item in tracked}
    post = tuple(finding for finding in findings if finding not in matched)
    evidence = {thread: words for thread, words in fixed.items() if words}
    return Reconciliation(post, tuple(kept), tuple(fixed), tuple(dismissed), repeated, evidence, tuple(ended))


def carry_over(item: TrackedFinding, answer: Recheck | None = None) -> OpenFinding:
    """Returns an earlier finding as open, and its next record: as it was found again, else at its present place.

    `answer` is what a double-check said of one that was not found again.
    """
    return _found_again(item, item.match) if item.match else _not_found(item, answer)


def restore_finding(item: TrackedFinding) -> Finding:
    """Returns an earlier finding at its present place, with the text of its comment where nobody edited that."""
    finding, thread = _not_found(item).finding, item.thread
    if thread is None or thread.edited:
        return finding
    # The comment begins with severity and title; evidence is folded.
    text = without_markers(thread.body).partition("\n\n")[2].partition("<details>")[0]
    return replace(finding, body=cut(text.strip() or finding.body, MAX_TEXT))


def code_when_raised(item: TrackedFinding) -> str:
    """Returns the last rows of the diff that an earlier finding was raised on; empty if they are not known."""
    rows = item.thread.diff_hunk.split("\n")[-MAX_OLD_ROWS:] if item.thread else []
    return "\n".join(rows)[-MAX_OLD_CODE:]


def shown_threads(conversation: Conversation, files: Sequence[FileDiff]) -> tuple[Thread, ...]:
    """Returns the threads for the prompt: ours whose code the diff still shows, and open ones of trusted users.

    Ours have their present place, and are open even if dismissed: a model must not raise them again. Threads
    whose code was changed are omitted, so that a fault that still exists is found.
    """
    tracked = [TrackedFinding(ours.record, ours) for ours in our_threads(conversation) if not ours.fixed]
    CodeSearch(files).locate(tracked)
    location_by_thread = {item.thread: item.location for item in tracked}
    threads: list[Thread] = []
    for thread in conversation.threads:
        location = location_by_thread.get(thread)
        if isinstance(location, InDiff | WholeFile):
            line = location.anchor.line if isinstance(location, InDiff) else None
            body = without_markers(thread.body)
            threads.append(replace(thread, path=location.path, line=line, body=body, resolved=False))
        elif thread.trusted and not thread.ours and not thread.resolved:
            threads.append(thread)
    return tuple(threads)


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


def _is_fixed(item: TrackedFinding, reviewed: Callable[[str], bool]) -> bool:
    """Returns whether the code was removed and the file's changes, if any, are reviewed; False if reopened."""
    location = item.location
    if not isinstance(location, Removed) or (location.changed and not reviewed(location.path)):
        return False
    return not item.reopened


def _found_again(item: TrackedFinding, finding: Finding) -> OpenFinding:
    """Returns this run's finding under the old fingerprint; without a line of its own, at the earlier finding's line.

    If the old code was removed, the finding is then about the file: else the next run would count it as fixed.
    """
    previous = item.previous
    repeated = replace(finding, raised_as=previous.fingerprint)
    if repeated.anchor is None and isinstance(item.location, InDiff):
        repeated = replace(repeated, anchor=item.location.anchor, suggestion=None)
    if repeated.anchor is None and previous.line is not None and not isinstance(item.location, Removed):
        return replace(_not_found(item), finding=repeated)
    # Keep the category of the fingerprint: it distinguishes this finding from another fault on the same line.
    record = make_record(repeated, previous.where)
    record = replace(record, category=previous.category, deleted=previous.deleted)
    return OpenFinding(repeated, record, item.thread)


def _not_found(item: TrackedFinding, answer: Recheck | None = None) -> OpenFinding:
    """Returns the finding as open at its present place; at its recorded place if that is unknown.

    An earlier verdict counts only while nothing has changed around the code.
    """
    record, location = item.previous, item.location
    if answer is not None:
        is_open = answer.state is RecheckState.OPEN
        record = replace(record, check=Verification.RECHECKED if is_open else Verification.OUTDATED)
    if isinstance(location, InDiff | OutsideDiff):
        place = location.anchor
        record = replace(record, path=place.path, line=place.line, start_line=place.start_line)
    elif isinstance(location, WholeFile):
        record = replace(record, path=location.path)
    anchor = location.anchor if isinstance(location, InDiff) else None
    finding = Finding(
        path=record.path,
        severity=record.severity,
        title=record.title,
        body=f"Open since an earlier review{'; its thread has the details' if item.thread else ''}.",
        anchor=anchor,
        category=record.category,
        prompt=record.prompt,
        reported_line=None if anchor else record.line,
        raised_as=record.fingerprint,
        check=record.check,
        evidence=answer.evidence if answer and answer.state is RecheckState.OPEN else "",
    )
    return OpenFinding(finding, record, item.thread)

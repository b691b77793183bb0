"""Updates the ledger of an audit: all findings of earlier audits, each with its status.

Nothing here asks a model. An audit reads a part of the repository, so that a finding that it did not raise again says
nothing: an open finding ends only when its code is gone, a person dismisses it, or two audits in a row refute it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple

from hunkwise.domain.diff import FileDiff, FileStatus, by_path
from hunkwise.domain.finding import Finding, Recheck, RecheckState
from hunkwise.domain.pull_request import Conversation
from hunkwise.domain.review import Destination
from hunkwise.domain.text import cut
from hunkwise.tracking.markers import PreviousFinding, make_record
from hunkwise.tracking.previous import CodeLocation, InDiff, TrackedFinding, Unreadable, WholeFile
from hunkwise.tracking.reconcile import MAX_TEXT, carry_over, compare

LONGEST_NAME: Final = 100
LONGEST_REASON: Final = 400
"""Characters of who dismissed a finding, and why."""
BASELINE: Final = "baseline"
"""`LedgerEntry.by` of the findings that a baseline audit dismissed."""
BY_ALERT: Final = "code scanning #"
"""Start of `LedgerEntry.by` of the findings that an alert dismissed; its number follows."""
MOST_FIXED = 20
"""Fixed findings that are kept, the newest ones."""
_REFUTATIONS = 2
"""Audits in a row that must refute a finding before it is closed as unconfirmed."""


class LedgerStatus(StrEnum):
    """The status of a finding in the ledger."""

    OPEN = "open"
    DISMISSED = "dismissed"
    """By a person: it is not reported again while its code exists."""
    FIXED = "fixed"
    """Its code no longer exists."""
    UNCONFIRMED = "unconfirmed"
    """The code is unchanged, but two audits in a row neither raised the finding nor confirmed it."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A finding of this audit or of an earlier one. Dates are ISO dates."""

    record: PreviousFinding
    """Its latest place; the fingerprint stays the one that it was first raised with."""
    first: str
    """Date of the first audit that raised it."""
    last: str
    """Date of the last audit that raised it."""
    body: str = ""
    """The model's text, cut; empty if the state had no room for it."""
    status: LedgerStatus = LedgerStatus.OPEN
    by: str = ""
    """Who dismissed it: a login, `code scanning #12`, or `baseline`."""
    why: str = ""
    """The reason that a person gave; untrusted text."""
    refuted: int = 0
    """Audits in a row that refuted it."""
    closed: str = ""
    """Date at which it was dismissed, fixed or unconfirmed; empty if it is open."""

    @property
    def fingerprint(self) -> str:
        return self.record.fingerprint


@dataclass(frozen=True, slots=True)
class DismissalChange:
    """A person dismissed all findings of a fingerprint, or withdrew that."""

    fingerprint: str
    dismissed: bool
    by: str = ""
    why: str = ""


@dataclass(frozen=True)
class LedgerUpdate:
    """The ledger after an audit, and what changed in it."""

    entries: tuple[LedgerEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    """The findings of `open`, in its order, at their present place: those for SARIF and reports.

    Without an anchor if the file could not be read or the finding is about the file.
    """
    alerted: tuple[Finding, ...] = ()
    """The findings that were dismissed by an alert of code scanning, at their present place: SARIF keeps them, as the
    alert of a finding that it lacks may end as fixed, which would reopen the finding."""
    new: tuple[LedgerEntry, ...] = ()
    reopened: tuple[LedgerEntry, ...] = ()
    """Raised again after they were fixed or unconfirmed: to be reported like new ones."""
    fixed: tuple[LedgerEntry, ...] = ()
    unconfirmed: tuple[LedgerEntry, ...] = ()
    unsure: tuple[Finding, ...] = ()
    """Those of the findings that are not to be added that no open entry raises."""

    @property
    def open(self) -> tuple[LedgerEntry, ...]:
        return tuple(entry for entry in self.entries if entry.status is LedgerStatus.OPEN)


def update_ledger(
    entries: Sequence[LedgerEntry],
    found: Sequence[Finding],
    *,
    files: Sequence[FileDiff],
    today: str,
    read: Collection[str] = (),
    rechecks: Mapping[str, Recheck] = MappingProxyType({}),
    renames: Mapping[str, str] = MappingProxyType({}),
    dismissals: Sequence[DismissalChange] = (),
    baseline: bool = False,
    unsure: Sequence[Finding] = (),
) -> LedgerUpdate:
    """Returns the ledger after an audit that raised `found`.

    `unsure` has the findings below `min-confidence`: an open entry is raised again by one, and none is added or
    reopened.

    `files` is the diff from the empty tree to the audited commit, with at least the paths of entries and findings and
    the new names in `renames` (old to new): a path that is absent no longer exists. `read` has the paths of which the
    audit read every line. `rechecks` has the double-check's answers by fingerprint, `dismissals` the changes since
    the last audit, of which the last one of a fingerprint counts; they apply to findings raised now as well. With
    `baseline`, everything that would be reported as new is dismissed.
    """
    audit = _Audit(
        _with_old_names(files, renames),
        read,
        rechecks,
        {change.fingerprint: change for change in dismissals},
        today,
        baseline,
        frozenset(unsure),
    )
    found = [*found, *unsure]
    before = [audit.apply_dismissal(entry) for entry in entries]
    current = [entry for entry in before if entry.status is not _FIXED]
    # What was dismissed before the ledger had it is matched with nothing, so that its dismissal is remembered.
    unknown = audit.dismissed_fingerprints - {entry.fingerprint for entry in current}
    forgotten = {
        finding: finding.fingerprint
        for finding in found
        if finding.fingerprint in unknown and finding not in audit.unsure
    }
    returned = set(forgotten.values())
    fixed = [entry for entry in before if entry.status is _FIXED and entry.fingerprint not in returned]
    # Fixed ones are matched last, so that none takes the finding of one whose code still exists.
    left, steps = audit.update(current, [finding for finding in found if finding not in forgotten])
    left, steps_of_fixed = audit.update(fixed, left)
    dismissed = {entry.fingerprint for entry in current if entry.status is LedgerStatus.DISMISSED}
    new = [
        finding for finding in left if finding.fingerprint not in dismissed and finding not in audit.unsure
    ]
    update = _summarize([*steps, *steps_of_fixed, *map(audit.add, (*forgotten, *new))])
    return replace(update, unsure=tuple(finding for finding in left if finding in audit.unsure))


_OPEN, _FIXED = LedgerStatus.OPEN, LedgerStatus.FIXED


class _Step(NamedTuple):
    """What an audit changed in an entry."""

    before: LedgerStatus | None
    """None for a new finding."""
    entry: LedgerEntry
    finding: Finding | None = None
    """The finding of an entry whose code exists."""


def _summarize(steps: Sequence[_Step]) -> LedgerUpdate:
    fixed = [step.entry for step in steps if step.entry.status is _FIXED]
    current = [step for step in steps if step.entry.status is not _FIXED]
    is_open = [step for step in current if step.entry.status is _OPEN]
    newest = sorted(fixed, key=lambda entry: entry.closed, reverse=True)[:MOST_FIXED]
    return LedgerUpdate(
        entries=(*(step.entry for step in current), *newest),
        findings=tuple(step.finding for step in is_open if step.finding is not None),
        alerted=tuple(
            step.finding
            for step in current
            if step.finding is not None and step.entry.by.startswith(BY_ALERT)
        ),
        new=tuple(step.entry for step in is_open if step.before is None),
        reopened=tuple(step.entry for step in is_open if step.before not in (None, _OPEN)),
        fixed=tuple(step.entry for step in steps if (step.before, step.entry.status) == (_OPEN, _FIXED)),
        unconfirmed=tuple(
            step.entry
            for step in current
            if (step.before, step.entry.status) == (_OPEN, LedgerStatus.UNCONFIRMED)
        ),
    )


def _with_old_names(files: Sequence[FileDiff], renames: Mapping[str, str]) -> list[FileDiff]:
    """Returns the files, the renamed ones as such, so that findings are searched under both names."""
    old_paths = {new: old for old, new in renames.items()}
    return [
        replace(file, status=FileStatus.RENAMED, old_path=old_paths[file.path])
        if file.path in old_paths
        else file
        for file in files
    ]


@dataclass(frozen=True)
class _Audit:
    """What an audit read and found out, by which it decides about each entry."""

    files: Sequence[FileDiff]
    read: Collection[str]
    rechecks: Mapping[str, Recheck]
    changes: Mapping[str, DismissalChange]
    today: str
    baseline: bool
    unsure: Collection[Finding]

    @property
    def dismissed_fingerprints(self) -> set[str]:
        return {change.fingerprint for change in self.changes.values() if change.dismissed}

    @cached_property
    def files_by_path(self) -> dict[str, FileDiff]:
        return by_path(self.files)

    def text_at_head(self, path: str) -> str | None:
        """Returns None for a file that cannot be read; else no text, as the diff shows every line."""
        file = self.files_by_path.get(path)
        return None if file is not None and _is_unreadable(file) else ""

    def apply_dismissal(self, entry: LedgerEntry) -> LedgerEntry:
        change = self.changes.get(entry.fingerprint)
        return entry if change is None else apply_change(entry, change, self.today)

    def update(
        self, entries: Sequence[LedgerEntry], found: Sequence[Finding]
    ) -> tuple[list[Finding], list[_Step]]:
        """Returns the findings that are in none of the entries, and what becomes of each entry."""
        records = [
            replace(entry.record, deleted=entry.status is LedgerStatus.DISMISSED, fixed=False)
            for entry in entries
        ]
        findings, tracked = compare(found, records, Conversation(), self.files, self.text_at_head)
        for entry, item in zip(entries, tracked, strict=True):
            if entry.status in (_FIXED, LedgerStatus.UNCONFIRMED) and item.match in self.unsure:
                item.match = None  # it is too uncertain to reopen the entry
        steps = [self.next_step(entry, item) for entry, item in zip(entries, tracked, strict=True)]
        matched = {item.match for item in tracked}
        unmatched = [finding for finding in findings if finding not in matched]
        return unmatched, [step for step in steps if step is not None]

    def next_step(self, entry: LedgerEntry, item: TrackedFinding) -> _Step | None:
        """Returns the entry after this audit; None if its code is gone and nobody needs to know of it."""
        if item.match is not None:
            return self.raise_again(entry, item, item.match)
        if entry.status is _FIXED:
            return _Step(_FIXED, entry)
        if item.location is not None and self.exists(item.location):
            return self.keep(entry, item, item.location)
        fixed = replace(entry, status=_FIXED, refuted=0, closed=self.today)
        return _Step(_OPEN, fixed) if entry.status is _OPEN else None

    def exists(self, location: CodeLocation) -> bool:
        """Returns whether the code exists, or may exist because its file cannot be read."""
        # The diff shows whole files: what was not found in it does not exist, whatever else the search returns.
        unread = isinstance(location, Unreadable) and location.path in self.files_by_path
        return unread or isinstance(location, InDiff | WholeFile)

    def raise_again(self, entry: LedgerEntry, item: TrackedFinding, finding: Finding) -> _Step:
        carried = carry_over(item)
        raised_now = replace(
            entry,
            record=replace(carried.raised, path=finding.path, deleted=False),
            last=self.today,
            body=cut(finding.body, MAX_TEXT),
            refuted=0,
        )
        if entry.status in (_FIXED, LedgerStatus.UNCONFIRMED):
            raised_now = self.begin(_reopen(raised_now))
        return _Step(entry.status, raised_now, carried.finding)

    def keep(self, entry: LedgerEntry, item: TrackedFinding, location: CodeLocation) -> _Step:
        """Returns an entry that was not raised again, although its code exists."""
        asked = entry.status is _OPEN and location.path in self.read
        answer = self.rechecks.get(entry.fingerprint) if asked else None
        confirmed = answer is not None and answer.state is RecheckState.OPEN
        carried = carry_over(item, answer if confirmed else None)
        refuted = (
            0 if confirmed else entry.refuted + (answer is not None and answer.state is RecheckState.FIXED)
        )
        kept = replace(
            entry, record=replace(carried.raised, path=location.path, deleted=False), refuted=refuted
        )
        if refuted >= _REFUTATIONS and kept.status is _OPEN:
            kept = replace(kept, status=LedgerStatus.UNCONFIRMED, closed=self.today)
        body = entry.body or f"Reported by the audit of {entry.last}."
        return _Step(entry.status, kept, replace(carried.finding, path=location.path, body=body))

    def add(self, finding: Finding) -> _Step:
        record = make_record(finding, Destination.REPORT)
        entry = LedgerEntry(record, self.today, self.today, cut(finding.body, MAX_TEXT))
        return _Step(None, self.begin(entry), replace(finding, raised_as=finding.fingerprint))

    def begin(self, entry: LedgerEntry) -> LedgerEntry:
        """Returns an entry that is new or was closed: as open, except if a person dismissed it beforehand."""
        change = self.changes.get(entry.fingerprint)
        if change is not None and change.dismissed:
            return _dismiss(entry, change, self.today)
        baseline = DismissalChange(entry.fingerprint, True, BASELINE)
        return _dismiss(entry, baseline, self.today) if self.baseline else entry


def apply_change(entry: LedgerEntry, change: DismissalChange, today: str) -> LedgerEntry:
    """Returns the entry after a person's change, which must be about its fingerprint. What is fixed stays as it is."""
    if entry.status is _FIXED or change.dismissed == (entry.status is LedgerStatus.DISMISSED):
        return entry
    return _dismiss(entry, change, today) if change.dismissed else _reopen(entry)


def _dismiss(entry: LedgerEntry, change: DismissalChange, today: str) -> LedgerEntry:
    return replace(
        entry,
        status=LedgerStatus.DISMISSED,
        by=cut(change.by, LONGEST_NAME),
        why=cut(change.why, LONGEST_REASON),
        refuted=0,
        closed=today,
    )


def _reopen(entry: LedgerEntry) -> LedgerEntry:
    return replace(entry, status=_OPEN, by="", why="", refuted=0, closed="")


def _is_unreadable(file: FileDiff) -> bool:
    return file.patch_missing or file.binary or any(hunk.truncated for hunk in file.hunks)

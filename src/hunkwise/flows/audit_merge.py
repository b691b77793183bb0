"""Merges the reports of an audit's shards into the state, and describes the outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from hunkwise.domain.audit import DismissedAlert, TreeFile
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import severity_order
from hunkwise.domain.review import ReviewFault, SkipReason, SuppressedFinding, Usage
from hunkwise.domain.text import count, plain
from hunkwise.errors import RepositoryError
from hunkwise.flows.audit_planning import (
    AuditRepository,
    estimate_questions,
    questions_per_audit,
    settled_blobs,
    spent_in_week,
)
from hunkwise.plan.audit_selection import TreeSelection
from hunkwise.publish.audit_boxes import IssueControls
from hunkwise.publish.audit_files import AuditPart, AuditPlan
from hunkwise.publish.audit_issue import AuditReport, FolderCoverage
from hunkwise.publish.report_input import as_review
from hunkwise.settings.config import Config
from hunkwise.tracking.audit_state import (
    MOST_WEEKS,
    AuditState,
    WeekSpending,
    bitmap_of,
    blobs_of,
    state_digest,
)
from hunkwise.tracking.ledger import (
    BY_ALERT,
    DismissalChange,
    LedgerEntry,
    LedgerStatus,
    LedgerUpdate,
    update_ledger,
)


@dataclass(frozen=True)
class StoredAudit:
    """What earlier audits and people left for this one."""

    state: AuditState | None = None
    """None before the first audit, and where the state could not be used."""
    controls: IssueControls = field(default_factory=IssueControls)
    editor: str = ""
    """Login of who edited the issue last."""
    alerts: tuple[DismissedAlert, ...] | None = None
    """None if they could not be read."""
    notes: tuple[str, ...] = ()


def dismissal_changes(stored: StoredAudit) -> list[DismissalChange]:
    """Returns what people dismissed or reopened since the last audit, by boxes of the issue and by alerts.

    Also for fingerprints that the ledger lacks: their dismissal applies when they are raised again.
    """
    entries = {entry.fingerprint: entry for entry in (stored.state.entries if stored.state else ())}
    dismissed = {key for key, entry in entries.items() if entry.status is LedgerStatus.DISMISSED}
    controls = stored.controls
    changes = [
        DismissalChange(key, True, by=stored.editor or "checkbox")
        for key in sorted(controls.ticked - dismissed)
    ]
    # The box of an open finding is cleared if the issue could not be edited after another audit dismissed it; and a
    # finding whose alert is dismissed stays so, whatever its box shows: else it would change with each audit.
    names = {f"{BY_ALERT}{alert.number}": alert for alert in stored.alerts or ()}
    cleared = {
        key
        for key in (controls.shown - controls.ticked - controls.open) & dismissed
        if entries[key].by not in names
    }
    changes += [DismissalChange(key, False) for key in sorted(cleared)]
    if stored.alerts is None:
        return changes
    for name, alert in names.items():
        why = ": ".join(filter(None, (alert.reason, alert.comment)))
        changes += [
            DismissalChange(key, True, by=name, why=why)
            for key, entry in entries.items()
            if key not in dismissed and _is_about(alert, entry)
        ]
    # By number: the lines of a dismissed alert are those of the last upload that had it.
    changes += [
        DismissalChange(key, False)
        for key, entry in entries.items()
        if key in dismissed and entry.by.startswith(BY_ALERT) and entry.by not in names
    ]
    return changes


def _is_about(alert: DismissedAlert, entry: LedgerEntry) -> bool:
    """Returns whether an alert is this finding, by the lines of the last upload: GitHub returns no fingerprints."""
    record = entry.record
    if alert.path != record.path:
        return False
    lines = (record.start_line or record.line or 1, record.line or 1)
    return (alert.start_line, alert.end_line) == lines and alert.message.startswith(record.title[:40])


@dataclass(frozen=True)
class AuditMerge:
    """The outcome of an audit."""

    state: AuditState
    """To be kept for the next audit."""
    update: LedgerUpdate
    files: tuple[FileDiff, ...] = field(repr=False)
    """The files of all findings."""
    usage: Usage = field(default_factory=Usage)
    read: int = 0
    """Files that this audit read."""
    failed: tuple[str, ...] = ()
    """A sentence for each shard that failed or was cut."""
    faults: tuple[ReviewFault, ...] = ()
    notes: tuple[str, ...] = ()
    demo: bool = False
    low_confidence: tuple[SuppressedFinding, ...] = ()
    """Findings below `min-confidence` that this audit raised; the ledger has none of them."""


def merge_audit(
    plan: AuditPlan,
    parts: Sequence[AuditPart],
    live: AuditState | None,
    dismissals: Sequence[DismissalChange],
    repository: AuditRepository,
    *,
    baseline: bool = False,
) -> AuditMerge:
    """Merges the parts of an audit into the state. Raises RepositoryError; asks no model.

    `live` is the state as it is now: another audit may have changed it since the plan was made.
    """
    head = plan.head_sha
    listing = repository.files(head) or ()
    state = _current_state(plan, live, listing)
    usable = [part for part in parts if part.settings == plan.state.settings]
    reported = {finding.path for part in parts for finding in (*part.findings, *part.suppressed)}
    recorded = {entry.record.path for entry in state.entries}
    paths = sorted({*reported, *recorded, *(plan.renames.get(path, path) for path in recorded)})
    files = repository.diff(head, paths)
    reviews = [as_review(part, files, ()) for part in parts]
    read = {plan.files[index] for part in usable for index in part.read}
    update = update_ledger(
        state.entries,
        [finding for review in reviews for finding in review.findings],
        files=files,
        read={file.path for file in read},
        rechecks={key: answer for part in parts for key, answer in part.answers.items()},
        renames=plan.renames,
        dismissals=dismissals,
        today=plan.today,
        baseline=baseline,
        unsure=[entry.finding for review in reviews for entry in review.low_confidence],
    )
    usage = sum((review.usage for review in reviews), Usage())
    failed, notes = _missing_reports(plan, parts)
    skipped = {
        reason: [plan.files[index].blob for part in usable for index in part.skipped.get(reason, ())]
        for part in usable
        for reason in part.skipped
    }
    merged = _add_read(state, plan, listing, {file.blob for file in read}, skipped)
    merged = _add_usage(merged, date.fromisoformat(plan.today), usage)
    different = len(parts) - len(usable)
    if different:
        failed += (
            f"{count(different, 'shard')} ran with other settings than the plan: its files are read again.",
        )
    return AuditMerge(
        replace(merged, entries=update.entries, last=plan.today, runs=state.runs + 1),
        update,
        files,
        usage,
        len(read),
        failed,
        tuple(dict.fromkeys(fault for review in reviews for fault in review.faults)),
        tuple(dict.fromkeys((*plan.notes, *notes, *(note for review in reviews for note in review.notes)))),
        any(review.demo for review in reviews),
        tuple(
            entry for review in reviews for entry in review.low_confidence if entry.finding in update.unsure
        ),
    )


def _current_state(plan: AuditPlan, live: AuditState | None, listing: Sequence[TreeFile]) -> AuditState:
    """Returns the plan's state with what another audit of the same commit has added since the plan was made.

    Raises RepositoryError if that was an audit of another commit: a newer one may have findings whose code this one
    does not have.
    """
    state: AuditState = plan.state
    if live is None or state_digest(live) == plan.state_digest:
        return state
    if live.tree != plan.head_sha:
        raise RepositoryError(
            f"Another audit, of the commit {live.tree[:12]}, has ended since this one was planned: nothing was "
            "written.",
            "Run the audit again. `concurrency` in the workflow keeps two audits from running at once.",
            "Run the audit again.",
        )
    current = replace(state, entries=live.entries, weeks=live.weeks, total=live.total, runs=live.runs)
    if live.settings != state.settings or live.lap < state.lap or live.files != len(listing):
        return current
    if live.lap > state.lap:
        return live

    def either(own: bytes, other: bytes) -> bytes:
        return bitmap_of(listing, blobs_of(listing, own) | blobs_of(listing, other))

    skipped = {
        reason: either(state.skipped.get(reason, b""), live.skipped.get(reason, b""))
        for reason in {*state.skipped, *live.skipped}
    }
    seen, owed = either(state.seen, live.seen), either(state.owed, live.owed)
    return replace(current, seen=seen, owed=owed, skipped=skipped)


def _add_read(
    state: AuditState,
    plan: AuditPlan,
    listing: Sequence[TreeFile],
    read: Collection[str],
    skipped: Mapping[str, Collection[str]],
) -> AuditState:
    """Returns the state with what was read, and what must be read next."""
    seen = blobs_of(listing, state.seen) | set(read)
    all_skipped = {
        reason: bitmap_of(
            listing, blobs_of(listing, state.skipped.get(reason, b"")) | set(skipped.get(reason, ()))
        )
        for reason in {*state.skipped, *skipped}
    }
    settled = seen.union(*(blobs_of(listing, bits) for bits in all_skipped.values()))
    owed = (blobs_of(listing, state.owed) | {file.blob for file in plan.files}) - settled
    return replace(
        state,
        seen=bitmap_of(listing, seen),
        owed=bitmap_of(listing, owed),
        skipped=all_skipped,
    )


def _missing_reports(plan: AuditPlan, parts: Sequence[AuditPart]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns a sentence for each shard that failed or was cut, and one for each whose budget ran out."""
    failed: list[str] = []
    notes: list[str] = []
    by_shard = {part.shard: part for part in parts}
    for number, shard in enumerate(plan.shards, 1):
        part = by_shard.get(number)
        if part is None:
            verb = "is" if len(shard.files) == 1 else "are"
            failed.append(
                f"Shard {number} made no report: its {count(len(shard.files), 'file')} {verb} read next time."
            )
            continue
        done = {*part.read, *(index for indexes in part.skipped.values() for index in indexes)}
        unread = {plain(plan.files[index].path) for index in set(shard.files) - done}
        if not unread:
            continue
        reasons = Counter(file.reason for file in part.coverage.files if file.path in unread and file.reason)
        why = (
            ", ".join(reason.value for reason, _ in reasons.most_common(3)) or "the report does not name them"
        )
        of = count(len(shard.files), "file")
        sentence = f"Shard {number} did not read {len(unread):,} of {of} ({why}): they are read next time."
        (notes if set(reasons) == {SkipReason.BUDGET} else failed).append(sentence)
    return tuple(failed), tuple(notes)


def _add_usage(state: AuditState, day: date, usage: Usage) -> AuditState:
    """Returns the state with the usage of an audit."""

    def add(before: WeekSpending) -> WeekSpending:
        return replace(
            before,
            model_calls=before.model_calls + usage.model_calls,
            nano_credits=before.nano_credits + usage.nano_credits,
        )

    week = spent_in_week(state, day)
    others = [other for other in state.weeks if other.monday != week.monday]
    total = state.total if state.total.monday else replace(state.total, monday=week.monday)
    weeks = tuple(sorted((*others, add(week)), key=lambda each: each.monday)[-MOST_WEEKS:])
    return replace(state, weeks=weeks, total=add(total))


def report_of(
    plan: AuditPlan,
    merged: AuditMerge,
    listing: Sequence[TreeFile],
    selection: TreeSelection,
    config: Config,
    *,
    server_url: str = "",
) -> AuditReport:
    """Returns what people are shown of an audit. `listing`: all files of the commit; `selection`: those of a lap."""
    state, update = merged.state, merged.update
    seen = blobs_of(listing, state.seen)
    unreadable = settled_blobs(state, listing) - seen
    eligible = [file for file in selection.eligible if file.blob not in unreadable]
    skipped = Counter({reason.value: number for reason, number in selection.skipped.items()})
    for reason, bits in state.skipped.items():
        blobs = blobs_of(listing, bits) - seen
        skipped[reason] += sum(file.blob in blobs for file in selection.eligible)
    entries = {entry.fingerprint: entry for entry in update.open}
    by_status = _by_status(update)
    week = spent_in_week(state, date.fromisoformat(plan.today))
    return AuditReport(
        repository=plan.repository,
        head_sha=plan.head_sha,
        date=plan.today,
        lap=state.lap,
        lap_began=state.lap_began,
        files_read=sum(file.blob in seen for file in eligible),
        files_total=len(eligible),
        open=tuple(
            (finding, entries[finding.fingerprint]) for finding in sorted(update.findings, key=severity_order)
        ),
        new=frozenset(entry.fingerprint for entry in (*update.new, *update.reopened)),
        fixed=by_status[LedgerStatus.FIXED],
        dismissed=by_status[LedgerStatus.DISMISSED],
        unconfirmed=by_status[LedgerStatus.UNCONFIRMED],
        folders=_folders(eligible, seen),
        skipped=skipped,
        runs_left=_audits_left(plan, settled_blobs(state, listing), config),
        failed_shards=merged.failed,
        notes=(*merged.notes, *(fault.message for fault in merged.faults)),
        week_calls=week.model_calls,
        week_nano_credits=week.nano_credits,
        total_calls=state.total.model_calls,
        total_nano_credits=state.total.nano_credits,
        budgets=_budgets(config),
        server_url=server_url,
        demo=merged.demo,
        suppressed=merged.low_confidence,
    )


def _by_status(update: LedgerUpdate) -> dict[LedgerStatus, tuple[LedgerEntry, ...]]:
    """Returns the closed entries by status, the newest first."""
    newest = sorted(update.entries, key=lambda entry: entry.closed, reverse=True)
    return {status: tuple(entry for entry in newest if entry.status is status) for status in LedgerStatus}


def _folders(files: Sequence[TreeFile], seen: Collection[str]) -> tuple[FolderCoverage, ...]:
    """Returns the coverage of the top folders, the largest first."""
    total: Counter[str] = Counter()
    read: Counter[str] = Counter()
    for file in files:
        folder = file.path.partition("/")[0] if "/" in file.path else ""
        total[folder] += 1
        read[folder] += file.blob in seen
    return tuple(FolderCoverage(folder, read[folder], number) for folder, number in total.most_common())


def _audits_left(plan: AuditPlan, known: Collection[str], config: Config) -> int:
    """Returns the estimated number of audits that read the rest of the lap, at the budget of a whole audit."""
    unread = [file for file in plan.files if file.blob not in known]
    left = plan.questions_left + estimate_questions(unread, config)
    return -(-left // questions_per_audit(config))


def _budgets(config: Config) -> tuple[str, ...]:
    week = config.audit.week
    limits = (
        (config.max_model_calls, "model calls per audit"),
        (config.max_credits, "AI credits per audit"),
        (week.max_model_calls, "model calls per week"),
        (week.max_credits, "AI credits per week"),
    )
    return tuple(f"{number:,g} {unit}" for number, unit in limits if number is not None)

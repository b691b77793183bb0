"""Plans an audit of a repository, and merges the reports of its parts into the state."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Protocol

from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Finding
from hunkwise.domain.model import NANO
from hunkwise.domain.review import ReviewFault, SkipReason, Usage
from hunkwise.domain.text import count
from hunkwise.plan.audit_selection import (
    TreeSelection,
    order_files,
    pack_batches,
    questions_of,
    select_tree,
)
from hunkwise.plan.selection import matches
from hunkwise.publish.audit_files import AuditPart, AuditPlan, PlannedShard, seal
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
from hunkwise.tracking.ledger import DismissalChange, LedgerUpdate, update_ledger

CALLS_A_SHARD = 20
MOST_SHARDS = 32
"""Shards that are planned where none are requested."""
_RESERVE = 5
"""One fifth of the model calls is reserved for verification; see flows.models."""


class AuditRepository(Protocol):
    """Reads a repository's commits; see commands.audit. All methods raise RepositoryError."""

    def files(self, sha: str) -> tuple[TreeFile, ...] | None:
        """Returns the regular files of a commit, by path; None if the commit cannot be read."""

    def activity(self, sha: str) -> Mapping[str, FileActivity] | None:
        """Returns how often files were changed before this commit; None in a shallow clone."""

    def renames(self, old: str, new: str) -> Mapping[str, str]:
        """Returns new paths by old ones; empty if one of the commits cannot be read."""

    def diff(self, sha: str, paths: Sequence[str]) -> tuple[FileDiff, ...]:
        """Returns these files of a commit as a diff from the empty tree; missing ones are left out."""


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and how."""

    repository: str
    head_sha: str
    config: Config
    """By `Config.for_audit`."""
    settings: str
    """Digest of all settings that decide on what is found."""
    today: date
    attributes: str = ""
    state: AuditState | None = None
    """None before the first audit, and where the state could not be used."""
    notes: tuple[str, ...] = ()
    shards: int | None = None
    """None: as many as CALLS_A_SHARD model calls each make."""
    read_again: bool = False
    """Begin a new lap."""
    only: tuple[str, ...] = ()
    """Patterns of the only files that are read in this run; the lap is about all files nevertheless."""


def select_files(files: Sequence[TreeFile], config: Config, attributes: str) -> TreeSelection:
    """Returns the files that a lap reads, and counts of the others."""
    return select_tree(
        files,
        ignore=config.ignore,
        only=config.paths,
        audited_paths=config.audit.paths,
        audit_ignore=config.audit.ignore,
        attributes=attributes,
    )


def plan_audit(request: AuditRequest, repository: AuditRepository) -> AuditPlan:
    """Returns what this audit reads. Raises RepositoryError, SettingsError; asks no model."""
    head, before = request.head_sha, request.state
    files = repository.files(head) or ()
    old_files = _old_files(before, head, files, repository)
    selection = select_files(files, request.config, request.attributes)
    state, notes = _start(request, files, old_files, selection)
    activity = repository.activity(head)
    if activity is None:
        notes += (
            "The clone has no history, so that path weights and sizes alone decide which files are read first: "
            "use `fetch-depth: 0`.",
        )
    ordered = order_files(
        selection.eligible,
        known=_settled(state, files),
        previous={file.path: file.blob for file in old_files or ()},
        owed=blobs_of(files, state.owed),
        activity=activity or {},
        weights=request.config.audit.risk,
    )
    wanted = [file for file in ordered if not request.only or matches(request.only, file.path)]
    planned, more = _within_budget(wanted, request, state)
    chosen = tuple(file for batch in planned for file in batch)
    index = {file: number for number, file in enumerate(chosen)}
    left = [file for file in ordered if file not in index]
    old_tree = before.tree if before is not None else head
    return seal(
        AuditPlan(
            repository=request.repository,
            head_sha=head,
            today=request.today.isoformat(),
            state=state,
            state_digest=state_digest(before) if before is not None else "",
            files=chosen,
            shards=_shards(planned, index, request, state),
            questions=_questions(planned, request.config),
            questions_left=_questions(pack_batches(left, request.config.chunk_size), request.config),
            renames=dict(repository.renames(old_tree, head)) if old_tree != head else {},
            notes=(*request.notes, *notes, *more),
        )
    )


def _old_files(
    state: AuditState | None, head: str, files: tuple[TreeFile, ...], repository: AuditRepository
) -> tuple[TreeFile, ...] | None:
    """Returns the listing that the state's bitmaps are about; None if it cannot be read, or is another one."""
    if state is None:
        return None
    listing = files if state.tree == head else repository.files(state.tree)
    return listing if listing is not None and len(listing) == state.files else None


def _start(
    request: AuditRequest,
    files: tuple[TreeFile, ...],
    old_files: tuple[TreeFile, ...] | None,
    selection: TreeSelection,
) -> tuple[AuditState, tuple[str, ...]]:
    """Returns the state for the tree of the head, and why a new lap begins, if it does."""
    before, today = request.state, request.today.isoformat()
    if before is None:
        first = AuditState(request.repository, request.head_sha, request.settings, len(files), lap_began=today)
        return first, ()
    state = move_state(before, old_files or (), files, request.head_sha)
    if old_files is None:
        reason = f"The last audited commit, {before.tree[:12]}, is not in the repository any more"
    elif before.settings != request.settings:
        reason = "Prompts or model have changed"
    elif request.read_again:
        reason = "It was requested that everything is read again"
    elif _is_over(state, files, selection, request):
        reason = f"The last lap began on {before.lap_began} and is complete"
    else:
        return state, ()
    fresh = replace(
        state, settings=request.settings, seen=b"", owed=b"", skipped={}, lap=before.lap + 1, lap_began=today
    )
    return fresh, (f"{reason}: a new lap begins.",)


def _is_over(
    state: AuditState, files: Sequence[TreeFile], selection: TreeSelection, request: AuditRequest
) -> bool:
    """Returns whether the lap is complete and began `again-after` days ago."""
    days = (request.today - date.fromisoformat(state.lap_began)).days
    if days < request.config.audit.again_after:
        return False
    known = _settled(state, files)
    return all(file.blob in known for file in selection.eligible)


def move_state(
    state: AuditState, old_files: Sequence[TreeFile], files: Sequence[TreeFile], head: str
) -> AuditState:
    """Returns the state for another commit: a blob that was read is read wherever it is now."""

    def move(bits: bytes) -> bytes:
        return bitmap_of(files, blobs_of(old_files, bits))

    return replace(
        state,
        tree=head,
        files=len(files),
        seen=move(state.seen),
        owed=move(state.owed),
        skipped={reason: move(bits) for reason, bits in state.skipped.items()},
    )


def _settled(state: AuditState, files: Sequence[TreeFile]) -> frozenset[str]:
    """Returns the blobs that are not to be read in this lap any more."""
    return frozenset().union(*(blobs_of(files, bits) for bits in (state.seen, *state.skipped.values())))


def _calls_left(request: AuditRequest, state: AuditState) -> int:
    """Returns the model calls of this audit, by the budgets of a run and of the week."""
    calls, week = request.config.max_model_calls, request.config.audit.week.max_model_calls
    if week is not None:
        calls = min(calls, week - _spent_in_week(state, request.today).model_calls)
    credits_ = _credits_left(request, state)
    return 0 if credits_ is not None and credits_ <= 0 else max(0, calls)


def _credits_left(request: AuditRequest, state: AuditState) -> float | None:
    """Returns the AI credits of this audit; None for no limit."""
    of_run, of_week = request.config.max_credits, request.config.audit.week.max_credits
    limits = [of_run] if of_run is not None else []
    if of_week is not None:
        limits.append(of_week - _spent_in_week(state, request.today).nano_credits / NANO)
    return min(limits, default=None)


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()


def _spent_in_week(state: AuditState, day: date) -> WeekSpending:
    monday = _monday(day)
    return next((week for week in state.weeks if week.monday == monday), WeekSpending(monday))


def _spend(state: AuditState, day: date, usage: Usage) -> AuditState:
    """Returns the state with the usage of an audit."""

    def add(before: WeekSpending) -> WeekSpending:
        return replace(
            before,
            model_calls=before.model_calls + usage.model_calls,
            nano_credits=before.nano_credits + usage.nano_credits,
        )

    week = _spent_in_week(state, day)
    others = [other for other in state.weeks if other.monday != week.monday]
    total = state.total if state.total.monday else replace(state.total, monday=week.monday)
    weeks = tuple(sorted((*others, add(week)), key=lambda each: each.monday)[-MOST_WEEKS:])
    return replace(state, weeks=weeks, total=add(total))


def _questions(batches: Iterable[Sequence[TreeFile]], config: Config) -> int:
    return len(config.reviewing) * sum(questions_of(batch, config.chunk_size) for batch in batches)


def _within_budget(
    wanted: Sequence[TreeFile], request: AuditRequest, state: AuditState
) -> tuple[list[tuple[TreeFile, ...]], tuple[str, ...]]:
    """Returns the files of each question that the budget allows, and notes."""
    config, calls = request.config, _calls_left(request, state)
    room, most = (
        number - (number // _RESERVE if config.verify != "off" else 0)
        for number in (calls, config.max_model_calls)
    )
    too_large = {file for file in wanted if _questions([(file,)], config) > most}
    planned: list[tuple[TreeFile, ...]] = []
    for batch in pack_batches([file for file in wanted if file not in too_large], config.chunk_size):
        room -= _questions([batch], config)
        if room < 0:
            break
        planned.append(batch)
    notes: tuple[str, ...] = ()
    if wanted and not calls:
        notes = ("The week's budget for audits is used up: nothing is read.",)
    if too_large:
        notes += (
            f"{count(len(too_large), 'file')} cannot be read, each needs more model calls than one audit has: "
            f"{_listed(sorted(file.path for file in too_large))}. Raise `max-model-calls` of `audit`, or ignore them.",
        )
    return planned, notes


def _shards(
    batches: Sequence[tuple[TreeFile, ...]],
    index: Mapping[TreeFile, int],
    request: AuditRequest,
    state: AuditState,
) -> tuple[PlannedShard, ...]:
    """Deals the questions out in turn, so that a shard that is cut loses its least risky ones. The budget is divided
    by the numbers of questions."""
    calls, credits_ = _calls_left(request, state), _credits_left(request, state)
    number = request.shards or min(MOST_SHARDS, -(-calls // CALLS_A_SHARD))
    number = min(number, len(batches))
    total = _questions(batches, request.config)
    shards = []
    for start in range(number):
        own = batches[start::number]
        share = _questions(own, request.config) / total
        shards.append(
            PlannedShard(
                files=tuple(index[file] for batch in own for file in batch),
                model_calls=max(1, int(calls * share)),
                credits=None if credits_ is None else credits_ * share,
            )
        )
    return tuple(shards)


@dataclass(frozen=True)
class AuditMerge:
    """The outcome of an audit."""

    state: AuditState
    """To be kept for the next audit."""
    update: LedgerUpdate
    files: tuple[FileDiff, ...] = field(repr=False)
    """The files of all findings."""
    usage: Usage = Usage()
    read: int = 0
    """Files that this audit read."""
    failed: tuple[str, ...] = ()
    """A sentence for each shard that failed or was cut."""
    faults: tuple[ReviewFault, ...] = ()
    notes: tuple[str, ...] = ()
    demo: bool = False


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
    state = _current_state(plan, live, listing, repository)
    usable = [part for part in parts if part.settings == plan.state.settings]
    reported = {finding.path for part in parts for finding in part.findings}
    recorded = {entry.record.path for entry in state.entries}
    paths = sorted({*reported, *recorded, *(plan.renames.get(path, path) for path in recorded)})
    files = repository.diff(head, paths)
    reviews = [as_review(part, files) for part in parts]
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
    )
    usage = sum((review.usage for review in reviews), Usage())
    failed, notes = _missing_reports(plan, parts)
    skipped = {
        reason: [plan.files[index].blob for part in usable for index in part.skipped.get(reason, ())]
        for part in usable
        for reason in part.skipped
    }
    merged = _add_read(state, plan, listing, {file.blob for file in read}, skipped)
    merged = _spend(merged, date.fromisoformat(plan.today), usage)
    different = len(parts) - len(usable)
    if different:
        failed += (f"{count(different, 'shard')} ran with other settings than the plan: its files are read again.",)
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
    )


def _current_state(
    plan: AuditPlan, live: AuditState | None, listing: Sequence[TreeFile], repository: AuditRepository
) -> AuditState:
    """Returns the plan's state, with what another audit has added since the plan was made."""
    state: AuditState = plan.state
    if live is None or state_digest(live) == plan.state_digest:
        return state
    current = replace(state, entries=live.entries, weeks=live.weeks, total=live.total, runs=live.runs)
    old = _old_files(live, plan.head_sha, tuple(listing), repository)
    if old is None or live.settings != state.settings or live.lap != state.lap:
        return current
    other = _settled(live, old)
    return replace(current, seen=bitmap_of(listing, blobs_of(listing, state.seen) | other))


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
        reason: bitmap_of(listing, blobs_of(listing, state.skipped.get(reason, b"")) | set(skipped.get(reason, ())))
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


def _missing_reports(
    plan: AuditPlan, parts: Sequence[AuditPart]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns a sentence for each shard that failed or was cut, and one for each whose budget ran out."""
    failed: list[str] = []
    notes: list[str] = []
    by_shard = {part.shard: part for part in parts}
    for number, shard in enumerate(plan.shards, 1):
        part = by_shard.get(number)
        if part is None:
            failed.append(f"Shard {number} made no report: its {count(len(shard.files), 'file')} are read next time.")
            continue
        done = {*part.read, *(index for indexes in part.skipped.values() for index in indexes)}
        unread = len(set(shard.files) - done)
        reasons = Counter(file.reason for file in part.coverage.files if file.missing and file.reason)
        if not unread:
            continue
        why = ", ".join(reason.value for reason, _ in reasons.most_common(3)) or "the report does not name them"
        sentence = f"Shard {number} did not read {unread} of {count(len(shard.files), 'file')} ({why}): they are read next time."
        (notes if set(reasons) == {SkipReason.BUDGET} else failed).append(sentence)
    return tuple(failed), tuple(notes)


_MOST_LISTED = 5


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_LISTED
    return ", ".join(paths[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")

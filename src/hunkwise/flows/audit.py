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
    AuditState,
    Spending,
    bitmap,
    blobs_of,
    monday_of,
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
    head = request.head_sha
    files = repository.files(head) or ()
    old_files = _old_files(request.state, head, files, repository)
    state, notes = _start(request, files, old_files)
    selection = select_files(files, request.config, request.attributes)
    known = _settled(state, files)
    activity = repository.activity(head)
    if activity is None:
        notes += ("The clone has no history: files are ordered by path weights and size alone. Use `fetch-depth: 0`.",)
    ordered = order_files(
        [file for file in selection.eligible if not request.only or matches(request.only, file.path)],
        known=known,
        previous={file.path: file.blob for file in old_files or ()},
        owed=blobs_of(files, state.owed),
        activity=activity or {},
        weights=request.config.audit.risk,
    )
    planned, left, more = _within_budget(ordered, request, state)
    chosen = tuple(file for batch in planned for file in batch)
    index = {file: number for number, file in enumerate(chosen)}
    old_tree = request.state.tree if request.state else head
    return seal(
        AuditPlan(
            repository=request.repository,
            head_sha=head,
            today=request.today.isoformat(),
            state=state,
            state_digest=state_digest(request.state) if request.state else "",
            files=chosen,
            shards=_shards(planned, index, request, state),
            questions=_questions(planned, request.config),
            questions_left=left,
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
    request: AuditRequest, files: tuple[TreeFile, ...], old_files: tuple[TreeFile, ...] | None
) -> tuple[AuditState, tuple[str, ...]]:
    """Returns the state for the tree of the head, and why a new lap begins, if it does."""
    before, today = request.state, request.today.isoformat()
    if before is None:
        empty = AuditState.empty(request.repository, request.head_sha, request.settings, len(files), today)
        return empty, ()
    state = move_state(before, old_files or (), files, request.head_sha)
    complete = before.lap_ended != "" and date.fromisoformat(before.lap_ended)
    again = timedelta(days=request.config.audit.again_after)
    if old_files is None:
        reason = f"The commit {before.tree[:12]}, up to which the last audit had read, is not in the repository any more"
    elif before.settings != request.settings:
        reason = "Prompts or model have changed"
    elif request.read_again:
        reason = "It was requested to read everything again"
    elif complete and request.today - complete >= again:
        reason = f"The last lap ended {before.lap_ended}"
    else:
        return state, ()
    nothing = bitmap(files, ())
    fresh = replace(
        state,
        settings=request.settings,
        seen=nothing,
        owed=nothing,
        skipped={},
        lap=before.lap + 1,
        lap_began=today,
        lap_ended="",
    )
    return fresh, (f"{reason}: a new lap begins.",)


def move_state(
    state: AuditState, old_files: Sequence[TreeFile], files: Sequence[TreeFile], head: str
) -> AuditState:
    """Returns the state for another commit: a blob that was read is read wherever it is now."""

    def move(bits: bytes) -> bytes:
        return bitmap(files, blobs_of(old_files, bits))

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
    audit = request.config.audit
    calls = audit.max_model_calls
    if audit.week.max_model_calls is not None:
        calls = min(calls, audit.week.max_model_calls - state.week(request.today).model_calls)
    if (credits_ := _credits_left(request, state)) is not None and credits_ <= 0:
        return 0
    return max(0, calls)


def _credits_left(request: AuditRequest, state: AuditState) -> float | None:
    """Returns the AI credits of this audit; None for no limit."""
    audit = request.config.audit
    limits = [audit.max_credits] if audit.max_credits is not None else []
    if audit.week.max_credits is not None:
        limits.append(audit.week.max_credits - state.week(request.today).nano_credits / NANO)
    return min(limits, default=None)


def _questions(batches: Iterable[Sequence[TreeFile]], config: Config) -> int:
    return len(config.reviewing) * sum(questions_of(batch, config.chunk_size) for batch in batches)


def _within_budget(
    ordered: Sequence[TreeFile], request: AuditRequest, state: AuditState
) -> tuple[list[tuple[TreeFile, ...]], int, tuple[str, ...]]:
    """Returns the questions that the budget allows, the number of those that are left, and notes."""
    config, calls = request.config, _calls_left(request, state)
    room, most = (
        number - (number // _RESERVE if config.verify != "off" else 0)
        for number in (calls, config.audit.max_model_calls)
    )
    too_large = [file for file in ordered if _questions([(file,)], config) > most]
    fitting = [file for file in ordered if file not in set(too_large)]
    planned: list[tuple[TreeFile, ...]] = []
    left = 0
    for batch in pack_batches(fitting, config.chunk_size):
        questions = _questions([batch], config)
        if left or questions > room:
            left += questions
        else:
            planned.append(batch)
            room -= questions
    notes: tuple[str, ...] = ()
    if ordered and not calls:
        notes = ("The week's budget for audits is used up: nothing is read.",)
    if too_large:
        notes += (
            f"{count(len(too_large), 'file')} cannot be read, each needs more model calls than one audit has: "
            f"{_listed([file.path for file in too_large])}. Raise `max-model-calls` of `audit`, or ignore them.",
        )
    return planned, left, notes


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
    merged = merged.spend(date.fromisoformat(plan.today), usage.model_calls, usage.nano_credits)
    different = len(parts) - len(usable)
    if different:
        failed += (f"{count(different, 'shard')} ran with other settings than the plan: its files are read again.",)
    return AuditMerge(
        replace(merged, entries=update.entries, last=plan.today),
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
    return replace(current, seen=bitmap(listing, blobs_of(listing, state.seen) | other))


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
        reason: bitmap(listing, blobs_of(listing, state.skipped.get(reason, b"")) | set(skipped.get(reason, ())))
        for reason in {*state.skipped, *skipped}
    }
    settled = seen.union(*(blobs_of(listing, bits) for bits in all_skipped.values()))
    owed = (blobs_of(listing, state.owed) | {file.blob for file in plan.files}) - settled
    ended = plan.today if not owed and not plan.questions_left else ""
    return replace(
        state,
        seen=bitmap(listing, seen),
        owed=bitmap(listing, owed),
        skipped=all_skipped,
        lap_ended=state.lap_ended or ended,
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

"""Plans an audit: selects the files that it reads by risk, within the budget, and deals them out in shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Protocol

from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.domain.diff import FileDiff
from hunkwise.domain.model import NANO
from hunkwise.domain.text import plain
from hunkwise.plan.audit_selection import (
    TreeSelection,
    order_files,
    pack_batches,
    questions_of,
    select_tree,
)
from hunkwise.plan.globs import matches
from hunkwise.publish.audit_files import AuditPlan, PlannedShard, seal
from hunkwise.settings.config import Config
from hunkwise.tracking.audit_state import (
    AuditState,
    WeekSpending,
    bitmap_of,
    blobs_of,
    state_digest,
)

CALLS_A_SHARD = 20
MOST_SHARDS = 32
"""Shards that are planned where none are requested."""
_RESERVE = 5
"""One fifth of the model calls is reserved for verification; see flows.models."""


class AuditRepository(Protocol):
    """Reads a repository's commits; see commands.audit. All methods raise RepositoryError."""

    def files(self, sha: str) -> tuple[TreeFile, ...] | None:
        """Returns the regular files of a commit, by path; None if the commit cannot be read."""

    def attributes(self, sha: str, files: Sequence[TreeFile]) -> Mapping[str, str]:
        """Returns the texts of the .gitattributes among the files, by their folders."""

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
    state: AuditState | None = None
    """None before the first audit, and where the state could not be used."""
    notes: tuple[str, ...] = ()
    shards: int | None = None
    """None: as many as CALLS_A_SHARD model calls each make."""
    read_again: bool = False
    """Begin a new lap."""
    only: tuple[str, ...] = ()
    """Patterns of the only files that are read in this run; the lap is about all files nevertheless."""


def select_lap(files: Sequence[TreeFile], config: Config, attributes: Mapping[str, str]) -> TreeSelection:
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
    old_files = read_old_files(before, head, files, repository)
    selection = select_lap(files, request.config, repository.attributes(head, files))
    state, notes = _start(request, files, old_files, selection)
    activity = repository.activity(head)
    if activity is None:
        notes += (
            "The clone is shallow, so that path weights and sizes alone decide which files are read first: "
            "fetch its whole history.",
        )
    ordered = order_files(
        selection.eligible,
        known=settled_blobs(state, files),
        previous={file.path: file.blob for file in old_files or ()},
        owed=blobs_of(files, state.owed),
        activity=activity or {},
        weights=request.config.audit.risk,
    )
    too_large = find_too_large(ordered, request.config)
    if too_large:
        notes += (_too_large_note(too_large),)
    readable = [file for file in ordered if file not in too_large]
    wanted = _without_copies(
        file for file in readable if not request.only or matches(request.only, file.path)
    )
    planned, more = _within_budget(wanted, request, state)
    chosen = tuple(file for batch in planned for file in batch)
    index = {file: number for number, file in enumerate(chosen)}
    left = _without_copies((*chosen, *readable))[len(chosen) :]
    return seal(
        AuditPlan(
            repository=request.repository,
            head_sha=head,
            today=request.today.isoformat(),
            state=state,
            state_digest=state_digest(before) if before is not None else "",
            files=chosen,
            shards=_shards(planned, index, request, state),
            questions_left=estimate_questions(left, request.config),
            renames=find_moves(before, old_files or (), files, head, repository) if before else {},
            notes=(*request.notes, *notes, *more),
        )
    )


def _without_copies(files: Iterable[TreeFile]) -> tuple[TreeFile, ...]:
    """Returns the first file of each content."""
    first: dict[str, TreeFile] = {}
    for file in files:
        first.setdefault(file.blob, file)
    return tuple(first.values())


def find_moves(
    state: AuditState,
    old_files: Sequence[TreeFile],
    files: Sequence[TreeFile],
    head: str,
    repository: AuditRepository,
) -> dict[str, str]:
    """Returns where files with findings are now, by their old paths, if they have moved since the state's commit.

    A content that was read is not read again, so that its findings must follow it: into a renamed file, into one that
    had another content, or to a copy. The clone need not have that commit.
    """
    if state.tree == head:
        return {}
    recorded = {entry.record.path for entry in state.entries}
    before = {file.path: file.blob for file in old_files}
    current = {file.path: file.blob for file in files}
    left = {path: before[path] for path in recorded & before.keys() if current.get(path) != before[path]}
    places: dict[str, str] = {}
    # A new file with the content comes before one that had another content, and that before a copy.
    for file in sorted(files, key=lambda file: (file.path in before) + (before.get(file.path) == file.blob)):
        places.setdefault(file.blob, file.path)
    moved = {path: places[blob] for path, blob in left.items() if blob in places}
    renames = repository.renames(state.tree, head)
    return moved | {old: new for old, new in renames.items() if old in recorded}


def read_old_files(
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
        first = AuditState(
            request.repository, request.head_sha, request.settings, len(files), lap_began=today
        )
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
    began = date.fromisoformat(state.lap_began) if state.lap_began else request.today
    if (request.today - began).days < request.config.audit.again_after:
        return False
    known = settled_blobs(state, files)
    unread = [file for file in selection.eligible if file.blob not in known]
    return len(find_too_large(unread, request.config)) == len(unread)


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


def settled_blobs(state: AuditState, files: Sequence[TreeFile]) -> frozenset[str]:
    """Returns the blobs that are not to be read in this lap any more."""
    return frozenset().union(*(blobs_of(files, bits) for bits in (state.seen, *state.skipped.values())))


def _calls_left(request: AuditRequest, state: AuditState) -> int:
    """Returns the model calls of this audit, by the budgets of a run and of the week."""
    calls, week = request.config.max_model_calls, request.config.audit.week.max_model_calls
    if week is not None:
        calls = min(calls, week - spent_in_week(state, request.today).model_calls)
    credits_ = _credits_left(request, state)
    return 0 if credits_ is not None and credits_ <= 0 else max(0, calls)


def _credits_left(request: AuditRequest, state: AuditState) -> float | None:
    """Returns the AI credits of this audit; None for no limit."""
    of_run, of_week = request.config.max_credits, request.config.audit.week.max_credits
    limits = [of_run] if of_run is not None else []
    if of_week is not None:
        limits.append(of_week - spent_in_week(state, request.today).nano_credits / NANO)
    return min(limits, default=None)


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()


def spent_in_week(state: AuditState, day: date) -> WeekSpending:
    monday = _monday(day)
    return next((week for week in state.weeks if week.monday == monday), WeekSpending(monday))


def _questions(batches: Iterable[Sequence[TreeFile]], config: Config) -> int:
    return len(config.reviewing) * sum(questions_of(batch, config.chunk_size) for batch in batches)


def estimate_questions(files: Sequence[TreeFile], config: Config) -> int:
    """Returns about how many questions the files take."""
    return _questions(pack_batches(files, config.chunk_size), config)


def _without_reserve(calls: int, config: Config) -> int:
    return calls - (calls // _RESERVE if config.verify != "off" else 0)


def questions_per_audit(config: Config) -> int:
    """Returns the most questions that an audit can ask, by the budgets of an audit and of a week."""
    calls, week = config.max_model_calls, config.audit.week.max_model_calls
    return _without_reserve(calls if week is None else min(calls, week), config)


def find_too_large(files: Iterable[TreeFile], config: Config) -> frozenset[TreeFile]:
    """Returns the files that need more model calls than an audit can ever have."""
    most = questions_per_audit(config) // len(config.reviewing)
    return frozenset(file for file in files if questions_of((file,), config.chunk_size) > most)


def _too_large_note(files: Iterable[TreeFile]) -> str:
    paths = _listed(sorted(plain(file.path) for file in files))
    return (
        f"Not read, as one file needs more model calls than an audit has: {paths}. Raise `max-model-calls` of `audit`, "
        "or ignore them."
    )


def _within_budget(
    wanted: Sequence[TreeFile], request: AuditRequest, state: AuditState
) -> tuple[list[tuple[TreeFile, ...]], tuple[str, ...]]:
    """Returns the files of each question that the budget allows, and a note if it allows none."""
    room = _without_reserve(_calls_left(request, state), request.config)
    planned: list[tuple[TreeFile, ...]] = []
    for batch in pack_batches(wanted, request.config.chunk_size):
        room -= _questions([batch], request.config)
        if room < 0:
            break
        planned.append(batch)
    if not wanted or planned:
        return planned, ()
    return planned, ("The rest of the week's budget for audits is too small: nothing is read.",)


def _shards(
    batches: Sequence[tuple[TreeFile, ...]],
    index: Mapping[TreeFile, int],
    request: AuditRequest,
    state: AuditState,
) -> tuple[PlannedShard, ...]:
    """Deals the questions out in turn, so that a shard that is cut loses its least risky ones. The budget is divided
    by the numbers of questions."""
    config, calls = request.config, _calls_left(request, state)
    credits_, tokens = _credits_left(request, state), config.max_tokens
    if not batches:
        return ()
    number = request.shards or min(MOST_SHARDS, -(-calls // CALLS_A_SHARD))
    dealt = [batches[start::number] for start in range(min(number, len(batches)))]
    questions = [_questions(own, config) for own in dealt]
    total = sum(questions)
    return tuple(
        PlannedShard(
            files=tuple(index[file] for batch in own for file in batch),
            model_calls=own_calls,
            tokens=None if tokens is None else max(1, tokens * asked // total),
            credits=None if credits_ is None else credits_ * asked / total,
        )
        for own, asked, own_calls in zip(
            dealt, questions, _divide_calls(calls, questions, config), strict=True
        )
    )


def _divide_calls(calls: int, questions: Sequence[int], config: Config) -> list[int]:
    """Divides the calls by the numbers of questions, so that each shard can ask its own and verify the answers."""
    total = sum(questions)
    per_verification = _RESERVE - 1 if config.verify != "off" else total
    shares = [asked + (asked - 1) // per_verification for asked in questions]
    rest = calls - sum(shares)
    upper = [rest * sum(questions[:number]) // total for number in range(len(questions) + 1)]
    return [share + upper[number + 1] - upper[number] for number, share in enumerate(shares)]


_MOST_LISTED = 5


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_LISTED
    return ", ".join(paths[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")

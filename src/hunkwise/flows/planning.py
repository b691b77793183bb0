"""Plans the questions about a snapshot, and computes the coverage of every changed line from their outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hunkwise.domain.diff import FileDiff, by_path
from hunkwise.domain.finding import Finding, Recheck, RecheckState, Severity, Verification
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import Coverage, FileCoverage, SkipReason, SuppressedFinding, Suppression
from hunkwise.plan.chunking import Chunk, ChunkPart, budget_for, covered, pack
from hunkwise.plan.globs import matches
from hunkwise.plan.incremental import HunkSplit, answered_hunks, kept_keys, split_reviewed
from hunkwise.plan.selection import Selection, select
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings
from hunkwise.tracking.dismissal import Dismissal
from hunkwise.tracking.markers import HiddenState
from hunkwise.tracking.previous import (
    COMMENTED,
    InDiff,
    OutsideDiff,
    Removed,
    TrackedFinding,
    WholeFile,
    raised_before,
)
from hunkwise.tracking.reconcile import code_when_raised, compare, restore_finding

Outcomes = Mapping[tuple[str, int], SkipReason | None]
"""Outcomes by a prompt's name and a chunk's index; None if the question was answered."""
MOST_ELSEWHERE = 12
"""Earlier findings that are put to the double-check again because of changes elsewhere: one question."""
_CARRIED = -1
"""Index of the chunk that contains what an earlier run reviewed."""


@dataclass(frozen=True, slots=True)
class PromptTask:
    """One prompt about one chunk: one question to the model."""

    prompt: PromptSettings
    chunk: Chunk
    count: int
    """Number of chunks of this prompt."""
    min_severity: Severity = Severity.LOW
    """Findings below it are left out."""

    @property
    def key(self) -> tuple[str, int]:
        """The key of its outcome."""
        return self.prompt.name, self.chunk.index


@dataclass(frozen=True)
class ReviewPlan:
    """The questions to ask, and the files that are skipped."""

    tasks: tuple[PromptTask, ...]
    files_by_prompt: Mapping[str, tuple[FileDiff, ...]]
    """The files that each prompt applies to, with all hunks; its tasks show only the new hunks."""
    skipped: tuple[FileCoverage, ...]
    divisions: Mapping[str, HunkSplit]
    """By path, for each file that a prompt applies to: which hunks all of its prompts have seen before."""

    @cached_property
    def carried(self) -> tuple[ChunkPart, ...]:
        """The hunks that were reviewed before, one part for each file."""
        files = by_path(file for of_prompt in self.files_by_prompt.values() for file in of_prompt)
        return tuple(
            ChunkPart(files[path], division.carried)
            for path, division in self.divisions.items()
            if any(division.reviewed)
        )

    @cached_property
    def carried_hunks(self) -> frozenset[str]:
        """Keys of the hunks that were reviewed before, as `hunks_of` returns them if no question is answered."""
        return hunks_of(self, {})

    @property
    def carried_lines(self) -> int:
        """Changed lines that count as reviewed and that no question is about."""
        return sum(part.reviewed_lines for part in self.carried)

    def chunks(self, prompt: str) -> tuple[Chunk, ...]:
        """Returns the chunks of one prompt."""
        return tuple(task.chunk for task in self.tasks if task.prompt.name == prompt)


def select_files(snapshot: Snapshot, config: Config) -> Selection:
    """Returns the files that a prompt applies to, and the others with the reason why they are skipped."""
    selection = select(
        snapshot.files,
        ignore=config.ignore,
        only=config.paths,
        attributes=snapshot.attributes,
        audit=snapshot.audit,
    )
    with_prompt: list[FileDiff] = []
    without_prompt: list[FileCoverage] = []
    for file in selection.reviewed:
        if any(_applies(prompt, file.path) for prompt in config.reviewing):
            with_prompt.append(file)
        else:
            without_prompt.append(FileCoverage(file.path, file.changed_lines, reason=SkipReason.NO_PROMPT))
    return Selection(tuple(with_prompt), (*selection.skipped, *without_prompt))


def plan(snapshot: Snapshot, config: Config, reviewed: frozenset[str] = frozenset()) -> ReviewPlan:
    """Selects the files of each prompt, and packs their new hunks into chunks.

    `reviewed` contains the keys (`plan.incremental`) of the hunks that all of their prompts saw in earlier runs.
    """
    selection = select_files(snapshot, config)
    divisions = _divisions(selection.reviewed, reviewed)
    tasks: list[PromptTask] = []
    files_by_prompt: dict[str, tuple[FileDiff, ...]] = {}
    for prompt in config.reviewing:
        files = tuple(file for file in selection.reviewed if _applies(prompt, file.path))
        fresh = [_without_carried(file, divisions[file.path]) for file in files]
        changed = [file for file in fresh if any(hunk.changed_lines for hunk in file.hunks)]
        # An audit reads as many files as its budget has questions of the usual size for.
        budget = config.chunk_size if snapshot.audit else budget_for(changed, config.chunk_size)
        chunks = pack(changed, budget)
        files_by_prompt[prompt.name] = files
        min_severity = prompt.min_severity or config.min_severity
        tasks += [PromptTask(prompt, chunk, len(chunks), min_severity) for chunk in chunks]
    if snapshot.audit:
        # Where a budget runs out, whole files are left for the next audit, not one prompt of each.
        order = {file.path: number for number, file in enumerate(snapshot.files)}
        tasks.sort(key=lambda task: order[task.chunk.parts[0].file.path])
    return ReviewPlan(tuple(tasks), files_by_prompt, selection.skipped, divisions)


def coverage_of(plan: ReviewPlan, outcomes: Outcomes, snapshot: Snapshot) -> Coverage:
    """Returns every changed file with its lines reviewed now or before; a task without an outcome was INTERRUPTED.

    If several prompts apply to a file, the one that saw the fewest of its lines counts.
    """
    lowest: dict[str, FileCoverage] = {}
    for prompt, files in plan.files_by_prompt.items():
        chunks = (Chunk(_CARRIED, plan.carried), *plan.chunks(prompt))
        by_chunk = {_CARRIED: None, **_by_chunk(outcomes, prompt)}
        for coverage in covered(chunks, files, by_chunk):
            previous = lowest.get(coverage.path)
            if previous is None or _coverage_key(coverage) < _coverage_key(previous):
                lowest[coverage.path] = coverage
    return Coverage((*lowest.values(), *plan.skipped), snapshot.unlisted_files)


def hunks_of(plan: ReviewPlan, outcomes: Outcomes) -> frozenset[str]:
    """Returns the keys of the hunks that every prompt for them has seen completely, now or before: the next run
    need not ask about them."""
    by_file = dict(plan.divisions)
    answers: dict[str, tuple[bool, ...]] = {}
    for prompt, files in plan.files_by_prompt.items():
        parts_by_path = _chunks_by_path(plan.chunks(prompt))
        by_chunk = _by_chunk(outcomes, prompt)
        for file in files:
            new = plan.divisions[file.path].new
            answered = answered_hunks(file.path, new, parts_by_path.get(file.path, ()), by_chunk)
            by_others = answers.get(file.path, (True,) * len(new))
            answers[file.path] = tuple(
                here and elsewhere for here, elsewhere in zip(answered, by_others, strict=True)
            )
    for path, answered in answers.items():
        by_file[path] = plan.divisions[path].with_answers(answered)
    return kept_keys(by_file)


@dataclass(frozen=True, slots=True)
class EarlierFinding:
    """An open finding of an earlier run of which it is not known whether it still applies in the code as it is now."""

    key: str
    """Its `tracking.previous.TrackedFinding.key`."""
    finding: Finding
    """At its present place."""
    old_code: str
    """The rows of the diff when it was raised; empty if they are not known."""
    asked: bool
    """False if the double-check cannot or need not be asked: then it is undecided."""


def earlier_findings(
    plan: ReviewPlan,
    snapshot: Snapshot,
    state: HiddenState | None,
    reviewed: frozenset[str],
    found: Sequence[Finding],
    text_at_head: Callable[[str], str | None],
    *,
    verified: bool = True,
) -> tuple[EarlierFinding, ...]:
    """Returns the findings of earlier runs around whose code something has changed, the most severe first.

    What changed is the hunk, or the file of a finding without a line; or the code is no longer in the diff, because
    the change around it was taken back. Also returned are those that an earlier run left undecided, and, where any
    hunk has changed, at most MOST_ELSEWHERE others of severity high or above, which may be fixed in another place.
    `reviewed` has the keys of the hunks that are reviewed after this run, `found` its findings: one that it raised
    again is not asked about. Without verification (`verified`) none is.
    """
    before = raised_before(state, snapshot.conversation)
    if snapshot.conversation is None or not before:
        return ()
    _, tracked = compare(found, before, snapshot.conversation, snapshot.files, text_at_head)
    pushed = bool(plan.tasks) or state is None or state.head_sha != snapshot.pull_request.head_sha
    changes = _HunkChanges(snapshot.files, state.hunks if state else frozenset(), reviewed)
    elsewhere = MOST_ELSEWHERE if verified and changes.any_reviewed else 0
    earlier: list[EarlierFinding] = []
    for item in sorted(tracked, key=lambda item: -item.previous.severity):
        if item.dismissal is Dismissal.TRUSTED or item.previous.fixed:
            continue
        changed = changes.affect(item) or (pushed and _is_pending(item))
        if not changed and item.match is None and elsewhere and item.previous.severity >= Severity.HIGH:
            changed = True
            elsewhere -= 1
        if changed:
            asked = verified and item.match is None and not item.reopened and changes.reviewed_around(item)
            earlier.append(EarlierFinding(item.key, restore_finding(item), code_when_raised(item), asked))
    return tuple(earlier)


def _is_pending(item: TrackedFinding) -> bool:
    """Returns whether a finding was left undecided, or its code has left the diff since it was last verified."""
    check = item.previous.check
    left = isinstance(item.location, OutsideDiff) and item.previous.where in COMMENTED
    return check is Verification.OUTDATED or (left and check is not Verification.RECHECKED)


def not_raised_again(
    earlier: Sequence[EarlierFinding], found: Sequence[Finding], coverage: Coverage
) -> tuple[EarlierFinding, ...]:
    """Returns the findings of earlier audits whose files were read whole, and that none of `found` raises again."""
    read = {file.path for file in coverage.files if file.reason is None}
    return tuple(
        each
        for each in earlier
        if each.finding.path in read and not any(raises_again(finding, each.finding) for finding in found)
    )


def raises_again(finding: Finding, earlier: Finding) -> bool:
    """Returns whether a finding is an earlier one: of the same fingerprint, or on lines of it with the same category or
    title."""
    if finding.fingerprint == earlier.fingerprint:
        return True
    if finding.path != earlier.path or finding.anchor is None or earlier.anchor is None:
        return False
    same = finding.category.casefold() == earlier.category.casefold() or finding.title == earlier.title
    return same and finding.anchor.overlaps(earlier.anchor)


def refuted_again(
    earlier: Sequence[EarlierFinding], refuted: Sequence[SuppressedFinding], kept: Sequence[Finding]
) -> dict[str, Recheck]:
    """Returns the answers, by key, for the findings of earlier audits that were raised again and then refuted."""
    answers: dict[str, Recheck] = {}
    for each in earlier:
        if not any(raises_again(finding, each.finding) for finding in kept):
            for one in refuted:
                if one.kind is Suppression.REFUTED and raises_again(one.finding, each.finding):
                    answers[each.key] = Recheck(RecheckState.FIXED, one.reason)
    return answers


class _HunkChanges:
    """Which hunks have changed since the last run, and which of them are reviewed."""

    def __init__(self, files: Sequence[FileDiff], before: frozenset[str], reviewed: frozenset[str]) -> None:
        self._files = by_path(files)
        self._before = {path: split_reviewed(file, before).reviewed for path, file in self._files.items()}
        self._now = {path: split_reviewed(file, reviewed).reviewed for path, file in self._files.items()}

    @property
    def any_reviewed(self) -> bool:
        """Whether a hunk has changed and is reviewed now."""
        return any(now and not same for path in self._files for same, now in self._flags(path))

    def affect(self, item: TrackedFinding) -> bool:
        """Returns whether the code of a finding, or a hunk around it, has changed."""
        if isinstance(item.location, InDiff | WholeFile):
            return any(not same for same, _ in self._around(item))
        return isinstance(item.location, Removed)

    def reviewed_around(self, item: TrackedFinding) -> bool:
        """Returns whether all that has changed around the remaining code of a finding is reviewed."""
        return not isinstance(item.location, Removed) and all(now for _, now in self._around(item))

    def _around(self, item: TrackedFinding) -> list[tuple[bool, bool]]:
        location = item.location
        file = self._files.get(location.path) if location else None
        if file is None:
            return []
        flags = self._flags(file.path)
        if not isinstance(location, InDiff):
            return flags
        hunk = file.hunk_at(location.anchor.side, location.anchor.line)
        return [flag for flag, each in zip(flags, file.hunks, strict=True) if each is hunk]

    def _flags(self, path: str) -> list[tuple[bool, bool]]:
        """Returns for each hunk of a file whether it is as before, and whether it is reviewed."""
        return list(zip(self._before[path], self._now[path], strict=True))


def _divisions(files: Sequence[FileDiff], reviewed: frozenset[str]) -> dict[str, HunkSplit]:
    times = Counter(file.path for file in files)
    divisions: dict[str, HunkSplit] = {}
    for file in files:
        if times[file.path] > 1:  # the list changed while it was read: which entry is right is unknown
            divisions[file.path] = HunkSplit(replace(file, hunks=()), ())
        else:
            divisions[file.path] = split_reviewed(file, reviewed)
    return divisions


def _without_carried(file: FileDiff, division: HunkSplit) -> FileDiff:
    return replace(file, hunks=division.new) if any(division.reviewed) else file


def _applies(prompt: PromptSettings, path: str) -> bool:
    return not prompt.paths or matches(prompt.paths, path)


def _by_chunk(outcomes: Outcomes, prompt: str) -> dict[int, SkipReason | None]:
    return {index: reason for (name, index), reason in outcomes.items() if name == prompt}


def _chunks_by_path(chunks: Sequence[Chunk]) -> dict[str, tuple[Chunk, ...]]:
    """Returns the chunks that contain a part of each file."""
    chunks_by_path: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        for path in dict.fromkeys(part.file.path for part in chunk.parts):
            chunks_by_path.setdefault(path, []).append(chunk)
    return {path: tuple(of_path) for path, of_path in chunks_by_path.items()}


def _coverage_key(coverage: FileCoverage) -> tuple[int, bool]:
    return coverage.reviewed_lines, coverage.reason is None

"""Snapshot → what is asked, and what became of every changed line once it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Severity
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.review import Coverage, FileCoverage, SkipReason
from hunkwise.plan.chunking import Chunk, ChunkPart, budget_for, covered, pack
from hunkwise.plan.incremental import HunkSplit, answered_hunks, divided, kept_keys
from hunkwise.plan.selection import matches, select
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings

Outcomes = Mapping[tuple[str, int], SkipReason | None]
"""By a prompt's name and a chunk's index; None where the question was answered."""
_CARRIED = -1
"""Index of the chunk that stands for what an earlier run asked about."""


@dataclass(frozen=True, slots=True)
class PromptTask:
    """One prompt over one chunk: one question to the model."""

    prompt: PromptSettings
    chunk: Chunk
    count: int
    """Chunks of this prompt in all."""
    min_severity: Severity = Severity.LOW
    """What is below it will be left out."""

    @property
    def key(self) -> tuple[str, int]:
        """By which its outcome is known."""
        return self.prompt.name, self.chunk.index


@dataclass(frozen=True)
class ReviewPlan:
    """What will be asked, and what will not be looked at."""

    works: tuple[PromptTask, ...]
    files_by_prompt: Mapping[str, tuple[FileDiff, ...]]
    """What each prompt is due to, with all hunks; its works show those of them that are new."""
    skipped: tuple[FileCoverage, ...]
    divisions: Mapping[str, HunkSplit]
    """By path, of each file that a prompt is due to: which hunks all of its prompts have seen before."""

    @cached_property
    def carried(self) -> tuple[ChunkPart, ...]:
        """What was reviewed before, a part each file."""
        files = {file.path: file for of_prompt in self.files_by_prompt.values() for file in of_prompt}
        return tuple(
            ChunkPart(files[path], division.carried)
            for path, division in self.divisions.items()
            if any(division.known)
        )

    @property
    def carried_lines(self) -> int:
        """Changed lines that count as reviewed without being asked about."""
        return sum(part.reviewed_lines for part in self.carried)

    def chunks(self, prompt: str) -> tuple[Chunk, ...]:
        """What is asked of one prompt."""
        return tuple(work.chunk for work in self.works if work.prompt.name == prompt)


def plan(snapshot: Snapshot, config: Config, reviewed: frozenset[str] = frozenset()) -> ReviewPlan:
    """Which files each prompt sees, and their new hunks packed into chunks.

    `reviewed` are the keys (`plan.incremental`) of the hunks that all of their prompts saw in earlier runs.
    """
    selection = select(snapshot.files, ignore=config.ignore, only=config.paths)
    divisions = _divisions(selection.reviewed, snapshot, config, reviewed)
    works: list[PromptTask] = []
    files_by_prompt: dict[str, tuple[FileDiff, ...]] = {}
    for prompt in config.reviewing:
        files = tuple(file for file in selection.reviewed if _applies(prompt, file.path))
        fresh = [_without_carried(file, divisions[file.path]) for file in files]
        asked = [file for file in fresh if any(hunk.changed_lines for hunk in file.hunks)]
        chunks = pack(asked, budget_for(asked, config.chunk_size))
        files_by_prompt[prompt.name] = files
        least = prompt.min_severity or config.min_severity
        works += [PromptTask(prompt, chunk, len(chunks), least) for chunk in chunks]
    named = {file.path for files in files_by_prompt.values() for file in files}
    unasked = tuple(
        FileCoverage(file.path, file.changed_lines, reason=SkipReason.NO_PROMPT)
        for file in selection.reviewed
        if file.path not in named
    )
    due = {path: division for path, division in divisions.items() if path in named}
    return ReviewPlan(tuple(works), files_by_prompt, (*selection.skipped, *unasked), due)


def coverage_of(plan: ReviewPlan, outcomes: Outcomes, snapshot: Snapshot) -> Coverage:
    """Every changed file with what was seen of it, now or before; a work without an outcome was INTERRUPTED.

    Of several prompts that a file is due to, the one that saw the least of it counts.
    """
    least: dict[str, FileCoverage] = {}
    for prompt, files in plan.files_by_prompt.items():
        chunks = (Chunk(_CARRIED, plan.carried), *plan.chunks(prompt))
        by_chunk = {_CARRIED: None, **_by_chunk(outcomes, prompt)}
        for coverage in covered(chunks, files, by_chunk):
            known = least.get(coverage.path)
            if known is None or _seen(coverage) < _seen(known):
                least[coverage.path] = coverage
    return Coverage((*least.values(), *plan.skipped), snapshot.unlisted_files)


def hunks_of(plan: ReviewPlan, outcomes: Outcomes) -> frozenset[str]:
    """The keys of the hunks that every prompt due to them has seen whole, now or before: what a next run need
    not ask about."""
    by_file = dict(plan.divisions)
    answers: dict[str, tuple[bool, ...]] = {}
    for prompt, files in plan.files_by_prompt.items():
        parts_by_path = _by_path(plan.chunks(prompt))
        by_chunk = _by_chunk(outcomes, prompt)
        for file in files:
            new = plan.divisions[file.path].new
            said = answered_hunks(file.path, new, parts_by_path.get(file.path, ()), by_chunk)
            others = answers.get(file.path, (True,) * len(new))
            answers[file.path] = tuple(one and other for one, other in zip(said, others, strict=True))
    for path, said in answers.items():
        by_file[path] = plan.divisions[path].with_answers(said)
    return kept_keys(by_file)


def _divisions(
    files: Sequence[FileDiff], snapshot: Snapshot, config: Config, reviewed: frozenset[str]
) -> dict[str, HunkSplit]:
    times = Counter(file.path for file in files)
    divisions: dict[str, HunkSplit] = {}
    for file in files:
        if times[file.path] > 1:  # a list that changed while it was read: nobody knows which of them holds
            divisions[file.path] = HunkSplit((), ())
        else:
            divisions[file.path] = divided(_under_known_names(file, snapshot, config), reviewed)
    return divisions


def _under_known_names(file: FileDiff, snapshot: Snapshot, config: Config) -> FileDiff:
    """Without its old name where other prompts or instructions speak of that: else a rename would be a way
    around a prompt."""
    old = file.old_path
    if old is None:
        return file
    same = all(_applies(prompt, old) == _applies(prompt, file.path) for prompt in config.reviewing) and all(
        matches(said.apply_to, old) == matches(said.apply_to, file.path) for said in snapshot.instructions
    )
    return file if same else replace(file, old_path=None)


def _without_carried(file: FileDiff, division: HunkSplit) -> FileDiff:
    return replace(file, hunks=division.new) if any(division.known) else file


def _applies(prompt: PromptSettings, path: str) -> bool:
    return not prompt.paths or matches(prompt.paths, path)


def _by_chunk(outcomes: Outcomes, prompt: str) -> dict[int, SkipReason | None]:
    return {index: reason for (name, index), reason in outcomes.items() if name == prompt}


def _by_path(chunks: Sequence[Chunk]) -> dict[str, tuple[Chunk, ...]]:
    """The chunks that show something of each file."""
    found: dict[str, list[Chunk]] = {}
    for chunk in chunks:
        for path in dict.fromkeys(part.file.path for part in chunk.parts):
            found.setdefault(path, []).append(chunk)
    return {path: tuple(those) for path, those in found.items()}


def _seen(coverage: FileCoverage) -> tuple[int, bool]:
    return coverage.reviewed_lines, coverage.reason is None

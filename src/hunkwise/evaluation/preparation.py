"""Prepares a case: its commits, its review request and its prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.pull_request import Instructions, PullRequest, SearchableCommit, Snapshot
from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.evaluation.dataset import DIFF, Case
from hunkwise.evaluation.golden import GoldenFinding
from hunkwise.flows.review import PreparedReview, ReviewInput, ReviewRequest, prepare
from hunkwise.publish.placement import resolve_anchor
from hunkwise.settings.config import Config

_SECONDS: Final = 60.0
"""Time to render the texts of one prompt; no run's deadline applies here."""


class CommitStore(Protocol):
    """Creates and reads commits; see repository.trees."""

    def commit(self, files: Mapping[str, tuple[bytes, bool]], parent: str | None = None) -> str: ...

    def apply(self, base: str, diff: bytes) -> str: ...

    def diff(self, base: str, head: str) -> tuple[FileDiff, ...]: ...

    def at(self, sha: str) -> SearchableCommit: ...


@dataclass(frozen=True)
class EvalSettings:
    """The configuration, templates and instructions for all cases, from the checkout where the command runs."""

    config: Config
    templates: dict[str, str] = field(default_factory=dict)
    instructions: tuple[Instructions, ...] = ()
    demo: bool = False


@dataclass(frozen=True)
class ReadyCase:
    """A case as the input of a review, and its prepared questions."""

    case: Case
    ready: ReviewInput
    prepared: PreparedReview


def make_ready(cases: Sequence[Case], rules: EvalSettings, store: CommitStore) -> tuple[ReadyCase, ...]:
    """Prepares all cases.

    Raises SettingsError with all faults: diffs that do not apply, goldens that are not in the change, templates that
    fail.
    """
    inputs: list[tuple[Case, ReviewInput]] = []
    faults: list[str] = []
    for case in cases:
        try:
            ready = _review_input(case, rules, store)
        except RepositoryError as error:
            where = case.where.rpartition("/")[0]
            path = f"{where}/{DIFF}" if case.diff else where
            faults.append(f"{path}: {error.message[:500]} {_REMAKE if case.diff else ''}".rstrip())
        else:
            faults += _golden_faults(case, ready.request.snapshot.files)
            inputs.append((case, ready))
    if faults:
        raise SettingsError(faults)
    return tuple(ReadyCase(case, ready, _prepare(case, ready)) for case, ready in inputs)


_REMAKE: Final = "Make it again with `git diff`, against the files in base/ where there are any."


def _prepare(case: Case, ready: ReviewInput) -> PreparedReview:
    try:
        return prepare(ready.request, lambda: _SECONDS, ready.code)
    except SettingsError as error:
        raise SettingsError([f'{fault} (over the case "{case.name}")' for fault in error.faults]) from error


def _review_input(case: Case, rules: EvalSettings, store: CommitStore) -> ReviewInput:
    base = store.commit(case.base)
    head = store.apply(base, case.diff) if case.head is None else store.commit(case.head, base)
    texts = case.golden.pull_request
    pull_request = PullRequest(
        # No value depends on the machine or the time, so that the prompts are always the same.
        repository=f"cases/{case.name}",
        number=1 if texts else 0,
        title=texts.title if texts else "",
        body=texts.body if texts else "",
        author="author" if texts else "",
        base="main",
        base_sha=base,
        head="change",
        head_sha=head,
    )
    snapshot = Snapshot(pull_request, store.diff(base, head), instructions=rules.instructions)
    request = ReviewRequest(
        snapshot, rules.config, rules.templates, local=texts is None, demo=rules.demo, full=True
    )
    return ReviewInput(request, store.at(head), store.at(base))


def _golden_faults(case: Case, files: Iterable[FileDiff]) -> list[str]:
    """Returns the faults of goldens that are not in the change: no finding could ever match them."""
    files_by_path = by_path(files)
    if not files_by_path:
        return [f"{case.where}: the case changes nothing: base and head are the same"]
    faults = []
    for index, golden in enumerate(case.golden.findings):
        if fault := _golden_fault(golden, files_by_path):
            faults.append(f"{case.where}: findings[{index}]: {fault}")
    return faults


def _golden_fault(golden: GoldenFinding, files: Mapping[str, FileDiff]) -> str | None:
    file = files.get(golden.path)
    side = Side(golden.side)
    if file is not None and any(number in golden.lines for number in file.lines_by_side[side]):
        return None
    anchor = resolve_anchor(golden.path, golden.line, None, side, files)
    if isinstance(anchor, str):
        return anchor
    return f"{golden.path} is the name before the change; write the one at the head, {anchor.path}"

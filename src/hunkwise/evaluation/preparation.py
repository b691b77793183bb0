"""Prepares a case: its commits, its request and its prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hunkwise.domain.command import Command, CommandWord
from hunkwise.domain.diff import FileDiff, by_path
from hunkwise.domain.pull_request import Instructions, PullRequest, Reply, SearchableCommit, Snapshot, Thread
from hunkwise.errors import RepositoryError, SettingsError
from hunkwise.evaluation.dataset import DIFF, Case
from hunkwise.evaluation.golden import CodePlace, Golden, places_of
from hunkwise.evaluation.question import ExpectedAnswer, ThreadText
from hunkwise.flows.answering import AnswerRequest, prepare_answer
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
    min_confidence: float = 0.0
    """The confidence, 0..1, below which findings do not count; findings without one do. Models are asked alike."""


@dataclass(frozen=True)
class ReadyCase:
    """A case as the input of a review, and what is asked about it."""

    case: Case
    ready: ReviewInput
    prepared: PreparedReview | AnswerRequest
    """The questions of a review, or the request for an answer."""

    @property
    def asks(self) -> bool:
        """Whether a model is asked."""
        return isinstance(self.prepared, AnswerRequest) or bool(self.prepared.plan.tasks)


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


def _prepare(case: Case, ready: ReviewInput) -> PreparedReview | AnswerRequest:
    try:
        if isinstance(case.golden, ExpectedAnswer):
            request = _answer_request(case.golden, ready)
            prepare_answer(
                request, lambda: _SECONDS
            )  # raises the faults of a template before a model is asked
            return request
        return prepare(ready.request, lambda: _SECONDS, ready.code)
    except SettingsError as error:
        raise SettingsError([f'{fault} (over the case "{case.name}")' for fault in error.faults]) from error


def _review_input(case: Case, rules: EvalSettings, store: CommitStore) -> ReviewInput:
    base = store.commit(case.base)
    head = store.apply(base, case.diff) if case.head is None else store.commit(case.head, base)
    texts, asks = case.golden.pull_request, isinstance(case.golden, ExpectedAnswer)
    pull_request = PullRequest(
        # No value depends on the machine or the time, so that the prompts are always the same.
        repository=f"cases/{case.name}",
        number=1 if texts or asks else 0,
        title=texts.title if texts else "",
        body=texts.body if texts else "",
        author=_AUTHOR if texts or asks else "",
        base="main",
        base_sha=base,
        head="change",
        head_sha=head,
    )
    snapshot = Snapshot(pull_request, store.diff(base, head), instructions=rules.instructions)
    request = ReviewRequest(
        snapshot, rules.config, rules.templates, local=texts is None and not asks, demo=rules.demo, full=True
    )
    return ReviewInput(request, store.at(head), store.at(base))


_US: Final = "hunkwise"
_WRITER: Final = "writer"
_AUTHOR: Final = "author"
_LOGINS: Final = {"us": _US, "writer": _WRITER, "author": _AUTHOR, "other": "somebody"}


def _answer_request(expected: ExpectedAnswer, ready: ReviewInput) -> AnswerRequest:
    request = ready.request
    return AnswerRequest(
        Command(CommandWord(expected.command), expected.question),
        request.snapshot,
        request.config,
        request.templates,
        ready.code,
        _thread(expected.thread) if expected.thread else None,
        writers=frozenset({_WRITER}),
    )


def _thread(text: ThreadText) -> Thread:
    first, *replies = text.comments
    return Thread(
        text.path,
        text.lines[-1],
        text.side_of_diff,
        _LOGINS[first.by],
        first.text,
        ours=first.by == "us",
        replies=tuple(Reply(_LOGINS[reply.by], reply.text, ours=reply.by == "us") for reply in replies),
        start_line=text.line if len(text.lines) > 1 else None,
    )


def _golden_faults(case: Case, files: Iterable[FileDiff]) -> list[str]:
    """Returns the faults of places that are not in the change: no finding could ever match them, and no thread be
    there."""
    files_by_path = by_path(files)
    if not files_by_path:
        return [f"{case.where}: the case changes nothing: base and head are the same"]
    return [
        f"{case.where}: {key}: {fault}"
        for key, place in _places(case.golden).items()
        if (fault := _place_fault(place, files_by_path))
    ]


def _places(golden: Golden | ExpectedAnswer) -> dict[str, CodePlace]:
    """Returns the places in the case's file, by their keys in it."""
    if isinstance(golden, ExpectedAnswer):
        return {"thread": golden.thread} if golden.thread else {}
    return places_of(golden)


def _place_fault(place: CodePlace, files: Mapping[str, FileDiff]) -> str | None:
    file = files.get(place.path)
    side = place.side_of_diff
    if file is not None and any(number in place.lines for number in file.lines_by_side[side]):
        return None
    anchor = resolve_anchor(place.path, place.line, None, side, files)
    if isinstance(anchor, str):
        return anchor
    return f"{place.path} is the name before the change; write the one at the head, {anchor.path}"

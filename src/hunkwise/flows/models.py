"""Chooses the model for each question, limits its budget, and falls back to the next model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from hunkwise.domain.model import Budget, Limits, Question
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings


async def run_all(
    coroutines: Iterable[Coroutine[Any, Any, None] | asyncio.Task[None]], interrupted: asyncio.Event
) -> None:
    """Runs all coroutines; cancels the unfinished ones on an interruption. Raises what one of them raised."""
    tasks = [asyncio.ensure_future(work) for work in coroutines]
    try:
        await wait_unless(interrupted, asyncio.gather(*tasks, return_exceptions=True))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()  # raises a programming error instead of hiding it


async def wait_unless(
    interrupted: asyncio.Event, work: asyncio.Future[Any], seconds: float | None = None
) -> None:
    """Waits until `work` is done, an interruption, or the end of the time, whichever is first."""
    stop = asyncio.create_task(interrupted.wait())
    awaited: set[asyncio.Future[Any]] = {work, stop}
    try:
        await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()


_RESERVE = 5
"""One fifth of the budget is reserved for verification."""
_MIN_CALLS_FOR_SUMMARY = 10
"""Model calls of a run from which one of them is reserved for the summary."""
SUMMARY = Limits(max_model_calls=3)
ANSWER = Limits(max_model_calls=15)


class Budgets:
    """Creates the budgets of questions; all of them spend from the run's budget."""

    def __init__(self, config: Config) -> None:
        self.run = Budget(config.max_model_calls, config.max_tokens, config.max_credits)
        self._verify_limits = config.verify_budget.limits
        spare = 1 if config.summary != "off" and config.max_model_calls >= _MIN_CALLS_FOR_SUMMARY else 0
        self._without_summary = self.run.part(_reduce(self.run.limits, spare, verify=False), _RESERVED)
        reduced = _reduce(self.run.limits, spare, verify=config.verify != "off")
        self._questions = self._without_summary.part(reduced, _RESERVED)
        self._prompts: dict[str, Budget] = {}

    def chunk(self, prompt: PromptSettings) -> Budget:
        """Returns the budget of one question of a prompt about one chunk."""
        if prompt.name not in self._prompts:
            of = f' of the prompt "{prompt.name}"'
            self._prompts[prompt.name] = self._questions.part(prompt.budget.limits, of)
        return self._prompts[prompt.name].part(
            prompt.chunk_budget.limits, f' of a chunk of the prompt "{prompt.name}"'
        )

    def verification(self, prompt: PromptSettings) -> Budget:
        """Returns the budget of all questions of the verification."""
        whole = self._without_summary.part(self._verify_limits, " of the double-check")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')

    def summary(self, prompt: PromptSettings) -> Budget:
        """Returns the budget of the one question of the summary."""
        whole = self.run.part(SUMMARY, " of the summary")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')

    def answer(self, prompt: PromptSettings) -> Budget:
        """Returns the budget of the answer to a command."""
        whole = self.run.part(ANSWER, " of an answer")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')


_RESERVED = " of the run, less what is kept for later,"


def require_budget(budget: Budget) -> Budget:
    """Returns the same budget. Raises ModelError (BUDGET) if it is used up, before a prompt is rendered for it."""
    if budget.exhausted:
        raise ModelError(ModelKind.BUDGET, f"The budget ran out: {budget.why}.")
    return budget


def _reduce(limits: Limits, spare: int, *, verify: bool) -> Limits:
    """Returns the limits less what is reserved for later; None for each limit of which nothing is reserved."""
    calls, tokens, credits_ = limits.max_model_calls, limits.max_tokens, limits.max_credits
    kept_calls = spare + (calls // _RESERVE if verify and calls is not None else 0)
    kept_tokens = tokens // _RESERVE if verify and tokens is not None else 0
    return Limits(
        calls - kept_calls if kept_calls and calls is not None else None,
        tokens - kept_tokens if kept_tokens and tokens is not None else None,
        credits_ * (1 - 1 / _RESERVE) if verify and credits_ is not None else None,
    )


logger = logging.getLogger(__name__)
_FALLBACK_KINDS = frozenset({ModelKind.UNAVAILABLE_MODEL, ModelKind.RATE_LIMIT})
"""Failures of one model that another one may not have."""


class Model(Protocol):
    """Answers questions through report tools; see copilot.session.Copilot."""

    @property
    def usage(self) -> Usage: ...

    @property
    def spent(self) -> Mapping[str, Usage]: ...

    async def ask(self, question: Question) -> None: ...


class ModelFallback:
    """Asks the first model until it fails permanently, then uses the next one for the rest of the run."""

    def __init__(self, model: Model, names: Sequence[str | None]) -> None:
        """`names`: model ids, at least one; None leaves the choice to the backend."""
        self._model = model
        self._names = tuple(names)
        self._current = 0
        self.changes: tuple[str, ...] = ()
        """One sentence for each model that failed, with the reason."""

    def after(self, first: str | None) -> ModelFallback:
        """Returns an independent fallback for later questions: `first`, if given, then the models that did not fail."""
        remaining = self._names[self._current :]
        if first is None:
            return ModelFallback(self._model, remaining)
        return ModelFallback(self._model, (first, *(name for name in remaining if name != first)))

    async def ask(self, question: Question) -> None:
        """Asks as `Model.ask`; what a model reported before it failed is kept. Raises ModelError."""
        while True:
            index = self._current
            has_next = index + 1 < len(self._names)
            try:
                await self._model.ask(replace(question, model=self._names[index], impatient=has_next))
                return
            except ModelError as error:
                if question.tool.answered() or error.kind not in _FALLBACK_KINDS or not has_next:
                    raise
                self._move_on(index, error)

    def _move_on(self, failed: int, error: ModelError) -> None:
        """Selects the next model, once for all questions that fail with the same model at the same time."""
        if self._current != failed:
            return
        self._current += 1
        name, successor = self._names[failed], self._names[self._current]
        note = f'The model "{name}" was left for "{successor}" ({error.kind}): {error.message}'
        logger.warning("%s", note)
        self.changes += (note,)


def other_models(requested: Sequence[str | None], usage: Usage) -> tuple[str, ...]:
    """Returns a note if a model answered that was not requested: the CLI silently replaces an unavailable one."""
    names = [name for name in requested if name is not None]
    if len(names) < len(requested):
        return ()
    others = [model for model in usage.models if not any(_is_same_model(model, name) for name in names)]
    if not others:
        return ()
    subject = f'The model "{names[0]}" was' if len(names) == 1 else f"The models {', '.join(names)} were"
    return (f"{subject} asked for, and {', '.join(others)} answered.",)


def _is_same_model(model: str, name: str) -> bool:
    return model.startswith(name) or name.startswith(model)

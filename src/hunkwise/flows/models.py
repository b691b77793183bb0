"""Which model is asked, what it may spend, and which one takes its place."""

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


async def together(works: Iterable[Coroutine[Any, Any, None]], interrupted: asyncio.Event) -> None:
    """Waits for all; on an interruption those that still run are cancelled. Raises what one of them raised."""
    tasks = [asyncio.create_task(work) for work in works]
    everything = asyncio.gather(*tasks, return_exceptions=True)
    stop = asyncio.create_task(interrupted.wait())
    either: set[asyncio.Future[Any]] = {everything, stop}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()  # a fault of our own is raised here, not swallowed


_RESERVE = 5
"""One part in so many is kept for the second opinion."""
_ENOUGH_FOR_A_SUMMARY = 10
"""Model calls of a run from which on one of them is kept for the summary."""
SUMMARY = Limits(max_model_calls=3)


class Budgets:
    """Hands out budgets; all of them spend from the run's."""

    def __init__(self, config: Config) -> None:
        self.run = Budget(config.max_model_calls, config.max_tokens, config.max_credits)
        self._verify_limits = config.verify_budget.limits
        spare = 1 if config.summary != "off" and config.max_model_calls >= _ENOUGH_FOR_A_SUMMARY else 0
        self._without_summary = self.run.part(_less(self.run.limits, spare, verify=False), _KEPT)
        kept = _less(self.run.limits, spare, verify=config.verify != "off")
        self._questions = self._without_summary.part(kept, _KEPT)
        self._prompts: dict[str, Budget] = {}

    def chunk(self, prompt: PromptSettings) -> Budget:
        """For one question of a prompt over one chunk."""
        if prompt.name not in self._prompts:
            of = f' of the prompt "{prompt.name}"'
            self._prompts[prompt.name] = self._questions.part(prompt.budget.limits, of)
        return self._prompts[prompt.name].part(
            prompt.chunk_budget.limits, f' of a chunk of the prompt "{prompt.name}"'
        )

    def verification(self, prompt: PromptSettings) -> Budget:
        """For all questions of the second opinion."""
        whole = self._without_summary.part(self._verify_limits, " of the second opinion")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')

    def summary(self, prompt: PromptSettings) -> Budget:
        """For the one question of the summary."""
        whole = self.run.part(SUMMARY, " of the summary")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')


_KEPT = " of the run, less what is kept for later,"


def with_something_left(budget: Budget) -> Budget:
    """The same budget, so that no prompt is written in vain. Raises ModelError (BUDGET) where it is used up."""
    if budget.exhausted:
        raise ModelError(ModelKind.BUDGET, f"The budget ran out: {budget.why}.")
    return budget


def _less(limits: Limits, spare: int, *, verify: bool) -> Limits:
    """The run's limits without what is kept for later; none of those of which nothing is kept."""
    calls, tokens, credits_ = limits.max_model_calls, limits.max_tokens, limits.max_credits
    kept_calls = spare + (calls // _RESERVE if verify and calls is not None else 0)
    kept_tokens = tokens // _RESERVE if verify and tokens is not None else 0
    return Limits(
        calls - kept_calls if kept_calls and calls is not None else None,
        tokens - kept_tokens if kept_tokens and tokens is not None else None,
        credits_ * (1 - 1 / _RESERVE) if verify and credits_ is not None else None,
    )


logger = logging.getLogger(__name__)
_NEXT = frozenset({ModelKind.UNAVAILABLE_MODEL, ModelKind.RATE_LIMIT})
"""Failures of one model that another one need not share."""


class Model(Protocol):
    """Whoever answers questions through reports; see copilot.session.Copilot."""

    @property
    def usage(self) -> Usage: ...

    @property
    def spent(self) -> Mapping[str, Usage]: ...

    async def ask(self, question: Question) -> None: ...


class ModelFallback:
    """Asks the first model until it fails for good, then the next: for the rest of the run."""

    def __init__(self, model: Model, names: Sequence[str | None]) -> None:
        """`names`: model ids, at least one; None is the choice of whoever answers."""
        self._model = model
        self._names = tuple(names)
        self._current = 0
        self.changes: tuple[str, ...] = ()
        """One sentence for each model that had to be left, and why."""

    def after(self, first: str | None) -> ModelFallback:
        """A lineup of its own for what is asked next: `first`, if there is one, then those that were not left."""
        rest = self._names[self._current :]
        return ModelFallback(
            self._model, rest if first is None else (first, *(name for name in rest if name != first))
        )

    async def ask(self, question: Question) -> None:
        """As `Model.ask`; what was reported before a model failed stays reported. Raises ModelError."""
        while True:
            asked = self._current
            more = asked + 1 < len(self._names)
            try:
                await self._model.ask(replace(question, model=self._names[asked], impatient=more))
                return
            except ModelError as error:
                if question.tool.answered() or error.kind not in _NEXT or not more:
                    raise
                self._leave(asked, error)

    def _leave(self, asked: int, error: ModelError) -> None:
        """Of many questions that fail at once the first one moves on; the others follow."""
        if self._current != asked:
            return
        self._current += 1
        name, follower = self._names[asked], self._names[self._current]
        said = f'The model "{name}" was left for "{follower}" ({error.kind}): {error.message}'
        logger.warning("%s", said)
        self.changes += (said,)

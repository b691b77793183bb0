"""Who is asked: the models in their order, the next one where one is gone, retired or rate-limited."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from hunkwise.domain.outcome import Usage
from hunkwise.domain.question import Question
from hunkwise.errors import ModelError, ModelKind

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


class Lineup:
    """Asks the first model until it fails for good, then the next: for the rest of the run."""

    def __init__(self, model: Model, names: Sequence[str | None]) -> None:
        """`names`: model ids, at least one; None is the choice of whoever answers."""
        self._model = model
        self._names = tuple(names)
        self._current = 0
        self.changes: tuple[str, ...] = ()
        """One sentence for each model that had to be left, and why."""

    def after(self, first: str | None) -> Lineup:
        """A lineup of its own for what is asked next: `first`, if there is one, then those that were not left."""
        rest = self._names[self._current :]
        return Lineup(
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

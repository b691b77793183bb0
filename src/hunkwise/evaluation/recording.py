"""A model whose answers are written down as they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from hunkwise.domain.outcome import Usage
from hunkwise.domain.question import Question, Reply
from hunkwise.errors import ModelError, ModelKind
from hunkwise.evaluation.keys import part_digests, request_key
from hunkwise.evaluation.tape import Answer, SaidUsage, Tape
from hunkwise.flows.lineup import Model
from hunkwise.publish.secrets import SecretScan, without_secrets


class Recorder:
    """Asks a real model, and keeps on a tape what it reported and what it cost."""

    def __init__(self, fresh: Callable[[], Model], tape: Tape, scan: SecretScan) -> None:
        """`fresh` gives a model that nobody has asked yet: one a question, so that each one's cost is its own."""
        self._scan = scan
        self._fresh = fresh
        self._tape = tape
        self.spent: dict[str, Usage] = {}

    @property
    def usage(self) -> Usage:
        return sum(self.spent.values(), Usage())

    async def ask(self, question: Question) -> None:
        """As the real model. A question that was broken off is not kept: nobody knows what it would have said."""
        calls: list[object] = []
        take = question.tool.take

        def taken(arguments: object) -> Reply:
            # Without secrets here as well: the questions that follow are made of it, and must be the same again.
            said = without_secrets(arguments, self._scan)
            calls.append(json.loads(json.dumps(said)))  # as it was: whoever takes it may change it
            return take(said)

        model = self._fresh()
        failed: ModelKind | None = None
        try:
            await model.ask(replace(question, tool=replace(question.tool, take=taken)))
        except ModelError as error:
            failed = error.kind
            self._keep(question, calls, model.usage, failed)
            raise
        else:
            self._keep(question, calls, model.usage, failed)
        finally:
            spent = self.spent.get(question.purpose, Usage())
            self.spent[question.purpose] = spent + model.usage

    def _keep(self, question: Question, calls: list[object], usage: Usage, failed: ModelKind | None) -> None:
        said = SaidUsage(**asdict(usage))
        answer = Answer(
            purpose=question.purpose,
            parts=part_digests(question),
            calls=tuple(calls),
            usage=said,
            failed=failed,
        )
        self._tape.put(request_key(question), answer)

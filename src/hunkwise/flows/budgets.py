"""The run's budget, cut into its parts: the questions over the diff, the second opinion, the summary."""

from __future__ import annotations

from hunkwise.domain.limits import Budget, Limits
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import PromptSettings

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

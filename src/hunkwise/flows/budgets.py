"""The run's budget, cut into its parts: the questions over the diff, the second opinion, the summary."""

from __future__ import annotations

from hunkwise.domain.limits import Budget, Limits
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
        self._questions = self.run.part(_less(self.run.limits, spare, verify=config.verify != "off"), _KEPT)
        self._verification = self.run.part(_less(self.run.limits, spare, verify=False), _KEPT)
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
        whole = self._verification.part(self._verify_limits, " of the second opinion")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')

    def summary(self, prompt: PromptSettings) -> Budget:
        """For the one question of the summary."""
        whole = self.run.part(SUMMARY, " of the summary")
        return whole.part(prompt.budget.limits, f' of the prompt "{prompt.name}"')


_KEPT = " of the run, less what is kept for later"


def _less(limits: Limits, spare: int, *, verify: bool) -> Limits:
    """The run's limits without what is kept for later."""

    def kept(most: int) -> int:
        return most // _RESERVE if verify else 0

    calls, tokens, credits_ = limits.max_model_calls, limits.max_tokens, limits.max_credits
    return Limits(
        None if calls is None else calls - spare - kept(calls),
        None if tokens is None else tokens - kept(tokens),
        None if credits_ is None else credits_ * (1 - 1 / _RESERVE) if verify else credits_,
    )

"""A prompt request to a model, with the budget and the deadline that bound it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TOOL_CALLS_PER_MODEL_CALL = 10
"""Read-only calls that one model call may bring on average over the run."""
MAX_DENIALS = 60
"""Refused permissions in a run; a model that keeps asking has been talked into something."""
NANO = 1_000_000_000
"""Billionths of an AI credit in one: usage is told in them, and adds up exactly."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds."""

    at: float
    clock: Callable[[], float]

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock())


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent at the most; None is no limit of its own."""

    max_model_calls: int | None = None
    max_tokens: int | None = None
    """Tokens in and out."""
    max_credits: float | None = None
    """AI credits."""


class Budget:
    """Counts down what the models may still cost. Asked before each call, so model calls are never overrun.

    A budget within another one spends from both: the run's holds the prompts', theirs the chunks'.
    """

    def __init__(
        self,
        max_model_calls: int | None = None,
        max_tokens: int | None = None,
        max_credits: float | None = None,
        *,
        of: str = "",
        within: Budget | None = None,
    ) -> None:
        """`of`: whose limits these are, for a reader: ` of the prompt "security"`, say; the run's is empty."""
        self.limits = Limits(max_model_calls, max_tokens, max_credits)
        self._of = of
        self._within = within
        self.model_calls = 0
        self.tokens = 0
        self.nano_credits = 0
        self.tool_calls = 0
        self.denials = 0

    def part(self, limits: Limits, of: str) -> Budget:
        """A budget within this one."""
        return Budget(limits.max_model_calls, limits.max_tokens, limits.max_credits, of=of, within=self)

    def take_model_call(self) -> bool:
        """Whether one more model call is allowed; counts it if so."""
        if self.exhausted:
            return False
        for budget in self._chain():
            budget.model_calls += 1
        return True

    def give_back(self, model_calls: int) -> None:
        """Returns calls that were taken and never made."""
        for budget in self._chain():
            budget.model_calls -= model_calls

    def spend(self, tokens: int, nano_credits: int) -> None:
        """Counts what a call has cost."""
        for budget in self._chain():
            budget.tokens += tokens
            budget.nano_credits += nano_credits

    def take_tool_call(self) -> bool:
        """Whether one more tool call is allowed; counts it if so."""
        *_, run = self._chain()
        run.tool_calls += 1
        most = run.limits.max_model_calls
        return most is None or run.tool_calls <= most * TOOL_CALLS_PER_MODEL_CALL

    def take_denial(self) -> bool:
        """Whether the run may go on after one more refused permission."""
        *_, run = self._chain()
        run.denials += 1
        return run.denials <= MAX_DENIALS

    @property
    def exhausted(self) -> bool:
        return bool(self.why)

    @property
    def why(self) -> str:
        """What ran out, for a reader; empty while nothing did."""
        return next((said for budget in self._chain() if (said := budget._spent())), "")

    def _chain(self) -> Iterator[Budget]:
        """This budget and those around it, up to the run's."""
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._within

    def _spent(self) -> str:
        limits = self.limits
        if limits.max_tokens is not None and self.tokens >= limits.max_tokens:
            return f"max-tokens ({limits.max_tokens:,}){self._of} is used up"
        if limits.max_credits is not None and self.nano_credits >= limits.max_credits * NANO:
            return f"max-credits ({limits.max_credits:g}){self._of} is used up"
        if limits.max_model_calls is not None and self.model_calls >= limits.max_model_calls:
            return f"max-model-calls ({limits.max_model_calls:,}){self._of} is used up"
        return ""


READING_TOOLS = ("repo_read", "repo_search", "repo_list")
"""The tools by which a model may look at the repository at the head of the change."""


@dataclass(frozen=True, slots=True)
class ToolReply:
    """What a report is answered with. `accepted` ends the model's turn; else it may mend its call."""

    text: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class ReportTool:
    """The tool that ends a question: what the model is told of it, and who stands behind it."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(repr=False)
    """JSON Schema of the arguments."""
    take: Callable[[object], ToolReply]
    """Sees each call's arguments as the model gave them."""
    answered: Callable[[], bool]
    """Whether nothing more is asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt for one fresh session."""

    purpose: str
    """The name of the prompt that asks: its cost is counted under it."""
    system: str = field(repr=False)
    prompt: str = field(repr=False)
    tool: ReportTool
    budget: Budget
    reading: tuple[str, ...] = READING_TOOLS
    """Which of READING_TOOLS are offered."""
    model: str | None = None
    """Model id; None is the choice of whoever answers."""
    impatient: bool = False
    """Another model could be asked: a rate limit is then not waited for."""

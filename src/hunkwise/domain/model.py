"""A request to a model, with its budget and deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

TOOL_CALLS_PER_MODEL_CALL = 10
"""Limit of read-only tool calls per model call, on average over the run."""
MAX_DENIALS = 60
"""Limit of refused permissions in a run: a model that keeps asking is probably under prompt injection."""
NANO = 1_000_000_000
"""Nano-credits in an AI credit: usage is reported in them, as integers that add up exactly."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds."""

    at: float
    clock: Callable[[], float]

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock())


PUBLISHING_SECONDS: Final = 30.0
"""Reserved for publishing, of the run's time, if that is at least five minutes."""
_PUBLISHING_SHARE = 0.1


class Deadlines:
    """Deadlines on a monotonic clock, in seconds. They move when `minutes` is set to the configuration's `deadline`."""

    def __init__(
        self, started: float, minutes: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._started = started
        self._clock = clock
        self.minutes = minutes

    @property
    def asking_ends(self) -> float:
        """When reading, preparing and asking end. The findings so far are published then."""
        seconds = self.minutes * 60
        return self._started + seconds - min(PUBLISHING_SECONDS, seconds * _PUBLISHING_SHARE)

    def seconds_to_ask(self) -> float:
        """Returns the seconds until `asking_ends`; negative after it."""
        return self.asking_ends - self._clock()

    def seconds_left(self) -> float:
        """Returns the seconds until the deadline, at least 0: no request waits for its turn after it."""
        return max(0.0, self._started + self.minutes * 60 - self._clock())

    def last_seconds(self) -> float:
        """Returns the seconds until the last moment to send or read: the deadline, or later where publishing would
        get less than thirty seconds."""
        return max(0.0, self.asking_ends + PUBLISHING_SECONDS - self._clock())


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be spent; None means no separate limit."""

    max_model_calls: int | None = None
    max_tokens: int | None = None
    """Tokens in and out."""
    max_credits: float | None = None
    """AI credits."""


class Budget:
    """Counts what the models cost. It is checked before each call, so the limit of model calls is never exceeded.

    A nested budget spends from its parents too: the run's contains the prompts', and theirs contain the chunks'.
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
        """`of` names the owner in messages, for example ` of the prompt "security"`; it is empty for the run."""
        self.limits = Limits(max_model_calls, max_tokens, max_credits)
        self._of = of
        self._within = within
        self.model_calls = 0
        self.tokens = 0
        self.nano_credits = 0
        self.tool_calls = 0
        self.denials = 0

    def part(self, limits: Limits, of: str) -> Budget:
        """Returns a nested budget, which also spends from this one."""
        return Budget(limits.max_model_calls, limits.max_tokens, limits.max_credits, of=of, within=self)

    def take_model_call(self) -> bool:
        """Returns True and counts a model call if one more is allowed."""
        if self.exhausted:
            return False
        for budget in self._chain():
            budget.model_calls += 1
        return True

    def give_back(self, model_calls: int) -> None:
        """Takes back model calls that were counted and not made."""
        for budget in self._chain():
            budget.model_calls -= model_calls

    def spend(self, tokens: int, nano_credits: int) -> None:
        """Counts the cost of a call."""
        for budget in self._chain():
            budget.tokens += tokens
            budget.nano_credits += nano_credits

    def take_tool_call(self) -> bool:
        """Counts a tool call; returns False if it is above the limit."""
        *_, run = self._chain()
        run.tool_calls += 1
        max_model_calls = run.limits.max_model_calls
        return max_model_calls is None or run.tool_calls <= max_model_calls * TOOL_CALLS_PER_MODEL_CALL

    def take_denial(self) -> bool:
        """Counts a refused permission; returns False if the run must stop."""
        *_, run = self._chain()
        run.denials += 1
        return run.denials <= MAX_DENIALS

    def covers(self, model_calls: int) -> bool:
        """Returns whether that many further calls are certainly allowed: no limit but that of calls is set."""
        return all(
            budget.limits.max_tokens is None
            and budget.limits.max_credits is None
            and (
                budget.limits.max_model_calls is None
                or budget.limits.max_model_calls - budget.model_calls >= model_calls
            )
            for budget in self._chain()
        )

    @property
    def exhausted(self) -> bool:
        return bool(self.why)

    @property
    def why(self) -> str:
        """The limit that is used up, as a message; empty if none is."""
        return next((message for budget in self._chain() if (message := budget._exhausted_limit())), "")

    def _chain(self) -> Iterator[Budget]:
        """Yields this budget and its parents, up to the run's."""
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._within

    def _exhausted_limit(self) -> str:
        limits = self.limits
        if limits.max_tokens is not None and self.tokens >= limits.max_tokens:
            return f"max-tokens ({limits.max_tokens:,}){self._of} is used up"
        if limits.max_credits is not None and self.nano_credits >= limits.max_credits * NANO:
            return f"max-credits ({limits.max_credits:g}){self._of} is used up"
        if limits.max_model_calls is not None and self.model_calls >= limits.max_model_calls:
            return f"max-model-calls ({limits.max_model_calls:,}){self._of} is used up"
        return ""


READING_TOOLS = ("repo_read", "repo_search", "repo_list")
"""The tools that let a model read the repository at the head of the change."""
BUILT_IN_PROMPTS = ("review", "security", "tests", "performance", "api", "docs", "audit")
"""Prompts that review the diff and are built in: they need no template in the repository."""
ANSWER_PROMPTS = ("answer", "explain")
"""Built-in prompts that answer commands in comments."""
STAGE_PROMPTS = ("verify", "summary", *ANSWER_PROMPTS)
"""Built-in prompts that do not review the diff: those that run after the others, if `verify` and `summary` of the
configuration enable them, and ANSWER_PROMPTS."""
PARTIALS = ("prove", "tools", "severity", "writing", "change", "files", "threads", "instructions", "part")
"""Partials that the built-in prompts share; the configuration can replace each of them."""


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The reply to a call of the report tool. If `accepted`, the model's turn ends; otherwise it can fix its call."""

    text: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class ReportTool:
    """The tool that the model reports its answer with: its definition for the model, and the functions behind it."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(repr=False)
    """JSON Schema of the arguments."""
    take: Callable[[object], ToolReply]
    """Called with the arguments of each call, as the model sent them."""
    answered: Callable[[], bool]
    """Returns True if the answer is complete."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt, which is sent in a new session."""

    purpose: str
    """The prompt's name; the cost is counted under it."""
    system: str = field(repr=False)
    prompt: str = field(repr=False)
    tool: ReportTool
    budget: Budget
    reading: tuple[str, ...] = READING_TOOLS
    """Which of READING_TOOLS are offered."""
    model: str | None = None
    """Model id; None leaves the choice to the provider."""
    impatient: bool = False
    """Do not wait for a rate limit to end, because another model can be asked."""

"""The two things that a run may use up: its time and its budget. One of each for the whole run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

TOOL_CALLS_PER_MODEL_CALL = 10
"""Read-only calls that one model call may bring on average over the run."""
MAX_DENIALS = 60
"""Refused permissions in a run; a model that keeps asking has been talked into something."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock, in seconds."""

    at: float
    clock: Callable[[], float]

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock())


@dataclass(slots=True)
class Budget:
    """Counts down what the models may still cost. Asked before each call, so it is never overrun."""

    max_model_calls: int
    max_tokens: int | None = None
    model_calls: int = field(default=0, init=False)
    tokens: int = field(default=0, init=False)
    tool_calls: int = field(default=0, init=False)
    denials: int = field(default=0, init=False)

    def take_model_call(self) -> bool:
        """Whether one more model call is allowed; counts it if so."""
        if self.exhausted:
            return False
        self.model_calls += 1
        return True

    def take_tool_call(self) -> bool:
        """Whether one more tool call is allowed; counts it if so."""
        self.tool_calls += 1
        return self.tool_calls <= self.max_model_calls * TOOL_CALLS_PER_MODEL_CALL

    def take_denial(self) -> bool:
        """Whether the run may go on after one more refused permission."""
        self.denials += 1
        return self.denials <= MAX_DENIALS

    @property
    def exhausted(self) -> bool:
        spent = self.max_tokens is not None and self.tokens >= self.max_tokens
        return spent or self.model_calls >= self.max_model_calls

    @property
    def why(self) -> str:
        """What ran out, for a reader."""
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            return f"max-tokens ({self.max_tokens:,}) is used up"
        return f"max-model-calls ({self.max_model_calls:,}) is used up"

"""What the events of a session say, and the gate that keeps its model calls within the budget."""

from __future__ import annotations

import asyncio

from copilot.generated.rpc import PermissionDecisionReject
from copilot.session import PostToolUseFailureHookInput, PreToolUseHookInput
from copilot.session_events import (
    AssistantMessageData,
    AssistantTurnRetryData,
    AssistantTurnStartData,
    AssistantUsageData,
    SessionErrorData,
    SessionEvent,
    SessionIdleData,
)

from hunkwise.copilot.faults import fault, from_status
from hunkwise.domain.limits import Budget
from hunkwise.domain.outcome import Usage
from hunkwise.errors import ModelError, ModelKind

MAX_WORDS = 10_000
"""Characters that are kept of a message, or of an error's words: the CLI delivers 30 MB whole."""
_TOO_MANY = "The model's provider asks to wait: a rate limit was reached."
_TURN_ABORT_SECONDS = 0.1
"""Between the end of a turn and the answer to its last tool call: the abort is with the CLI by then."""


class Turn:
    """A session's turns: its calls, its cost, its last words, and how it ended.

    The CLI has no budget of its own. It asks before each tool call, of tools that do not exist too, and goes
    on when it is answered: there the model call that would follow is taken from the budget, or the turn ends.
    """

    def __init__(self, budget: Budget, *, provider: bool, report: str, impatient: bool = False) -> None:
        """`report` is the terminal tool's name; `impatient` ends the turn where the CLI would wait out a rate limit."""
        self._budget = budget
        self._report = report
        self._impatient = impatient
        self._provider = provider
        self._granted = 0
        self._begun = 0
        self._filtered = False
        self._usage = Usage()
        self.text = ""
        self.idle = True
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def grant(self) -> None:
        """Makes ready for a message, whose model call is taken from the budget. Raises ModelError (BUDGET)."""
        if not self.another():
            raise self._over_budget()
        self.finished = asyncio.get_running_loop().create_future()

    def another(self) -> bool:
        """Whether one more model call may follow; it is then taken from the budget, once."""
        if self._granted == self._begun and self._budget.take_model_call():
            self._granted += 1
        return self._granted > self._begun

    def close(self) -> Usage:
        """What the session cost, at its end; a call that was taken and never begun is given back."""
        self._budget.give_back(max(0, self._granted - self._begun))
        self._granted = self._begun
        return self._usage

    async def before_tool(self, call: PreToolUseHookInput, _context: object) -> None:
        """The CLI waits for this before it runs a tool; without budget, until it was told to abort."""
        if call["toolName"] != self._report:  # which ends the turn, or asks itself whether it may be mended
            self._usage += Usage(tool_calls=1)
            await self._gate()

    async def after_failure(self, _call: PostToolUseFailureHookInput, _context: object) -> None:
        """The same behind a call that failed, such as a report that is no JSON and never came here."""
        await self._gate()

    async def _gate(self) -> None:
        if not self.another():
            self._end(self._over_budget())
            # Whoever waits for the turn aborts it now; but the CLI ends an abort only after this answer.
            await asyncio.sleep(_TURN_ABORT_SECONDS)

    def observe(self, event: SessionEvent) -> None:
        match event.data:
            case AssistantTurnStartData():
                self._begin_call()
            case AssistantUsageData() as usage:
                self._count(usage)
            case AssistantTurnRetryData(reason="rate_limit") if self._impatient:
                self._end(fault(ModelKind.RATE_LIMIT, _TOO_MANY, provider=self._provider))
            case AssistantMessageData() as message:
                self.text = message.content[:MAX_WORDS] or self.text
            case SessionErrorData() as error:
                self._end(from_status(error.status_code, error.message[:MAX_WORDS], provider=self._provider))
            case SessionIdleData():
                self.idle = True
                self._end(self._silence())
            case _:
                pass

    def deny(self, _request: object, _invocation: object) -> PermissionDecisionReject:
        """Nothing that needs a permission is offered, so whatever asks for one is refused."""
        if not self._budget.take_denial():
            message = "The model kept asking for what it may not do."
            self._end(fault(ModelKind.REFUSED, message, provider=self._provider))
        return PermissionDecisionReject(feedback="Denied: only the offered tools may be used.")

    def _begin_call(self) -> None:
        self.idle = False
        if not self.another():
            # It asks on by itself, at most twice, where an answer was cut off: that is seen too late.
            self._end(self._over_budget())
        self._begun += 1
        self._granted = max(self._granted, self._begun)

    def _count(self, usage: AssistantUsageData) -> None:
        self._filtered = bool(usage.content_filter_triggered) or usage.finish_reason == "content_filter"
        read, written = usage.input_tokens or 0, usage.output_tokens or 0
        charged = usage.copilot_usage.total_nano_aiu if usage.copilot_usage else 0
        nano_credits = _whole(charged)
        self._budget.spend(read + written, nano_credits)
        self._usage += Usage(
            model_calls=1,
            input_tokens=read,
            output_tokens=written,
            cached_tokens=usage.cache_read_tokens or 0,
            models=(usage.model,),
            nano_credits=nano_credits,
        )

    def _silence(self) -> ModelError | None:
        if not self._filtered:
            return None
        message = "A content filter blocked the model's answer."
        return fault(ModelKind.CONTENT_FILTER, message, provider=self._provider)

    def _over_budget(self) -> ModelError:
        return fault(ModelKind.BUDGET, f"The budget ran out: {self._budget.why}.", provider=self._provider)

    def _end(self, error: ModelError | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
            self.finished.exception()  # looked at, so that nobody is told of it twice


def _whole(charged: float) -> int:
    """A charge as a whole number of billionths; what is no number, or below zero, charges nothing."""
    return round(charged) if 0 < charged < 1e18 else 0

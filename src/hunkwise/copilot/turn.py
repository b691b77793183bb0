"""The turns of one session with a model: their calls, cost, and outcome."""

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

from hunkwise.copilot.errors import model_error, status_error
from hunkwise.domain.model import Budget
from hunkwise.domain.review import Usage
from hunkwise.errors import ModelError, ModelKind

MAX_WORDS = 10_000
"""Characters that are kept of a message or an error's text: the CLI delivers up to 30 MB."""
_NO_ANSWER = "No response was returned"
"""In the CLI's message about an answer with no text and no tool call."""
_RATE_LIMITED = "The model's provider asks to wait: a rate limit was reached."
_TURN_ABORT_SECONDS = 0.1
"""Delay between the end of a turn and the answer to its last tool call: the abort reaches the CLI meanwhile."""


class Turn:
    """The turns of a session: calls, cost, last message, and outcome.

    The CLI has no budget. It calls a hook before each tool call, also of tools that do not exist, and continues
    when the hook returns: there the next model call is taken from the budget, or the turn ends.
    """

    def __init__(self, budget: Budget, *, provider: bool, report: str, impatient: bool = False) -> None:
        """`report` is the terminal tool's name; `impatient` ends the turn instead of waiting for a rate limit."""
        self._budget = budget
        self._report = report
        self._impatient = impatient
        self._provider = provider
        self._granted = 0
        self._started = 0
        self._filtered = False
        self.empty = False
        """The last answer had no text and no tool call."""
        self._usage = Usage()
        self.text = ""
        self.idle = True
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def grant(self) -> None:
        """Prepares for a message and takes its model call from the budget. Raises ModelError (BUDGET)."""
        if not self.another():
            raise self._budget_error()
        self.finished = asyncio.get_running_loop().create_future()
        self.empty = False

    def another(self) -> bool:
        """Returns whether one more model call is allowed; it is then taken from the budget, once."""
        if self._granted == self._started and self._budget.take_model_call():
            self._granted += 1
        return self._granted > self._started

    def close(self) -> Usage:
        """Returns the session's cost at its end, and gives back a call that was taken but never started."""
        self._budget.give_back(max(0, self._granted - self._started))
        self._granted = self._started
        return self._usage

    async def before_tool(self, call: PreToolUseHookInput, _context: object) -> None:
        """Hook that the CLI awaits before it runs a tool; without budget, it delays until the turn is aborted."""
        # The report tool ends the turn, or checks itself whether a retry is allowed.
        if call["toolName"] != self._report:
            self._usage += Usage(tool_calls=1)
            await self._check_budget()

    async def after_failure(self, _call: PostToolUseFailureHookInput, _context: object) -> None:
        """Does the same after a failed call, for example a report that is not JSON and did not reach our tool."""
        await self._check_budget()

    async def _check_budget(self) -> None:
        if not self.another():
            self._end(self._budget_error())
            # The caller that awaits the turn aborts it now; the CLI completes the abort only after this hook returns.
            await asyncio.sleep(_TURN_ABORT_SECONDS)

    def observe(self, event: SessionEvent) -> None:
        """Updates the state by an event of the session."""
        match event.data:
            case AssistantTurnStartData():
                self._start_call()
            case AssistantUsageData() as usage:
                self._add_usage(usage)
            case AssistantTurnRetryData(reason="rate_limit") if self._impatient:
                self._end(model_error(ModelKind.RATE_LIMIT, _RATE_LIMITED, provider=self._provider))
            case AssistantMessageData() as message:
                self.empty = not message.content.strip() and not message.tool_requests
                self.text = message.content[:MAX_WORDS] or self.text
            case SessionErrorData(message=text) if self.empty and _NO_ANSWER in text:
                pass  # the turn ends when the session is idle
            case SessionErrorData() as error:
                self._end(status_error(error.status_code, error.message[:MAX_WORDS], provider=self._provider))
            case SessionIdleData():
                self.idle = True
                self._end(self._filter_error())
            case _:
                pass

    def deny(self, _request: object, _invocation: object) -> PermissionDecisionReject:
        """Denies every permission: no offered tool needs one."""
        if not self._budget.take_denial():
            message = "The model kept asking for what it may not do."
            self._end(model_error(ModelKind.REFUSED, message, provider=self._provider))
        return PermissionDecisionReject(feedback="Denied: only the offered tools may be used.")

    def _start_call(self) -> None:
        self.idle = False
        if not self.another():
            # The CLI continues a truncated answer by itself, at most twice: it cannot be stopped before the call.
            self._end(self._budget_error())
        self._started += 1
        self._granted = max(self._granted, self._started)

    def _add_usage(self, usage: AssistantUsageData) -> None:
        self._filtered = bool(usage.content_filter_triggered) or usage.finish_reason == "content_filter"
        input_tokens, output_tokens = usage.input_tokens or 0, usage.output_tokens or 0
        charge = usage.copilot_usage.total_nano_aiu if usage.copilot_usage else 0
        nano_credits = _whole_number(charge)
        self._budget.spend(input_tokens + output_tokens, nano_credits)
        self._usage += Usage(
            model_calls=1,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=usage.cache_read_tokens or 0,
            models=(usage.model,),
            nano_credits=nano_credits,
        )

    def _filter_error(self) -> ModelError | None:
        if not self._filtered:
            return None
        message = "A content filter blocked the model's answer."
        return model_error(ModelKind.CONTENT_FILTER, message, provider=self._provider)

    def _budget_error(self) -> ModelError:
        return model_error(
            ModelKind.BUDGET, f"The budget ran out: {self._budget.why}.", provider=self._provider
        )

    def _end(self, error: ModelError | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
            self.finished.exception()  # marks it as retrieved: asyncio does not log it as unhandled


def _whole_number(charge: float) -> int:
    """Rounds a charge in billionths of a credit to an integer; 0 for NaN, infinity and negative numbers."""
    return round(charge) if 0 < charge < 1e18 else 0

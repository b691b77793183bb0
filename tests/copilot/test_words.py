"""Words of the CLI are kept in part: a model can be made to say thirty megabytes."""

from __future__ import annotations

import asyncio

import pytest

from hunkwise.copilot.errors import from_sdk
from hunkwise.copilot.session import MAX_WORDS, Turn
from hunkwise.domain.model import Budget
from hunkwise.errors import ModelError
from tests.copilot.test_budget import event

LONG = "word " * 1_000_000


def test_of_a_message_the_beginning_is_kept() -> None:
    async def story() -> None:
        turn = Turn(Budget(1), provider=True, report="report_findings")
        turn.observe(event({"type": "assistant.message", "data": {"content": LONG, "messageId": "1"}}))
        assert turn.text == LONG[:MAX_WORDS]

    asyncio.run(story())


def test_of_an_errors_words_the_beginning_is_told() -> None:
    async def story() -> None:
        turn = Turn(Budget(1), provider=True, report="report_findings")
        said = {"errorType": "query", "message": LONG}
        turn.observe(event({"type": "session.error", "data": said}))
        with pytest.raises(ModelError) as raised:
            await turn.finished
        assert len(str(raised.value)) < 1_000

    asyncio.run(story())


def test_of_an_exception_of_the_sdk_the_beginning_is_told() -> None:
    for words in (LONG, f"not connected {LONG}"):
        assert len(str(from_sdk(RuntimeError(words), provider=False))) < 1_000

"""Which kind a failure is, and what its reader is told to do."""

from __future__ import annotations

import asyncio

import pytest
from copilot._jsonrpc import JsonRpcError, ProcessExitedError

from hunkwise.copilot.errors import fault, from_sdk, from_status
from hunkwise.copilot.session import MAX_WORDS, Turn
from hunkwise.domain.model import Budget
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.test_budget import event


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "", ModelKind.AUTHENTICATION),
        (402, "", ModelKind.PAYMENT),
        (403, "", ModelKind.FORBIDDEN),
        (404, "", ModelKind.UNAVAILABLE_MODEL),
        (408, "", ModelKind.TIMEOUT),
        (413, "", ModelKind.TOO_LARGE),
        (429, "slow down", ModelKind.RATE_LIMIT),
        (429, "You exceeded your current quota, please check your plan", ModelKind.PAYMENT),
        (400, "This model's maximum context length is 8192 tokens", ModelKind.TOO_LARGE),
        (400, "The response was filtered due to Azure's content management policy", ModelKind.CONTENT_FILTER),
        (400, "The model `gpt-x` does not exist", ModelKind.UNAVAILABLE_MODEL),
        (400, "bad request", ModelKind.PROVIDER),
        (500, "rate limit", ModelKind.PROVIDER),
        (529, "overloaded", ModelKind.PROVIDER),
        (None, "", ModelKind.PROVIDER),
        (None, "503 Service Unavailable", ModelKind.PROVIDER),
        (None, "Request exceeds the model's prompt budget", ModelKind.TOO_LARGE),
        (None, "No GitHub OAuth token or Copilot HMAC key provided", ModelKind.AUTHENTICATION),
        (None, 'Model "gpt-9" is not available.', ModelKind.UNAVAILABLE_MODEL),
        (None, "You have no quota", ModelKind.PAYMENT),
        (None, "Too many requests", ModelKind.RATE_LIMIT),
        (None, "Access denied by policy", ModelKind.FORBIDDEN),
        (None, 'failed: {"status":403,"message":"no"}', ModelKind.FORBIDDEN),
        (None, "line 401 of the file", ModelKind.PROVIDER),
    ],
)
@pytest.mark.parametrize("provider", [True, False])
def test_a_failure_has_its_kind_and_a_remedy(
    status: int | None, message: str, kind: ModelKind, provider: bool
) -> None:
    error = from_status(status, message, provider=provider)
    assert error.kind is kind
    assert error.hint
    assert error.message.startswith("The model provider" if provider else "Copilot")


@pytest.mark.parametrize("kind", [kind for kind in ModelKind if kind is not ModelKind.BUDGET])
@pytest.mark.parametrize("provider", [True, False])
def test_every_kind_has_a_remedy(kind: ModelKind, provider: bool) -> None:
    assert fault(kind, "It failed.", provider=provider).hint.endswith((".", "?"))


def test_the_remedy_depends_on_who_answers() -> None:
    own, copilot = (
        fault(ModelKind.AUTHENTICATION, "No.", provider=provider).hint for provider in (True, False)
    )
    assert "provider-api-key" in own
    assert "copilot-requests: write" in copilot


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProcessExitedError("CLI process exited unexpectedly"), ModelKind.SIDECAR),
        (RuntimeError("Client not connected"), ModelKind.SIDECAR),
        (JsonRpcError(-32603, 'Error: {"status":401} Bad credentials'), ModelKind.AUTHENTICATION),
        (ValueError("what?"), ModelKind.PROVIDER),
    ],
)
def test_an_exception_of_the_sdk_has_its_kind(error: Exception, kind: ModelKind) -> None:
    assert from_sdk(error, provider=False).kind is kind


def test_what_was_said_is_cut_and_put_on_one_line() -> None:
    error = from_status(500, "a\nb " + "x" * 9_000, provider=True)
    assert "\n" not in error.message
    assert len(error.message) < 500


def test_what_the_server_said_is_taken_out_of_the_clis_own_words() -> None:
    body = r'"body":"{\"message\":\"Bad credentials\",\"status\":\"401\"}"'
    error = from_status(
        None, 'Request models.list failed: {"kind":"http","status":401,' + body, provider=False
    )
    assert error.message == "Copilot answered 401. It said: Bad credentials."


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

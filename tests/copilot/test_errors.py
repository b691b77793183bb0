"""The kinds of model errors and their hints."""

from __future__ import annotations

import asyncio

import pytest
from copilot._jsonrpc import JsonRpcError, ProcessExitedError

from hunkwise.copilot.errors import model_error, sdk_error, status_error
from hunkwise.copilot.turn import MAX_WORDS, Turn
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
def test_failure_has_kind_and_hint(status: int | None, message: str, kind: ModelKind, provider: bool) -> None:
    error = status_error(status, message, provider=provider)
    assert error.kind is kind
    assert error.hint
    assert error.message.startswith("The model provider" if provider else "Copilot")


@pytest.mark.parametrize(
    "message",
    [
        # Copilot and its CLI
        "prompt token count of 146270 exceeds the limit of 128000",
        "Request exceeds the model's prompt budget: 150000 tokens, limit 128000",
        '{"error":{"message":"prompt token count of 146270 exceeds the limit of 128000",'
        '"code":"model_max_prompt_tokens_exceeded"}}',
        # OpenAI, Azure
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 131000 tokens.",
        '{"code":"context_length_exceeded"}',
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
        "Invalid 'messages[1].content': string too long.",
        # Anthropic, Bedrock
        "prompt is too long: 214000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "Request exceeds the maximum size",
        "Input is too long for requested model.",
        "Too many input tokens. Max input tokens: 8000, request input token count: 9000",
        # Gemini
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "The input token count exceeds the maximum number of tokens allowed 1048575.",
        # llama.cpp, LM Studio, Ollama, vLLM, TGI
        "the request exceeds the available context size, try increasing it",
        "request (9034 tokens) exceeds the available context size (8192 tokens), try increasing it",
        "Trying to keep the first 9000 tokens, but the model is loaded with context length of only 4096 tokens",
        "prompt too long; exceeded max context length by 812 tokens",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
        # Mistral, Cohere, Groq, xAI, Moonshot, DashScope, Zhipu, MiniMax, watsonx, GitHub Models
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "too many tokens: total number of tokens in the prompt cannot exceed 4081",
        "Please reduce the length of the messages or completion.",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        "Invalid request: Your request exceeded model token limit: 131072",
        "InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
        "Prompt exceeds max length",
        "invalid params, context window exceeds limit",
        "the number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model",
        "Request body too large for gpt-4o model. Max size: 8000 tokens.",
        "tokens_limit_reached",
        "Payload Too Large",
    ],
)
def test_too_large_prompt_is_recognized_in_messages_of_all_providers(message: str) -> None:
    for status in (400, None):
        error = status_error(status, message, provider=False)
        assert error.kind is ModelKind.TOO_LARGE
        assert "`chunk-size`" in error.hint


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (413, "", ModelKind.TOO_LARGE),
        (413, "Request too large for model on tokens per minute (TPM): Limit 6000", ModelKind.TOO_LARGE),
        (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000", ModelKind.TOO_LARGE),
        (429, "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000", ModelKind.RATE_LIMIT),
        (None, "Rate limit reached: tokens per min exceeded the limit", ModelKind.RATE_LIMIT),
        (400, "You exceeded the number of requests per minute", ModelKind.RATE_LIMIT),
        (None, "Too many tokens, please wait before trying again.", ModelKind.PROVIDER),
        (400, "max_tokens is too large: 100000. At most 16384 are supported.", ModelKind.PROVIDER),
        (400, "Your account exceeded its monthly quota", ModelKind.PAYMENT),
        (400, "The number of concurrent sessions exceeds the limit", ModelKind.PROVIDER),
        (500, "prompt is too long", ModelKind.PROVIDER),
    ],
)
def test_message_about_another_limit_is_not_a_too_large_prompt(
    status: int | None, message: str, kind: ModelKind
) -> None:
    assert status_error(status, message, provider=True).kind is kind


SERVER_TOKEN = "GitHub App Server-To-Server Tokens are not supported for this endpoint"


@pytest.mark.parametrize("status", [400, None])
@pytest.mark.parametrize(
    "body",
    [
        rf'"body":"checking server-to-server token: bad request: {SERVER_TOKEN}\n"',
        rf'"body":"{{\"message\":\"{SERVER_TOKEN}\"}}"',
    ],
)
def test_server_token_has_the_hint_for_an_invalid_token(status: int | None, body: str) -> None:
    text = 'Request models.list failed: {"kind":"http","status":400,' + body + ',"headers":{"x":"y"}}'
    error = status_error(status, text, provider=False)
    assert error.kind is ModelKind.AUTHENTICATION
    assert "copilot-requests: write" in error.hint
    assert error.message.endswith(f"{SERVER_TOKEN}.")
    assert "{" not in error.message


@pytest.mark.parametrize("kind", [kind for kind in ModelKind if kind is not ModelKind.BUDGET])
@pytest.mark.parametrize("provider", [True, False])
def test_every_kind_has_a_hint(kind: ModelKind, provider: bool) -> None:
    assert model_error(kind, "It failed.", provider=provider).hint.endswith((".", "?"))


def test_hint_depends_on_copilot_or_provider() -> None:
    own, copilot = (
        model_error(ModelKind.AUTHENTICATION, "No.", provider=provider).hint for provider in (True, False)
    )
    assert "provider-api-key" in own
    assert "copilot-requests: write" in copilot


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProcessExitedError("CLI process exited unexpectedly"), ModelKind.SIDECAR),
        (RuntimeError("Client not connected"), ModelKind.SIDECAR),
        (JsonRpcError(-32000, "SERVER_SHUTTING_DOWN"), ModelKind.SIDECAR),
        (JsonRpcError(-32603, 'Error: {"status":401} Bad credentials'), ModelKind.AUTHENTICATION),
        (ValueError("what?"), ModelKind.PROVIDER),
    ],
)
def test_sdk_exception_has_kind(error: Exception, kind: ModelKind) -> None:
    assert sdk_error(error, provider=False).kind is kind


def test_quoted_message_is_cut_and_on_one_line() -> None:
    error = status_error(500, "a\nb " + "x" * 9_000, provider=True)
    assert "\n" not in error.message
    assert len(error.message) < 500


def test_server_message_is_extracted_from_cli_message() -> None:
    body = r'"body":"{\"message\":\"Bad credentials\",\"status\":\"401\"}"'
    error = status_error(
        None, 'Request models.list failed: {"kind":"http","status":401,' + body, provider=False
    )
    assert error.message == "Copilot answered 401. It said: Bad credentials."


@pytest.mark.parametrize(
    "text",
    [
        "Could not connect to local model provider at http://127.0.0.1:9/v1. Check that the service is running and the "
        "port is correct.",
        "Failed to get response from the AI model; retried 5 times Last error: Failed native model HTTP request: error "
        "sending request for url (https://models.nowhere.example/v1/chat/completions): client error (Connect): dns "
        "error: failed to lookup address information: Name or service not known [ENOTFOUND]",
        "getaddrinfo EAI_AGAIN models.example",
        "connect ECONNREFUSED 127.0.0.1:443",
        "socket hang up",
        "unable to get local issuer certificate",
    ],
)
def test_without_a_connection_the_network_is_named_and_no_status_page(text: str) -> None:
    own, copilot = (status_error(None, text, provider=provider) for provider in (True, False))
    assert own.hint.startswith("Look at provider-base-url, the network, the proxy and the firewall")
    assert own.shell_hint.startswith("Look at COPILOT_PROVIDER_BASE_URL, the network")
    assert copilot.hint.startswith("Look at the network")
    assert status_error(503, text, provider=True).hint.endswith("look at the provider's status page.")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "Authentication failed with provider at http://a/v1 (HTTP 401). Check your COPILOT_PROVIDER_API_KEY, "
            "COPILOT_PROVIDER_API_KEY_COMMAND, or COPILOT_PROVIDER_BEARER_TOKEN.",
            "The model provider answered 401. It said: Authentication failed with provider at http://a/v1 (HTTP 401).",
        ),
        (
            "JSON-RPC Error -32603: Request models.list failed with message: Not authenticated. Please authenticate "
            "first.",
            "The model provider could not be asked. It said: Not authenticated. Please authenticate first.",
        ),
    ],
)
def test_protocol_and_variables_of_the_cli_are_not_shown(said: str, shown: str) -> None:
    assert status_error(None, said, provider=True).message == shown


LONG = "word " * 1_000_000


def test_long_message_is_cut() -> None:
    async def scenario() -> None:
        turn = Turn(Budget(1), provider=True, report="report_findings")
        turn.observe(event({"type": "assistant.message", "data": {"content": LONG, "messageId": "1"}}))
        assert turn.text == LONG[:MAX_WORDS]

    asyncio.run(scenario())


def test_long_error_message_is_cut() -> None:
    async def scenario() -> None:
        turn = Turn(Budget(1), provider=True, report="report_findings")
        data = {"errorType": "query", "message": LONG}
        turn.observe(event({"type": "session.error", "data": data}))
        with pytest.raises(ModelError) as raised:
            await turn.finished
        assert len(str(raised.value)) < 1_000

    asyncio.run(scenario())


def test_long_sdk_exception_is_cut() -> None:
    for text in (LONG, f"not connected {LONG}"):
        assert len(str(sdk_error(RuntimeError(text), provider=False))) < 1_000

"""The Copilot path on the real CLI: the token is checked before the first model call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hunkwise.copilot.connection import CopilotConnection, connect_sidecar, preflight
from hunkwise.copilot.isolation import Credential
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.programs import sidecar, started
from tests.copilot.sessions import Asked, Question, SilentModel, put
from tests.fakes.copilot_api import FakeCopilot, offered_model
from tests.fakes.http_server import serve
from tests.fakes.model_script import report

TOKENS = ("ghs_good", "github_pat_good")


def run_with_token(
    api: FakeCopilot | SilentModel,
    token: str | None,
    scenario: Callable[[CopilotConnection], Awaitable[None]],
    *,
    copilot: bool = True,
) -> None:
    """Runs the scenario on a CLI with this token, after the preflight if `copilot`."""

    async def connect_and_run(url: str) -> None:
        process = sidecar(
            credential=Credential(copilot_token=token),
            COPILOT_API_URL=url,
            COPILOT_DEBUG_GITHUB_API_URL=url,
        )
        with started(process):
            async with connect_sidecar(process, copilot=copilot) as connection:
                await scenario(connection)

    with serve(api) as url:
        asyncio.run(connect_and_run(url))


async def only_preflight(_connection: CopilotConnection) -> None:
    """Does nothing after the preflight."""


@pytest.mark.parametrize("token", TOKENS)
def test_valid_token_passes_and_model_answers(token: str) -> None:
    api = FakeCopilot(TOKENS, report(summary="Fine."))
    results: list[Asked] = []

    async def scenario(connection: CopilotConnection) -> None:
        await preflight(connection, ("gpt-5-mini",))
        results.append(await put(connection, "", Question(model="gpt-5-mini"), own=False))

    run_with_token(api, token, scenario)
    (result,) = results
    assert result.error is None
    assert result.reports == [{"findings": [], "summary": "Fine.", "done": True}]
    assert {entry.token for entry in api.journal} == {token}
    assert api.paths.count("GET /models") == 1
    assert not [path for path in api.paths if "mcp" in path]


@pytest.mark.parametrize("token", ["ghs_wrong", "github_pat_wrong", None])
def test_invalid_or_missing_token_is_an_error_with_hint(token: str | None) -> None:
    api = FakeCopilot(TOKENS)
    with pytest.raises(ModelError) as raised:
        run_with_token(api, token, only_preflight)
    assert raised.value.kind is ModelKind.AUTHENTICATION
    assert "copilot-requests: write" in raised.value.hint
    assert api.requests == []


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/models", 402, ModelKind.PAYMENT),
        ("/models", 403, ModelKind.FORBIDDEN),
        ("/models", 429, ModelKind.RATE_LIMIT),
        ("/chat/completions", 401, ModelKind.AUTHENTICATION),
        ("/chat/completions", 402, ModelKind.PAYMENT),
        ("/chat/completions", 403, ModelKind.FORBIDDEN),
    ],
)
def test_error_of_model_list_or_answer_has_kind(path: str, status: int, kind: ModelKind) -> None:
    api = FakeCopilot(TOKENS)
    api.refuse(path, status, retry_after="1")

    async def scenario(connection: CopilotConnection) -> None:
        result = await put(connection, "", Question(model="gpt-5-mini"), own=False)
        assert result.error is not None
        raise result.error

    with pytest.raises(ModelError, match=r"^Copilot answered") as raised:
        run_with_token(api, "ghs_good", scenario)
    assert raised.value.kind is kind
    assert path != "/models" or api.requests == []


def test_unavailable_model_error_lists_available_models() -> None:
    api = FakeCopilot(TOKENS)

    async def scenario(connection: CopilotConnection) -> None:
        with pytest.raises(ModelError, match=r'does not offer the model "gpt-9".*gpt-5-mini') as raised:
            await preflight(connection, ("gpt-9",))
        assert raised.value.kind is ModelKind.UNAVAILABLE_MODEL

    run_with_token(api, "ghs_good", scenario)
    assert api.requests == []


def test_account_without_models_is_forbidden() -> None:
    api = FakeCopilot(TOKENS)
    api.models = []
    with pytest.raises(ModelError) as raised:
        run_with_token(api, "ghs_good", only_preflight)
    assert raised.value.kind is ModelKind.FORBIDDEN


def test_preflight_times_out() -> None:
    async def scenario(connection: CopilotConnection) -> None:
        with pytest.raises(ModelError, match=r"did not list its models within 1 seconds") as raised:
            await preflight(connection, (), seconds=1.0)
        assert raised.value.kind is ModelKind.PROVIDER

    run_with_token(SilentModel(), "ghs_good", scenario, copilot=False)


def test_model_disabled_by_policy_is_unavailable() -> None:
    api = FakeCopilot(TOKENS)
    api.models = [
        offered_model("gpt-5-mini"),
        offered_model("gpt-9", policy={"state": "disabled", "terms": ""}),
    ]

    async def scenario(connection: CopilotConnection) -> None:
        await preflight(connection, ("gpt-5-mini",))
        with pytest.raises(ModelError, match='does not offer the model "gpt-9"') as caught:
            await preflight(connection, ("gpt-9",))
        assert caught.value.kind is ModelKind.UNAVAILABLE_MODEL

    run_with_token(api, "ghs_good", scenario)

"""The Copilot path on the real CLI: the token is proved before anything is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hunkwise.copilot.connection import CopilotConnection, connected, preflight
from hunkwise.copilot.isolation import Credential
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.programs import sidecar, started
from tests.copilot.sessions import Asked, Question, SilentModel, put
from tests.fakes.copilot_api import FakeCopilot, offered_model
from tests.fakes.http_server import serve
from tests.fakes.model_script import report

TOKENS = ("ghs_good", "github_pat_good")


def told(
    api: FakeCopilot | SilentModel,
    token: str | None,
    story: Callable[[CopilotConnection], Awaitable[None]],
    *,
    copilot: bool = True,
) -> None:
    """Runs the story on a CLI with this token; the preflight comes first, if `copilot`."""

    async def whole(url: str) -> None:
        made = sidecar(
            credential=Credential(copilot_token=token),
            COPILOT_API_URL=url,
            COPILOT_DEBUG_GITHUB_API_URL=url,
        )
        with started(made):
            async with connected(made, copilot=copilot) as connection:
                await story(connection)

    with serve(api) as url:
        asyncio.run(whole(url))


async def nothing(_connection: CopilotConnection) -> None:
    """The preflight is the whole story."""


@pytest.mark.parametrize("token", TOKENS)
def test_a_good_token_passes_and_its_model_answers(token: str) -> None:
    api = FakeCopilot(TOKENS, report(summary="Fine."))
    heard: list[Asked] = []

    async def story(connection: CopilotConnection) -> None:
        await preflight(connection, ("gpt-5-mini",))
        heard.append(await put(connection, "", Question(model="gpt-5-mini"), own=False))

    told(api, token, story)
    (asked,) = heard
    assert asked.error is None
    assert asked.reports == [{"findings": [], "summary": "Fine.", "done": True}]
    assert {entry.token for entry in api.journal} == {token}
    assert api.paths.count("GET /models") == 1
    assert not [path for path in api.paths if "mcp" in path]


@pytest.mark.parametrize("token", ["ghs_wrong", "github_pat_wrong", None])
def test_a_wrong_token_or_none_is_said_with_its_remedy(token: str | None) -> None:
    api = FakeCopilot(TOKENS)
    with pytest.raises(ModelError) as raised:
        told(api, token, nothing)
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
def test_a_refused_list_of_models_or_answer_has_its_kind(path: str, status: int, kind: ModelKind) -> None:
    api = FakeCopilot(TOKENS)
    api.refuse(path, status, retry_after="1")

    async def story(connection: CopilotConnection) -> None:
        asked = await put(connection, "", Question(model="gpt-5-mini"), own=False)
        assert asked.error is not None
        raise asked.error

    with pytest.raises(ModelError, match=r"^Copilot answered") as raised:
        told(api, "ghs_good", story)
    assert raised.value.kind is kind
    assert path != "/models" or api.requests == []


def test_a_model_that_is_not_offered_is_said_with_those_that_are() -> None:
    api = FakeCopilot(TOKENS)

    async def story(connection: CopilotConnection) -> None:
        with pytest.raises(ModelError, match=r'does not offer the model "gpt-9".*gpt-5-mini') as raised:
            await preflight(connection, ("gpt-9",))
        assert raised.value.kind is ModelKind.UNAVAILABLE_MODEL

    told(api, "ghs_good", story)
    assert api.requests == []


def test_an_account_without_models_is_forbidden() -> None:
    api = FakeCopilot(TOKENS)
    api.models = []
    with pytest.raises(ModelError) as raised:
        told(api, "ghs_good", nothing)
    assert raised.value.kind is ModelKind.FORBIDDEN


def test_a_copilot_that_does_not_answer_is_waited_for_no_longer_than_asked() -> None:
    async def story(connection: CopilotConnection) -> None:
        with pytest.raises(ModelError, match=r"did not list its models within 1 seconds") as raised:
            await preflight(connection, (), seconds=1.0)
        assert raised.value.kind is ModelKind.PROVIDER

    told(SilentModel(), "ghs_good", story, copilot=False)


def test_a_model_that_a_policy_disables_is_not_offered() -> None:
    api = FakeCopilot(TOKENS)
    api.models = [
        offered_model("gpt-5-mini"),
        offered_model("gpt-9", policy={"state": "disabled", "terms": ""}),
    ]

    async def story(connection: CopilotConnection) -> None:
        await preflight(connection, ("gpt-5-mini",))
        with pytest.raises(ModelError, match='does not offer the model "gpt-9"') as caught:
            await preflight(connection, ("gpt-9",))
        assert caught.value.kind is ModelKind.UNAVAILABLE_MODEL

    told(api, "ghs_good", story)

"""Checks each kind of own provider: its API, its key, and a refused key."""

from __future__ import annotations

import pytest

from tests.end_to_end.step import PROVIDER_KEY, provider_inputs
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import Fault, always, report


@pytest.mark.parametrize(
    ("kind", "more", "path", "header"),
    [
        ("openai", {}, "/v1/chat/completions", "authorization"),
        ("openai", {"provider-wire-api": "responses"}, "/v1/responses", "authorization"),
        ("azure", {"provider-azure-api-version": "2025-01-01"}, "/openai/deployments", "api-key"),
        ("anthropic", {}, "/v1/messages", "x-api-key"),
    ],
    ids=["openai", "openai-responses", "azure", "anthropic"],
)
def test_each_provider_type_uses_its_api_and_key(
    world: World, kind: str, more: dict[str, str], path: str, header: str
) -> None:
    world.change(script=report([finding(), finding(line=30, severity="high")]))
    result = world.run(provider_inputs(world.model_url, kind, **more), code=0)
    assert sorted(comment.line or 0 for comment in world.github.comments) == [3, 30]
    (request,) = world.model.requests
    assert request.path.startswith(path)
    assert request.headers[header].removeprefix("Bearer ") == PROVIDER_KEY
    assert sorted(request.tool_names) == ["repo_list", "repo_read", "report_findings"]
    assert result.outputs["model-calls"] == "2"  # the review and the double-check
    assert int(result.outputs["input-tokens"]) >= 100
    assert result.report["usage"]["models"] == ["scripted-model"]


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "Correct provider-api-key"),
        (402, "billing page"),
        (403, "The provider refused this key"),
        (404, "Correct `model` or provider-base-url"),
    ],
)
def test_refused_request_names_remedy(world: World, status: int, remedy: str) -> None:
    world.change(script=always(Fault(status)))
    result = world.run(code=3)
    assert remedy in result.error_text
    assert remedy in result.summary.replace("\\", "")

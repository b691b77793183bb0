"""A provider of one's own: every kind, its wire, its key, and a key that is wrong."""

from __future__ import annotations

import pytest

from tests.end_to_end.step import PROVIDER_KEY, own_provider
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
def test_each_kind_of_provider_reviews_with_its_own_wire_and_key(
    world: World, kind: str, more: dict[str, str], path: str, header: str
) -> None:
    world.change()
    world.answers(report([finding(), finding(line=30, severity="high")]))
    result = world.run(own_provider(world.model_url, kind, **more))
    assert result.code == 0
    assert sorted(comment.line or 0 for comment in world.github.comments) == [3, 30]
    (request,) = world.model.requests
    assert request.path.startswith(path)
    assert request.headers[header].removeprefix("Bearer ") == PROVIDER_KEY
    assert sorted(request.tool_names) == ["repo_list", "repo_read", "repo_search", "report_findings"]
    assert result.outputs["model-calls"] == "2"  # the question and the second opinion
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
def test_what_a_provider_refuses_is_told_with_its_own_remedy(world: World, status: int, remedy: str) -> None:
    world.change()
    world.answers(always(Fault(status)))
    result = world.run()
    assert result.code == 3
    assert remedy in " ".join(result.commands("error"))
    assert remedy in result.summary.replace("\\", "")

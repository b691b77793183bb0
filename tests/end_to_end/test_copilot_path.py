"""Reviews with Copilot, without an own provider."""

from __future__ import annotations

import socket

import pytest

from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PERSONAL_TOKEN, Result
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import report
from tests.fakes_contract.cli import running_cli

COMPLETIONS = "POST /chat/completions"


def assert_failed(world: World, result: Result, *words: str) -> None:
    """Checks for exit code 3, the words in log and summary, and that nothing was posted."""
    assert result.code == 3
    for word in words:
        assert word in result.error_text
        assert word in result.summary.replace("\\", "")
    assert result.outputs["findings"] == "0"
    assert world.posted == ""


@pytest.mark.parametrize(
    "token", [COPILOT_TOKEN, PERSONAL_TOKEN, None], ids=["app", "fine-grained", "default"]
)
def test_reviews_and_sends_copilot_token_to_copilot_only(world: World, token: str | None) -> None:
    world.change(script=report([finding()], summary="Three lines."))
    result = world.run_copilot(token=token, process=True, code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert {entry.token for entry in world.copilot.journal} == {token or GITHUB_TOKEN}
    assert {request.authorization for request in world.github.journal} <= {
        f"{scheme} {GITHUB_TOKEN}" for scheme in ("token", "Bearer")
    }
    assert world.copilot.paths.count(COMPLETIONS) == 2  # the question and the double-check
    assert result.outputs["model-calls"] == "2"


def test_uses_configured_copilot_model(world: World) -> None:
    world.change()
    world.run_copilot({"model": "gpt-5-mini"}, code=0)
    assert [request.model for request in world.copilot.requests] == ["gpt-5-mini"]


REFUSALS = pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ("copilot-requests: write", "copilot-token")),
        (402, ("no Copilot credits left",)),
        (403, ("Allow use of Copilot CLI",)),
        (429, ("Run it again later",)),
    ],
)


@REFUSALS
def test_refused_preflight_makes_no_model_call(world: World, status: int, words: tuple[str, ...]) -> None:
    world.change()
    world.copilot.refuse("/models", status)
    assert_failed(world, world.run_copilot(), *words)
    assert COMPLETIONS not in world.copilot.paths


def test_unknown_token_makes_no_model_call(world: World) -> None:
    world.change()
    world.copilot.tokens = set()
    assert_failed(world, world.run_copilot(), "copilot-requests: write", "Classic ghp_ tokens do not work")
    assert COMPLETIONS not in world.copilot.paths


def test_missing_model_and_account_without_models(world: World) -> None:
    world.change()
    missing = world.run_copilot({"model": "no-such-model"})
    assert_failed(world, missing, "no-such-model", "gpt-5-mini", "Leave `model` empty")
    world.copilot.models = []
    assert_failed(world, world.run_copilot(), "Copilot offers no model", "Allow use of Copilot CLI")
    assert COMPLETIONS not in world.copilot.paths


@REFUSALS
def test_refused_prompt_names_the_same_remedy(world: World, status: int, words: tuple[str, ...]) -> None:
    world.change()
    world.copilot.refuse("/chat/completions", status, retry_after="1")
    assert_failed(world, world.run_copilot(), *words)


def test_uses_running_cli_after_unreachable_address(world: World) -> None:
    world.change(script=report([finding()]))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()[1]
    url = world.copilot_url
    environment = {
        "COPILOT_API_URL": url,
        "COPILOT_DEBUG_GITHUB_API_URL": url,
        "COPILOT_GITHUB_TOKEN": COPILOT_TOKEN,
    }
    with running_cli(world.folder / "cli", environment) as cli:
        world.more_secrets.append(cli.token)
        addresses = {"copilot-url": f"127.0.0.1:{dead}, 127.0.0.1:{cli.port}"}
        wrong = world.run_copilot({**addresses, "copilot-connection-token": "wrong"}, token=None)
        words = ("copilot-url", "copilot-connection-token", str(dead), str(cli.port))
        assert_failed(world, wrong, *words)
        world.run_copilot({**addresses, "copilot-connection-token": cli.token}, token=None, code=0)
        assert [comment.line for comment in world.github.comments] == [3]
        assert {entry.token for entry in world.copilot.journal} == {COPILOT_TOKEN}, "that of the server"
    assert not [path for path in (world.folder / "cli").rglob("*.jsonl") if "app.py" in path.read_text()]

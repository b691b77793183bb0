"""The main case: Copilot in a workflow, with no key of one's own."""

from __future__ import annotations

import socket

import pytest

from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PERSONAL_TOKEN, Result
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import report
from tests.fakes_contract.cli import running_cli

ASKED = "POST /chat/completions"


def assert_nothing_made(world: World, result: Result, *words: str) -> None:
    """Exit 3, with every one of the words in log and summary, and nothing posted."""
    assert result.code == 3
    said = " ".join(result.commands("error"))
    for word in words:
        assert word in said
        assert word in result.summary.replace("\\", "")
    assert result.outputs["findings"] == "0"
    assert world.posted == ""


@pytest.mark.parametrize(
    "token", [COPILOT_TOKEN, PERSONAL_TOKEN, None], ids=["app", "fine-grained", "default"]
)
def test_a_copilot_token_of_either_kind_reviews_and_reaches_copilot_alone(
    world: World, token: str | None
) -> None:
    world.change()
    world.answers(report([finding()], summary="Three lines."))
    result = world.run_copilot(token=token, process=True)
    assert result.code == 0
    assert [comment.line for comment in world.github.comments] == [3]
    assert {entry.token for entry in world.copilot.journal} == {token or GITHUB_TOKEN}
    assert {request.authorization for request in world.github.journal} <= {
        f"{scheme} {GITHUB_TOKEN}" for scheme in ("token", "Bearer")
    }
    assert world.copilot.paths.count(ASKED) == 2  # the question and the second opinion
    assert result.outputs["model-calls"] == "2"


def test_a_named_model_of_copilots_is_the_one_that_answers(world: World) -> None:
    world.change()
    result = world.run_copilot({"model": "gpt-5-mini"})
    assert result.code == 0
    assert [request.model for request in world.copilot.requests] == ["gpt-5-mini"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ("copilot-requests: write", "copilot-token")),
        (402, ("no Copilot credits left",)),
        (403, ("Allow use of Copilot CLI",)),
        (429, ("Run the job again later",)),
    ],
)
def test_what_copilot_refuses_at_the_preflight_costs_nothing(
    world: World, status: int, words: tuple[str, ...]
) -> None:
    world.change()
    world.copilot.refuse("/models", status)
    assert_nothing_made(world, world.run_copilot(), *words)
    assert ASKED not in world.copilot.paths


def test_a_wrong_token_is_told_with_its_remedy_and_costs_nothing(world: World) -> None:
    world.change()
    world.copilot.tokens = set()
    assert_nothing_made(
        world, world.run_copilot(), "copilot-requests: write", "Classic ghp_ tokens do not work"
    )
    assert ASKED not in world.copilot.paths


def test_an_account_without_models_and_a_model_it_lacks_are_told_apart(world: World) -> None:
    world.change()
    missing = world.run_copilot({"model": "no-such-model"})
    assert_nothing_made(world, missing, "no-such-model", "gpt-5-mini", "Leave `model` empty")
    world.copilot.models = []
    assert_nothing_made(world, world.run_copilot(), "Copilot offers no model", "Allow use of Copilot CLI")
    assert ASKED not in world.copilot.paths


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, ("copilot-requests: write",)),
        (402, ("no Copilot credits left",)),
        (403, ("Allow use of Copilot CLI",)),
        (429, ("Run the job again later",)),
    ],
)
def test_what_copilot_refuses_at_the_question_is_told_with_the_same_remedy(
    world: World, status: int, words: tuple[str, ...]
) -> None:
    world.change()
    world.copilot.refuse("/chat/completions", status, retry_after="1")
    assert_nothing_made(world, world.run_copilot(), *words)


def test_a_cli_that_already_runs_is_found_behind_a_dead_address(world: World) -> None:
    world.change()
    world.answers(report([finding()]))
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
        assert_nothing_made(world, wrong, *words)
        result = world.run_copilot({**addresses, "copilot-connection-token": cli.token}, token=None)
        assert result.code == 0
        assert [comment.line for comment in world.github.comments] == [3]
    assert not [path for path in (world.folder / "cli").rglob("*.jsonl") if "app.py" in path.read_text()]

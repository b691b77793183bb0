"""Who answers on the command line, and what is refused before anything starts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from hunkwise.arguments import build_parser
from hunkwise.commands.backend import Backend, select_backend
from hunkwise.commands.review import review
from hunkwise.errors import SettingsError
from tests.fakes.command_line import CommandLine
from tests.fakes.git_repository import GitRepository

OWN = {"COPILOT_PROVIDER_BASE_URL": "https://models.example/v1/", "COPILOT_MODEL": "mine"}
COPILOT = {"COPILOT_GITHUB_TOKEN": "github_pat_x"}


def asked(model: str | None, environ: dict[str, str]) -> Backend:
    with ExitStack() as stack:
        backend = select_backend(model, environ, stack)
        backend.overrides()
        return backend


def test_copilot_answers_where_its_token_is() -> None:
    found = asked("gpt-9", {**COPILOT, **OWN})
    assert (found.credential.copilot_token, found.provider, found.model) == ("github_pat_x", None, "gpt-9")
    assert asked(None, COPILOT).model is None


def test_a_provider_answers_where_there_is_no_token() -> None:
    more = {"COPILOT_PROVIDER_TYPE": "azure", "COPILOT_PROVIDER_WIRE_API": "responses"}
    found = asked(None, {**OWN, **more, "COPILOT_PROVIDER_API_KEY": "key"})
    assert found.provider is not None
    assert (found.provider.type, found.provider.wire_api) == ("azure", "responses")
    assert (found.provider.base_url, found.model) == ("https://models.example/v1", "mine")
    assert found.credential.provider_base_url == "https://models.example/v1"
    assert not found.demo


@pytest.mark.parametrize(
    ("model", "environ"),
    [("demo", {}), ("demo", {**COPILOT, **OWN}), (None, {**COPILOT, "COPILOT_MODEL": "demo"})],
)
def test_the_demo_answers_where_it_is_asked_for(model: str | None, environ: dict[str, str]) -> None:
    found = asked(model, environ)
    assert (found.demo, found.model, found.credential.copilot_token) == (True, "demo", None)
    assert found.provider is not None
    assert found.provider.base_url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("model", "environ", "said"),
    [
        (
            "m",
            {"COPILOT_GITHUB_TOKEN": "ghp_x"},
            r"COPILOT_GITHUB_TOKEN is a classic .*\(ghp_…\), which Copilot does",
        ),
        (None, {"COPILOT_PROVIDER_BASE_URL": "https://a.example"}, "needs --model or COPILOT_MODEL"),
        ("m", {"COPILOT_PROVIDER_BASE_URL": "nonsense"}, "COPILOT_PROVIDER_BASE_URL is not a URL"),
        ("m", {"COPILOT_PROVIDER_BASE_URL": "http://a.example"}, "unencrypted; use https"),
        ("m", {**OWN, "COPILOT_PROVIDER_TYPE": "x"}, "COPILOT_PROVIDER_TYPE must be openai"),
        ("m", {**OWN, "COPILOT_PROVIDER_WIRE_API": "x"}, "COPILOT_PROVIDER_WIRE_API must be comp"),
        ("a b", COPILOT, "--model or COPILOT_MODEL must be a model id without spaces"),
        (None, {**COPILOT, "COPILOT_MODEL": "a,b c"}, "COPILOT_MODEL must be a list of up to 8 model ids"),
    ],
)
def test_whom_nobody_could_ask_is_refused(model: str | None, environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        asked(model, environ)


@pytest.mark.parametrize(
    "command",
    [
        ["review"],
        ["review", "--model", "gpt-9"],
        ["review", "--pr", "octo/site#1"],
        ["audit"],
        ["audit", "plan", "--out", "plan.json"],
        ["eval", "cases"],
    ],
    ids=" ".join,
)
def test_without_a_model_nothing_is_reviewed_and_the_ways_are_named(
    command: list[str], tmp_path: Path
) -> None:
    repository = GitRepository.create(tmp_path / "work")
    repository.commit({"a.py": "1\n"})
    terminal = CommandLine(repository.path, tmp_path / "home", {"GITHUB_TOKEN": "ghs_only_for_github"})
    printed = terminal.run(*command)
    assert (printed.code, printed.out) == (3, "")
    assert printed.errors == (
        'hunkwise: No model is set up. Set COPILOT_GITHUB_TOKEN to a fine-grained token with "Copilot Requests", or '
        "COPILOT_PROVIDER_BASE_URL and --model for a provider of your own, or use --model demo to see fixed rules at "
        "work.\n"
    )


@pytest.mark.parametrize(
    ("post", "pull_request", "environ", "said"),
    [
        (True, None, {}, "--post needs --pr"),
        (False, "octo", {"GITHUB_TOKEN": "x"}, "--pr is 'octo'; it must be a pull request's URL"),
        (False, "octo/repo#0", {"GITHUB_TOKEN": "x"}, "OWNER/REPO#N"),
        (True, "octo/repo#1", {}, "set GITHUB_TOKEN"),
        (True, "octo/repo#1", {"GITHUB_TOKEN": "x", "GITHUB_API_URL": "x"}, "GITHUB_API_URL is not a URL"),
        (False, None, {"COPILOT_ALLOW_ALL": "true"}, "COPILOT_ALLOW_ALL"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_at_once(
    post: bool, pull_request: str | None, environ: dict[str, str], said: str
) -> None:
    options = ["--post"] * post + (["--pr", pull_request] if pull_request else [])
    arguments = build_parser().parse_args(["review", *options])
    with pytest.raises(SettingsError, match=said):
        review(arguments, environ)

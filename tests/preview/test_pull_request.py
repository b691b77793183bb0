"""A pull request is read from GitHub, with its base's files from the checkout where they are there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hunkwise.errors import Error, GitHubError
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import serve
from tests.preview.preview_command import ask

HOME = ".github/hunkwise.yml"
CONFIG = "version: 1\nfail-on: low\nprompts: [{name: mine, template: mine.j2}]\n"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository.create(tmp_path / "work")
    made.commit({HOME: CONFIG, "mine.j2": "BASE {{ chunk.diff }}", "a.py": "1\n"}, "Base")
    made.branch("feature")
    made.commit({"a.py": "2\n", "mine.j2": "HEAD"})
    (made.path / "mine.j2").write_text("TREE {{ pull_request.title }}")
    return made


@pytest.fixture
def github(repository: GitRepository) -> Iterator[tuple[FakeGitHub, Mapping[str, str]]]:
    fake = FakeGitHub(repository.git_dir)
    fake.add_pull_request(1, base_sha="main", head_sha="feature", title="Two")
    with serve(fake) as url:
        yield fake, {"GH_TOKEN": "ghs_write", "GITHUB_API_URL": url}
    assert fake.violations == []
    assert fake.writes == []


Hub = tuple[FakeGitHub, Mapping[str, str]]


def told(capsys: pytest.CaptureFixture[str], folder: Path, environ: Mapping[str, str], *words: str) -> Any:
    assert ask(folder, *words, "--pr", "octo/repo#1", "--format", "json", environ=environ) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("near", [True, False])
def test_the_base_s_configuration_is_shown_from_near_or_far(
    repository: GitRepository, github: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], near: bool
) -> None:
    fake, environ = github
    folder = repository.path if near else tmp_path
    found = told(capsys, folder, environ, "config", "show")
    base = repository.git("rev-parse", "main")
    assert found["configuration"]["commit"] == base
    assert found["configuration"]["read-from"] == f"the base of octo/repo#1 ({base[:12]})"
    assert found["values"]["fail-on"]["value"] == "low"
    assert (len(fake.journal) == 1) is near


@pytest.mark.parametrize("near", [True, False])
def test_a_prompt_is_rendered_by_the_base_s_template_or_by_the_tree_s(
    repository: GitRepository, github: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], near: bool
) -> None:
    _, environ = github
    folder = repository.path if near else tmp_path
    base = told(capsys, folder, environ, "prompts", "render", "mine", "--at-base")
    assert base["chunks"][0]["text"].startswith('BASE ### "a.py" (modified)')
    assert base["read-from"].startswith("the pull request's base (")
    assert base["change"].startswith("octo/repo#1 (")
    if near:
        tree = told(capsys, folder, environ, "prompts", "render", "mine")
        assert tree["chunks"][0]["text"] == "TREE Two\n"


def test_a_pull_request_that_cannot_be_read_is_said(repository: GitRepository, github: Hub) -> None:
    for words in (("config", "show"), ("prompts", "render", "mine")):
        with pytest.raises(GitHubError, match="octo/repo"):
            ask(repository.path, *words, "--pr", "octo/repo#9", environ=github[1])


class Stopping(dict[str, str]):
    """An environment during the reading of which somebody presses Ctrl-C."""

    def get(self, key: str, default: Any = None) -> Any:
        raise KeyboardInterrupt


def test_an_interrupt_is_told_in_words(repository: GitRepository) -> None:
    with pytest.raises(Error, match=r"The preview was stopped before it was done\."):
        ask(repository.path, "config", "show", environ=Stopping())

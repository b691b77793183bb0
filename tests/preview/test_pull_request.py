"""Previews of a pull request: read from GitHub, with files of the base from the checkout if available."""

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
from tests.preview.preview_command import run_preview

HOME = ".github/hunkwise.yml"
CONFIG = "version: 1\nfail-on: low\nprompts: [{name: mine, template: mine.j2}]\n"


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository.create(tmp_path / "work")
    repository.commit({HOME: CONFIG, "mine.j2": "BASE {{ chunk.diff }}", "a.py": "1\n"}, "Base")
    repository.branch("feature")
    repository.commit({"a.py": "2\n", "mine.j2": "HEAD"})
    (repository.path / "mine.j2").write_text("TREE {{ pull_request.title }}")
    return repository


@pytest.fixture
def github(repository: GitRepository) -> Iterator[tuple[FakeGitHub, Mapping[str, str]]]:
    fake = FakeGitHub(repository.git_dir)
    fake.add_pull_request(1, base_sha="main", head_sha="feature", title="Two")
    with serve(fake) as url:
        yield fake, {"GH_TOKEN": "ghs_write", "GITHUB_API_URL": url}
    assert fake.violations == []
    assert fake.writes == []


Hub = tuple[FakeGitHub, Mapping[str, str]]


def preview_json(
    capsys: pytest.CaptureFixture[str], folder: Path, environ: Mapping[str, str], *arguments: str
) -> Any:
    assert run_preview(folder, *arguments, "--pr", "octo/repo#1", "--format", "json", environ=environ) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("near", [True, False])
def test_configuration_of_the_base_is_read_from_checkout_or_github(
    repository: GitRepository, github: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], near: bool
) -> None:
    fake, environ = github
    folder = repository.path if near else tmp_path
    found = preview_json(capsys, folder, environ, "config", "show")
    base = repository.git("rev-parse", "main")
    assert found["configuration"]["commit"] == base
    assert found["configuration"]["read-from"] == f"the base of octo/repo#1 ({base[:12]})"
    assert found["values"]["fail-on"]["value"] == "low"
    assert (len(fake.journal) == 1) is near


@pytest.mark.parametrize("near", [True, False])
def test_prompt_is_rendered_with_template_of_base_or_working_tree(
    repository: GitRepository, github: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], near: bool
) -> None:
    _, environ = github
    folder = repository.path if near else tmp_path
    base = preview_json(capsys, folder, environ, "prompts", "render", "mine", "--at-base")
    assert base["chunks"][0]["text"].startswith('BASE ### "a.py" (modified)')
    assert base["read-from"].startswith("the pull request's base (")
    assert base["change"].startswith("octo/repo#1 (")
    if near:
        tree = preview_json(capsys, folder, environ, "prompts", "render", "mine")
        assert tree["chunks"][0]["text"] == "TREE Two\n"


def test_unreadable_pull_request_is_an_error(repository: GitRepository, github: Hub) -> None:
    for arguments in (("config", "show"), ("prompts", "render", "mine")):
        with pytest.raises(GitHubError, match="octo/repo"):
            run_preview(repository.path, *arguments, "--pr", "octo/repo#9", environ=github[1])


class InterruptedEnviron(dict[str, str]):
    """An environment that raises KeyboardInterrupt when it is read."""

    def get(self, key: str, default: Any = None) -> Any:
        raise KeyboardInterrupt


def test_interrupt_has_an_error_message(repository: GitRepository) -> None:
    with pytest.raises(Error, match=r"The preview was stopped before it was done\."):
        run_preview(repository.path, "config", "show", environ=InterruptedEnviron())

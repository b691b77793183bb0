"""Provides a repository with every kind of change, a fake GitHub over it, and the real PyGithub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from github import Auth, Github
from github.PullRequest import PullRequest
from github.Repository import Repository

from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import serve

BASE_LINES = [f"line {number}" for number in range(1, 41)]


@dataclass(frozen=True)
class Origin:
    repository: GitRepository
    base: str
    head: str


@dataclass(frozen=True)
class Served:
    """A listening fake GitHub."""

    fake: FakeGitHub
    url: str
    origin: Origin

    def client(self, token: str | None = "ghs_write", prefix: str = "") -> Github:
        """Returns PyGithub without pauses and retries."""
        return Github(
            base_url=self.url + prefix,
            auth=Auth.Token(token) if token else None,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    def ask(self, method: str, path: str, body: Any = None, token: str = "ghs_write") -> tuple[int, Any]:
        """Returns status and JSON of a request that PyGithub sends; `path` is within the repository."""
        requester = self.client(token).requester
        status, _, answer = requester.requestJson(method, f"/repos/octo/repo{path}", input=body)
        return status, json.loads(answer) if answer else None

    @property
    def repo(self) -> Repository:
        return self.client().get_repo("octo/repo")

    @property
    def pull(self) -> PullRequest:
        return self.repo.get_pull(1)


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    repository = GitRepository.create(tmp_path_factory.mktemp("origin") / "work")
    moved = "".join(f"moved {number}\n" for number in range(20))
    repository.commit(
        {
            "src/long.txt": "\n".join(BASE_LINES) + "\n",
            "src/gone.txt": "goodbye\n",
            "src/old name.txt": moved,
            "logo.bin": bytes(range(256)),
            "no-end.txt": "without line feed",
            "docs/README.md": "# Read me\n",
            "target.txt": "what the link shows\n",
            "large.txt": "x" * 1_100_000,
        }
    )
    (repository.path / "link.txt").symlink_to("target.txt")
    (repository.path / "dangling").symlink_to("nowhere")
    base = repository.commit({})
    repository.branch("feature")
    changed = ["first", *BASE_LINES[:10], "added a", "added b", *BASE_LINES[11:35], *BASE_LINES[36:]]
    (repository.path / "src/old name.txt").rename(repository.path / "src/new näme.txt")
    head = repository.commit(
        {
            "src/long.txt": "\n".join(changed) + "\n",
            "src/gone.txt": None,
            "src/new näme.txt": moved.replace("moved 3\n", "moved three\n"),
            "logo.bin": bytes(reversed(range(256))),
            "no-end.txt": "without line feed, twice",
            "new/file.py": "print('new')\n",
            "new/empty": "",
        }
    )
    repository.git("checkout", "-q", "main")
    repository.commit({"docs/README.md": "# Read me now\n"})
    return Origin(repository, base, head)


@pytest.fixture
def make_github(origin: Origin) -> Iterator[Callable[..., FakeGitHub]]:
    fakes: list[FakeGitHub] = []

    def make(git_dir: Path | None = None) -> FakeGitHub:
        tokens = {"ghs_write": "write", "ghs_read": "read", "ghs_none": "none", "github_pat_x": "write"}
        fakes.append(FakeGitHub(git_dir or origin.repository.git_dir, tokens=tokens))
        return fakes[-1]

    yield make
    assert [violation for fake in fakes for violation in fake.violations] == []


ServeCommits = Callable[[GitRepository, str, str], Served]


@pytest.fixture
def serve_commits(make_github: Callable[..., FakeGitHub]) -> Iterator[ServeCommits]:
    """Serves pull request 1 of another repository, between two commits."""
    with ExitStack() as stack:

        def serve_repository(repository: GitRepository, base: str, head: str) -> Served:
            fake = make_github(repository.git_dir)
            fake.add_pull_request(1, base_sha=base, head_sha=head)
            return Served(fake, stack.enter_context(serve(fake)), Origin(repository, base, head))

        yield serve_repository


@pytest.fixture
def github(make_github: Callable[..., FakeGitHub], origin: Origin) -> Iterator[Served]:
    fake = make_github()
    fake.add_pull_request(
        1, base_sha="main", head_sha="feature", title="Change things", body="Because.", labels=("bug",)
    )
    with serve(fake) as url:
        yield Served(fake, url, origin)

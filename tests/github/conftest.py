"""A fake GitHub over a small real repository, and a client for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hunkwise.github.client import GitHub
from hunkwise.github.writer import Writer
from hunkwise.redaction import SecretScan
from tests.fakes.github import FakeGitHub
from tests.fakes.http_server import serve

BASE_FILES = {
    "src/a.py": "".join(f"line {number}\n" for number in range(1, 61)),
    "src/old name.py": "".join(f"row {number}\n" for number in range(1, 31)),
    "gone.txt": "gone\n",
    "docs/ü/read me.md": "hello\n",
    "logo.png": "\0PNG",
}


SECRET = "a-secret-of-ours"
NOW = 1_767_323_045
"""Unix time at which every test begins: 2026-01-02 03:04:05 UTC."""


class Clock:
    """A fake clock: `sleep` records the seconds and advances the time."""

    def __init__(self, left: float = 600.0) -> None:
        self.left = left
        self.slept: list[float] = []

    def deadline(self) -> float:
        return self.left

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= seconds

    def elapsed(self) -> float:
        return sum(self.slept)

    def now(self) -> float:
        return NOW + self.elapsed()


@dataclass
class World:
    """The fake server, its URL, and its two commits."""

    fake: FakeGitHub
    url: str
    base: str
    head: str
    clock: Clock
    clients: list[GitHub] = field(default_factory=list)

    def client(
        self, token: str = "ghs_write", repository: str = "octo/repo", url: str | None = None
    ) -> GitHub:
        github = GitHub(
            token,
            url or self.url,
            repository,
            deadline=self.clock.deadline,
            sleep=self.clock.sleep,
            clock=self.clock.elapsed,
            now=self.clock.now,
        )
        self.clients.append(github)
        return github

    def writer(self, token: str = "ghs_write") -> Writer:
        return Writer(self.client(token), 1, SecretScan([SECRET]), sleep=self.clock.sleep)


def git(path: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    run = subprocess.run(["git", *identity, *arguments], cwd=path, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def commits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    root = tmp_path_factory.mktemp("repository")
    git(root, "init", "-q", "-b", "main")
    write(root, BASE_FILES)
    (root / "link.py").symlink_to("src/a.py")
    (root / "away").symlink_to("../outside")
    (root / "big.txt").write_bytes(b"0123456789abcdef" * 70_000)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "base")
    git(root, "checkout", "-qb", "feature")
    (root / "gone.txt").unlink()
    (root / "src/old name.py").rename(root / "src/new.py")
    changed = BASE_FILES["src/a.py"].replace("line 5\n", "line five\nline five and a half\n")
    write(root, {"src/a.py": changed, "logo.png": "\0PNG2", "empty.txt": ""})
    git(root, "add", "-A")
    git(root, "commit", "-qm", "head")
    return root / ".git", git(root, "rev-parse", "main"), git(root, "rev-parse", "feature")


@pytest.fixture
def world(commits: tuple[Path, str, str]) -> Iterator[World]:
    """Yields a server with pull request 1 by octocat, and checks the requests by GitHub's schema afterwards."""
    git_dir, base, head = commits
    fake = FakeGitHub(git_dir, tokens={"ghs_write": "write", "ghs_read": "read", "ghp_person": "write"})
    fake.add_pull_request(
        1, base_sha=base, head_sha=head, title="T", labels=("a", "b"), draft=True, body=None
    )
    with serve(fake) as url:
        world = World(fake, url, base, head, Clock())
        yield world
        for client in world.clients:
            client.close()
    assert fake.violations == []

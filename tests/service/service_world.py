"""The world of the service: an App on two repositories with a pull request each, and a model that reviews them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hunkwise.service.installation import Installations
from hunkwise.service.job import JobRunner, TokenPort
from hunkwise.service.mirror import Mirrors
from hunkwise.service.queue import JobRequest
from hunkwise.service.settings import ServiceSettings, read_service_settings
from tests.end_to_end.step import PROVIDER_KEY
from tests.end_to_end.step_checks import processes_of, secrets_in
from tests.end_to_end.world import BASE, HEAD, LINE, Files
from tests.fakes.command_line import ROOT
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.github_app import APP_ID, INSTALLATION, FakeApp, key_pair
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import report
from tests.service.webhook_sender import SECRET

REPOSITORIES = ("octo/first", "octo/second")


class ServiceWorld:
    """Pull request 1 of each repository adds a line with one finding."""

    def __init__(
        self, folder: Path, app: FakeApp, app_url: str, model: ScriptedModel, model_url: str
    ) -> None:
        self.folder = folder
        self.app = app
        self.app_url = app_url
        self.model = model
        self.model_url = model_url
        self.variables: dict[str, str] = {}
        """More variables of each process."""

    def environ(self, database: str = "", **more: str) -> dict[str, str]:
        """Returns the variables of a process of the service."""
        files = {"APP_KEY": key_pair()[0], "WEBHOOK_SECRET": SECRET.decode(), "PROVIDER_KEY": PROVIDER_KEY}
        for name, text in files.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT / "src"),
            "HUNKWISE_DATA": str(self.folder / "data"),
            "HUNKWISE_DATABASE_URL": database,
            "HUNKWISE_APP_ID": str(APP_ID),
            **{f"HUNKWISE_{name}_FILE": str(self.folder / name) for name in files},
            "GITHUB_API_URL": self.app_url,
            "GITHUB_SERVER_URL": self.app_url,
            "COPILOT_PROVIDER_TYPE": "openai",
            "COPILOT_PROVIDER_BASE_URL": f"{self.model_url}/v1",
            "COPILOT_MODEL": "scripted-model",
            **self.variables,
            **more,
        }

    def settings(self, database: str = "") -> ServiceSettings:
        return read_service_settings(self.environ(database))

    def runner(self, *, tokens: TokenPort | None = None, **more: Any) -> JobRunner:
        """Returns what runs jobs, with real mirrors, and the App's own tokens if no others are given."""
        settings = self.settings()
        installations = Installations(settings)
        mirrors = Mirrors(settings.data, settings.server_url, settings.data_limit, installations)
        return JobRunner(settings, tokens or installations, mirrors, self.environ(), **more)

    @property
    def jobs(self) -> Path:
        """Where jobs have their folders while they run."""
        return self.folder / "data" / "jobs"

    def processes(self) -> list[str]:
        """Returns the command lines of the processes of running jobs."""
        return processes_of(self.jobs)

    def reviews(self, repository: str = REPOSITORIES[0]) -> list[str]:
        """Returns the texts of the reviews and comments on the lines of a pull request."""
        fake = self.app.repositories[repository]
        return [*(review.body for review in fake.reviews), *(comment.body for comment in fake.comments)]

    def check_secrets(self, texts: Mapping[str, str], repository: str) -> None:
        """Checks that the texts of a job have no secret of the service, and no token of another job."""
        foreign = [token.text for token in self.app.tokens if repository not in token.repositories]
        lines = key_pair()[0].splitlines()
        for place, text in texts.items():
            assert secrets_in(text, [*foreign, SECRET.decode(), lines[1], lines[-2]]) == [], place


def review_of(repository: str = REPOSITORIES[0]) -> JobRequest:
    """Returns the job of a push to pull request 1, as webhooks make it."""
    side = {"repo": {"full_name": repository}}
    pull = {"number": 1, "state": "open", "head": side, "base": side}
    payload = {
        "action": "synchronize",
        "number": 1,
        "pull_request": pull,
        "repository": {"full_name": repository},
    }
    return JobRequest("review", repository, INSTALLATION, "pull_request", payload, 1)


@contextmanager
def service_world(
    folder: Path, base: Files = BASE, head: Files = HEAD, *, host: str = "127.0.0.1"
) -> Iterator[ServiceWorld]:
    """Serves GitHub and the model; checks at the end that nothing runs any more, and the requests to GitHub.

    Pull request 1 of both repositories is from `base` to `head`. `host`: the address of this machine to serve at.
    """
    fakes = {}
    for name in REPOSITORIES:
        repository = GitRepository.create(folder / "github" / name)
        repository.commit(base)
        repository.branch("feature")
        repository.commit(head)
        fakes[name] = FakeGitHub(repository.git_dir, name)
        fakes[name].add_pull_request(1, base_sha="main", head_sha="feature")
    app, model = FakeApp(fakes), ScriptedModel(report([LINE]))
    with serve(app, host=host) as app_url, serve(model, host=host) as model_url:
        world = ServiceWorld(folder, app, app_url, model, model_url)
        yield world
        assert world.processes() == []
        assert not world.jobs.exists() or list(world.jobs.iterdir()) == []
    assert app.violations == []
    assert [violation for fake in fakes.values() for violation in fake.violations] == []

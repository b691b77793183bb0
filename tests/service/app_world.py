"""An App on two repositories, on a fake GitHub on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hunkwise.service.installation import Installations
from hunkwise.service.settings import ServiceSettings
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub
from tests.fakes.github_app import APP_ID, FakeApp, key_pair
from tests.fakes.http_server import serve


class AppWorld:
    """`octo/first` and `octo/second` with a file `README.md` each, and what asks GitHub as the App."""

    def __init__(self, folder: Path, url: str, git: dict[str, GitRepository], app: FakeApp) -> None:
        self.folder = folder
        self.url = url
        self.git = git
        self.app = app

    @property
    def settings(self) -> ServiceSettings:
        return ServiceSettings(
            self.folder / "data", None, APP_ID, key_pair()[0], (b"secret",), api_url=self.url
        )

    @property
    def installations(self) -> Installations:
        return Installations(self.settings)


@contextmanager
def app_world(folder: Path, prefix: str = "") -> Iterator[AppWorld]:
    """Serves the two repositories; `prefix` is the path of the API. Checks the requests at the end."""
    git = {name: GitRepository.create(folder / name) for name in ("octo/first", "octo/second")}
    for name, repository in git.items():
        repository.commit({"README.md": f"{name}\n"})
    app = FakeApp({name: FakeGitHub(repository.git_dir, name) for name, repository in git.items()})
    with serve(app) as url:
        yield AppWorld(folder, url + prefix, git, app)
    assert app.violations == []
    assert [violation for fake in app.repositories.values() for violation in fake.violations] == []

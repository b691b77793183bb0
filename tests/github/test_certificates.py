"""A GitHub server behind TLS by an own authority: which variables name the authority."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hunkwise.certificates import BUNDLE, OWN_AUTHORITIES, git_variables
from hunkwise.errors import GitHubError
from hunkwise.github.client import GitHub
from tests.fakes.enterprise_server import HOST, EnterpriseServer, enterprise_server
from tests.fakes.git_repository import GitRepository
from tests.fakes.github import FakeGitHub

TOKEN = "ghs_CanaryEnterprise2Kd8"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnterpriseServer]:
    """A server with `octo/repo`, whose authority nobody knows yet."""
    repository = GitRepository.create(tmp_path / "repository")
    repository.commit({"README.md": "Hello.\n"})
    for name in (BUNDLE, *OWN_AUTHORITIES):
        monkeypatch.delenv(name, raising=False)
    github = FakeGitHub(repository.git_dir, tokens={TOKEN: "read"})
    with enterprise_server(github, tmp_path / "server") as server:
        monkeypatch.setenv("HTTPS_PROXY", server.proxy)
        yield server
    assert server.hosts <= {f"{HOST}:443"}


def name_of_repository(server: EnterpriseServer) -> str:
    url = server.environ["GITHUB_API_URL"]
    with closing(GitHub(TOKEN, url, "octo/repo", deadline=lambda: 0.0)) as github:
        return github.connection.get("/repos/octo/repo").text("full_name")


@pytest.mark.parametrize("variable", [*OWN_AUTHORITIES, BUNDLE])
def test_each_variable_names_the_authority(
    server: EnterpriseServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    place = server.authority
    if variable == "SSL_CERT_DIR":
        place = place.parent / "authorities"
        place.mkdir()
        arguments = ["openssl", "x509", "-in", str(server.authority), "-noout", "-subject_hash"]
        digest = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()
        (place / f"{digest}.0").write_bytes(server.authority.read_bytes())
    monkeypatch.setenv(variable, str(place))
    assert name_of_repository(server) == "octo/repo"
    assert server.paths == ["/api/v3/repos/octo/repo"]


@pytest.mark.parametrize("variable", ["", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
def test_without_the_authority_nothing_is_sent_and_the_variable_is_named(
    server: EnterpriseServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    if variable:
        (tmp_path / "broken.pem").write_text("no certificate")
        monkeypatch.setenv(variable, str(tmp_path / "broken.pem"))
    with pytest.raises(GitHubError, match="its certificate could not be verified") as error:
        name_of_repository(server)
    assert "Set SSL_CERT_FILE or REQUESTS_CA_BUNDLE" in error.value.hint
    assert server.paths == []


@pytest.mark.parametrize(
    ("environ", "variables"),
    [
        ({}, {}),
        ({"SSL_CERT_FILE": "/a"}, {"GIT_SSL_CAINFO": "/a"}),
        ({BUNDLE: "/b", "NODE_EXTRA_CA_CERTS": "/c"}, {"GIT_SSL_CAINFO": "/b"}),
        (
            {"NODE_EXTRA_CA_CERTS": "/c", "SSL_CERT_DIR": "/d"},
            {"GIT_SSL_CAINFO": "/c", "GIT_SSL_CAPATH": "/d"},
        ),
    ],
)
def test_git_gets_the_same_authorities(environ: dict[str, str], variables: dict[str, str]) -> None:
    assert git_variables(environ) == variables

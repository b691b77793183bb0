"""What the options and variables select."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunkwise.commands.change_options import requested_pull_request
from hunkwise.errors import SettingsError
from tests.fakes.git_repository import GitRepository

TOKEN = {"GITHUB_TOKEN": "ghs_read"}
ENTERPRISE = {
    **TOKEN,
    "GITHUB_SERVER_URL": "https://git.example.com",
    "GITHUB_API_URL": "https://git.example.com/api/v3",
}


def clone(folder: Path, **remotes: str) -> Path:
    made = GitRepository.create(folder / "clone")
    for name, url in remotes.items():
        made.git("remote", "add", name, url)
    return made.path


@pytest.mark.parametrize(
    ("option", "environ", "repository", "number"),
    [
        ("octo/site#12", TOKEN, "octo/site", 12),
        ("https://github.com/octo/site/pull/12", TOKEN, "octo/site", 12),
        ("https://github.com/octo/site/pull/12/files#diff-1", TOKEN, "octo/site", 12),
        ("https://GitHub.com/octo/my.site/pull/12?w=1", {"GH_TOKEN": "x"}, "octo/my.site", 12),
        ("https://git.example.com/octo/site/pull/7/commits/abc", ENTERPRISE, "octo/site", 7),
    ],
)
def test_a_pull_request_is_named_by_its_url_or_repository_and_number(
    tmp_path: Path, option: str, environ: dict[str, str], repository: str, number: int
) -> None:
    found = requested_pull_request(option, tmp_path, environ)
    assert (found.repository, found.number, found.in_clone) == (repository, number, False)


@pytest.mark.parametrize(
    ("remotes", "environ", "repository"),
    [
        ({"origin": "https://github.com/octo/site.git"}, TOKEN, "octo/site"),
        ({"origin": "https://user@github.com/octo/site/"}, TOKEN, "octo/site"),
        ({"origin": "git@github.com:octo/site.git"}, TOKEN, "octo/site"),
        ({"origin": "github.com:octo/site"}, TOKEN, "octo/site"),
        ({"origin": "ssh://git@ssh.github.com:443/octo/site.git"}, TOKEN, "octo/site"),
        (
            {"origin": "https://github.com/me/site", "upstream": "https://github.com/octo/site"},
            TOKEN,
            "octo/site",
        ),
        ({"a": "https://example.com/x/y", "b": "https://github.com/octo/site"}, TOKEN, "octo/site"),
        ({"origin": "git@git.example.com:octo/site.git"}, ENTERPRISE, "octo/site"),
    ],
)
@pytest.mark.parametrize("option", ["12", "#12"])
def test_a_number_is_one_of_the_clones_repository(
    tmp_path: Path, remotes: dict[str, str], environ: dict[str, str], repository: str, option: str
) -> None:
    found = requested_pull_request(option, clone(tmp_path, **remotes), environ)
    assert (found.repository, found.number, found.in_clone) == (repository, 12, True)


def test_a_clone_of_a_fork_is_one_of_the_repository_that_a_remote_names(tmp_path: Path) -> None:
    urls = {"origin": "https://github.com/me/site", "upstream": "https://github.com/Octo/Site"}
    found = requested_pull_request("octo/site#1", clone(tmp_path, **urls), TOKEN)
    assert (found.repository, found.in_clone) == ("octo/site", True)


@pytest.mark.parametrize(
    ("option", "environ", "said"),
    [
        (
            "octo",
            TOKEN,
            "--pr is 'octo'; it must be a pull request's URL, OWNER/REPO#N, or its number in a clone",
        ),
        ("octo/site#0", TOKEN, "--pr is 'octo/site#0'; it must be"),
        ("https://github.com/octo/site/issues/12", TOKEN, "it must be a pull request's URL"),
        ("https://github.com/octo/site", TOKEN, "it must be a pull request's URL"),
        ("12", TOKEN, "--pr 12 needs a clone of a repository on github.com, and "),
        (
            "https://git.example.com/octo/site/pull/1",
            TOKEN,
            "set GITHUB_SERVER_URL and GITHUB_API_URL for that",
        ),
        ("https://github.com/octo/site/pull/1", ENTERPRISE, "and the token is for git.example.com"),
        ("octo/site#1", {}, "set GITHUB_TOKEN, for example to the output of `gh auth token`."),
        ("octo/site#1", {**TOKEN, "GITHUB_API_URL": "x"}, "GITHUB_API_URL is not a URL"),
    ],
)
def test_what_names_no_pull_request_is_refused(
    tmp_path: Path, option: str, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as error:
        requested_pull_request(option, clone(tmp_path, origin="https://example.com/octo/site"), environ)
    assert said in str(error.value)

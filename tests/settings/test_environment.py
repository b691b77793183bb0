"""Tests the runner's environment: defaults, and the text of its errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from hunkwise.errors import SettingsError
from hunkwise.settings.github_context import ReportFolder, RunnerEnvironment, read_environment

SYSTEM = Path(tempfile.gettempdir()) / "hunkwise"
NEEDED = {
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_EVENT_PATH": "/e.json",
    "GITHUB_REPOSITORY": "octo/re.po",
}


def test_three_variables_are_enough() -> None:
    assert read_environment(NEEDED) == RunnerEnvironment(
        "pull_request",
        Path("/e.json"),
        "octo/re.po",
        api_url="https://api.github.com",
        graphql_url="https://api.github.com/graphql",
        server_url="https://github.com",
        reports=ReportFolder(SYSTEM, SYSTEM),
    )


def test_everything_that_the_runner_says_is_read() -> None:
    said = NEEDED | {
        "GITHUB_API_URL": "https://ghe.example/api/v3/",
        "GITHUB_SERVER_URL": "https://ghe.example",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_WORKSPACE": "/w",
        "GITHUB_OUTPUT": "/o",
        "GITHUB_STEP_SUMMARY": "/s",
        "RUNNER_TEMP": "/t",
        "RUNNER_DEBUG": "1",
        "GITHUB_ACTIONS": "true",
        "GITHUB_RUN_ID": "5",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_JOB": "review",
        "GITHUB_WORKFLOW": "Review",
        "GITHUB_ACTOR": "mona",
    }
    assert read_environment(said) == RunnerEnvironment(
        "pull_request",
        Path("/e.json"),
        "octo/re.po",
        api_url="https://ghe.example/api/v3",
        graphql_url="https://ghe.example/api/graphql",
        server_url="https://ghe.example",
        sha="a" * 40,
        workspace=Path("/w"),
        output=Path("/o"),
        step_summary=Path("/s"),
        reports=ReportFolder(Path("/t/hunkwise"), Path("/t/hunkwise")),
        debug=True,
        actions=True,
        run_id="5",
        run_attempt="2",
        job="review",
        workflow="Review",
        actor="mona",
    )


@pytest.mark.parametrize(
    ("said", "inside", "outside"),
    [
        (
            {"RUNNER_TEMP": "/github/runner_temp", "RUNNER_WORKSPACE": "/home/runner/work/repo"},
            "/github/runner_temp/hunkwise",
            "/home/runner/work/_temp/hunkwise",
        ),
        (
            {"RUNNER_TEMP": "/github/runner_temp"},
            "/github/runner_temp/hunkwise",
            "/github/runner_temp/hunkwise",
        ),
        (
            {"RUNNER_TEMP": "/home/runner/work/_temp", "HOME": "/github/home"},
            "/github/home/hunkwise",
            "/home/runner/work/_temp/_github_home/hunkwise",
        ),
        ({"RUNNER_TEMP": "/mine", "HOME": "/root"}, "/mine/hunkwise", "/mine/hunkwise"),
        ({}, str(SYSTEM), str(SYSTEM)),
    ],
    ids=["mounted", "mounted, host unknown", "not mounted", "by hand", "none"],
)
def test_in_a_container_reports_are_written_where_later_steps_can_find_them(
    said: dict[str, str], inside: str, outside: str
) -> None:
    environment = read_environment(NEEDED | {"GITHUB_WORKSPACE": "/github/workspace"} | said)
    assert environment.reports == ReportFolder(Path(inside), Path(outside))


def test_all_that_is_missing_is_told_together() -> None:
    with pytest.raises(SettingsError) as caught:
        read_environment({})
    assert caught.value.faults == (
        "GITHUB_EVENT_NAME is not set; GitHub's runner sets it, and outside of a workflow it must be given"
        " (pull_request).",
        "GITHUB_EVENT_PATH is not set; GitHub's runner sets it, and outside of a workflow it must be given"
        " (the path of the event's JSON file).",
        "GITHUB_REPOSITORY is not set; GitHub's runner sets it, and outside of a workflow it must be given"
        " (owner/name).",
    )


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("GITHUB_REPOSITORY", "octo", 'GITHUB_REPOSITORY must be owner/name, not "octo".'),
        ("GITHUB_REPOSITORY", "../x/y", 'GITHUB_REPOSITORY must be owner/name, not "../x/y".'),
        (
            "GITHUB_API_URL",
            "api",
            "GITHUB_API_URL is not a URL; write one such as https://api.example.com/v1.",
        ),
        (
            "GITHUB_GRAPHQL_URL",
            "https://a:b@c",
            "GITHUB_GRAPHQL_URL must not hold a user name or password; leave out everything up to the @.",
        ),
        (
            "GITHUB_SERVER_URL",
            "file:///etc",
            "GITHUB_SERVER_URL must begin with https:// (or http:// within a private network).",
        ),
        (
            "GITHUB_SERVER_URL",
            "http://[::g]",
            "GITHUB_SERVER_URL has no valid host and port; write them as example.com:4321, an IPv6 address as"
            " [::1]:4321.",
        ),
    ],
)
def test_a_wrong_variable_is_one_sentence(name: str, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_environment(NEEDED | {name: text})
    assert caught.value.faults == (fault,)

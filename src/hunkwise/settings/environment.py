"""The runner's environment: which event, which repository, which servers, and where to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.errors import SettingsError
from hunkwise.settings.addresses import parse_url
from hunkwise.settings.wording import quoted


def _system_temp() -> Path:
    # Imported here because a runner always names its own, and the import costs as much as this whole module.
    from tempfile import gettempdir

    return Path(gettempdir())


@dataclass(frozen=True, slots=True)
class ReportFolder:
    """Where the reports are written, and how later steps of the job find them: in a container not the same."""

    inside: Path
    outside: Path


def _system_reports() -> ReportFolder:
    folder = _system_temp() / "hunkwise"
    return ReportFolder(folder, folder)


@dataclass(frozen=True, slots=True)
class RunnerEnvironment:
    """What GitHub's runner says about itself and the run. URLs have no final slash."""

    event_name: str
    event_path: Path
    repository: str
    """`owner/name`."""
    api_url: str = "https://api.github.com"
    graphql_url: str = "https://api.github.com/graphql"
    server_url: str = "https://github.com"
    sha: str = ""
    workspace: Path | None = None
    output: Path | None = None
    """GITHUB_OUTPUT: the file that takes the outputs."""
    step_summary: Path | None = None
    reports: ReportFolder = field(default_factory=_system_reports)
    """In RUNNER_TEMP or the system's temporary folder. It need not exist yet."""
    debug: bool = False
    actions: bool = False
    """GITHUB_ACTIONS is true: a runner reads our log, and hides what it is told to mask."""
    run_id: str = ""
    run_attempt: str = ""
    job: str = ""
    workflow: str = ""
    actor: str = ""


def read_environment(environ: Mapping[str, str]) -> RunnerEnvironment:
    """The runner's environment. Raises SettingsError with a sentence for every fault."""
    faults: list[str] = []
    event_name = _needed(environ, "GITHUB_EVENT_NAME", "pull_request", faults)
    event_path = _needed(environ, "GITHUB_EVENT_PATH", "the path of the event's JSON file", faults)
    repository = _needed(environ, "GITHUB_REPOSITORY", "owner/name", faults)
    if repository and not re.fullmatch(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}", repository):
        faults.append(f"GITHUB_REPOSITORY must be owner/name, not {quoted(repository)}.")
    api_url = _url(environ, "GITHUB_API_URL", "https://api.github.com", faults)
    environment = RunnerEnvironment(
        event_name=event_name,
        event_path=Path(event_path),
        repository=repository,
        api_url=api_url,
        graphql_url=_url(environ, "GITHUB_GRAPHQL_URL", _graphql_url(api_url), faults),
        server_url=_url(environ, "GITHUB_SERVER_URL", "https://github.com", faults),
        sha=environ.get("GITHUB_SHA", ""),
        workspace=_path(environ, "GITHUB_WORKSPACE"),
        output=_path(environ, "GITHUB_OUTPUT"),
        step_summary=_path(environ, "GITHUB_STEP_SUMMARY"),
        reports=_reports(environ),
        debug=environ.get("RUNNER_DEBUG") == "1",
        actions=environ.get("GITHUB_ACTIONS") == "true",
        run_id=environ.get("GITHUB_RUN_ID", ""),
        run_attempt=environ.get("GITHUB_RUN_ATTEMPT", ""),
        job=environ.get("GITHUB_JOB", ""),
        workflow=environ.get("GITHUB_WORKFLOW", ""),
        actor=environ.get("GITHUB_ACTOR", ""),
    )
    if faults:
        raise SettingsError(faults)
    return environment


def _reports(environ: Mapping[str, str]) -> ReportFolder:
    """As actions/runner mounts its folders for a container action; it does not translate outputs back.

    Since 2.329 (October 2025) RUNNER_TEMP is mounted, and RUNNER_WORKSPACE still names a folder of the host, whose
    neighbour it is. Before, RUNNER_TEMP was the host's and not mounted; but HOME is a folder in it.
    """
    temp = _path(environ, "RUNNER_TEMP")
    if temp is None:
        return _system_reports()
    outside = temp
    if environ.get("GITHUB_WORKSPACE") == "/github/workspace":
        workspace, home = _path(environ, "RUNNER_WORKSPACE"), _path(environ, "HOME")
        if temp == Path("/github/runner_temp"):
            outside = workspace.parent / "_temp" if workspace is not None else temp
        elif home == Path("/github/home"):
            temp, outside = home, temp / "_github_home"
    return ReportFolder(temp / "hunkwise", outside / "hunkwise")


def _needed(environ: Mapping[str, str], name: str, example: str, faults: list[str]) -> str:
    text = environ.get(name, "")
    if not text:
        faults.append(
            f"{name} is not set; GitHub's runner sets it, and outside of a workflow it must be"
            f" given ({example})."
        )
    return text


def _url(environ: Mapping[str, str], name: str, default: str, faults: list[str]) -> str:
    text = environ.get(name) or default
    try:
        return parse_url(text).text
    except ValueError as fault:
        faults.append(f"{name} {fault}.")
        return default


def _graphql_url(api_url: str) -> str:
    """GitHub Enterprise Server answers REST at /api/v3 and GraphQL at /api/graphql."""
    return api_url.removesuffix("/v3") + "/graphql"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name)
    return Path(text) if text else None

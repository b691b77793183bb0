"""Reads the runner's environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.errors import SettingsError
from hunkwise.settings.parsing import parse_url, quoted


def _find_system_temp() -> Path:
    # Imported here because a runner always sets RUNNER_TEMP, and the import takes as long as this whole module.
    from tempfile import gettempdir

    return Path(gettempdir())


@dataclass(frozen=True, slots=True)
class ReportFolder:
    """The reports' folder: `inside` is where they are written, `outside` its path for later steps of the job.

    The two differ in a container.
    """

    inside: Path
    outside: Path


def _default_report_folder() -> ReportFolder:
    folder = _find_system_temp() / "hunkwise"
    return ReportFolder(folder, folder)


@dataclass(frozen=True, slots=True)
class RunnerEnvironment:
    """The runner's environment variables. URLs have no final slash."""

    event_name: str
    event_path: Path
    repository: str
    """`owner/name`."""
    api_url: str = "https://api.github.com"
    """The address of GraphQL follows from it."""
    server_url: str = "https://github.com"
    sha: str = ""
    workspace: Path | None = None
    output: Path | None = None
    """GITHUB_OUTPUT: the file that the outputs are appended to."""
    step_summary: Path | None = None
    reports: ReportFolder = field(default_factory=_default_report_folder)
    """In RUNNER_TEMP or the system's temporary folder. It need not exist yet."""
    debug: bool = False
    actions: bool = False
    """GITHUB_ACTIONS is true: a runner reads the log and applies `::add-mask::` commands."""
    run_id: str = ""
    run_attempt: str = ""
    job: str = ""
    workflow: str = ""
    actor: str = ""

    @property
    def is_started_by_dependabot(self) -> bool:
        """Whether GitHub gives the run Dependabot's secrets and token; it does so again when a person runs it again."""
        return self.actor == "dependabot[bot]"

    def explain_read_only_token(self, *, fork: bool) -> str:
        """Returns why GitHub gave the run a token that cannot write; empty if that is not to be expected.

        `fork`: the pull request is from a fork.
        """
        posted = "nothing was posted. The findings are in the job summary and in the JSON report"
        if fork and self.event_name == "pull_request":
            return (
                f"A run on `pull_request` of a fork has a read-only token: {posted}; docs/forks.md describes three ways"
                " to review forks."
            )
        if self.is_started_by_dependabot:
            return (
                f"A run of Dependabot has a read-only token unless the job's `permissions` grant more: {posted};"
                " docs/events.md describes such runs."
            )
        return ""


def read_environment(environ: Mapping[str, str]) -> RunnerEnvironment:
    """Reads the runner's environment variables. Raises SettingsError with a sentence for every fault."""
    faults: list[str] = []
    event_name = _read_required(environ, "GITHUB_EVENT_NAME", "pull_request", faults)
    event_path = _read_required(environ, "GITHUB_EVENT_PATH", "the path of the event's JSON file", faults)
    repository = _read_required(environ, "GITHUB_REPOSITORY", "owner/name", faults)
    if repository and not re.fullmatch(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}", repository):
        faults.append(f"GITHUB_REPOSITORY must be owner/name, not {quoted(repository)}.")
    environment = RunnerEnvironment(
        event_name=event_name,
        event_path=Path(event_path),
        repository=repository,
        api_url=_read_url(environ, "GITHUB_API_URL", "https://api.github.com", faults),
        server_url=_read_url(environ, "GITHUB_SERVER_URL", "https://github.com", faults),
        sha=environ.get("GITHUB_SHA", ""),
        workspace=_read_path(environ, "GITHUB_WORKSPACE"),
        output=_read_path(environ, "GITHUB_OUTPUT"),
        step_summary=_read_path(environ, "GITHUB_STEP_SUMMARY"),
        reports=_find_report_folder(environ),
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


def _find_report_folder(environ: Mapping[str, str]) -> ReportFolder:
    """Returns the reports' folder, by the folders that actions/runner mounts for a container action.

    The runner does not translate paths in outputs. Since 2.329 (October 2025) RUNNER_TEMP is mounted, and
    RUNNER_WORKSPACE is still a path of the host, next to its `_temp`. Before, RUNNER_TEMP was the host's path and not
    mounted, but HOME is mounted from a folder in it.
    """
    temp = _read_path(environ, "RUNNER_TEMP")
    if temp is None:
        return _default_report_folder()
    outside = temp
    if environ.get("GITHUB_WORKSPACE") == "/github/workspace":
        workspace, home = _read_path(environ, "RUNNER_WORKSPACE"), _read_path(environ, "HOME")
        if temp == Path("/github/runner_temp"):
            outside = workspace.parent / "_temp" if workspace is not None else temp
        elif home == Path("/github/home"):
            temp, outside = home, temp / "_github_home"
    return ReportFolder(temp / "hunkwise", outside / "hunkwise")


def _read_required(environ: Mapping[str, str], name: str, example: str, faults: list[str]) -> str:
    text = environ.get(name, "")
    if not text:
        faults.append(
            f"{name} is not set; GitHub's runner sets it, and outside of a workflow it must be"
            f" given ({example})."
        )
    return text


def _read_url(environ: Mapping[str, str], name: str, default: str, faults: list[str]) -> str:
    text = environ.get(name) or default
    try:
        return parse_url(text).text
    except ValueError as fault:
        faults.append(f"{name} {fault}.")
        return default


def _read_path(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name)
    return Path(text) if text else None

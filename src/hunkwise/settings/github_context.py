"""Reads the runner's environment variables, and turns the event into a task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AuditStage, AuditTask, read_audit_task
from hunkwise.settings.parsing import listed, parse_url, quoted


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
    graphql_url: str = "https://api.github.com/graphql"
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


def read_environment(environ: Mapping[str, str]) -> RunnerEnvironment:
    """Reads the runner's environment variables. Raises SettingsError with a sentence for every fault."""
    faults: list[str] = []
    event_name = _read_required(environ, "GITHUB_EVENT_NAME", "pull_request", faults)
    event_path = _read_required(environ, "GITHUB_EVENT_PATH", "the path of the event's JSON file", faults)
    repository = _read_required(environ, "GITHUB_REPOSITORY", "owner/name", faults)
    if repository and not re.fullmatch(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}", repository):
        faults.append(f"GITHUB_REPOSITORY must be owner/name, not {quoted(repository)}.")
    api_url = _read_url(environ, "GITHUB_API_URL", "https://api.github.com", faults)
    environment = RunnerEnvironment(
        event_name=event_name,
        event_path=Path(event_path),
        repository=repository,
        api_url=api_url,
        graphql_url=_read_url(environ, "GITHUB_GRAPHQL_URL", _derive_graphql_url(api_url), faults),
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


def _derive_graphql_url(api_url: str) -> str:
    """Returns the default GraphQL URL: GitHub Enterprise Server has REST at /api/v3 and GraphQL at /api/graphql."""
    return api_url.removesuffix("/v3") + "/graphql"


def _read_path(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name)
    return Path(text) if text else None


MAX_PAYLOAD_BYTES: Final = 25 * 1024 * 1024
"""GitHub's limit for a webhook payload."""
EVENTS: Final = ("pull_request", "pull_request_target", "workflow_dispatch")
"""Events on which a pull request is reviewed."""
PUBLISHING_EVENTS: Final = ("workflow_run", *EVENTS)
"""Events on which the report of another workflow is published."""
REVIEWED_ACTIONS: Final = ("opened", "synchronize", "reopened", "ready_for_review")
"""Actions after which there is something new to review; also `edited` if the base branch was changed."""


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A pull request to review. The SHAs are None if they are not in the event."""

    repository: str
    """`owner/name`, from GITHUB_REPOSITORY."""
    number: int
    head_sha: str | None
    base_sha: str | None
    fork: bool
    """The head is in another repository than the base, or in a deleted one. False if unknown."""
    action: str
    """The event's action; `workflow_dispatch` for that event."""


@dataclass(frozen=True, slots=True)
class PublishTask:
    """A report of another workflow to publish. Fields are None if they are not in the event."""

    repository: str
    """`owner/name`, from GITHUB_REPOSITORY."""
    head_sha: str | None
    """The commit that the report must be about."""
    head_repository: str | None
    """`owner/name` of the head's repository; also None if it was deleted."""
    run_id: int | None
    """The workflow run that made the report."""
    conclusion: str
    """GitHub's conclusion of that run (`failure` if a gate was reached); empty if unknown."""
    number: int | None = None
    """The pull request. If None, the report names it, and its head on GitHub must be `head_sha`."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """A run that ends at once without an error; `why` is a sentence."""

    why: str


Task = ReviewTask | PublishTask | AuditTask | NothingToDo


def read_event(
    name: str,
    payload: bytes,
    *,
    repository: str,
    pull_request: int | None,
    publishing: bool = False,
    audit: AuditStage | None = None,
    sha: str = "",
) -> Task:
    """Returns the task of an event. Raises only SettingsError.

    `pull_request` and `audit` are the inputs. `publishing` is true if the input `publish` is set: a PublishTask is
    then returned instead of a ReviewTask. `sha` is GITHUB_SHA, which only an audit needs.
    """
    if audit is not None or (name == "schedule" and not publishing):
        return read_audit_task(name, repository, sha, audit or AuditStage.ALL)
    if name not in (PUBLISHING_EVENTS if publishing else EVENTS):
        raise SettingsError([_describe_unknown_event(name, publishing=publishing)])
    event = _Node(_parse_payload(payload), "")
    full_name = event.at("repository").text("full_name")
    if full_name.casefold() != repository.casefold():
        raise SettingsError(
            [
                f"The event payload is about the repository {quoted(full_name)}, but GITHUB_REPOSITORY is"
                f" {quoted(repository)}; both must come from the same run."
            ]
        )
    if name == "workflow_run":
        return _read_workflow_run(event, repository, pull_request)
    if name == "workflow_dispatch":
        if publishing:
            return PublishTask(repository, None, None, None, "", pull_request)
        return _read_dispatch(repository, pull_request)
    task = _read_pull_request(event, repository, pull_request)
    if publishing and isinstance(task, ReviewTask):
        head = event.at("pull_request").at("head")
        return PublishTask(repository, task.head_sha, _read_full_name(head, "repo"), None, "", task.number)
    return task


def _describe_unknown_event(name: str, *, publishing: bool) -> str:
    if name == "workflow_run":
        return (
            'The event workflow_run brings no change to review; set the input "publish" to the path of the'
            " JSON report that the run which ended has made, or run hunkwise on pull_request,"
            " pull_request_target or workflow_dispatch."
        )
    if publishing:
        return (
            f'On the event {quoted(name)} no report can be published; run hunkwise with "publish" on'
            f" {listed(PUBLISHING_EVENTS)}."
        )
    return (
        f"The event {quoted(name)} cannot be reviewed; run hunkwise on {listed(EVENTS)}, or on schedule for an audit"
        " (issue_comment is not handled by this version)."
    )


def _parse_payload(payload: bytes) -> object:
    remedy = "GITHUB_EVENT_PATH must name the file that the runner wrote for this event."
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SettingsError(
            [
                f"The event payload has more than {MAX_PAYLOAD_BYTES:,} bytes, and GitHub sends at most 25 MB;"
                f" {remedy}"
            ]
        )
    try:
        parsed: object = json.loads(payload.decode("utf-8-sig"))
    except RecursionError as error:
        raise SettingsError([f"The event payload is nested too deeply; {remedy}"]) from error
    except ValueError as error:
        raise SettingsError([f"The event payload is not JSON; {remedy}"]) from error
    return parsed


def _read_dispatch(repository: str, pull_request: int | None) -> ReviewTask:
    if pull_request is None:
        raise SettingsError(
            [
                'Input "pull-request" is missing, and workflow_dispatch names no pull request by itself;'
                ' declare an input in the workflow ("on: workflow_dispatch: inputs: pull-request:") and'
                ' pass it on ("with: pull-request: ${{ inputs.pull-request }}").'
            ]
        )
    return ReviewTask(repository, pull_request, None, None, fork=False, action="workflow_dispatch")


def _read_pull_request(event: _Node, repository: str, requested: int | None) -> ReviewTask | NothingToDo:
    action = event.text("action")
    pull = event.at("pull_request")
    number = pull.positive("number")
    if requested not in (None, number):
        raise SettingsError(
            [
                f'Input "pull-request" is {requested}, but the event is about #{number}; leave the input out'
                " (it is for workflow_dispatch)."
            ]
        )
    head, base = pull.at("head"), pull.at("base")
    task = ReviewTask(
        repository, number, head.sha("sha"), base.sha("sha"), fork=_is_fork(head, repository), action=action
    )
    if action == "closed" or pull.text("state") != "open":
        merged = pull.fields.get("merged") is True
        return NothingToDo(f"Pull request #{number} is {'merged' if merged else 'closed'}.")
    if action in REVIEWED_ACTIONS or (action == "edited" and _is_base_changed(event)):
        return task
    return NothingToDo(
        f"The action {quoted(action)} brings no new code to pull request #{number};"
        f" {', '.join(REVIEWED_ACTIONS)}, and edited where the base branch changes, do."
    )


def _read_workflow_run(event: _Node, repository: str, requested: int | None) -> PublishTask | NothingToDo:
    """Returns the task for a completed run. The report is checked against its SHA and repository, from GitHub."""
    run = event.at("workflow_run")
    if event.text("action") != "completed":
        return NothingToDo("The run that makes the report has not ended yet.")
    trigger = run.text("event")
    if trigger != "pull_request":
        return NothingToDo(
            f"The run that ended was started by {quoted(trigger)}; only a run on pull_request makes a report that is"
            " published here."
        )
    return PublishTask(
        repository,
        run.sha("head_sha"),
        _read_full_name(run, "head_repository"),
        run.positive("id"),
        run.text("conclusion"),
        requested,
    )


def _is_fork(head: _Node, repository: str) -> bool:
    name = _read_full_name(head, "repo")
    return name is None or name.casefold() != repository.casefold()


def _read_full_name(node: _Node, key: str) -> str | None:
    """Returns the `owner/name` of a repository; None if it was deleted."""
    return None if node.fields.get(key) is None else node.at(key).text("full_name")


def _is_base_changed(event: _Node) -> bool:
    changes = event.fields.get("changes")
    return isinstance(changes, dict) and "base" in changes


class _Node:
    """An object in the payload, and its path for messages. Raises SettingsError for any other type."""

    def __init__(self, value: object, path: str) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise self._type_error(path or "its top", "object", value)
        self.fields: dict[str, object] = value

    def at(self, key: str) -> _Node:
        return _Node(self.fields.get(key), self._path_of(key))

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        if not isinstance(value, str) or not value:
            raise self._type_error(self._path_of(key), "text", value)
        return value

    def sha(self, key: str) -> str:
        value = self.text(key)
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", value):
            raise self._type_error(self._path_of(key), "commit SHA", value)
        return value

    def positive(self, key: str) -> int:
        value = self.fields.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 10**12:
            raise self._type_error(self._path_of(key), "positive number", value)
        return value

    def _path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _type_error(self, path: str, expected: str, value: object) -> SettingsError:
        shown = "a number" if isinstance(value, int) and not isinstance(value, bool) else quoted(value)
        return SettingsError(
            [
                f"The event payload has no {expected} at {path} (found {shown});"
                " GITHUB_EVENT_PATH must name the file that the runner wrote for this event."
            ]
        )

"""What a job says: the runner's variables, and the event as a task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.settings.parsing import listed, parse_url, quoted


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


MAX_PAYLOAD_BYTES: Final = 25 * 1024 * 1024
"""GitHub's own cap on a webhook payload."""
EVENTS: Final = ("pull_request", "pull_request_target", "workflow_dispatch")
"""Events on which a pull request is reviewed."""
PUBLISHING_EVENTS: Final = ("workflow_run", *EVENTS)
"""Events on which the report of another workflow is published."""
REVIEWED_ACTIONS: Final = ("opened", "synchronize", "reopened", "ready_for_review")
"""Actions that bring something new to review; `edited` does where the base branch was changed."""


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A pull request to review. The SHAs are None where the event does not know them."""

    repository: str
    """`owner/name`, as the runner says it."""
    number: int
    head_sha: str | None
    base_sha: str | None
    fork: bool
    """The head is in another repository than the base, or in one that was deleted. False where unknown."""
    action: str
    """The event's action; `workflow_dispatch` for that event."""


@dataclass(frozen=True, slots=True)
class PublishTask:
    """A report of another workflow to publish. None stands for what the event does not know."""

    repository: str
    """`owner/name`, as the runner says it."""
    head_sha: str | None
    """The commit that the report must be about."""
    head_repository: str | None
    """`owner/name` of the head's repository; also None where that was deleted."""
    run_id: int | None
    """The workflow run that made the report."""
    conclusion: str
    """Of that run, by GitHub's words (`failure` where a gate was reached); empty where unknown."""
    number: int | None = None
    """The pull request; where None, the report names it, and GitHub must say that its head is `head_sha`."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """A run that rightly ends at once, and a sentence on why."""

    why: str


Task = ReviewTask | PublishTask | NothingToDo


def read_event(
    name: str, payload: bytes, *, repository: str, pull_request: int | None, publishing: bool = False
) -> Task:
    """What the event asks for. Raises SettingsError, and nothing else.

    `pull_request` is the input; `publishing` says that the input `publish` is set: the answer is then a
    PublishTask where it would be a ReviewTask.
    """
    if name not in (PUBLISHING_EVENTS if publishing else EVENTS):
        raise SettingsError([_unknown_event(name, publishing=publishing)])
    event = _Node(_parse(payload), "")
    named = event.at("repository").text("full_name")
    if named.casefold() != repository.casefold():
        raise SettingsError(
            [
                f"The event payload is about the repository {quoted(named)}, but GITHUB_REPOSITORY is"
                f" {quoted(repository)}; both must come from the same run."
            ]
        )
    if name == "workflow_run":
        return _workflow_run(event, repository, pull_request)
    if name == "workflow_dispatch":
        if publishing:
            return PublishTask(repository, None, None, None, "", pull_request)
        return _dispatched(repository, pull_request)
    task = _pull_request(event, repository, pull_request)
    if publishing and isinstance(task, ReviewTask):
        head = event.at("pull_request").at("head")
        return PublishTask(repository, task.head_sha, _full_name(head, "repo"), None, "", task.number)
    return task


def _unknown_event(name: str, *, publishing: bool) -> str:
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
        f"The event {quoted(name)} cannot be reviewed; run hunkwise on {listed(EVENTS)} (schedule and"
        " issue_comment are not handled by this version)."
    )


def _parse(payload: bytes) -> object:
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


def _dispatched(repository: str, pull_request: int | None) -> ReviewTask:
    if pull_request is None:
        raise SettingsError(
            [
                'Input "pull-request" is missing, and workflow_dispatch names no pull request by itself;'
                ' declare an input in the workflow ("on: workflow_dispatch: inputs: pull-request:") and'
                ' pass it on ("with: pull-request: ${{ inputs.pull-request }}").'
            ]
        )
    return ReviewTask(repository, pull_request, None, None, fork=False, action="workflow_dispatch")


def _pull_request(event: _Node, repository: str, asked: int | None) -> ReviewTask | NothingToDo:
    action = event.text("action")
    pull = event.at("pull_request")
    number = pull.positive("number")
    if asked not in (None, number):
        raise SettingsError(
            [
                f'Input "pull-request" is {asked}, but the event is about #{number}; leave the input out'
                " (it is for workflow_dispatch)."
            ]
        )
    head, base = pull.at("head"), pull.at("base")
    task = ReviewTask(
        repository, number, head.sha("sha"), base.sha("sha"), fork=_is_fork(head, repository), action=action
    )
    if action == "closed" or pull.text("state") != "open":
        merged = pull.found.get("merged") is True
        return NothingToDo(f"Pull request #{number} is {'merged' if merged else 'closed'}.")
    if action in REVIEWED_ACTIONS or (action == "edited" and _base_changed(event)):
        return task
    return NothingToDo(
        f"The action {quoted(action)} brings no new code to pull request #{number};"
        f" {', '.join(REVIEWED_ACTIONS)}, and edited where the base branch changes, do."
    )


def _workflow_run(event: _Node, repository: str, asked: int | None) -> PublishTask | NothingToDo:
    """The run that ended. GitHub wrote this payload: its SHA and repository are what a report is checked by."""
    run = event.at("workflow_run")
    if event.text("action") != "completed":
        return NothingToDo("The run that makes the report has not ended yet.")
    by = run.text("event")
    if by != "pull_request":
        return NothingToDo(
            f"The run that ended was started by {quoted(by)}; only a run on pull_request makes a report that is"
            " published here."
        )
    return PublishTask(
        repository,
        run.sha("head_sha"),
        _full_name(run, "head_repository"),
        run.positive("id"),
        run.text("conclusion"),
        asked,
    )


def _is_fork(head: _Node, repository: str) -> bool:
    name = _full_name(head, "repo")
    return name is None or name.casefold() != repository.casefold()


def _full_name(node: _Node, key: str) -> str | None:
    """The `owner/name` of a repository that may have been deleted."""
    return None if node.found.get(key) is None else node.at(key).text("full_name")


def _base_changed(event: _Node) -> bool:
    changes = event.found.get("changes")
    return isinstance(changes, dict) and "base" in changes


class _Node:
    """An object within the payload, and its place for messages. Every other shape is a SettingsError."""

    def __init__(self, found: object, place: str) -> None:
        self.place = place
        if not isinstance(found, dict):
            raise self._fault(place or "its top", "object", found)
        self.found: dict[str, object] = found

    def at(self, key: str) -> _Node:
        return _Node(self.found.get(key), self._place(key))

    def text(self, key: str) -> str:
        found = self.found.get(key)
        if not isinstance(found, str) or not found:
            raise self._fault(self._place(key), "text", found)
        return found

    def sha(self, key: str) -> str:
        found = self.text(key)
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", found):
            raise self._fault(self._place(key), "commit SHA", found)
        return found

    def positive(self, key: str) -> int:
        found = self.found.get(key)
        if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found < 10**12:
            raise self._fault(self._place(key), "positive number", found)
        return found

    def _place(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def _fault(self, place: str, wanted: str, found: object) -> SettingsError:
        shown = "a number" if isinstance(found, int) and not isinstance(found, bool) else quoted(found)
        return SettingsError(
            [
                f"The event payload has no {wanted} at {place} (found {shown});"
                " GITHUB_EVENT_PATH must name the file that the runner wrote for this event."
            ]
        )

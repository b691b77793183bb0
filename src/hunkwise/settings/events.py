"""Turns the event of a workflow into a task."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from hunkwise.domain.command import parse_command
from hunkwise.domain.text import is_sha
from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AuditStage, AuditTask, read_audit_task
from hunkwise.settings.parsing import listed, quoted

EVENTS: Final = ("pull_request", "pull_request_target", "workflow_dispatch")
"""Events on which a pull request is reviewed."""
PUBLISHING_EVENTS: Final = ("workflow_run", *EVENTS)
"""Events on which the report of another workflow is published."""
COMMAND_EVENTS: Final = ("issue_comment", "pull_request_review_comment")
"""Events on which a command in a comment is carried out."""
MERGE_QUEUE: Final = "merge_group"
"""The event of a merge queue, on which required checks run again."""
_QUEUE_BRANCH: Final = re.compile(r"refs/heads/gh-readonly-queue/\S+/pr-([1-9]\d{0,9})-[0-9a-f]{40,64}")


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A pull request to review. The SHAs are None if they are not in the event."""

    repository: str
    """`owner/name`, from GITHUB_REPOSITORY."""
    number: int
    head_sha: str | None = None
    base_sha: str | None = None
    fork: bool = False
    """The head is in another repository than the base, or in a deleted one. False if unknown."""
    automatic: bool = False
    """Whether no person requested it."""


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

    @property
    def automatic(self) -> bool:
        """Whether no person requested it."""
        return self.head_sha is not None


@dataclass(frozen=True, slots=True)
class CommandTask:
    """A comment whose first line is a command, or nearly one. GitHub must be asked whether it is still so."""

    repository: str
    """`owner/name`, from GITHUB_REPOSITORY."""
    number: int
    """The pull request or issue."""
    comment_id: int
    in_thread: bool
    """The comment is in a review thread; such comments have ids of their own."""
    is_pull_request: bool
    """False on an issue."""
    login: str
    """The author of the comment, whose permission must be asked for."""
    fork: bool = False
    """The head is in another repository, so that the token is read-only. Known in threads only, otherwise False."""


@dataclass(frozen=True, slots=True)
class MergeQueueTask:
    """A pull request in a merge queue, where nothing is reviewed: its check run is repeated."""

    repository: str
    """`owner/name`, from GITHUB_REPOSITORY."""
    number: int
    group_sha: str
    """The commit that the queue would merge, and at which it waits for required checks."""


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """A run that ends at once without an error; `why` is a sentence."""

    why: str


Task = ReviewTask | PublishTask | AuditTask | CommandTask | MergeQueueTask | NothingToDo


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
    if name not in (MERGE_QUEUE, *(PUBLISHING_EVENTS if publishing else (*EVENTS, *COMMAND_EVENTS))):
        raise SettingsError([_describe_unknown_event(name, publishing=publishing)])
    event = parse_payload(payload)
    full_name = event.at("repository").text("full_name")
    if full_name.casefold() != repository.casefold():
        raise SettingsError(
            [
                f"The event payload is about the repository {quoted(full_name)}, but GITHUB_REPOSITORY is"
                f" {quoted(repository)}; both must come from the same run."
            ]
        )
    if name == MERGE_QUEUE:
        return _read_merge_group(event, repository)
    if name == "workflow_run":
        return _read_workflow_run(event, repository, pull_request)
    if name == "workflow_dispatch":
        if publishing:
            return PublishTask(repository, None, None, None, "", pull_request)
        return _read_dispatch(repository, pull_request)
    if name in COMMAND_EVENTS:
        return _read_comment(event, repository, pull_request, in_thread=name == "pull_request_review_comment")
    task = _read_pull_request(event, repository, pull_request, publishing=publishing)
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
        f"The event {quoted(name)} cannot be reviewed; run hunkwise on {listed(EVENTS)}, on schedule for an audit, or"
        f" on {listed(COMMAND_EVENTS)} for commands in comments."
    )


def _read_dispatch(repository: str, pull_request: int | None) -> ReviewTask:
    if pull_request is None:
        raise SettingsError(
            [
                'Input "pull-request" is missing, and workflow_dispatch names no pull request by itself;'
                ' declare an input in the workflow ("on: workflow_dispatch: inputs: pull-request:") and'
                ' pass it on ("with: pull-request: ${{ inputs.pull-request }}").'
            ]
        )
    return ReviewTask(repository, pull_request)


def _read_pull_request(
    event: PayloadNode, repository: str, requested: int | None, *, publishing: bool
) -> ReviewTask | NothingToDo:
    action = event.text("action")
    pull = event.at("pull_request")
    number = pull.positive("number")
    _check_requested(requested, number)
    head, base = pull.at("head"), pull.at("base")
    # A job of the service has neither SHA: it reviews the head that it finds.
    named = publishing or "sha" in head.fields or "sha" in base.fields
    head_sha, base_sha = (head.sha("sha"), base.sha("sha")) if named else (None, None)
    task = ReviewTask(repository, number, head_sha, base_sha, fork=_is_fork(head, repository), automatic=True)
    if action == "closed" or pull.text("state") != "open":
        merged = pull.fields.get("merged") is True
        return NothingToDo(f"Pull request #{number} is {'merged' if merged else 'closed'}.")
    if action == "locked":
        return NothingToDo(
            f"The conversation of pull request #{number} was locked: no review can be posted in it."
        )
    # Also where the event brings no new code: the run of the last push may have been cancelled. Where it was not, the
    # hidden state says so, and no model is asked.
    return task


def _check_requested(requested: int | None, number: int) -> None:
    """Raises SettingsError if the input `pull-request` is set and contradicts the event."""
    if requested not in (None, number):
        raise SettingsError(
            [
                f'Input "pull-request" is {requested}, but the event is about #{number}; leave the input out'
                " (it is for workflow_dispatch)."
            ]
        )


def _read_comment(
    event: PayloadNode, repository: str, requested: int | None, *, in_thread: bool
) -> CommandTask | NothingToDo:
    """Returns the task for a new comment of a person; the payload's word alone is no permission."""
    subject = event.at("pull_request" if in_thread else "issue")
    number = subject.positive("number")
    _check_requested(requested, number)
    comment = event.at("comment")
    if event.text("action") != "created":
        return NothingToDo("The comment is not new; a command is carried out only when it is posted.")
    if parse_command(comment.text("body")) is None:
        return NothingToDo("The comment is not a command: its first line does not begin with /hunkwise.")
    if comment.fields.get("user") is None:
        return NothingToDo("The account that wrote the comment was deleted.")
    user = comment.at("user")
    if user.text("type") != "User" or comment.fields.get("performed_via_github_app") is not None:
        return NothingToDo("The comment was written by a bot or an app; only people can give commands.")
    return CommandTask(
        repository,
        number,
        comment.positive("id"),
        in_thread=in_thread,
        is_pull_request=in_thread or subject.fields.get("pull_request") is not None,
        login=user.text("login"),
        fork=in_thread and _is_fork(subject.at("head"), repository),
    )


def _read_workflow_run(
    event: PayloadNode, repository: str, requested: int | None
) -> PublishTask | NothingToDo:
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


def _read_merge_group(event: PayloadNode, repository: str) -> MergeQueueTask | NothingToDo:
    group = event.at("merge_group")
    number = queued_number(group.text("head_ref"))
    if event.text("action") != "checks_requested":
        return NothingToDo("The merge group was removed: no check is asked for.")
    if number is None:
        return NothingToDo("The branch of the merge group names no pull request: no check run is created.")
    return MergeQueueTask(repository, number, group.sha("head_sha"))


def queued_number(branch: str) -> int | None:
    """Returns the pull request of a merge group by the name of its branch; None for a name of another form."""
    match = _QUEUE_BRANCH.fullmatch(branch)
    return int(match[1]) if match else None


def _is_fork(head: PayloadNode, repository: str) -> bool:
    name = _read_full_name(head, "repo")
    return name is None or name.casefold() != repository.casefold()


def _read_full_name(node: PayloadNode, key: str) -> str | None:
    """Returns the `owner/name` of a repository; None if it was deleted."""
    return None if node.fields.get(key) is None else node.at(key).text("full_name")


MAX_PAYLOAD_BYTES: Final = 25 * 1024 * 1024
"""GitHub's limit for a webhook payload."""


class PayloadNode:
    """An object in the payload, and its path for messages. Raises SettingsError for any other type."""

    def __init__(self, value: object, path: str) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise self._type_error(path or "its top", "object", value)
        self.fields: dict[str, object] = value

    def at(self, key: str) -> PayloadNode:
        return PayloadNode(self.fields.get(key), self._path_of(key))

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        if not isinstance(value, str) or not value:
            raise self._type_error(self._path_of(key), "text", value)
        return value

    def sha(self, key: str) -> str:
        value = self.text(key)
        if not is_sha(value):
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


def parse_payload(payload: bytes) -> PayloadNode:
    """Parses the bytes of the event file. Raises SettingsError."""
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
    return PayloadNode(parsed, "")

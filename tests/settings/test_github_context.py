"""Tests the runner's environment: defaults, and the text of its errors."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AuditStage, AuditTask
from hunkwise.settings.events import (
    COMMAND_EVENTS,
    PUBLISHING_EVENTS,
    CommandTask,
    MergeQueueTask,
    NothingToDo,
    PublishTask,
    ReviewTask,
    Task,
    queued_number,
    read_event,
)
from hunkwise.settings.github_context import ReportFolder, RunnerEnvironment, read_environment

SYSTEM = Path(tempfile.gettempdir()) / "hunkwise"
NEEDED = {
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_EVENT_PATH": "/e.json",
    "GITHUB_REPOSITORY": "octo/re.po",
}


def test_three_variables_are_sufficient() -> None:
    assert read_environment(NEEDED) == RunnerEnvironment(
        "pull_request",
        Path("/e.json"),
        "octo/re.po",
        api_url="https://api.github.com",
        server_url="https://github.com",
        reports=ReportFolder(SYSTEM, SYSTEM),
    )


def test_all_variables_of_the_runner_are_read() -> None:
    variables = NEEDED | {
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
    assert read_environment(variables) == RunnerEnvironment(
        "pull_request",
        Path("/e.json"),
        "octo/re.po",
        api_url="https://ghe.example/api/v3",
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
    ("variables", "inside", "outside"),
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
def test_reports_of_a_container_are_written_into_the_workspace(
    variables: dict[str, str], inside: str, outside: str
) -> None:
    environment = read_environment(NEEDED | {"GITHUB_WORKSPACE": "/github/workspace"} | variables)
    assert environment.reports == ReportFolder(Path(inside), Path(outside))


def test_all_missing_variables_are_reported() -> None:
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
            "GITHUB_API_URL",
            "https://a:b@c",
            "GITHUB_API_URL must not hold a user name or password; leave out everything up to the @.",
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
def test_invalid_variable_has_one_error(name: str, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_environment(NEEDED | {name: text})
    assert caught.value.faults == (fault,)


@pytest.mark.parametrize(
    ("event", "actor", "fork", "page"),
    [
        ("pull_request", "mona", True, "docs/forks.md"),
        ("pull_request_target", "mona", True, ""),
        ("pull_request", "mona", False, ""),
        ("pull_request", "dependabot[bot]", False, "docs/events.md"),
    ],
)
def test_read_only_token_is_explained_where_it_is_to_be_expected(
    event: str, actor: str, fork: bool, page: str
) -> None:
    environment = read_environment(NEEDED | {"GITHUB_EVENT_NAME": event, "GITHUB_ACTOR": actor})
    reason = environment.explain_read_only_token(fork=fork)
    assert page in reason if page else reason == ""


EXAMPLES = Path(__file__).parents[2] / "node_modules/@octokit/webhooks-examples/api.github.com/index.json"
REPOSITORY = "Codertocat/Hello-World"
HEAD, BASE = "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
REMEDY = "GITHUB_EVENT_PATH must name the file that the runner wrote for this event."


@functools.cache
def examples(event: str) -> list[dict[str, Any]]:
    """Returns GitHub's example payloads of an event (npm's @octokit/webhooks-examples)."""
    events = json.loads(EXAMPLES.read_text())
    return next(entry["examples"] for entry in events if entry["name"] == event)


def example(action: str) -> dict[str, Any]:
    payload = next(payload for payload in examples("pull_request") if payload["action"] == action)
    return copy.deepcopy(payload)


def ended_run() -> dict[str, Any]:
    """Returns GitHub's example of a completed run, changed to a run of a pull request from a fork."""
    payload = copy.deepcopy(examples("workflow_run")[1])
    payload["repository"]["full_name"] = REPOSITORY
    payload["workflow_run"] |= {"event": "pull_request", "head_sha": HEAD, "pull_requests": []}
    payload["workflow_run"]["head_repository"]["full_name"] = "mona/Hello-World"
    return payload


def read(
    payload: object, name: str = "pull_request", pull_request: int | None = None, *, publishing: bool = False
) -> Task:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return read_event(name, raw, repository=REPOSITORY, pull_request=pull_request, publishing=publishing)


def fault_of(payload: object, *arguments: Any, **options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        read(payload, *arguments, **options)
    (fault,) = caught.value.faults
    return fault


ACTIONS = sorted({payload["action"] for payload in examples("pull_request")} | {"enqueued", "of the future"})
SKIPPED_ACTIONS = {
    "closed": "Pull request #2 is closed.",
    "locked": "The conversation of pull request #2 was locked: no review can be posted in it.",
}


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_review_task_unless_no_review_can_be_posted(name: str, action: str) -> None:
    payload = example("opened") | {"action": action}
    task, publishing = read(payload, name), read(payload, name, publishing=True)
    if action in SKIPPED_ACTIONS:
        assert task == publishing == NothingToDo(SKIPPED_ACTIONS[action])
        return
    assert task == ReviewTask(REPOSITORY, 2, HEAD, BASE, automatic=True)
    assert isinstance(publishing, PublishTask)
    assert task.automatic
    assert publishing.automatic


def test_event_without_commits_is_of_whatever_head_is_found() -> None:
    payload = example("opened")
    for side in ("head", "base"):
        del payload["pull_request"][side]["sha"]
    assert read(payload) == ReviewTask(REPOSITORY, 2, automatic=True)
    with pytest.raises(SettingsError, match=r"no text at pull_request\.head\.sha"):
        read(payload, publishing=True)


def test_review_that_a_person_requested_is_not_automatic() -> None:
    assert not ReviewTask(REPOSITORY, 2).automatic


@pytest.mark.parametrize("payload", examples("pull_request"), ids=lambda payload: payload["action"])
def test_every_example_of_github_is_parsed(payload: dict[str, Any]) -> None:
    assert isinstance(read(payload), NothingToDo if payload["action"] in SKIPPED_ACTIONS else ReviewTask)


@pytest.mark.parametrize(
    ("action", "changed", "why"),
    [
        ("closed", {"merged": True}, "Pull request #2 is merged."),
        ("synchronize", {"state": "closed"}, "Pull request #2 is closed."),
    ],
)
def test_closed_pull_request_is_not_reviewed(action: str, changed: dict[str, object], why: str) -> None:
    payload = example(action)
    payload["pull_request"] |= changed
    assert read(payload) == NothingToDo(why)


@pytest.mark.parametrize("publishing", [False, True])
@pytest.mark.parametrize("payload", examples("merge_group"), ids=lambda payload: payload["action"])
def test_merge_group_names_its_pull_request_and_commit(payload: dict[str, Any], publishing: bool) -> None:
    payload = payload | {"repository": {"full_name": REPOSITORY}}
    sha = payload["merge_group"]["head_sha"]
    assert read(payload, "merge_group", publishing=publishing) == MergeQueueTask(REPOSITORY, 104, sha)


@pytest.mark.parametrize(
    ("action", "branch"),
    [
        ("destroyed", f"refs/heads/gh-readonly-queue/main/pr-104-{'a' * 40}"),
        ("checks_requested", "refs/heads/main"),
        ("checks_requested", f"refs/heads/gh-readonly-queue/pr-104-{'a' * 40}"),
        ("checks_requested", f"refs/heads/gh-readonly-queue/main/pr-0-{'a' * 40}"),
        ("checks_requested", f"refs/heads/gh-readonly-queue/main/pr-104-{'a' * 40}\n"),
    ],
)
def test_nothing_is_asked_about_another_merge_group(action: str, branch: str) -> None:
    group = {"head_ref": branch, "head_sha": "b" * 40}
    payload = {"action": action, "merge_group": group, "repository": {"full_name": REPOSITORY}}
    assert isinstance(read(payload, "merge_group"), NothingToDo)


@pytest.mark.parametrize(
    ("branch", "number"),
    [
        (f"refs/heads/gh-readonly-queue/release/pr-7-{'c' * 40}/pr-12-{'a' * 64}", 12),
        (f"refs/heads/gh-readonly-queue/a b/pr-12-{'a' * 40}", None),
        (f"refs/heads/gh-readonly-queue/main/pr-012-{'a' * 40}", None),
        (f"refs/heads/gh-readonly-queue/main/pr-12-{'a' * 39}", None),
        ("", None),
    ],
)
def test_branch_of_a_merge_group_has_the_pull_requests_number(branch: str, number: int | None) -> None:
    assert queued_number(branch) == number


@pytest.mark.parametrize(
    ("repo", "fork"),
    [
        (None, True),
        ({"full_name": "mona/Hello-World"}, True),
        ({"full_name": "codertocat/hello-world"}, False),
    ],
)
def test_fork_is_recognized_by_head_repository(repo: object, fork: bool) -> None:
    payload = example("opened")
    payload["pull_request"]["head"]["repo"] = repo
    task = read(payload)
    assert isinstance(task, ReviewTask)
    assert task.fork is fork


@pytest.mark.parametrize("payload", examples("workflow_dispatch"))
def test_dispatched_run_reviews_pull_request_of_input(payload: dict[str, Any]) -> None:
    raw = json.dumps(payload).encode()
    task = read_event("workflow_dispatch", raw, repository="octo-org/octo-repo", pull_request=7)
    assert task == ReviewTask("octo-org/octo-repo", 7)


def test_dispatched_run_without_input_is_an_error_with_hint() -> None:
    assert fault_of({"repository": {"full_name": REPOSITORY}}, "workflow_dispatch") == (
        'Input "pull-request" is missing, and workflow_dispatch names no pull request by itself; declare an'
        ' input in the workflow ("on: workflow_dispatch: inputs: pull-request:") and pass it on ("with:'
        ' pull-request: ${{ inputs.pull-request }}").'
    )


def test_input_must_match_the_number_of_the_event() -> None:
    assert isinstance(read(example("opened"), pull_request=2), ReviewTask)
    assert fault_of(example("opened"), pull_request=3) == (
        'Input "pull-request" is 3, but the event is about #2; leave the input out (it is for'
        " workflow_dispatch)."
    )


@pytest.mark.parametrize("name", ["push", "issues", ""])
def test_other_events_are_an_error_with_supported_events(name: str) -> None:
    assert fault_of({}, name) == (
        f'The event "{name}" cannot be reviewed; run hunkwise on pull_request, pull_request_target or'
        " workflow_dispatch, on schedule for an audit, or on issue_comment or pull_request_review_comment for"
        " commands in comments."
    )
    assert fault_of({}, name, publishing=True) == (
        f'On the event "{name}" no report can be published; run hunkwise with "publish" on workflow_run,'
        " pull_request, pull_request_target or workflow_dispatch."
    )


def new_comment(event: str = "issue_comment", body: str = "/hunkwise review") -> dict[str, Any]:
    """GitHub's example of a new comment, as if it were this command, and on a pull request."""
    payload = next(payload for payload in examples(event) if payload["action"] == "created")
    payload = copy.deepcopy(payload)
    payload["comment"]["body"] = body
    if event == "issue_comment":
        payload["issue"]["pull_request"] = {"url": "https://api.github.com/x"}
    return payload


COMMENT = CommandTask(
    REPOSITORY, 1, 492700400, in_thread=False, is_pull_request=True, login="Codertocat", fork=False
)
IN_THREAD = CommandTask(REPOSITORY, 2, 284312630, in_thread=True, is_pull_request=True, login="Codertocat")


@pytest.mark.parametrize("body", ["/hunkwise ask Why?\r\nIn detail.", "/hunkwise approve", "/hunkwise"])
def test_a_new_command_is_a_task_even_if_it_is_unknown(body: str) -> None:
    assert read(new_comment(body=body), "issue_comment") == COMMENT
    in_thread = new_comment("pull_request_review_comment", body)
    assert read(in_thread, "pull_request_review_comment") == IN_THREAD


@pytest.mark.parametrize(
    ("event", "place", "put", "task"),
    [
        ("issue_comment", "issue.pull_request", None, replace(COMMENT, is_pull_request=False)),
        ("issue_comment", "issue.state", "closed", COMMENT),
        ("issue_comment", "comment.author_association", "NONE", COMMENT),
        ("issue_comment", "comment.performed_via_github_app", None, COMMENT),
        ("issue_comment", "pull_request", {"number": 9}, COMMENT),
        ("pull_request_review_comment", "comment.in_reply_to_id", 3, IN_THREAD),
        ("pull_request_review_comment", "issue", {"number": 9}, IN_THREAD),
        ("pull_request_review_comment", "pull_request.head.repo", None, replace(IN_THREAD, fork=True)),
        (
            "pull_request_review_comment",
            "pull_request.head.repo.full_name",
            "mona/Hello-World",
            replace(IN_THREAD, fork=True),
        ),
    ],
)
def test_the_event_decides_where_a_command_is(event: str, place: str, put: object, task: CommandTask) -> None:
    assert read(_with(new_comment(event), place, put), event) == task


@pytest.mark.parametrize("event", COMMAND_EVENTS)
@pytest.mark.parametrize(
    ("place", "put", "why"),
    [
        ("action", "edited", "The comment is not new; a command is carried out only when it is posted."),
        ("action", "deleted", "The comment is not new; a command is carried out only when it is posted."),
        (
            "comment.body",
            "Thanks!\n/hunkwise review",
            "The comment is not a command: its first line does not begin with /hunkwise.",
        ),
        ("comment.user", None, "The account that wrote the comment was deleted."),
        (
            "comment.user.type",
            "Bot",
            "The comment was written by a bot or an app; only people can give commands.",
        ),
        (
            "comment.user.type",
            "Organization",
            "The comment was written by a bot or an app; only people can give commands.",
        ),
        (
            "comment.performed_via_github_app",
            {"id": 1},
            "The comment was written by a bot or an app; only people can give commands.",
        ),
    ],
)
def test_other_comments_are_no_commands(event: str, place: str, put: object, why: str) -> None:
    assert read(_with(new_comment(event), place, put), event) == NothingToDo(why)


@pytest.mark.parametrize("event", COMMAND_EVENTS)
def test_every_example_of_a_comment_is_no_command(event: str) -> None:
    assert examples(event)
    for payload in examples(event):
        name = payload["repository"]["full_name"]
        raw = json.dumps(payload).encode()
        assert isinstance(read_event(event, raw, repository=name, pull_request=None), NothingToDo)


@pytest.mark.parametrize("event", COMMAND_EVENTS)
def test_a_command_is_neither_a_report_nor_an_audit(event: str) -> None:
    assert fault_of(new_comment(event), event, publishing=True).startswith(
        f'On the event "{event}" no report can be published;'
    )
    with pytest.raises(SettingsError, match='Input "audit" is set'):
        read_event(event, b"{}", repository=REPOSITORY, pull_request=None, audit=AuditStage.ALL, sha=HEAD)
    assert fault_of(new_comment(event), event, pull_request=5).startswith('Input "pull-request" is 5')


@pytest.mark.parametrize(
    ("name", "audit", "stage"),
    [("schedule", None, AuditStage.ALL)]
    + [(name, stage, stage) for name in ("schedule", "workflow_dispatch") for stage in AuditStage],
)
def test_audit_task_has_the_commit_of_the_run(name: str, audit: AuditStage | None, stage: AuditStage) -> None:
    payload = b'{"schedule": "23 3 * * 1", "workflow": ".github/workflows/audit.yml"}'
    task = read_event(name, payload, repository=REPOSITORY, pull_request=None, audit=audit, sha=HEAD)
    assert task == AuditTask(REPOSITORY, HEAD, stage)


@pytest.mark.parametrize(
    ("name", "audit", "sha", "fault"),
    [
        (
            "pull_request",
            AuditStage.ALL,
            HEAD,
            'Input "audit" is set, and the event is "pull_request"; run audits on schedule or workflow_dispatch.',
        ),
        ("schedule", None, "", 'GITHUB_SHA must be the SHA of the commit to audit, not "".'),
        ("schedule", None, "main", 'GITHUB_SHA must be the SHA of the commit to audit, not "main".'),
    ],
)
def test_impossible_audit_has_one_error(name: str, audit: AuditStage | None, sha: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_event(name, b"{}", repository=REPOSITORY, pull_request=None, audit=audit, sha=sha)
    assert caught.value.faults == (fault,)


def test_publishing_on_a_schedule_is_an_error() -> None:
    assert fault_of({}, "schedule", publishing=True) == (
        'On the event "schedule" no report can be published; run hunkwise with "publish" on workflow_run,'
        " pull_request, pull_request_target or workflow_dispatch."
    )


def test_completed_run_can_only_be_published() -> None:
    assert fault_of(ended_run(), "workflow_run") == (
        'The event workflow_run brings no change to review; set the input "publish" to the path of the JSON'
        " report that the run which ended has made, or run hunkwise on pull_request, pull_request_target or"
        " workflow_dispatch."
    )
    assert read(ended_run(), "workflow_run", publishing=True) == PublishTask(
        REPOSITORY, HEAD, "mona/Hello-World", 289782451, "success"
    )


@pytest.mark.parametrize(
    ("place", "put", "field", "value"),
    [
        ("workflow_run.pull_requests", [], "number", 7),  # from the input
        ("workflow_run.conclusion", "failure", "conclusion", "failure"),  # a gate was reached
        ("workflow_run.head_repository", None, "head_repository", None),  # a deleted fork
    ],
)
def test_report_of_a_completed_run_is_published(place: str, put: object, field: str, value: object) -> None:
    task = read(_with(ended_run(), place, put), "workflow_run", 7, publishing=True)
    assert isinstance(task, PublishTask)
    assert getattr(task, field) == value


@pytest.mark.parametrize(
    ("place", "put", "why"),
    [
        ("action", "requested", "The run that makes the report has not ended yet."),
        (
            "workflow_run.event",
            "push",
            'The run that ended was started by "push"; only a run on pull_request makes a report that is'
            " published here.",
        ),
    ],
)
def test_other_runs_have_nothing_to_publish(place: str, put: str, why: str) -> None:
    assert read(_with(ended_run(), place, put), "workflow_run", publishing=True) == NothingToDo(why)


def test_report_is_published_by_pull_request_number_or_by_its_contents() -> None:
    payload = {"repository": {"full_name": REPOSITORY}}
    for number in (7, None):
        task = read(payload, "workflow_dispatch", pull_request=number, publishing=True)
        assert task == PublishTask(REPOSITORY, None, None, None, "", number)
        assert not task.automatic


def test_report_is_published_on_pull_request_of_the_event() -> None:
    payload = example("synchronize")
    payload["pull_request"]["head"]["repo"]["full_name"] = "mona/Hello-World"
    assert read(payload, publishing=True) == PublishTask(REPOSITORY, HEAD, "mona/Hello-World", None, "", 2)


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b"", "The event payload is not JSON"),
        (b"{", "The event payload is not JSON"),
        (b"\xff\xfe{\0}\0", "The event payload is not JSON"),
        (b"9" * 5000, "The event payload is not JSON"),
        (b'{"a":' * 200_000, "The event payload is nested too deeply"),
        (
            b" " * (25 * 1024 * 1024 + 1),
            "The event payload has more than 26,214,400 bytes, and GitHub sends at most 25 MB",
        ),
    ],
    ids=["empty", "cut", "utf-16", "huge number", "deep", "huge"],
)
def test_unreadable_payload_has_one_error(payload: bytes, fault: str) -> None:
    assert fault_of(payload) == f"{fault}; {REMEDY}"


def test_byte_order_mark_is_accepted() -> None:
    assert isinstance(read(b"\xef\xbb\xbf" + json.dumps(example("opened")).encode()), ReviewTask)


@pytest.mark.parametrize(
    ("place", "put", "found"),
    [
        ("", [1], "object at its top (found a list)"),
        ("repository", None, "object at repository (found nothing)"),
        ("repository.full_name", 5, "text at repository.full_name (found a number)"),
        ("action", "", 'text at action (found "")'),
        ("pull_request", "x", 'object at pull_request (found "x")'),
        ("pull_request.number", True, "positive number at pull_request.number (found true)"),
        ("pull_request.number", 0, "positive number at pull_request.number (found a number)"),
        ("pull_request.head", {}, "text at pull_request.head.sha (found nothing)"),
        ("pull_request.head.sha", "HEAD", 'commit SHA at pull_request.head.sha (found "HEAD")'),
        ("pull_request.head.repo", [], "object at pull_request.head.repo (found an empty list)"),
        ("pull_request.base.sha", 1.5, "text at pull_request.base.sha (found 1.5)"),
        ("pull_request.state", {"a": 1}, "text at pull_request.state (found a mapping)"),
        ("workflow_run", None, "object at workflow_run (found nothing)"),
        ("workflow_run.head_sha", "main", 'commit SHA at workflow_run.head_sha (found "main")'),
        ("workflow_run.id", "5", 'positive number at workflow_run.id (found "5")'),
        (
            "workflow_run.head_repository",
            {},
            "text at workflow_run.head_repository.full_name (found nothing)",
        ),
        ("issue", None, "object at issue (found nothing)"),
        ("issue.number", "1", 'positive number at issue.number (found "1")'),
        ("comment", [], "object at comment (found an empty list)"),
        ("comment.body", None, "text at comment.body (found nothing)"),
        ("comment.id", 0, "positive number at comment.id (found a number)"),
        ("comment.user", "mona", 'object at comment.user (found "mona")'),
        ("comment.user.login", "", 'text at comment.user.login (found "")'),
        ("comment.user.type", None, "text at comment.user.type (found nothing)"),
        ("workflow_run.conclusion", None, "text at workflow_run.conclusion (found nothing)"),
    ],
)
def test_error_names_location_of_invalid_value(place: str, put: object, found: str) -> None:
    name, whole = "pull_request", example("opened")
    if place.startswith("workflow_run"):
        name, whole = "workflow_run", ended_run()
    elif place.startswith(("issue", "comment")):
        name, whole = "issue_comment", new_comment()
    fault = fault_of(_with(whole, place, put), name, publishing=name == "workflow_run")
    assert fault == f"The event payload has no {found}; {REMEDY}"


def test_payload_of_another_repository_is_an_error() -> None:
    payload = example("opened")
    payload["repository"]["full_name"] = "mona/other"
    assert fault_of(payload) == (
        'The event payload is about the repository "mona/other", but GITHUB_REPOSITORY is'
        ' "Codertocat/Hello-World"; both must come from the same run.'
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([REPOSITORY, HEAD, "open"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PLACES = (
    "action repository repository.full_name pull_request pull_request.number pull_request.state"
    " pull_request.merged pull_request.head pull_request.head.sha pull_request.head.repo"
    " pull_request.head.repo.full_name pull_request.base pull_request.base.sha workflow_run workflow_run.event"
    " workflow_run.head_sha workflow_run.head_repository workflow_run.head_repository.full_name workflow_run.id"
    " workflow_run.conclusion issue issue.number issue.pull_request comment comment.id comment.body comment.user"
    " comment.user.login comment.user.type comment.performed_via_github_app"
).split()
ALL_EVENTS = (*PUBLISHING_EVENTS, *COMMAND_EVENTS)


@given(
    st.sampled_from(ALL_EVENTS),
    st.booleans(),
    st.binary() | JSON.map(lambda found: json.dumps(found).encode()),
)
def test_any_payload_raises_only_settings_errors(name: str, publishing: bool, payload: bytes) -> None:
    with pytest.raises(SettingsError):
        read(payload, name, publishing=publishing)


@given(
    st.sampled_from(ALL_EVENTS),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(PLACES), JSON), max_size=3),
)
def test_any_changed_payload_gives_a_task_or_a_settings_error(
    name: str, publishing: bool, changes: list[tuple[str, Any]]
) -> None:
    payload: Any = ended_run() if name == "workflow_run" else example("opened")
    if name in COMMAND_EVENTS:
        payload = new_comment(name)
    for place, put in changes:
        payload = _with(payload, place, put)
    try:
        task: object = read(payload, name, publishing=publishing)
    except SettingsError as error:
        task = error.faults
    expected = CommandTask if name in COMMAND_EVENTS else ReviewTask
    assert isinstance(task, (PublishTask if publishing else expected) | NothingToDo | tuple)


def _with(payload: Any, place: str, put: object) -> Any:
    """Returns the payload with another value at a dotted path; unchanged if the path does not exist."""
    if not place:
        return put
    *above, key = place.split(".")
    inner = payload
    for step in above:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner[key] = put
    return payload

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.service.queue import JobRequest
from hunkwise.service.webhooks import MAX_BODY, Webhook, WebhookError, WebhookJobs, jobs_of, read_webhook
from hunkwise.settings.events import CommandTask, MergeQueueTask, ReviewTask, read_event
from tests.service.webhook_sender import (
    HEAD,
    OLD_SECRET,
    SECRET,
    headers_of,
    issue_comment,
    pull_request,
    sign,
)

BODY = json.dumps(pull_request()).encode()
HEADERS = headers_of(BODY, "pull_request", "f0a1-22")


def thread_comment(body: str) -> dict[str, Any]:
    """Returns the payload of a `pull_request_review_comment` event."""
    found = issue_comment(body)
    pull = pull_request()["pull_request"]
    return {**{key: value for key, value in found.items() if key != "issue"}, "pull_request": pull}


def jobs(payload: dict[str, Any], event: str = "pull_request") -> WebhookJobs:
    return jobs_of(Webhook("f0a1-22", event, payload))


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_both_secrets_are_accepted_while_they_are_rotated(secret: bytes) -> None:
    headers = {**HEADERS, "x-hub-signature-256": sign(BODY, secret)}
    webhook = read_webhook(headers, BODY, (SECRET, OLD_SECRET))
    assert (webhook.delivery, webhook.event, webhook.payload) == ("f0a1-22", "pull_request", pull_request())


@pytest.mark.parametrize(
    "signature",
    [
        sign(BODY, b"another secret"),
        sign(BODY, b""),
        sign(BODY.replace(b"5", b"6", 1)),
        sign(BODY).upper(),
        sign(BODY).removeprefix("sha256="),
        sign(BODY).replace("sha256", "sha1"),
        sign(BODY) + "0",
        sign(BODY)[:-1],
        "sha256=" + "0" * 64,
        "sha256=" + "é" * 64,
        "",
    ],
)
def test_a_wrong_signature_is_refused(signature: str) -> None:
    with pytest.raises(WebhookError) as refused:
        read_webhook({**HEADERS, "x-hub-signature-256": signature}, BODY, (SECRET, OLD_SECRET))
    assert refused.value.status == 401


def test_a_secret_is_refused_after_its_rotation() -> None:
    with pytest.raises(WebhookError) as refused:
        read_webhook({**HEADERS, "x-hub-signature-256": sign(BODY, OLD_SECRET)}, BODY, (SECRET,))
    assert refused.value.status == 401


def test_one_changed_byte_is_refused_wherever_it_is() -> None:
    for place in range(0, len(BODY), 7):
        changed = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
        with pytest.raises(WebhookError, match="X-Hub-Signature-256") as refused:
            read_webhook(HEADERS, changed, (SECRET,))
        assert refused.value.status == 401


@pytest.mark.parametrize(
    ("body", "changes", "status"),
    [
        (b"x" * (MAX_BODY + 1), {}, 413),
        (b"payload=%7B%7D", {}, 400),
        (b"[]", {}, 400),
        (b'{"a": ', {}, 400),
        (b"\xff\xfe{}", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"9" * 5_000, {}, 400),
        (BODY, {"x-github-delivery": ""}, 400),
        (BODY, {"x-github-delivery": "a\nb"}, 400),
        (BODY, {"x-github-delivery": "a" * 65}, 400),
        (BODY, {"x-github-event": "Pull Request"}, 400),
    ],
)
def test_a_signed_body_that_is_no_webhook_is_refused(
    body: bytes, changes: dict[str, str], status: int
) -> None:
    with pytest.raises(WebhookError) as refused:
        read_webhook({**headers_of(body, "pull_request", "f0a1"), **changes}, body, (SECRET,))
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("payload", "starts", "supersedes"),
    [
        (pull_request("opened"), True, False),
        (pull_request("synchronize"), True, True),
        (pull_request("reopened"), True, False),
        (pull_request("ready_for_review"), True, False),
        (pull_request("labeled"), True, False),
        (pull_request("unlabeled"), True, False),
        (pull_request("edited", changes={"base": {"ref": {"from": "main"}}}), True, True),
        (pull_request("edited", changes={"title": {"from": "WIP"}}), True, False),
        (pull_request("edited", changes={"body": {"from": ""}}), False, False),
        (pull_request("edited"), False, False),
        (pull_request("assigned"), False, False),
        (pull_request("converted_to_draft"), False, False),
        (pull_request("locked"), False, False),
        (pull_request("enqueued"), False, False),
    ],
)
def test_an_activity_type_starts_a_review_or_does_not(
    payload: dict[str, Any], starts: bool, supersedes: bool
) -> None:
    found = jobs(payload)
    assert (found.start is not None, found.supersedes, found.cancel) == (starts, supersedes, None)


def test_a_closed_pull_request_cancels_what_waits() -> None:
    found, opened = jobs(pull_request("closed")), jobs(pull_request()).start
    assert found.start is None
    assert found.cancel is not None
    assert opened is not None
    assert found.cancel.lock == opened.lock


def test_a_label_on_a_closed_pull_request_starts_nothing() -> None:
    payload = pull_request("labeled")
    payload["pull_request"]["state"] = "closed"
    assert jobs(payload) == WebhookJobs()


def test_pushes_share_a_key_and_pull_requests_do_not() -> None:
    first, second, other = (
        jobs(payload).start
        for payload in (
            pull_request("opened", repository="Acme/Shop"),
            pull_request("synchronize"),
            pull_request(number=6),
        )
    )
    assert first is not None
    assert second is not None
    assert other is not None
    assert first.queueing_lock == second.queueing_lock == first.lock
    assert other.lock != first.lock


def task_of(job: JobRequest | None) -> object:
    """Returns the task that the step reads from a job's payload."""
    assert job is not None
    return read_event(
        job.event, json.dumps(job.payload).encode(), repository=job.repository, pull_request=None
    )


def test_the_step_reads_the_same_command_from_the_job_as_from_the_webhook() -> None:
    for event, payload in (
        ("issue_comment", issue_comment("/hunkwise ask why?\n\nIs this right?")),
        ("pull_request_review_comment", thread_comment("/hunkwise dismiss")),
    ):
        job = jobs(payload, event).start
        assert job is not None
        task = task_of(job)
        assert isinstance(task, CommandTask)
        original = read_event(event, json.dumps(payload).encode(), repository="acme/shop", pull_request=None)
        assert task == original
        assert (job.kind, job.number, job.installation) == ("command", 5, 9)


def test_the_review_of_a_fork_is_recognized_from_the_job() -> None:
    payload = pull_request()
    for repository, fork in (("acme/shop", False), ("eve/shop", True), (None, True)):
        side = {"sha": HEAD, "repo": repository and {"full_name": repository}}
        payload["pull_request"]["head"] = side
        task = task_of(jobs(payload).start)
        assert isinstance(task, ReviewTask)
        assert (task.fork, task.head_sha) == (fork, None)


def merge_group(number: int = 5, head_sha: str = HEAD, action: str = "checks_requested") -> dict[str, Any]:
    branch = f"refs/heads/gh-readonly-queue/main/pr-{number}-{'a' * 40}"
    group = {"head_ref": branch, "head_sha": head_sha, "head_commit": {"message": "<script>"}}
    return {**pull_request(), "action": action, "merge_group": group}


def test_a_merge_group_is_answered_before_reviews_and_once() -> None:
    job, same, other = (
        jobs(merge_group(head_sha=sha), "merge_group").start for sha in (HEAD, HEAD, "e" * 40)
    )
    assert job is not None
    assert same is not None
    assert other is not None
    assert task_of(job) == MergeQueueTask("acme/shop", 5, HEAD)
    assert (job.priority, "<script>" in str(job)) == (1, False)
    assert job.queueing_lock == same.queueing_lock != other.queueing_lock
    review = jobs(pull_request()).start
    assert review is not None
    assert job.lock == other.lock != review.lock


def rerequested(event: str, action: str = "rerequested", **check: Any) -> JobRequest | None:
    """Returns the job of a check run or check suite; `kind` is the type of who requests it."""
    payload = {**pull_request(), "action": action, "sender": {"type": check.pop("kind", "User")}}
    payload["repository"]["id"] = 1
    found = {"pull_requests": [], "details_url": None, "head_sha": HEAD, **check}
    return jobs({**payload, event: found}, event).start


def listed(number: int = 5, repository: int = 1) -> dict[str, Any]:
    return {"number": number, "base": {"repo": {"id": repository}}}


URL = "https://github.com/acme/shop/pull/5"


@pytest.mark.parametrize(
    ("event", "check", "starts"),
    [
        ("check_run", {"pull_requests": [listed()]}, True),
        ("check_suite", {"pull_requests": [listed()]}, True),
        ("check_suite", {"pull_requests": [listed(6, repository=2), listed()]}, True),
        ("check_run", {"details_url": URL}, True),
        ("check_run", {"pull_requests": [listed(6)], "details_url": URL}, True),
        ("check_run", {"details_url": "https://github.com/old/name/pull/5"}, True),
        ("check_run", {"details_url": f"{URL}/files"}, False),
        ("check_run", {"details_url": "https://example.com/"}, False),
        ("check_run", {"pull_requests": None}, False),
        ("check_suite", {"pull_requests": [listed(repository=2)]}, False),
        ("check_suite", {}, False),
        ("check_run", {"pull_requests": [listed()], "action": "created"}, False),
        ("check_suite", {"pull_requests": [listed()], "action": "requested"}, False),
        ("check_suite", {"pull_requests": [listed()], "kind": "Bot"}, False),
    ],
)
def test_a_check_run_is_made_again_as_a_person_requested(
    event: str, check: dict[str, Any], starts: bool
) -> None:
    job, review = rerequested(event, **check), jobs(pull_request()).start
    assert (job is not None) == starts
    if job is not None:
        assert review is not None
        assert (job.event, job.number, job.lock) == ("workflow_dispatch", 5, review.lock)
        assert job.queueing_lock != review.queueing_lock


def test_the_check_run_of_a_merge_group_is_repeated_again() -> None:
    branch = f"gh-readonly-queue/main/pr-5-{'a' * 40}"
    asked = jobs(merge_group(), "merge_group").start
    assert rerequested("check_suite", head_branch=branch) == asked
    assert rerequested("check_run", check_suite={"head_branch": branch}, details_url=URL) == asked


@pytest.mark.parametrize(
    "payload",
    [merge_group(action="destroyed"), merge_group(2**31), merge_group(0), merge_group(head_sha="../..")],
)
def test_other_merge_groups_start_nothing(payload: dict[str, Any]) -> None:
    assert jobs(payload, "merge_group") == WebhookJobs()


@pytest.mark.parametrize(
    "payload",
    [
        issue_comment("Looks good."),
        issue_comment("Try\n/hunkwise review"),
        issue_comment("/hunkwise review", user=None),
        issue_comment("/hunkwise review", user={"login": "renovate[bot]", "type": "Bot"}),
        issue_comment("/hunkwise review", performed_via_github_app={"id": 3}),
        {**issue_comment(""), "comment": {"id": 1, "body": None}},
        {**issue_comment("/hunkwise review"), "action": "edited"},
        {**issue_comment("/hunkwise review"), "action": "deleted"},
    ],
)
def test_a_comment_that_is_no_command_of_a_person_starts_nothing(payload: dict[str, Any]) -> None:
    assert jobs(payload, "issue_comment") == WebhookJobs()


def test_a_job_keeps_no_text_that_a_stranger_wrote() -> None:
    hostile = "\0\ud800 <script>"
    found = (
        jobs(issue_comment(f"/hunkwise ask {hostile}"), "issue_comment").start,
        jobs(pull_request("edited", changes={"title": {"from": hostile}})).start,
    )
    assert all(job is not None and hostile not in str(job) for job in found)


@pytest.mark.parametrize(
    "event", ["ping", "installation", "installation_repositories", "workflow_run", "push"]
)
def test_other_events_start_nothing(event: str) -> None:
    assert jobs({"action": "created"}, event) == WebhookJobs()


@pytest.mark.parametrize(
    "change",
    [
        {"repository": {"full_name": "acme/../shop"}},
        {"repository": {"full_name": "acme/.."}},
        {"repository": {"full_name": "../shop"}},
        {"repository": {"full_name": "acme"}},
        {"repository": {"full_name": "acme/shöp"}},
        {"repository": {"full_name": "acme/shop\n"}},
        {"repository": None},
        {"installation": None},
        {"installation": {"id": "9"}},
        {"installation": {"id": True}},
        {"pull_request": {"number": 0}},
        {"pull_request": {"number": 2**31}},
        {"pull_request": {"number": 5}},
        {"action": 1},
    ],
)
def test_a_payload_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WebhookError) as refused:
        jobs({**pull_request(), **change})
    assert refused.value.status == 400

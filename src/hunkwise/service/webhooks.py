"""Turns GitHub's webhooks into jobs."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from hunkwise.domain.command import parse_command
from hunkwise.domain.text import is_sha
from hunkwise.service.queue import JobRequest
from hunkwise.settings.events import MERGE_QUEUE, queued_number

MAX_BODY: Final = 25 << 20
"""Bytes: GitHub sends no larger payload."""
_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})")
_DELIVERY: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
REPOSITORY: Final = re.compile(r"[A-Za-z0-9_-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
"""The full name of one."""
MAX_NUMBER: Final = 2**31 - 1
"""Of pull requests and issues."""
_MAX_ID: Final = 2**53
REVIEWED: Final = ("opened", "synchronize", "reopened", "ready_for_review", "edited", "labeled", "unlabeled")
"""Activity types of `pull_request` that start a review; `edited` only with a new title or base."""
_PULL_URL: Final = re.compile(r"https?://.*/pull/([1-9]\d{0,8})")
COMMENTS: Final = ("issue_comment", "pull_request_review_comment")
_CHECKS: Final = ("check_run", "check_suite")
"""Sent to the App without a subscription where somebody chooses "Re-run"."""
_ACTIONS: Final = {
    **dict.fromkeys(COMMENTS, "created"),
    **dict.fromkeys(_CHECKS, "rerequested"),
    MERGE_QUEUE: "checks_requested",
}
"""The one activity type of each other event that starts a job."""


class WebhookError(Exception):
    """A request that is not accepted: the HTTP status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Webhook:
    """A webhook whose signature is correct."""

    delivery: str
    event: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class WebhookJobs:
    """What a webhook asks for."""

    start: JobRequest | None = None
    supersedes: bool = False
    """A running job with the same lock reviews an older head or base, and is ended."""
    cancel: JobRequest | None = None
    """Waiting jobs with the lock of this one are cancelled."""


def read_webhook(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> Webhook:
    """Checks the signature over the raw body, and parses it. `headers` have names in lower case.

    Raises WebhookError.
    """
    if len(body) > MAX_BODY:
        raise WebhookError(413, f"The body has more than {MAX_BODY:,} bytes.")
    if not is_signed(body, headers.get("x-hub-signature-256", ""), secrets):
        raise WebhookError(
            401, "X-Hub-Signature-256 is missing, or was not made from this body with the webhook's secret."
        )
    delivery, event = headers.get("x-github-delivery", ""), headers.get("x-github-event", "")
    if not _DELIVERY.fullmatch(delivery) or not re.fullmatch(r"[a-z_]{1,64}", event):
        raise WebhookError(400, "X-GitHub-Delivery or X-GitHub-Event is missing or malformed.")
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookError(
            400, "The body is not JSON: set the webhook's content type to application/json."
        ) from error
    if not isinstance(payload, dict):
        raise WebhookError(400, "The body is not a JSON object.")
    return Webhook(delivery, event, payload)


def is_signed(body: bytes, signature: str, secrets: Sequence[bytes]) -> bool:
    """Returns whether the signature is that of one of the secrets; all of them are compared, in constant time."""
    match = _SIGNATURE.fullmatch(signature)
    given = match[1] if match else "0" * 64
    found = [hmac.compare_digest(hmac.new(secret, body, sha256).hexdigest(), given) for secret in secrets]
    return match is not None and any(found)


def jobs_of(webhook: Webhook) -> WebhookJobs:
    """Returns what the webhook asks for; nothing for events that need no job. Raises WebhookError."""
    event, payload = webhook.event, webhook.payload
    if event != "pull_request" and event not in _ACTIONS:
        return WebhookJobs()
    action = _text(payload, "action")
    repository = _name(_object(payload, "repository"))
    installation = _number(_object(payload, "installation"), "id", _MAX_ID)
    if event == "pull_request":
        return _pull_request_jobs(payload, action, repository, installation)
    if action != _ACTIONS[event]:
        return WebhookJobs()
    if event in COMMENTS:
        return WebhookJobs(_command_job(event, payload, repository, installation))
    if event in _CHECKS:
        check = _object(payload, event)
        return WebhookJobs(_rerequested_job(check, payload, repository, installation))
    group = _object(payload, "merge_group")
    branch, sha = _text(group, "head_ref"), _text(group, "head_sha")
    return WebhookJobs(_merge_queue_job(branch, sha, repository, installation))


def _pull_request_jobs(
    payload: dict[str, Any], action: str, repository: str, installation: int
) -> WebhookJobs:
    pull = _object(payload, "pull_request")
    number = _number(pull, "number", MAX_NUMBER)
    kept = {
        "action": action,
        "number": number,
        # Without the SHAs: a job reviews the head that it finds.
        "pull_request": {
            "number": number,
            "state": "closed" if action == "closed" else "open",
            "head": _kept_side(pull, "head"),
            "base": _kept_side(pull, "base"),
        },
        "repository": {"full_name": repository},
    }
    job = JobRequest("review", repository, installation, "pull_request", kept, number)
    if action == "closed":
        return WebhookJobs(cancel=job)
    changes = payload.get("changes") if action == "edited" else None
    changed = set(changes) & {"base", "title"} if isinstance(changes, dict) else set()
    # The description of a closed pull request can be edited, and it can be labeled.
    if action not in REVIEWED or pull.get("state") != "open" or (action == "edited" and not changed):
        return WebhookJobs()
    return WebhookJobs(job, supersedes=action == "synchronize" or "base" in changed)


def _rerequested_job(
    check: dict[str, Any], payload: dict[str, Any], repository: str, installation: int
) -> JobRequest | None:
    """Returns what "Re-run" requests; None if no person did, or if it is not known of which pull request."""
    if _object(payload, "sender").get("type") != "User":
        return None
    suite = check.get("check_suite")
    branch = f"refs/heads/{(suite if isinstance(suite, dict) else check).get('head_branch')}"
    if queued_number(branch) is not None:
        return _merge_queue_job(branch, _text(check, "head_sha"), repository, installation)
    # The pull requests of forks are not listed, but our check runs have the address.
    url, listed = check.get("details_url"), check.get("pull_requests")
    match = _PULL_URL.fullmatch(url) if isinstance(url, str) else None
    number = int(match[1]) if match else _listed_number(listed, _object(payload, "repository").get("id"))
    if number is None:
        return None
    kept = {"repository": {"full_name": repository}}
    # A review that waits for a push would not be one that a person requested.
    key = f"requested:{repository.casefold()}#{number}"
    return JobRequest("review", repository, installation, "workflow_dispatch", kept, number, key)


def _listed_number(listed: object, repository: object) -> int | None:
    """Returns the first pull request of this repository; others that are listed can be of a fork's parent."""
    for pull in listed if isinstance(listed, list) else []:
        if _object(_object(pull, "base"), "repo").get("id") == repository:
            return _number(pull, "number", MAX_NUMBER)
    return None


def _merge_queue_job(branch: str, sha: str, repository: str, installation: int) -> JobRequest | None:
    """Returns the job that answers for a required check at the commit of a merge group, before all others."""
    number = queued_number(branch)
    if number is None or number > MAX_NUMBER or not is_sha(sha):
        return None
    kept = {
        "action": "checks_requested",
        "merge_group": {"head_ref": branch, "head_sha": sha},
        "repository": {"full_name": repository},
    }
    key = f"merge-queue:{repository.casefold()}:{sha}"
    return JobRequest("merge-queue", repository, installation, MERGE_QUEUE, kept, number, key, priority=1)


def _command_job(
    event: str, payload: dict[str, Any], repository: str, installation: int
) -> JobRequest | None:
    """Returns the job of a comment; None unless a person wrote it and its first line begins like a command."""
    comment = _object(payload, "comment")
    body, user = comment.get("body"), comment.get("user")
    if not isinstance(body, str) or parse_command(body) is None:
        return None
    if not isinstance(user, dict) or user.get("type") != "User" or comment.get("performed_via_github_app"):
        return None
    in_thread = event == "pull_request_review_comment"
    subject = _object(payload, "pull_request" if in_thread else "issue")
    number, comment_id = _number(subject, "number", MAX_NUMBER), _number(comment, "id", _MAX_ID)
    kept_subject: dict[str, Any] = {"number": number}
    if in_thread:
        kept_subject |= {side: _kept_side(subject, side) for side in ("head", "base")}
    elif isinstance(subject.get("pull_request"), dict):
        kept_subject["pull_request"] = {}
    kept = {
        "action": "created",
        "comment": {
            "id": comment_id,
            # The job asks GitHub for the text; this only says that there is a command.
            "body": "/hunkwise",
            "user": {"login": _text(user, "login"), "type": "User"},
        },
        "repository": {"full_name": repository},
        "pull_request" if in_thread else "issue": kept_subject,
    }
    return JobRequest(
        "command", repository, installation, event, kept, number, f"comment:{event}:{comment_id}"
    )


def _kept_side(pull: dict[str, Any], side: str) -> dict[str, Any]:
    """Returns the repository of the head or base; null if it was deleted."""
    repository = _object(pull, side).get("repo")
    return {"repo": {"full_name": _name(repository)} if isinstance(repository, dict) else None}


def _name(repository: dict[str, Any]) -> str:
    """Returns `owner/name`."""
    name = _text(repository, "full_name")
    if not REPOSITORY.fullmatch(name):
        raise WebhookError(400, "A repository in the payload has no valid full name.")
    return name


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if not isinstance(found, dict):
        raise WebhookError(400, f"The payload has no {key}.")
    return found


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise WebhookError(400, f"The payload has no {key}.")
    return found


def _number(value: dict[str, Any], key: str, most: int) -> int:
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= most:
        raise WebhookError(400, f"The payload has no {key}.")
    return found

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
from hunkwise.service.queue import JobRequest

MAX_BODY: Final = 25 << 20
"""Bytes: GitHub sends no larger payload."""
_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})")
_DELIVERY: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_REPOSITORY: Final = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}")
REVIEWED: Final = ("opened", "synchronize", "reopened", "ready_for_review", "edited", "labeled", "unlabeled")
COMMENTS: Final = ("issue_comment", "pull_request_review_comment")


class WebhookError(Exception):
    """A request that is no webhook of ours: the HTTP status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Webhook:
    """A webhook whose signature is right."""

    delivery: str
    event: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class WebhookJobs:
    """What a webhook asks for."""

    start: JobRequest | None = None
    supersedes: bool = False
    """The running job with the same lock is of an older head: it is ended."""
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
            401, "X-Hub-Signature-256 is missing, or is not of this body and the webhook's secret."
        )
    delivery, event = headers.get("x-github-delivery", ""), headers.get("x-github-event", "")
    if not _DELIVERY.fullmatch(delivery) or not re.fullmatch(r"[a-z_]{1,64}", event):
        raise WebhookError(400, "X-GitHub-Delivery or X-GitHub-Event is missing or malformed.")
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookError(
            400, "The body is no JSON: set the webhook's content type to application/json."
        ) from error
    if not isinstance(payload, dict):
        raise WebhookError(400, "The body is no JSON object.")
    return Webhook(delivery, event, payload)


def is_signed(body: bytes, signature: str, secrets: Sequence[bytes]) -> bool:
    """Returns whether the signature is that of one of the secrets; all of them are compared, in constant time."""
    match = _SIGNATURE.fullmatch(signature)
    given = match[1] if match else "0" * 64
    found = [hmac.compare_digest(hmac.new(secret, body, sha256).hexdigest(), given) for secret in secrets]
    return match is not None and any(found)


def jobs_of(webhook: Webhook) -> WebhookJobs:
    """Returns what the webhook asks for; nothing for events that need no job. Raises WebhookError."""
    payload = webhook.payload
    if webhook.event not in ("pull_request", *COMMENTS):
        return WebhookJobs()
    action = _text(payload, "action")
    repository = _text(_object(payload, "repository"), "full_name")
    installation = _number(_object(payload, "installation"), "id")
    if not _REPOSITORY.fullmatch(repository):
        raise WebhookError(400, "The payload's repository has no valid full name.")
    if webhook.event == "pull_request":
        return _pull_request_jobs(payload, action, repository, installation)
    if action != "created":
        return WebhookJobs()
    return WebhookJobs(_command_job(webhook.event, payload, repository, installation))


def _pull_request_jobs(
    payload: dict[str, Any], action: str, repository: str, installation: int
) -> WebhookJobs:
    pull = _object(payload, "pull_request")
    number = _number(pull, "number")
    head, base = _object(pull, "head"), _object(pull, "base")
    kept = {
        "action": action,
        "number": number,
        # Without the SHAs: a job reviews the head that it finds.
        "pull_request": {
            "number": number,
            "state": _text(pull, "state"),
            "head": {"repo": _name_of(head)},
            "base": {"repo": _name_of(base)},
        },
        "repository": {"full_name": repository},
        **({"changes": payload["changes"]} if action == "edited" and "changes" in payload else {}),
    }
    job = JobRequest("review", repository, installation, "pull_request", kept, number)
    if action == "closed":
        return WebhookJobs(cancel=job)
    if action not in REVIEWED:
        return WebhookJobs()
    return WebhookJobs(job, supersedes=action == "synchronize")


def _command_job(
    event: str, payload: dict[str, Any], repository: str, installation: int
) -> JobRequest | None:
    """Returns the job of a comment; None unless its first line is, or is nearly, a command."""
    comment = _object(payload, "comment")
    body = comment.get("body")
    if not isinstance(body, str) or parse_command(body) is None:
        return None
    about = _object(payload, "pull_request" if event == "pull_request_review_comment" else "issue")
    number, comment_id = _number(about, "number"), _number(comment, "id")
    user = _object(comment, "user")
    kept: dict[str, Any] = {
        "action": "created",
        "comment": {
            "id": comment_id,
            "body": body,
            "user": {key: user.get(key) for key in ("login", "type")},
        },
        "repository": {"full_name": repository},
    }
    if event == "issue_comment":
        marks = {"pull_request": {}} if isinstance(about.get("pull_request"), dict) else {}
        kept["issue"] = {"number": number, **marks}
    else:
        kept["pull_request"] = {
            "number": number,
            "head": {"repo": _name_of(_object(about, "head"))},
            "base": {"repo": _name_of(_object(about, "base"))},
        }
    return JobRequest(
        "command", repository, installation, event, kept, number, f"comment:{event}:{comment_id}"
    )


def _name_of(side: dict[str, Any]) -> dict[str, str] | None:
    """Returns the repository of a head or base; None if it was deleted."""
    repository = side.get("repo")
    return {"full_name": _text(repository, "full_name")} if isinstance(repository, dict) else None


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


def _number(value: dict[str, Any], key: str) -> int:
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise WebhookError(400, f"The payload has no {key}.")
    return found

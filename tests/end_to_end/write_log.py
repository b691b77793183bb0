"""Lists the writes of a run, one line each, in the order in which GitHub received them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tests.end_to_end.prompts import rows_in
from tests.end_to_end.world import finding, report_call
from tests.fakes.github_messages import Request
from tests.fakes.model_script import Answer, ModelRequest

_TITLE = re.compile(r"\*\*\S+\s(\w+)\*\* · \*\*(.+?)\*\*")
_FAULT = re.compile(r"fault\((\w+)(?:, (\w+))?\)")


def report_faults(request: ModelRequest) -> Answer:
    """Reports each `fault(name, severity)` in the shown lines, whatever was reported before."""
    findings = [
        finding(row.path, row.number, found[2] or "medium", title=f"Fault {found[1]}", category=found[1])
        for row in rows_in(request)
        if row.kind != "-" and (found := _FAULT.search(row.text))
    ]
    return report_call(*findings)


def list_writes(requests: Iterable[Request]) -> list[str]:
    """Describes the requests that write."""
    return [line for request in requests if request.is_write for line in _lines(request)]


def _lines(request: Request) -> Iterator[str]:
    path = re.sub(r"^/repos/[^/]+/[^/]+/", "", request.path)
    body = request.json if isinstance(request.json, dict) else {}
    refused = "" if request.status < 400 else f" -> {request.status}"
    match request.method, re.sub(r"\d+", "N", path):
        case "POST", "pulls/N/reviews":
            places = [
                f"{one['path']}:{one['line']} {_title(one['body'])}" for one in body.get("comments", [])
            ]
            yield f"review {body.get('event', 'PENDING')}: {', '.join(places)}{refused}"
        case "POST", "pulls/N/comments":
            yield f"comment on {body['path']}: {_title(body['body'])}{refused}"
        case "POST", "issues/N/comments":
            yield f"summary: {_headline(body['body'])}{refused}"
        case "PATCH", "issues/comments/N":
            yield f"summary again: {_headline(body['body'])}{refused}"
        case "POST", "check-runs":
            yield f"check run: {body['status']}{refused}"
        case "PATCH", "check-runs/N":
            yield f"check run: {body.get('conclusion') or body.get('status')}{refused}"
        case "POST", "/graphql":
            replies = re.findall(r"addPullRequestReviewThreadReply", body["query"])
            resolved = re.findall(r"resolveReviewThread", body["query"])
            yield f"threads: {len(replies)} answered, {len(resolved)} resolved{refused}"
        case method, kind:
            yield f"{method} {kind}{refused}"


def _title(body: str) -> str:
    found = _TITLE.search(body)
    return found[2] if found else body[:60]


def _headline(body: str) -> str:
    return next(
        (line.removeprefix("### hunkwise: ") for line in body.splitlines() if line.startswith("#")), "?"
    )

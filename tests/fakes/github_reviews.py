"""Reviews and their comments: what GitHub takes, and in which words it declines the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.fakes.git_store import ChangedFile
from tests.fakes.github_state import (
    BODY_LIMIT,
    Comment,
    Hub,
    Json,
    PullRequest,
    RefusedError,
    Review,
    Thread,
)

_REVIEW_PAGE = "/pulls/reviews#create-a-review-for-a-pull-request"
_COMMENT_PAGE = "/pulls/comments#create-a-review-comment-for-a-pull-request"
_STATES = {
    "COMMENT": "COMMENTED",
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    None: "PENDING",
}


class PlaceFault(NamedTuple):
    """Why a comment cannot stand where it was put. GitHub words it differently for the two calls."""

    field: str
    code: str
    words: str

    @property
    def sentence(self) -> str:
        return f"Pull request review thread {self.field.replace('_', ' ')} {self.words}"

    @property
    def entry(self) -> Json:
        name = f"pull_request_review_thread.{self.field}"
        entry = {"resource": "PullRequestReviewComment", "code": self.code, "field": name}
        return entry | {"message": f"{name} {self.words}"} if self.code == "custom" else entry


_BAD_PATH = PlaceFault("path", "invalid", "is invalid")
_BAD_LINE = PlaceFault("line", "custom", "must be part of the diff")
_BAD_ORDER = PlaceFault("start_line", "custom", "must precede the end line.")
_OTHER_HUNK = PlaceFault("start_line", "custom", "must be part of the same hunk as the line.")
_NO_HUNK = PlaceFault("diff_hunk", "missing_field", "can't be blank")


def place_faults(files: Sequence[ChangedFile], given: Json) -> list[PlaceFault]:
    """Everything that is wrong with where the comment points; nothing, where it can stand."""
    file = next((file for file in files if file.path == given["path"]), None)
    if file is None:
        return [_BAD_PATH, _NO_HUNK]
    if given.get("subject_type") == "file":
        return []
    line, side = given.get("line"), given.get("side", "RIGHT")
    start, start_side = given.get("start_line"), given.get("start_side") or side
    hunk = file.hunk_text(side, line) if line is not None else None
    if hunk is None:
        return [_BAD_LINE, *([_OTHER_HUNK] if start is not None else []), _NO_HUNK]
    if start is None:
        return []
    if start_side == side and start >= line:
        return [_BAD_ORDER]
    return [] if file.hunk_text(start_side, start) == hunk else [_OTHER_HUNK]


def create_review(hub: Hub, pull: PullRequest, author: str, given: Json) -> Review:
    """All or nothing: raises RefusedError (422) before anything is stored."""
    commit = given.get("commit_id") or pull.head_sha
    _check_review(hub, pull, author, given, commit)
    files = hub.store.diff(pull.base_sha, commit)
    for comment in given.get("comments") or []:
        faults = place_faults(files, comment)
        if faults:
            raise _declined(_sentence([fault.sentence for fault in faults]))
    state = _STATES[given.get("event")]
    review = Review(hub.next_id(), pull.number, author, given.get("body") or "", state, commit)
    hub.reviews.append(review)
    for comment in given.get("comments") or []:
        _store(hub, pull, author, comment, files, commit, review.id)
    return review


def create_comment(hub: Hub, pull: PullRequest, author: str, given: Json) -> Comment:
    """A single comment, on a line or on the file. Raises RefusedError (422)."""
    commit = given["commit_id"]
    if not _belongs(hub, pull, commit):
        fault = {"resource": "PullRequestReviewComment", "code": "invalid", "field": "commit_id"}
        raise RefusedError(422, "Validation Failed", [fault], _COMMENT_PAGE)
    _check_body(given["body"], "PullRequestReviewComment", _COMMENT_PAGE)
    files = hub.store.diff(pull.base_sha, commit)
    faults = place_faults(files, given)
    if faults:
        raise RefusedError(422, "Validation Failed", [fault.entry for fault in faults], _COMMENT_PAGE)
    return _store(hub, pull, author, given, files, commit, None)


def create_reply(hub: Hub, pull: PullRequest, author: str, parent: Comment, body: str) -> Comment:
    """A further comment in the parent's thread."""
    _check_body(body, "PullRequestReviewComment", _COMMENT_PAGE)
    thread = next(thread for thread in hub.threads if parent in thread.comments)
    first = thread.comments[0]
    reply = Comment(
        hub.next_id(), pull.number, author, body, first.path, first.commit_id, first.diff_hunk,
        first.line, first.side, in_reply_to=first.id, subject_type=first.subject_type,
    )  # fmt: skip
    hub.comments.append(reply)
    thread.comments.append(reply)
    return reply


def _check_review(hub: Hub, pull: PullRequest, author: str, given: Json, commit: str) -> None:
    event, body = given.get("event"), given.get("body") or ""
    if not _belongs(hub, pull, commit):
        raise _declined("Commit is not part of the pull request")
    if event in ("COMMENT", "REQUEST_CHANGES") and not body.strip():
        raise _declined("Body can't be blank")
    if event in ("APPROVE", "REQUEST_CHANGES") and author == pull.author:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise _declined(f"Review Can not {verb} your own pull request")
    texts = [body, *(comment.get("body", "") for comment in given.get("comments") or [])]
    if any(len(text) > BODY_LIMIT for text in texts):
        raise _declined(f"Body is too long (maximum is {BODY_LIMIT} characters)")
    mine = (review for review in hub.reviews if (review.number, review.author) == (pull.number, author))
    if event is None and any(review.state == "PENDING" for review in mine):
        raise _declined("User can only have one pending review per pull request")


def _check_body(body: str, resource: str, page: str) -> None:
    if not body.strip():
        raise RefusedError(
            422, "Validation Failed", [{"resource": resource, "code": "missing_field", "field": "body"}], page
        )
    if len(body) > BODY_LIMIT:
        words = f"body is too long (maximum is {BODY_LIMIT} characters)"
        fault = {"resource": resource, "code": "custom", "field": "body", "message": words}
        raise RefusedError(422, "Validation Failed", [fault], page)


def check_issue_comment(body: str) -> None:
    """Raises RefusedError (422) for a body that is blank or too long."""
    _check_body(body, "IssueComment", "/issues/comments#create-an-issue-comment")


def _belongs(hub: Hub, pull: PullRequest, commit: str) -> bool:
    return commit == pull.head_sha or commit in hub.store.commits(pull.base_sha, pull.head_sha)


def _store(
    hub: Hub,
    pull: PullRequest,
    author: str,
    given: Json,
    files: Sequence[ChangedFile],
    commit: str,
    review_id: int | None,
) -> Comment:
    file = next(file for file in files if file.path == given["path"])
    on_file = given.get("subject_type") == "file"
    line = None if on_file else given["line"]
    side = given.get("side", "RIGHT")
    comment = Comment(
        id=hub.next_id(),
        number=pull.number,
        author=author,
        body=given["body"],
        path=given["path"],
        commit_id=commit,
        diff_hunk="" if line is None else file.hunk_text(side, line) or "",
        line=line,
        side=side,
        start_line=given.get("start_line"),
        start_side=given.get("start_side"),
        subject_type="file" if on_file else "line",
        review_id=review_id if review_id is not None else hub.next_id(),
    )
    hub.comments.append(comment)
    hub.threads.append(Thread(f"PRRT_{comment.id}", pull.number, [comment]))
    return comment


def _declined(sentence: str) -> RefusedError:
    return RefusedError(422, "Unprocessable Entity", [sentence], _REVIEW_PAGE)


def _sentence(parts: list[str]) -> str:
    """GitHub's way of joining: one; one and two; one, two, and three."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"

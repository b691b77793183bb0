"""Reviews and their comments: what GitHub takes, and in which words it declines the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.fakes.git_store import ChangedFile
from tests.fakes.github_ends import place_threads
from tests.fakes.github_messages import Json, RefusedError
from tests.fakes.github_places import joined, place_faults
from tests.fakes.github_state import BODY_LIMIT, Comment, Hub, PullRequest, Review, Thread

_REVIEW_PAGE = "/pulls/reviews#create-a-review-for-a-pull-request"
_COMMENT_PAGE = "/pulls/comments#create-a-review-comment-for-a-pull-request"
_ONE_PENDING = "can only have one pending review per pull request"
_STATES = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}


def create_review(hub: Hub, pull: PullRequest, author: str, given: Json) -> Review:
    """All or nothing: raises RefusedError (422) before anything is stored. Pending where no event is given."""
    commit = given.get("commit_id") or pull.head_sha
    if not _belongs(hub, pull, commit):
        raise declined("Commit is not part of the pull request")
    check_event(pull, author, given.get("event"), given.get("body") or "")
    _check_texts(given)
    if hub.pending_review(pull.number, author) is not None:
        raise declined(f"User {_ONE_PENDING}")
    files = hub.store.diff(pull.base_sha, commit)
    for comment in given.get("comments") or []:
        faults = place_faults(files, comment, hub.refused_lines)
        if faults:
            raise declined(joined([fault.sentence for fault in faults]))
    state = _STATES[given["event"]] if given.get("event") else "PENDING"
    review = Review(hub.next_id(), pull.number, author, given.get("body") or "", state, commit)
    hub.reviews.append(review)
    for comment in given.get("comments") or []:
        _store(hub, pull, author, comment, files, commit, review.id)
    return review


def add_to_review(hub: Hub, review: Review, given: Json) -> Comment:
    """A thread of a review that is not submitted. Raises RefusedError (422)."""
    check_comment(given["body"])
    pull = hub.pulls[review.number]
    files = hub.store.diff(pull.base_sha, review.commit_id)
    faults = place_faults(files, given, hub.refused_lines)
    if faults:
        raise declined(joined([fault.sentence for fault in faults]))
    return _store(hub, pull, review.author, given, files, review.commit_id, review.id)


def create_comment(hub: Hub, pull: PullRequest, author: str, given: Json) -> Comment:
    """A single comment, on a line or on the file. Raises RefusedError (422)."""
    commit = given["commit_id"]
    if not _belongs(hub, pull, commit):
        fault = {"resource": "PullRequestReviewComment", "code": "invalid", "field": "commit_id"}
        raise RefusedError(422, "Validation Failed", [fault], _COMMENT_PAGE)
    check_comment(given["body"])
    _check_not_pending(hub, pull, author)
    files = hub.store.diff(pull.base_sha, commit)
    faults = place_faults(files, given, hub.refused_lines)
    if faults:
        raise RefusedError(422, "Validation Failed", [fault.entry for fault in faults], _COMMENT_PAGE)
    return _store(hub, pull, author, given, files, commit, None)


def create_reply(hub: Hub, pull: PullRequest, author: str, parent: Comment, body: str) -> Comment:
    """A further comment in the parent's thread."""
    check_comment(body)
    _check_not_pending(hub, pull, author)
    return add_reply(hub, thread_of(hub, parent), author, body)


def add_reply(hub: Hub, thread: Thread, author: str, body: str, review_id: int | None = None) -> Comment:
    """Stores a reply, which stands where the thread stands; in the review, where one is named."""
    first = thread.comments[0]
    reply = replace(
        first, id=hub.next_id(), author=author, body=body, in_reply_to=first.id, minimized=False,
        edited_by="", thumbs_down=[], review_id=review_id if review_id is not None else hub.next_id(),
    )  # fmt: skip
    reply.shown_line, reply.shown_start = first.shown_line, first.shown_start
    hub.comments.append(reply)
    thread.comments.append(reply)
    return reply


def submit_review(pull: PullRequest, review: Review, given: Json) -> None:
    """Makes a pending review one that all can see. Raises RefusedError (422)."""
    if review.state != "PENDING":
        raise declined("Can not submit a review that is not pending")
    body = given.get("body") or review.body
    check_event(pull, review.author, given["event"], body)
    _check_texts({"body": body})
    review.body, review.state = body, _STATES[given["event"]]


def delete_review(hub: Hub, review: Review) -> None:
    """Takes a pending review away with its comments. Raises RefusedError (422) for any other."""
    if review.state != "PENDING":
        raise declined("Can not delete a non-pending pull request review")
    hub.reviews.remove(review)
    for comment in [comment for comment in hub.comments if comment.review_id == review.id]:
        remove_comment(hub, comment)


def dismiss_review(review: Review, message: str) -> None:
    """Takes back an approval or a request for changes. Raises RefusedError (422) for any other review."""
    if not message.strip():
        raise declined("Message can't be blank")
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise declined(f"Can not dismiss a {review.state.lower()} pull request review")
    review.state, review.dismissal = "DISMISSED", message


def remove_comment(hub: Hub, comment: Comment) -> None:
    """Takes a review comment away, and its thread with the last one."""
    hub.comments[:] = [kept for kept in hub.comments if kept.id != comment.id]
    for thread in hub.threads:
        thread.comments[:] = [kept for kept in thread.comments if kept.id != comment.id]
    hub.threads[:] = [thread for thread in hub.threads if thread.comments]


def thread_of(hub: Hub, comment: Comment) -> Thread:
    """The thread in which the comment stands."""
    return next(thread for thread in hub.threads if any(one.id == comment.id for one in thread.comments))


def check_event(pull: PullRequest, author: str, event: str | None, body: str) -> None:
    """Raises RefusedError (422) where GitHub does not take that event from that person."""
    if event in ("COMMENT", "REQUEST_CHANGES") and not body.strip():
        raise declined("Body can't be blank")
    if event in ("APPROVE", "REQUEST_CHANGES") and author == pull.author:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise declined(f"Review Can not {verb} your own pull request")


def _check_texts(given: Json) -> None:
    texts = [given.get("body") or "", *(comment.get("body", "") for comment in given.get("comments") or [])]
    if any(len(text) > BODY_LIMIT for text in texts):
        raise declined(f"Body is too long (maximum is {BODY_LIMIT} characters)")


def _check_not_pending(hub: Hub, pull: PullRequest, author: str) -> None:
    """A single comment is a review of its own, and there is none beside a pending one."""
    if hub.pending_review(pull.number, author) is not None:
        fault = {"resource": "PullRequestReview", "code": "custom", "field": "user_id"}
        words = {"message": f"user_id {_ONE_PENDING}"}
        raise RefusedError(422, "Validation Failed", [fault | words], _COMMENT_PAGE)


def _check_body(body: str, resource: str, page: str) -> None:
    if not body.strip():
        raise RefusedError(
            422, "Validation Failed", [{"resource": resource, "code": "missing_field", "field": "body"}], page
        )
    if len(body) > BODY_LIMIT:
        words = f"body is too long (maximum is {BODY_LIMIT} characters)"
        fault = {"resource": resource, "code": "custom", "field": "body", "message": words}
        raise RefusedError(422, "Validation Failed", [fault], page)


def check_comment(body: str) -> None:
    """Raises RefusedError (422) for a review comment that is blank or too long."""
    _check_body(body, "PullRequestReviewComment", _COMMENT_PAGE)


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
        base_sha=pull.base_sha,
    )
    hub.comments.append(comment)
    hub.threads.append(Thread(f"PRRT_{comment.id}", pull.number, [comment]))
    if commit != pull.head_sha:
        place_threads(hub, pull)
    return comment


def declined(sentence: str) -> RefusedError:
    """GitHub's 422 about a review."""
    return RefusedError(422, "Unprocessable Entity", [sentence], _REVIEW_PAGE)

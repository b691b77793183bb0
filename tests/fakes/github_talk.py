"""The fake GitHub's routes for what is said on a pull request: reviews, comments, check runs."""

from __future__ import annotations

from tests.fakes.github_call import Call
from tests.fakes.github_pages import page_of
from tests.fakes.github_reviews import (
    check_issue_comment,
    create_comment,
    create_reply,
    create_review,
)
from tests.fakes.github_state import CheckRun, IssueComment, Json, Reply, not_found


def reviews(call: Call) -> Reply:
    """The reviews of a pull request."""
    mine = [review for review in call.hub.reviews if review.number == call.pull.number]
    return page_of(mine, call.shapes.review, call.query, call.url)


def new_review(call: Call) -> Reply:
    """A review with its comments, all or nothing."""
    return Reply(200, call.shapes.review(create_review(call.hub, call.pull, call.login, call.json or {})))


def edit_review(call: Call) -> Reply:
    """Another body for a review."""
    for review in call.hub.reviews:
        if (review.number, review.id) == (call.pull.number, int(call.params["review_id"])):
            review.body = call.json["body"]
            return Reply(200, call.shapes.review(review))
    raise not_found()


def comments(call: Call) -> Reply:
    """The review comments of a pull request."""
    mine = [comment for comment in call.hub.comments if comment.number == call.pull.number]
    return page_of(mine, call.shapes.comment, call.query, call.url)


def new_comment(call: Call) -> Reply:
    """A single review comment."""
    return Reply(201, call.shapes.comment(create_comment(call.hub, call.pull, call.login, call.json)))


def new_reply(call: Call) -> Reply:
    """A reply in a thread."""
    for parent in call.hub.comments:
        if (parent.number, parent.id) == (call.pull.number, int(call.params["comment_id"])):
            reply = create_reply(call.hub, call.pull, call.login, parent, call.json["body"])
            return Reply(201, call.shapes.comment(reply))
    raise not_found()


def issue_comments(call: Call) -> Reply:
    """The conversation of a pull request."""
    mine = [comment for comment in call.hub.issue_comments if comment.number == call.pull.number]
    return page_of(mine, call.shapes.issue_comment, call.query, call.url)


def new_issue_comment(call: Call) -> Reply:
    """A comment in the conversation."""
    check_issue_comment(call.json["body"])
    comment = IssueComment(call.hub.next_id(), call.pull.number, call.login, call.json["body"])
    call.hub.issue_comments.append(comment)
    return Reply(201, call.shapes.issue_comment(comment))


def edit_issue_comment(call: Call) -> Reply:
    """Another body for a comment in the conversation."""
    check_issue_comment(call.json["body"])
    for comment in call.hub.issue_comments:
        if comment.id == int(call.params["comment_id"]):
            comment.body = call.json["body"]
            return Reply(200, call.shapes.issue_comment(comment))
    raise not_found()


def new_check_run(call: Call) -> Reply:
    """A check run."""
    given, hub = call.json, call.hub
    run = CheckRun(hub.next_id(), given["name"], given["head_sha"], "queued", None)
    _update_check_run(run, given)
    hub.check_runs.append(run)
    return Reply(201, call.shapes.check_run(run))


def edit_check_run(call: Call) -> Reply:
    """A check run's progress, with up to 50 further annotations."""
    for run in call.hub.check_runs:
        if run.id == int(call.params["check_run_id"]):
            _update_check_run(run, call.json)
            return Reply(200, call.shapes.check_run(run))
    raise not_found()


def _update_check_run(run: CheckRun, given: Json) -> None:
    output = given.get("output") or {}
    run.annotations.extend(output.get("annotations") or [])
    run.conclusion = given.get("conclusion", run.conclusion)
    run.status = "completed" if "conclusion" in given else given.get("status", run.status)
    run.output |= {key: text for key, text in output.items() if key != "annotations"}

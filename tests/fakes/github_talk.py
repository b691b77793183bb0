"""The fake GitHub's routes for what is said on a pull request: reviews and comments."""

from __future__ import annotations

from tests.fakes.github_call import Call
from tests.fakes.github_messages import Reply, not_found
from tests.fakes.github_pages import page_of
from tests.fakes.github_reviews import (
    check_comment,
    check_issue_comment,
    create_comment,
    create_reply,
    create_review,
    delete_review,
    dismiss_review,
    submit_review,
)
from tests.fakes.github_state import Comment, IssueComment, Review


def reviews(call: Call) -> Reply:
    """The reviews of a pull request; of those that are pending, the asking person's own."""
    mine = [review for review in call.hub.reviews if review.number == call.pull.number]
    return page_of(
        [one for one in mine if _visible(one, call.login)], call.shapes.review, call.query, call.url
    )


def new_review(call: Call) -> Reply:
    """A review with its comments, all or nothing."""
    return Reply(200, call.shapes.review(create_review(call.hub, call.pull, call.login, call.json or {})))


def review(call: Call) -> Reply:
    """One review."""
    return Reply(200, call.shapes.review(_review(call)))


def edit_review(call: Call) -> Reply:
    """Another body for a review."""
    edited = _review(call)
    edited.body = call.json["body"]
    return Reply(200, call.shapes.review(edited))


def drop_review(call: Call) -> Reply:
    """A pending review is given up, with its comments."""
    dropped = _review(call)
    delete_review(call.hub, dropped)
    return Reply(200, call.shapes.review(dropped))


def submitted_review(call: Call) -> Reply:
    """A pending review is submitted."""
    submitted = _review(call)
    submit_review(call.pull, submitted, call.json)
    return Reply(200, call.shapes.review(submitted))


def dismissed_review(call: Call) -> Reply:
    """An approval or a request for changes is taken back."""
    dismissed = _review(call)
    dismiss_review(dismissed, call.json["message"])
    return Reply(200, call.shapes.review(dismissed))


def comments(call: Call) -> Reply:
    """The review comments of a pull request, without those of pending reviews."""
    pending = call.hub.pending_ids()
    mine = [comment for comment in call.hub.comments if comment.number == call.pull.number]
    seen = [comment for comment in mine if comment.review_id not in pending]
    return page_of(seen, call.shapes.comment, call.query, call.url)


def new_comment(call: Call) -> Reply:
    """A single review comment."""
    return Reply(201, call.shapes.comment(create_comment(call.hub, call.pull, call.login, call.json)))


def new_reply(call: Call) -> Reply:
    """A reply in a thread."""
    parent = _comment(call)
    if parent.number != call.pull.number:
        raise not_found()
    reply = create_reply(call.hub, call.pull, call.login, parent, call.json["body"])
    return Reply(201, call.shapes.comment(reply))


def comment(call: Call) -> Reply:
    """One review comment."""
    return Reply(200, call.shapes.comment(_comment(call)))


def edit_comment(call: Call) -> Reply:
    """Another body for a review comment."""
    edited = _comment(call)
    check_comment(call.json["body"])
    edited.body, edited.edited_by = call.json["body"], call.login
    return Reply(200, call.shapes.comment(edited))


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


def issue_comment(call: Call) -> Reply:
    """One comment in the conversation."""
    return Reply(200, call.shapes.issue_comment(_issue_comment(call)))


def edit_issue_comment(call: Call) -> Reply:
    """Another body for a comment in the conversation."""
    edited = _issue_comment(call)
    check_issue_comment(call.json["body"])
    edited.body, edited.edited_by = call.json["body"], call.login
    return Reply(200, call.shapes.issue_comment(edited))


def drop_issue_comment(call: Call) -> Reply:
    """A comment is taken out of the conversation."""
    call.hub.issue_comments.remove(_issue_comment(call))
    return Reply(204, None)


def _visible(review: Review, login: str) -> bool:
    return review.state != "PENDING" or review.author == login


def _review(call: Call) -> Review:
    sought = (call.pull.number, int(call.params["review_id"]))
    for review in call.hub.reviews:
        if (review.number, review.id) == sought and _visible(review, call.login):
            return review
    raise not_found()


def _comment(call: Call) -> Comment:
    """The review comment in the path. Those of a pending review are as if they were not there."""
    pending = call.hub.pending_ids()
    for comment in call.hub.comments:
        if comment.id == int(call.params["comment_id"]) and comment.review_id not in pending:
            return comment
    raise not_found()


def _issue_comment(call: Call) -> IssueComment:
    for comment in call.hub.issue_comments:
        if comment.id == int(call.params["comment_id"]):
            return comment
    raise not_found()

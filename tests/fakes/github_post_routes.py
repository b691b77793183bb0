"""The fake GitHub's routes for reviews, comments, check runs and code scanning."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib

from tests.fakes.git_repository import MissingObjectError
from tests.fakes.github_issues import read_sarif
from tests.fakes.github_messages import Json, RefusedError, Reply, not_found, page_of
from tests.fakes.github_reviews import (
    add_issue_comment,
    add_reaction,
    check_comment,
    check_issue_comment,
    check_unlocked,
    create_comment,
    create_reply,
    create_review,
    delete_review,
    dismiss_review,
    remove_comment,
    submit_review,
)
from tests.fakes.github_shapes import Call
from tests.fakes.github_state import CheckRun, Comment, IssueComment, Review, SarifUpload, updated_at


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
    seen = [comment for comment in mine if comment.review_id not in pending and _is_since(call, comment)]
    newest_first = (call.query.get("sort"), call.query.get("direction")) == ("created", "desc")
    return page_of(seen[::-1] if newest_first else seen, call.shapes.comment, call.query, call.url)


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
    check_unlocked(call.hub, edited.number, call.login, "update")
    edited.body, edited.edited_by = call.json["body"], call.login
    return Reply(200, call.shapes.comment(edited))


def drop_comment(call: Call) -> Reply:
    """A review comment is taken away."""
    remove_comment(call.hub, _comment(call))
    return Reply(204, None)


def issue_comments(call: Call) -> Reply:
    """The conversation of a pull request or an issue."""
    number = call.conversation.number
    said = (comment for comment in call.hub.issue_comments if comment.number == number)
    mine = [comment for comment in said if _is_since(call, comment)]
    return page_of(mine, call.shapes.issue_comment, call.query, call.url)


def new_issue_comment(call: Call) -> Reply:
    """A comment in the conversation."""
    check_issue_comment(call.json["body"])
    check_unlocked(call.hub, call.conversation.number, call.login)
    comment = add_issue_comment(call.hub, call.conversation.number, call.login, call.json["body"])
    return Reply(201, call.shapes.issue_comment(comment))


def issue_comment(call: Call) -> Reply:
    """One comment in the conversation."""
    return Reply(200, call.shapes.issue_comment(_issue_comment(call)))


def edit_issue_comment(call: Call) -> Reply:
    """Another body for a comment in the conversation."""
    edited = _issue_comment(call)
    check_issue_comment(call.json["body"])
    check_unlocked(call.hub, edited.number, call.login, "update")
    edited.body, edited.edited_by = call.json["body"], call.login
    return Reply(200, call.shapes.issue_comment(edited))


def drop_issue_comment(call: Call) -> Reply:
    """A comment is taken out of the conversation."""
    call.hub.issue_comments.remove(_issue_comment(call))
    return Reply(204, None)


def reactions(call: Call) -> Reply:
    """The reactions to a review comment."""
    return _reactions(call, _comment(call))


def new_reaction(call: Call) -> Reply:
    """A reaction to a review comment; 200 if the same person gave it before."""
    return _new_reaction(call, _comment(call))


def issue_comment_reactions(call: Call) -> Reply:
    """The reactions to a comment in the conversation."""
    return _reactions(call, _issue_comment(call))


def new_issue_comment_reaction(call: Call) -> Reply:
    """A reaction to a comment in the conversation; 200 if the same person gave it before."""
    return _new_reaction(call, _issue_comment(call))


def _reactions(call: Call, comment: Comment | IssueComment) -> Reply:
    wanted = call.query.get("content")
    found = [one for one in comment.reactions if wanted in (None, one.content)]
    return page_of(found, call.shapes.reaction, call.query, call.url)


def _new_reaction(call: Call, comment: Comment | IssueComment) -> Reply:
    reaction, is_new = add_reaction(call.hub, comment, call.login, call.json["content"])
    return Reply(201 if is_new else 200, call.shapes.reaction(reaction))


def _is_since(call: Call, comment: Comment | IssueComment) -> bool:
    """Whether a comment was changed at the time in the query, or later."""
    return updated_at(comment) >= call.query.get("since", "")


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


_SARIF_LIMIT = 10 * 1024 * 1024


def check_runs(call: Call) -> Reply:
    """The check runs of a commit; of each name the newest, unless all are asked for."""
    sha, query = call.hub.store.commit(call.params["ref"]), call.query
    found = [run for run in call.hub.check_runs if run.head_sha == sha]
    if query.get("filter", "latest") == "latest":
        found = latest(found)
    if "check_name" in query:
        found = [run for run in found if run.name == query["check_name"]]
    if "status" in query:
        found = [run for run in found if run.status == query["status"]]
    page = page_of(found, call.shapes.check_run, query, call.url)
    return Reply(200, {"total_count": len(found), "check_runs": page.body}, page.headers)


def latest(runs: list[CheckRun]) -> list[CheckRun]:
    """The newest run of each name."""
    return list({run.name: run for run in runs}.values())


def check_run(call: Call) -> Reply:
    """One check run."""
    return Reply(200, call.shapes.check_run(_check_run(call)))


def new_check_run(call: Call) -> Reply:
    """A check run, which only apps can make."""
    _must_be_app(call)
    given, hub = call.json, call.hub
    try:
        sha = hub.store.commit(given["head_sha"])
    except MissingObjectError:
        raise RefusedError(422, f"No commit found for SHA: {given['head_sha']}") from None
    run = CheckRun(hub.next_id(), given["name"], sha, "queued", None)
    _update(run, given)
    hub.check_runs.append(run)
    return Reply(201, call.shapes.check_run(run))


def edit_check_run(call: Call) -> Reply:
    """A check run's progress, with up to 50 further annotations."""
    _must_be_app(call)
    run = _check_run(call)
    _update(run, call.json)
    return Reply(200, call.shapes.check_run(run))


def upload_sarif(call: Call) -> Reply:
    """A SARIF file, which GitHub takes and looks at later."""
    given = call.json
    try:
        packed = base64.b64decode(given["sarif"], validate=True)
        text = gzip.decompress(packed).decode()
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError):
        return Reply(400, None)
    if len(packed) > _SARIF_LIMIT:
        return Reply(413, None)
    made = SarifUpload(
        f"sarif-{call.hub.next_id()}", given["commit_sha"], given["ref"], text, given.get("tool_name", "")
    )
    call.hub.sarifs.append(made)
    read_sarif(call.hub, made)
    return Reply(202, {"id": made.id, "url": f"{call.shapes.repo}/code-scanning/sarifs/{made.id}"})


def _must_be_app(call: Call) -> None:
    if not call.token.startswith("ghs_"):
        raise RefusedError(403, "You must authenticate via a GitHub App.", page="/checks/runs")


def _check_run(call: Call) -> CheckRun:
    for run in call.hub.check_runs:
        if run.id == int(call.params["check_run_id"]):
            return run
    raise not_found()


def _update(run: CheckRun, given: Json) -> None:
    output = given.get("output") or {}
    run.annotations.extend(output.get("annotations") or [])
    run.conclusion = given.get("conclusion", run.conclusion)
    run.status = "completed" if "conclusion" in given else given.get("status", run.status)
    run.external_id = given.get("external_id", run.external_id)
    run.details_url = given.get("details_url", run.details_url)
    run.started_at = given.get("started_at", run.started_at)
    run.output |= {key: text for key, text in output.items() if key != "annotations"}
    if output:
        run.outputs.append((output.get("title", ""), output.get("summary", "")))

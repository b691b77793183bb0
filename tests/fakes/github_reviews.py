"""Reviews and their comments in the fake GitHub: which lines it accepts, and where threads are after a push."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from tests.fakes.git_repository import ChangedFile, GitStore
from tests.fakes.github_messages import Json, RefusedError, not_found
from tests.fakes.github_state import (
    BODY_LIMIT,
    PUBLISHED,
    Comment,
    Hub,
    IssueComment,
    PullRequest,
    Reaction,
    Review,
    Thread,
)


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


def place_faults(
    files: Sequence[ChangedFile], given: Json, refused: Collection[int] = ()
) -> list[PlaceFault]:
    """Everything that is wrong with where the comment points; nothing, where it can stand."""
    file = next((file for file in files if file.path == given["path"]), None)
    if file is None:
        return [_BAD_PATH, _NO_HUNK]
    if given.get("subject_type") == "file":
        return []
    line, side = given.get("line"), given.get("side", "RIGHT")
    start, start_side = given.get("start_line"), given.get("start_side") or side
    hunk = file.hunk_text(side, line) if line is not None and line not in refused else None
    if hunk is None:
        return [_BAD_LINE, *([_OTHER_HUNK] if start is not None else []), _NO_HUNK]
    if start is None:
        return []
    if start_side == side and start >= line:
        return [_BAD_ORDER]
    return [] if file.hunk_text(start_side, start) == hunk else [_OTHER_HUNK]


def joined(parts: list[str]) -> str:
    """GitHub's way of joining: one; one and two; one, two, and three."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


_HUNK = re.compile(rb"(?m)^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def push(hub: Hub, pull: PullRequest, revision: str) -> str:
    """Moves the head; by force, where the old one is not part of the new one. The SHA."""
    sha = hub.store.commit(revision)
    if not hub.store.is_ancestor(pull.head_sha, sha):
        pull.timeline.append("HEAD_REF_FORCE_PUSHED_EVENT")
    pull.head_sha = sha
    place_threads(hub, pull)
    return sha


def push_base(hub: Hub, pull: PullRequest, revision: str) -> str:
    """Moves the base branch; by force, where its old commit is not part of the new one. The SHA."""
    sha = hub.store.commit(revision)
    if not hub.store.is_ancestor(pull.base_sha, sha):
        pull.timeline.append("BASE_REF_FORCE_PUSHED_EVENT")
    pull.base_sha = sha
    place_threads(hub, pull)
    return sha


def retarget(hub: Hub, pull: PullRequest, branch: str) -> str:
    """Puts the pull request on another base branch. The SHA."""
    pull.base_branch, pull.base_sha = branch, hub.store.commit(branch)
    pull.timeline.append("BASE_REF_CHANGED_EVENT")
    place_threads(hub, pull)
    return pull.base_sha


def place_threads(hub: Hub, pull: PullRequest) -> None:
    """Where each thread stands in the diff of today, reckoned from where it was begun."""
    files = {file.path: file for file in hub.changed_files(pull)}
    for thread in hub.threads:
        if thread.number == pull.number:
            _place(hub.store, pull, files.get(thread.comments[0].path), thread)


def _place(store: GitStore, pull: PullRequest, file: ChangedFile | None, thread: Thread) -> None:
    first = thread.comments[0]
    if first.line is None:
        thread.outdated = file is None
        return
    moved = _moved(store, pull, file, first) if file is not None else None
    thread.outdated = moved is None
    for comment in thread.comments:
        comment.shown_start, comment.shown_line = moved or (None, None)


def _moved(
    store: GitStore, pull: PullRequest, file: ChangedFile, first: Comment
) -> tuple[int | None, int] | None:
    """The first and the last line of today; None where a line was changed, or the diff shows it no more."""
    assert first.line is not None
    begun = first.start_line if first.start_line is not None else first.line
    start_side = first.start_side or first.side
    rows = [(first.side, line) for line in range(begun, first.line + 1)]
    if start_side != first.side:
        rows = [(start_side, begun), (first.side, first.line)]
    moved = [_line(store, pull, file, first, side, line) for side, line in rows]
    start, last = moved[0], moved[-1]
    if start is None or last is None or None in moved:
        return None
    if start_side == first.side and last - start != first.line - begun:
        return None  # something was put between the two
    return (start if first.start_line is not None else None), last


def _line(
    store: GitStore, pull: PullRequest, file: ChangedFile, first: Comment, side: str, line: int
) -> int | None:
    """One line of one side, followed to its version of today."""
    if side == "RIGHT":
        moved = shifted(store.changes(first.commit_id, pull.head_sha, file.path), line)
        return moved if moved is not None and file.hunk_text(side, moved) is not None else None
    bases = store.merge_base(first.base_sha, first.commit_id), store.merge_base(pull.base_sha, pull.head_sha)
    moved = shifted(store.changes(*bases, file.old_path or file.path), line)
    if moved is None or file.hunk_text(side, moved) is None:
        return None
    then = next(old for old in store.diff(first.base_sha, first.commit_id) if old.path == first.path)
    # A line that the change takes away no more is another line of the diff.
    return None if line in then.removed_lines and moved not in file.removed_lines else moved


def shifted(hunks: bytes, line: int) -> int | None:
    """Where a line is after a change, whose hunks have no lines around them; None where it was changed."""
    by = 0
    for found in _HUNK.finditer(hunks):
        start, count = int(found[1]), 1 if found[2] is None else int(found[2])
        added = 1 if found[4] is None else int(found[4])
        if start <= line < start + count:
            return None
        if line >= start + (count == 0):  # `-5,0` adds behind line 5
            by += added - count
    return line + by


_REVIEW_PAGE = "/pulls/reviews#create-a-review-for-a-pull-request"
_COMMENT_PAGE = "/pulls/comments#create-a-review-comment-for-a-pull-request"
_ONE_PENDING = "can only have one pending review per pull request"
_STATES = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}


def create_review(hub: Hub, pull: PullRequest, author: str, given: Json) -> Review:
    """All or nothing: raises RefusedError (422) before anything is stored. Pending where no event is given."""
    commit = given.get("commit_id") or pull.head_sha
    if not _belongs(hub, pull, commit):
        raise declined("Commit is not part of the pull request")
    if pull.locked and not may_write(hub, author):
        raise declined("lock prevents review")
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
    check_unlocked(hub, pull.number, author)
    _check_not_pending(hub, pull, author)
    files = hub.store.diff(pull.base_sha, commit)
    faults = place_faults(files, given, hub.refused_lines)
    if faults:
        raise RefusedError(422, "Validation Failed", [fault.entry for fault in faults], _COMMENT_PAGE)
    return _store(hub, pull, author, given, files, commit, None)


def create_reply(hub: Hub, pull: PullRequest, author: str, parent: Comment, body: str) -> Comment:
    """A further comment in the parent's thread."""
    check_comment(body)
    check_unlocked(hub, pull.number, author)
    if parent.in_reply_to is not None:  # "Replies to replies are not supported"
        raise not_found()
    _check_not_pending(hub, pull, author)
    return add_reply(hub, thread_of(hub, parent), author, body)


def add_reply(hub: Hub, thread: Thread, author: str, body: str, review_id: int | None = None) -> Comment:
    """Stores a reply, which stands where the thread stands; in the review, where one is named."""
    first = thread.comments[0]
    reply = replace(
        first, id=hub.next_id(), author=author, body=body, in_reply_to=first.id, minimized=False,
        edited_by="", reactions=[], created_at=hub.time, updated_at=max(hub.time, PUBLISHED),
        review_id=review_id if review_id is not None else hub.next_id(),
    )  # fmt: skip
    reply.shown_line, reply.shown_start = first.shown_line, first.shown_start
    hub.comments.append(reply)
    thread.comments.append(reply)
    return reply


def add_issue_comment(hub: Hub, number: int, author: str, body: str) -> IssueComment:
    """Stores a comment in a conversation."""
    comment = IssueComment(hub.next_id(), number, author, body, created_at=hub.time, updated_at=hub.time)
    hub.issue_comments.append(comment)
    return comment


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


def may_write(hub: Hub, login: str) -> bool:
    """Whether somebody has write access. An app has not, whatever its token may do."""
    return not login.endswith("[bot]") and hub.permission(login)[0] in ("write", "admin")


def check_unlocked(hub: Hub, number: int, login: str, verb: str = "create") -> None:
    """Raises RefusedError (403) for a comment in a locked conversation, unless a person with write access writes it."""
    if hub.conversation(number).locked and not may_write(hub, login):
        raise RefusedError(403, f"Unable to {verb} comment because issue is locked.")


def add_reaction(
    hub: Hub, comment: Comment | IssueComment, login: str, content: str
) -> tuple[Reaction, bool]:
    """Stores a reaction, each once a person. Returns it, and whether it is new. Raises RefusedError (403) if locked."""
    if hub.conversation(comment.number).locked:
        raise RefusedError(403, "Unable to create reaction because issue is locked.")
    for known in comment.reactions:
        if (known.login, known.content) == (login, content):
            return known, False
    made = Reaction(hub.next_id(), login, content)
    comment.reactions.append(made)
    return made, True


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

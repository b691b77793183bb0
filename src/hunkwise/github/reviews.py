"""Posts a review: inline comments, comments on files, and its body; dismisses and deletes earlier reviews.

GitHub rejects a whole review for one bad comment, and does not say for which. Then the review is begun without
comments, each comment is added with an outcome of its own, and the review is submitted: one notification for all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import ReviewState
from hunkwise.domain.review import Destination, PostResult, ReviewEvent, ReviewFault
from hunkwise.errors import Error, GitHubError, GitHubErrorKind
from hunkwise.github.graphql import GraphqlResponse
from hunkwise.github.responses import REFUSED, JsonValue, malformed_response_error
from hunkwise.github.writer import Writer, address, marker_line
from hunkwise.publish.placement import CommentPlan, Page, ReviewDraft

_MAX_ALIASES = 50
"""Comments per mutation: GitHub aborts a request after ten seconds."""
_ADDED = "{ thread { line comments(first: 1) { nodes { id } } } }"
_GRAPHQL_NAMES = {"start_line": "startLine", "start_side": "startSide"}
_STORED_QUERY = """query($review: ID!) {
  node(id: $review) { ... on PullRequestReview { comments(last: 100) { nodes { id line body } } } }
}"""
_MAX_REFUSED = 10
"""Single comments that are refused until no further one is tried."""
_PERMANENT = {GitHubErrorKind.AUTHENTICATION, *REFUSED} - {GitHubErrorKind.INVALID}
_EVENT_REFUSED = ("own pull request", "not permitted to approve")
_PENDING = "pending review"
_OTHER_PENDING = "The token's account has a pending review on this pull request: GitHub takes no second one."
_OTHER_PENDING_HINT = "Submit or discard that review, or give hunkwise the token of an account of its own."
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Reviews:
    """Reviews of one pull request by the token's own account."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def publish(self, rendered: ReviewDraft) -> PostResult:
        """Posts the review. Never raises GitHubError: `where` holds posted findings, `fault` why others failed."""
        return _Attempt(self._writer, rendered).publish()

    def dismiss(self, review_id: int, message: str) -> None:
        """Dismisses a request for changes or an approval, unless it is dismissed already. GitHub shows `message`.

        Raises GitHubError.
        """
        path = f"pulls/{self._writer.number}/reviews/{review_id}/dismissals"
        body = {"message": message, "event": "DISMISS"}
        try:
            self._writer.surely(
                lambda: self._writer.put(path, body).number("id"), lambda: self._find_dismissed(review_id)
            )
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.INVALID or self._find_dismissed(review_id) is None:
                raise

    def delete_pending(self, review_id: int) -> None:
        """Deletes a review that was never submitted, if it still exists. Raises GitHubError."""
        self._writer.delete_pending(review_id)

    def _find_dismissed(self, review_id: int) -> int | None:
        states = {one.number("id"): one.text_or("state", "") for one in self._writer.own_reviews()}
        return review_id if states.get(review_id) == ReviewState.DISMISSED else None


class _PullRequestChangedError(Error):
    """The pull request changed after the review."""


class _Attempt:
    """The attempts to post one review, once."""

    def __init__(self, writer: Writer, draft: ReviewDraft) -> None:
        self._writer = writer
        self._draft = draft
        self._root = f"pulls/{writer.number}"
        self._where = {
            **dict.fromkeys(draft.placement.inline, Destination.INLINE),
            **dict.fromkeys(draft.placement.in_body, Destination.BODY),
        }
        """The destination of each finding, except of those whose comments on files are not posted yet."""
        self._event = draft.event
        self._notes: list[str] = []
        self._posted: dict[Finding, Destination] = {}
        """Findings whose comments are on GitHub for everyone to see, whatever happens to the review."""
        self._begun: tuple[int, str] | None = None
        self._cleared = False
        """Pending reviews of earlier runs were deleted."""

    def publish(self) -> PostResult:
        try:
            self._comment_on_each(self._draft.placement.on_file, Destination.FILE)
            page, url = self._post_review()
        except (GitHubError, _PullRequestChangedError) as error:
            _log.warning("The review could not be posted: %s", error)
            with suppress(GitHubError):  # a later run deletes it
                self._discard()
            message = f"The review could not be posted: {error.message}"
            result = PostResult(None, self._posted, tuple(self._notes))
            if not isinstance(error, GitHubError):
                return replace(result, stale=message)
            return replace(
                result, fault=ReviewFault(f"github {error.kind}", message, error.hint, error.shell_hint)
            )
        if page.counted:
            self._notes.append(f"The review's body had no room for {len(page.counted)} of the findings.")
        where = {finding: place for finding, place in self._where.items() if finding not in page.counted}
        return PostResult(url, where, tuple(self._notes))

    def _post_review(self) -> tuple[Page, str]:
        """Returns the page and the URL of the posted review. Raises GitHubError if all ways have failed."""
        try:
            return self._accepted(self._post_whole)
        except GitHubError as error:
            rejection = error.message
            if error.kind is not GitHubErrorKind.INVALID or _PENDING in rejection.lower():
                raise
            self._check_head()
            if not self._unposted:
                raise
        before = dict(self._where)
        try:
            review_id, review = self._accepted(self._begin)
            self._add_comments(review, rejection)
            return self._accepted(lambda: self._send(f"{self._root}/reviews/{review_id}/events"))
        except GitHubError as error:
            if error.kind not in REFUSED or _PENDING in error.message.lower():
                raise
            _log.info("The comments are posted one by one: %s", error.message)
        self._where = before
        self._discard()
        self._comment_on_each(self._unposted, Destination.INLINE)
        return self._accepted(self._post_whole)

    @property
    def _unposted(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self._at(Destination.INLINE) if finding not in self._posted)

    def _at(self, where: Destination) -> tuple[Finding, ...]:
        return tuple(finding for finding, place in self._where.items() if place is where)

    def _accepted(self, send: Callable[[], _T]) -> _T:
        """Returns the result of `send`. Retries it if GitHub accepts only a comment, or after deleting leftovers."""
        while True:
            try:
                return send()
            except GitHubError as error:
                message = error.message.lower() if error.kind is GitHubErrorKind.INVALID else ""
                event_refused = any(words in message for words in _EVENT_REFUSED)
                if event_refused and self._event is not ReviewEvent.COMMENT:
                    verdict = "approval" if self._event is ReviewEvent.APPROVE else "request for changes"
                    why = f"GitHub takes no {verdict} from this account here: the review is a comment."
                    self._notes.append(why)
                    self._event = ReviewEvent.COMMENT
                elif _PENDING in message:
                    self._delete_leftovers(error)
                else:
                    raise

    def _post_whole(self) -> tuple[Page, str]:
        comment = self._draft.comment
        comments = [{**_lines(one), "body": comment(one, Destination.INLINE)} for one in self._unposted]
        return self._send(f"{self._root}/reviews", commit_id=self._draft.head_sha, comments=comments)

    def _begin(self) -> tuple[int, str]:
        """Creates the review for our account only, without comments; returns its id and its global id."""
        request = {"commit_id": self._draft.head_sha, "body": self._draft.marker}
        self._begun = self._writer.surely(
            lambda: _ids(self._writer.post(f"{self._root}/reviews", request)),
            lambda: next(map(_ids, self._writer.own_pending(self._draft.marker)), None),
        )
        return self._begun

    def _send(self, path: str, **request: Any) -> tuple[Page, str]:
        """Makes the review visible to everyone; returns its page and URL."""
        placement = CommentPlan(*map(self._at, (Destination.INLINE, Destination.FILE, Destination.BODY)))
        page = self._draft.body(placement, self._event)
        request |= {"event": self._event.value, "body": page.text}

        def again() -> None:
            if why := self._draft.reason_not_to_post():
                raise _PullRequestChangedError(why)

        url = self._writer.surely(
            lambda: address(self._writer.post(path, request, again=again)), self._find_submitted, again
        )
        return page, url

    def _find_submitted(self) -> str | None:
        for review in self._writer.own_reviews():
            submitted = review.text_or("state", "") != ReviewState.PENDING
            if submitted and self._draft.marker in review.text_or("body", ""):
                return address(review)
        return None

    def _discard(self) -> None:
        """Deletes the review that was begun and not submitted."""
        if self._begun is not None:
            self._writer.delete_pending(self._begun[0])
            self._begun = None

    def _delete_leftovers(self, error: GitHubError) -> None:
        """Deletes pending reviews of this and of earlier runs, once. Raises if another one is in the way."""
        if self._cleared:
            raise GitHubError(GitHubErrorKind.INVALID, _OTHER_PENDING, _OTHER_PENDING_HINT) from error
        self._cleared = True
        for review in tuple(self._writer.own_pending(f"{self._draft.marker.partition(' run=')[0]} ")):
            self._writer.delete_pending(review.number("id"))

    def _check_head(self) -> None:
        """Raises if the pull request was closed or its head changed after the review."""
        now = self._writer.github.pull_request(self._writer.number)
        if now.state != "open":
            why, hint = "was closed", "Open it again to have it reviewed."
        elif now.head_sha != self._draft.head_sha:
            why, hint = f"moved on to {now.head_sha[:10]}", "The run for the new head reviews it again."
        else:
            return
        raise _PullRequestChangedError(f"The pull request {why} while it was reviewed.", hint)

    def _add_comments(self, review: str, rejection: str) -> None:
        """Adds the inline comments to the review; rejected ones on their files, or else to the body."""
        rejected = self._add(review, self._unposted, Destination.INLINE)
        on_no_file = self._add(review, rejected, Destination.FILE)
        for finding in rejected:
            self._note_rejection(rejection)
            self._move(finding, Destination.BODY if finding in on_no_file else Destination.FILE)

    def _add(self, review: str, findings: Sequence[Finding], where: Destination) -> list[Finding]:
        """Adds a comment per finding to the review. Returns those that GitHub rejected."""
        starts = range(0, len(findings), _MAX_ALIASES)
        batches = (list(findings[start : start + _MAX_ALIASES]) for start in starts)
        added = (_Batch(self._writer, self._draft, review, where, batch).add() for batch in batches)
        return [finding for rejected in added for finding in rejected]

    def _comment_on_each(self, findings: Iterable[Finding], where: Destination) -> None:
        """Posts a comment per finding; those that fail are in the body.

        Raises GitHubError if no further request can succeed, or if it is unknown whether a comment is on its lines.
        """
        last: GitHubError | None = None
        refused = 0
        for finding in findings:
            error = last or self._comment(finding, where)
            if error is None:
                continue
            self._move(finding, Destination.BODY)
            if error is not last:
                self._notes.append(f"A comment could not be posted: {error.message}")
            refused += 1
            last = error if error.kind is GitHubErrorKind.RATE_LIMIT or refused >= _MAX_REFUSED else None

    def _comment(self, finding: Finding, where: Destination) -> GitHubError | None:
        """Posts a comment; if it is refused on its lines, on its file. Returns the error if it failed."""
        on_file = {"path": finding.path, "subject_type": "file"}
        place = on_file if where is Destination.FILE else _lines(finding)
        request = {"body": self._draft.comment(finding, where), **place, "commit_id": self._draft.head_sha}
        try:
            self._accepted(lambda: self._send_comment(request))
        except GitHubError as error:
            inline = where is Destination.INLINE
            if error.kind in _PERMANENT or (inline and error.kind is GitHubErrorKind.UNAVAILABLE):
                raise
            if not inline or error.kind is not GitHubErrorKind.INVALID:
                return error
            self._note_rejection(error.message)
            return self._comment(finding, Destination.FILE)
        self._posted[finding] = where
        self._move(finding, where)
        return None

    def _send_comment(self, request: dict[str, Any]) -> int:
        path = f"{self._root}/comments"
        return self._writer.surely(
            lambda: self._writer.post(path, request).number("id"), lambda: self._find_comment(request)
        )

    def _find_comment(self, request: dict[str, Any]) -> int | None:
        key = (request["path"], request["commit_id"], marker_line(request["body"]))
        for comment in self._writer.own_review_comments():
            # GitHub updates `commit_id` with each new head; a comment on another head is a different comment.
            head = comment.text_or("original_commit_id", comment.text_or("commit_id", ""))
            if (comment.text_or("path", ""), head, marker_line(comment.text_or("body", ""))) == key:
                return comment.number("id")
        return None

    def _note_rejection(self, message: str) -> None:
        if not any(note.endswith(message) for note in self._notes):
            where = "each is on its file or in the review's body"
            self._notes.append(f"GitHub declined comments on lines; {where}. {message}")

    def _move(self, finding: Finding, where: Destination) -> None:
        self._where.pop(finding, None)
        self._where[finding] = where


@dataclass
class _Batch:
    """Comments that one mutation adds to a review that is not submitted, each with an outcome of its own."""

    writer: Writer
    draft: ReviewDraft
    review: str
    """The review's global id."""
    where: Destination
    missing: list[Finding]
    """Findings whose comments are neither stored nor rejected."""
    rejected: list[Finding] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    """Global ids of comments that GitHub stored, but not on their lines: nobody would see them."""

    def add(self) -> list[Finding]:
        """Returns the findings whose comments GitHub rejected."""
        self.writer.surely(self._send, self._find_stored)
        if self.strays:
            with suppress(GitHubError):
                deleted = [{"id": stray} for stray in self.strays]
                self._mutate("DeletePullRequestReviewComment", deleted, "{ clientMutationId }")
        return self.rejected

    def _send(self, *, may_wait: bool = True) -> Literal[True]:
        """Adds the missing comments; those that a rate limit stops once more. Raises GitHubError if GraphQL is refused,
        or an outcome is unknown."""
        sent = tuple(self.missing)
        limit: GitHubError | None = None
        response = self._mutate("AddPullRequestReviewThread", [self._input(one) for one in sent], _ADDED)
        for number, finding in enumerate(sent):
            alias = f"m{number}"
            error, payload = response.fault_at(alias), response.data.at(alias)
            if error is not None and error.kind is GitHubErrorKind.RATE_LIMIT:
                limit = error
                continue
            if error is not None and error.kind is not GitHubErrorKind.INVALID:
                raise error
            if error is None and not (isinstance(payload.value, dict) and "thread" in payload.value):
                raise malformed_response_error(payload.request, f"no outcome at `{alias}`")
            if payload.at("thread").value is None:  # GitHub gives no reason for most of them
                self.missing.remove(finding)
                self.rejected.append(finding)
            else:
                self._settle(finding, payload.at("thread.line"), payload.objects("thread.comments.nodes"))
        if limit is None:
            return True
        if not may_wait or not self.writer.github.connection.wait_for_limit():
            raise limit
        return self._send(may_wait=False)

    def _find_stored(self) -> Literal[True] | None:
        """Takes the stored comments off the missing ones; returns None if some are still missing."""
        data = self.writer.github.connection.graphql(_STORED_QUERY, {"review": self.review})
        stored = {marker_line(node.text("body")): node for node in data.objects("node.comments.nodes")}
        for finding in tuple(self.missing):
            node = stored.get(marker_line(self.draft.comment(finding, self.where)))
            if node is not None:
                self._settle(finding, node.at("line"), [node])
        return None if self.missing else True

    def _mutate(self, name: str, inputs: Sequence[dict[str, Any]], selection: str) -> GraphqlResponse:
        """Sends one mutation per input, in one request; the aliases are `m0`, `m1` and so on."""
        variables = {f"m{number}": given for number, given in enumerate(inputs)}
        field_name = name[0].lower() + name[1:]
        declared = ", ".join(f"${alias}: {name}Input!" for alias in variables)
        fields = "\n".join(f"{alias}: {field_name}(input: ${alias}) {selection}" for alias in variables)
        return self.writer.mutation(f"mutation({declared}) {{\n{fields}\n}}", variables, writes=len(inputs))

    def _settle(self, finding: Finding, line: JsonValue, comments: Sequence[JsonValue]) -> None:
        self.missing.remove(finding)
        if self.where is Destination.INLINE and line.value != _lines(finding)["line"]:
            self.rejected.append(finding)
            self.strays += [comment.text("id") for comment in comments]

    def _input(self, finding: Finding) -> dict[str, Any]:
        place = {"path": finding.path, "subjectType": "FILE"}
        if self.where is Destination.INLINE:
            place = {_GRAPHQL_NAMES.get(name, name): value for name, value in _lines(finding).items()}
        return {"pullRequestReviewId": self.review, "body": self.draft.comment(finding, self.where), **place}


def _lines(finding: Finding) -> dict[str, Any]:
    """Returns path and lines of an inline comment, as REST names them."""
    anchor = finding.anchor
    assert anchor is not None  # `place` puts only findings with an anchor inline
    lines: dict[str, Any] = {"path": anchor.path, "line": anchor.line, "side": anchor.side.value}
    first = anchor.start_line
    return lines if first is None else {**lines, "start_line": first, "start_side": anchor.side.value}


def _ids(review: JsonValue) -> tuple[int, str]:
    return review.number("id"), review.text("node_id")

"""The fake GitHub's GraphQL mutations: threads answered and resolved, comments minimized."""

from __future__ import annotations

from tests.fakes.github_graphql_pages import Asking, no_node, refusal
from tests.fakes.github_graphql_threads import comment_shape, thread_shape
from tests.fakes.github_messages import Json, RefusedError
from tests.fakes.github_reviews import add_reply, add_to_review, check_comment, remove_comment, thread_of
from tests.fakes.github_state import Comment, IssueComment, Review, Thread, node_id


class Writing:
    """The mutations that GitHub's schema has and a review sends. Each of a document fails on its own."""

    _asking: Asking

    def addPullRequestReviewThreadReply(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("addPullRequestReviewThreadReply")
        given, asking = arguments["input"], self._asking
        thread = self._thread(given["pullRequestReviewThreadId"])
        try:
            check_comment(given["body"])
        except RefusedError as refused:
            raise refusal("UNPROCESSABLE", f"{refused}: body") from None
        # Beside a review that is not submitted a reply becomes a part of it, and nobody else sees it.
        pending = asking.hub.pending_review(thread.number, asking.login)
        reply = add_reply(asking.hub, thread, asking.login, given["body"], pending.id if pending else None)
        return _payload(given, comment=comment_shape(asking, reply, pending is not None))

    def addPullRequestReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        """A thread of a review that is not submitted. For most lines that it does not take GitHub gives no reason."""
        self._may("addPullRequestReviewThread")
        given, asking = arguments["input"], self._asking
        review = self._pending_review(given["pullRequestReviewId"])
        names = {"startLine": "start_line", "startSide": "start_side", "subjectType": "subject_type"}
        comment = {names.get(name, name): value for name, value in given.items()}
        comment["subject_type"] = given["subjectType"].lower()
        try:
            stored = add_to_review(asking.hub, review, comment)
        except RefusedError as refused:
            why = str(refused.reply.body["errors"][0])
            if "must" not in why:
                raise refusal("UNPROCESSABLE", why) from None
            return _payload(given, thread=None)
        return _payload(given, thread=thread_shape(asking, thread_of(asking.hub, stored)))

    def deletePullRequestReviewComment(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("deletePullRequestReviewComment")
        for comment in self._asking.hub.comments:
            if node_id(comment.id) == arguments["input"]["id"]:
                remove_comment(self._asking.hub, comment)
                return _payload(arguments["input"])
        raise no_node(arguments["input"]["id"])

    def resolveReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("resolveReviewThread")
        thread = self._thread(arguments["input"]["threadId"])
        if not thread.resolved:
            thread.resolved, thread.resolved_by = True, self._asking.login
        return _payload(arguments["input"], thread=thread_shape(self._asking, thread))

    def unresolveReviewThread(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("unresolveReviewThread")
        thread = self._thread(arguments["input"]["threadId"])
        thread.resolved, thread.resolved_by = False, ""
        return _payload(arguments["input"], thread=thread_shape(self._asking, thread))

    def minimizeComment(self, _info: object, **arguments: Json) -> Json:  # noqa: N802
        self._may("minimizeComment")
        subject = arguments["input"]["subjectId"]
        said: list[Comment | IssueComment] = [*self._asking.hub.comments, *self._asking.hub.issue_comments]
        for comment in said:
            if node_id(comment.id) == subject:
                comment.minimized = True
                reason = str(arguments["input"]["classifier"]).lower()
                name = "PullRequestReviewComment" if isinstance(comment, Comment) else "IssueComment"
                minimized = {"isMinimized": True, "minimizedReason": reason, "__typename": name}
                return _payload(arguments["input"], minimizedComment=minimized)
        raise no_node(subject)

    def _may(self, mutation: str) -> None:
        self._asking.must("write", "pulls")
        if mutation in self._asking.hub.refused_mutations:
            raise refusal("FORBIDDEN", "Resource not accessible by integration")

    def _pending_review(self, review_id: str) -> Review:
        for review in self._asking.hub.reviews:
            if (node_id(review.id), review.state) == (review_id, "PENDING") and self._asking.authored(
                review.author
            ):
                return review
        raise no_node(review_id)

    def _thread(self, thread_id: str) -> Thread:
        for thread in self._asking.hub.threads:
            if thread.id == thread_id:
                return thread
        raise no_node(thread_id)


def _payload(given: Json, **made: Json | None) -> Json:
    return {"clientMutationId": given.get("clientMutationId"), **made}

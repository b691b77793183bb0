"""What people do on a fake GitHub's pull request between two runs, and what happens to its ends."""

from __future__ import annotations

from tests.fakes import github_ends as ends
from tests.fakes.github_reviews import add_reply, remove_comment
from tests.fakes.github_state import Comment, Hub, IssueComment, PullRequest, Thread


class Events:
    """Everything that a test can let happen. `hub.associations` says what people are to the repository."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def push(self, number: int, revision: str) -> str:
        """Moves the head to a branch or SHA, and with it every thread as GitHub does. The SHA."""
        with self.hub.lock:
            return ends.push(self.hub, self.hub.pulls[number], revision)

    def push_base(self, number: int, revision: str) -> str:
        """Moves the base branch under the pull request. The SHA."""
        with self.hub.lock:
            return ends.push_base(self.hub, self.hub.pulls[number], revision)

    def retarget(self, number: int, base: str) -> str:
        """Puts the pull request on another base branch. The SHA."""
        with self.hub.lock:
            return ends.retarget(self.hub, self.hub.pulls[number], base)

    def close(self, number: int, *, merged: bool = False) -> PullRequest:
        with self.hub.lock:
            pull = self.hub.pulls[number]
            pull.state, pull.merged = "closed", merged
            return pull

    def reopen(self, number: int) -> PullRequest:
        with self.hub.lock:
            pull = self.hub.pulls[number]
            pull.state = "open"
            return pull

    def say(self, number: int, author: str, body: str) -> IssueComment:
        """A comment in the conversation."""
        with self.hub.lock:
            comment = IssueComment(self.hub.next_id(), number, author, body)
            self.hub.issue_comments.append(comment)
            return comment

    def reply(self, thread: Thread, author: str, body: str, *, edited: bool = False) -> Comment:
        """A further comment in a thread; `edited`: by its author, afterwards."""
        with self.hub.lock:
            made = add_reply(self.hub, thread, author, body)
            made.edited_by = author if edited else ""
            return made

    def react(self, comment: Comment, login: str) -> None:
        """A 👎."""
        with self.hub.lock:
            if login not in comment.thumbs_down:
                comment.thumbs_down.append(login)

    def resolve(self, thread: Thread, *, by: str) -> None:
        with self.hub.lock:
            thread.resolved, thread.resolved_by = True, by

    def unresolve(self, thread: Thread) -> None:
        with self.hub.lock:
            thread.resolved, thread.resolved_by = False, ""

    def edit(self, comment: Comment | IssueComment, body: str, *, by: str) -> None:
        """Somebody writes something else into a comment, which keeps its author."""
        with self.hub.lock:
            comment.body, comment.edited_by = body, by

    def delete(self, comment: Comment | IssueComment) -> None:
        with self.hub.lock:
            if isinstance(comment, Comment):
                remove_comment(self.hub, comment)
            else:
                self.hub.issue_comments.remove(comment)

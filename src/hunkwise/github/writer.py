"""Writes to pull requests and issues: each write is checked for secrets and made once, even if its answer is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from hunkwise.domain.pull_request import Comment, ReviewState
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.client import GitHub
from hunkwise.github.connection import entries_of
from hunkwise.github.graphql import GraphqlResponse
from hunkwise.github.responses import JsonValue, malformed_response_error
from hunkwise.redaction import SecretScan


def marker_line(text: str) -> str:
    """Returns the last line of a text, which is the one with our marker."""
    return text.rstrip().rpartition("\n")[2].strip()


def address(post: JsonValue) -> str:
    """Returns the URL of a stored post. Raises GitHubError if the value is not a stored post."""
    post.number("id")
    url = post.text("html_url")
    if not url.startswith(("https://", "http://")):
        raise malformed_response_error(post.request, "no address at `html_url`")
    return url


def posted_comment(entry: JsonValue) -> Comment:
    """Returns a stored comment. Raises GitHubError if the value is not a stored post."""
    return Comment(entry.number("id"), entry.text_or("body", ""), address(entry))


_MAX_ATTEMPTS = 3
_RETRY_PAUSE = 1.0
_T = TypeVar("_T")


class Writer:
    """Writes to one pull request or issue and its repository, and lists what the token's own account wrote there.

    Paths are relative to `/repos/owner/name/`. All methods raise GitHubError.
    """

    def __init__(
        self,
        github: GitHub,
        number: int,
        scan: SecretScan,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.github = github
        self.number = number
        self._connection = github.connection
        self._scan = scan
        self._sleep = sleep

    @property
    def _root(self) -> str:
        return f"/repos/{self.github.repository}"

    def at(self, number: int) -> Writer:
        """Returns a writer for another pull request or issue of the repository."""
        return Writer(self.github, number, self._scan, sleep=self._sleep)

    def own_reviews(self) -> Iterator[JsonValue]:
        """Yields our reviews, oldest first, including a pending one."""
        return self._list_own(f"pulls/{self.number}/reviews", "reviews")

    def own_review_comments(self, since: str = "") -> Iterator[JsonValue]:
        """Yields our comments on lines and files, oldest first; `since` as in `own_comments`."""
        return self._list_own(f"pulls/{self.number}/comments", "review comments", since)

    def own_comments(self, since: str = "") -> Iterator[JsonValue]:
        """Yields our comments in the conversation, oldest first: all, or those last changed at the time or later."""
        return self._list_own(f"issues/{self.number}/comments", "comments", since)

    def own_pending(self, marker: str) -> Iterator[JsonValue]:
        """Yields our reviews that are not submitted and whose body is one marker that starts with `marker`."""
        for review in self.own_reviews():
            body = review.text_or("body", "").strip()
            is_marker = body.startswith(marker) and body.endswith("-->") and body.count("-->") == 1
            if review.text_or("state", "") == ReviewState.PENDING and is_marker:
                yield review

    def delete_pending(self, review_id: int) -> None:
        """Deletes a review that was never submitted, if it still exists."""
        try:
            self.surely(lambda: self.delete(f"pulls/{self.number}/reviews/{review_id}").number("id"))
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.NOT_FOUND:
                raise

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> JsonValue:
        return self._connection.get(f"{self._root}/{path}", query)

    def post(
        self, path: str, body: Mapping[str, Any], *, again: Callable[[], None] = lambda: None
    ) -> JsonValue:
        """`again`: see GitHubConnection.post."""
        self._check(body)
        return self._connection.post(f"{self._root}/{path}", body, again=again)

    def patch(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        self._check(body)
        return self._connection.patch(f"{self._root}/{path}", body)

    def put(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        self._check(body)
        return self._connection.put(f"{self._root}/{path}", body)

    def delete(self, path: str) -> JsonValue:
        """Deletes something. Returns what GitHub responds with: null for most kinds."""
        self._check({})
        return self._connection.delete(f"{self._root}/{path}")

    def mutation(self, document: str, variables: Mapping[str, Any], *, writes: int) -> GraphqlResponse:
        """Sends several mutations in one request, each with its own outcome. `writes`: their number."""
        self._check(variables)
        return self._connection.graphql_partly(document, variables, repeat=False, writes=writes)

    def surely(
        self,
        send: Callable[[], _T],
        look: Callable[[], _T | None] = lambda: None,
        again: Callable[[], None] = lambda: None,
    ) -> _T:
        """Returns the result of `send`. If its outcome is unknown, returns what `look` finds, or retries `send`.

        `again` is called before a retry; an error that it raises prevents the retry.

        Raises the last error of `send`, also if `look` fails: writing twice would be worse than not writing.
        Without `look`, `send` must be harmless when repeated.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return send()
            except GitHubError as error:
                if error.kind is not GitHubErrorKind.UNAVAILABLE:
                    raise
                try:
                    stored = look()
                except GitHubError as look_error:
                    raise error from look_error
                if stored is not None:
                    return stored
                if attempt == _MAX_ATTEMPTS or self._connection.over:
                    raise
            self._sleep(_RETRY_PAUSE * attempt)
            again()

    def _list_own(self, path: str, what: str, since: str = "") -> Iterator[JsonValue]:
        account = self.github.account
        if not account.login:
            raise GitHubError(GitHubErrorKind.NOT_FOUND, "GitHub does not say whose the token is.")
        query = {"since": since} if since else {}
        entries = entries_of(self._connection, f"{self._root}/{path}", what, query)
        return (entry for entry in entries if account.wrote(entry))

    def refuse_secrets(self, text: str) -> None:
        """Raises GitHubError (FORBIDDEN) if the text contains a secret of ours. For content that is sent compressed."""
        if self._scan.found_in(text):
            message = "What was to be posted holds one of this run's secrets, and was withheld."
            raise GitHubError(
                GitHubErrorKind.FORBIDDEN, message, "Revoke that secret: the model has seen it."
            )

    def _check(self, body: Mapping[str, Any]) -> None:
        self.refuse_secrets("\n".join(_texts(body)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)

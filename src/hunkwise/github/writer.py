"""Writes to GitHub: each write is checked for secrets and happens once, also where its answer is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from hunkwise.domain.pull_request import ReviewState
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import Account, bare, is_bot
from hunkwise.github.client import GitHub
from hunkwise.github.connection import entries_of
from hunkwise.github.responses import GraphqlResponse, JsonValue, malformed_response_error
from hunkwise.redaction import SecretScan

_VIEWER = "query { viewer { login } }"


class OwnPosts:
    """Lists only what is ours; who we are is asked once, when it is first needed."""

    def __init__(self, github: GitHub, number: int) -> None:
        self._github = github
        self._number = number
        self._account: Account | None = None

    def reviews(self) -> Iterator[JsonValue]:
        """Our reviews, oldest first, a pending one included. Raises GitHubError."""
        return self._listed(f"pulls/{self._number}/reviews", "reviews")

    def review_comments(self) -> Iterator[JsonValue]:
        """Our comments on lines and files, oldest first. Raises GitHubError."""
        return self._listed(f"pulls/{self._number}/comments", "review comments")

    def comments(self) -> Iterator[JsonValue]:
        """Our comments in the conversation, oldest first. Raises GitHubError."""
        return self._listed(f"issues/{self._number}/comments", "comments")

    def pending(self, marker: str) -> Iterator[int]:
        """Ids of our pending reviews that say nothing but a marker of that beginning. Raises GitHubError."""
        for review in self.reviews():
            said = review.text_or("body", "").strip()
            is_marker = said.startswith(marker) and said.endswith("-->") and said.count("-->") == 1
            if review.text_or("state", "") == ReviewState.PENDING and is_marker:
                yield review.number("id")

    def _listed(self, path: str, what: str) -> Iterator[JsonValue]:
        if self._account is None:
            self._account = self._asked()
        address = f"/repos/{self._github.repository}/{path}"
        for said in entries_of(self._github.connection, address, what):
            if self._account.wrote(said):
                yield said

    def _asked(self) -> Account:
        """REST tells it to people's tokens, and GraphQL to an app's. Raises GitHubError."""
        connection = self._github.connection
        try:
            me = connection.get("/user")
            account = Account(bare(me.text("login")), bot=is_bot(JsonValue({"user": me.value}, me.request)))
        except GitHubError as error:
            if error.kind is not GitHubErrorKind.FORBIDDEN:
                raise
            me = connection.graphql(_VIEWER, {}).at("viewer")
            account = Account(bare(me.text("login")), bot=True)
        if not account.login:
            raise malformed_response_error(me.request, "an empty login")
        return account


def marker_line(text: str) -> str:
    """The line on which our texts carry their marker."""
    return text.rstrip().rpartition("\n")[2].strip()


def address(said: JsonValue) -> str:
    """Where GitHub shows what it stored. Raises GitHubError where the answer tells of nothing stored."""
    said.number("id")
    found = said.text("html_url")
    if not found.startswith(("https://", "http://")):
        raise malformed_response_error(said.request, "no address at `html_url`")
    return found


_MOST_ATTEMPTS = 3
_BETWEEN_ATTEMPTS = 1.0
_T = TypeVar("_T")


class Writer:
    """Writes to one repository. Paths begin behind `/repos/owner/name/`. All methods raise GitHubError."""

    def __init__(
        self, github: GitHub, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = github.connection
        self._root = f"/repos/{github.repository}"
        self._scan = scan
        self._sleep = sleep
        self.sent = 0
        """How many writes were tried."""

    def post(
        self, path: str, body: Mapping[str, Any], *, again: Callable[[], None] = lambda: None
    ) -> JsonValue:
        """`again`: see Connection.post."""
        self._check(body)
        return self._connection.post(f"{self._root}/{path}", body, again=again)

    def patch(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        self._check(body)
        return self._connection.patch(f"{self._root}/{path}", body)

    def put(self, path: str, body: Mapping[str, Any]) -> JsonValue:
        self._check(body)
        return self._connection.put(f"{self._root}/{path}", body)

    def delete(self, path: str) -> JsonValue:
        """What GitHub shows of what it deleted: null for most kinds."""
        self._check({})
        return self._connection.delete(f"{self._root}/{path}")

    def mutation(self, document: str, variables: Mapping[str, Any], *, writes: int) -> GraphqlResponse:
        """Several mutations in one request, each with its own outcome. `writes`: how many."""
        self._check(variables)
        return self._connection.graphql_partly(document, variables, repeat=False, writes=writes)

    def surely(
        self,
        send: Callable[[], _T],
        look: Callable[[], _T | None] = lambda: None,
        again: Callable[[], None] = lambda: None,
    ) -> _T:
        """What `send` gives. Where its outcome is unknown, what `look` finds stored, else it is sent again.

        `again` is called before that: what it raises ends the sending.

        Raises what `send` raised last, also where `look` fails: to write twice would be worse than not at all.
        Without `look`, `send` must do no harm when it is done twice.
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
                except GitHubError as blind:
                    raise error from blind
                if stored is not None:
                    return stored
                if attempt == _MOST_ATTEMPTS or self._connection.over:
                    raise
            self._sleep(_BETWEEN_ATTEMPTS * attempt)
            again()

    def refuse_secrets(self, text: str) -> None:
        """For what leaves compressed: raises GitHubError (FORBIDDEN) where the text holds a secret of ours."""
        if self._scan.found_in(text):
            message = "What was to be posted holds one of this run's secrets, and was withheld."
            raise GitHubError(
                GitHubErrorKind.FORBIDDEN, message, "Revoke that secret: the model has seen it."
            )

    def _check(self, body: Mapping[str, Any]) -> None:
        self.refuse_secrets("\n".join(_texts(body)))
        self.sent += 1


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)

"""What the token's own account wrote on a pull request, as REST lists it: for a look after a lost answer."""

from __future__ import annotations

from collections.abc import Iterator

from hunkwise.domain.conversation import ReviewState
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.client import GitHub
from hunkwise.forge.errors import senseless
from hunkwise.forge.pages import entries_of
from hunkwise.forge.people import Account, bare, is_bot
from hunkwise.forge.shapes import Shape

_VIEWER = "query { viewer { login } }"


class OwnWords:
    """Lists only what is ours; who we are is asked once, when it is first needed."""

    def __init__(self, github: GitHub, number: int) -> None:
        self._github = github
        self._number = number
        self._account: Account | None = None

    def reviews(self) -> Iterator[Shape]:
        """Our reviews, oldest first, a pending one included. Raises ForgeError."""
        return self._listed(f"pulls/{self._number}/reviews", "reviews")

    def review_comments(self) -> Iterator[Shape]:
        """Our comments on lines and files, oldest first. Raises ForgeError."""
        return self._listed(f"pulls/{self._number}/comments", "review comments")

    def comments(self) -> Iterator[Shape]:
        """Our comments in the conversation, oldest first. Raises ForgeError."""
        return self._listed(f"issues/{self._number}/comments", "comments")

    def pending(self, marker: str) -> Iterator[int]:
        """Ids of our pending reviews that say nothing but a marker of that beginning. Raises ForgeError."""
        for review in self.reviews():
            said = review.text_or("body", "").strip()
            is_marker = said.startswith(marker) and said.endswith("-->") and said.count("-->") == 1
            if review.text_or("state", "") == ReviewState.PENDING and is_marker:
                yield review.number("id")

    def _listed(self, path: str, what: str) -> Iterator[Shape]:
        if self._account is None:
            self._account = self._asked()
        address = f"/repos/{self._github.repository}/{path}"
        for said in entries_of(self._github.connection, address, what):
            if self._account.wrote(said):
                yield said

    def _asked(self) -> Account:
        """REST tells it to people's tokens, and GraphQL to an app's. Raises ForgeError."""
        connection = self._github.connection
        try:
            me = connection.get("/user")
            account = Account(bare(me.text("login")), bot=is_bot(Shape({"user": me.value}, me.request)))
        except ForgeError as error:
            if error.kind is not ForgeKind.FORBIDDEN:
                raise
            me = connection.graphql(_VIEWER, {}).at("viewer")
            account = Account(bare(me.text("login")), bot=True)
        if not account.login:
            raise senseless(me.request, "an empty login")
        return account


def last_line(text: str) -> str:
    """The line on which our texts carry their marker."""
    return text.rstrip().rpartition("\n")[2].strip()


def address(said: Shape) -> str:
    """Where GitHub shows what it stored. Raises ForgeError where the answer tells of nothing stored."""
    said.number("id")
    found = said.text("html_url")
    if not found.startswith(("https://", "http://")):
        raise senseless(said.request, "no address at `html_url`")
    return found

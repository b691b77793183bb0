"""Lists that come in pages, read to their end or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.connection import Connection
from hunkwise.forge.shapes import Shape

PAGE = 100
MOST_PAGES = 30


class TooManyError(ForgeError):
    """A list is longer than can be read; another way of reading it would not help."""

    def __init__(self, what: str) -> None:
        message = f"This pull request has more than {PAGE * MOST_PAGES:,} {what}: too many to be read."
        hint = "Go on in a new pull request: without all that was said, findings would be repeated."
        super().__init__(ForgeKind.UNAVAILABLE, message, hint)


def entries_of(connection: Connection, path: str, what: str) -> Iterator[Shape]:
    """All entries of a REST list. Raises ForgeError, TooManyError past 30 pages."""
    for number in range(1, MOST_PAGES + 1):
        entries = connection.get(path, {"per_page": PAGE, "page": number}).objects()
        yield from entries
        if len(entries) < PAGE:
            return
    raise TooManyError(what)

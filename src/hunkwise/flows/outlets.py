"""What a publication needs of the world: the seams to GitHub and to the head's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.conversation import Conversation, Thread
from hunkwise.domain.outcome import Posted
from hunkwise.flows.announcement import Announcement
from hunkwise.flows.claim import SummaryComments
from hunkwise.publish.rendered import Rendered
from hunkwise.publish.view import View


class Reviews(Protocol):
    """Reviews with their comments; see forge.publisher. `publish` raises nothing, the others ForgeError."""

    def publish(self, rendered: Rendered) -> Posted: ...

    def dismiss(self, review_id: int, message: str) -> None: ...

    def delete_pending(self, review_id: int) -> None: ...


class Threads(Protocol):
    """Closes threads as far as GitHub lets us; gives a sentence for each thing that went another way.

    `answer`: whether they are answered too.
    """

    def close(self, threads: Sequence[Thread], head_sha: str, *, answer: bool) -> tuple[str, ...]: ...


class HeadFiles(Protocol):
    """The reviewed head's files; see hunkwise.commands.reading."""

    def read(self, path: str) -> bytes | None: ...

    def text(self, path: str) -> str | None: ...


@dataclass(frozen=True)
class Outlets:
    """Where a publication goes, and what it looks at again before it does."""

    conversation: Callable[[], Conversation]
    reviews: Reviews
    threads: Threads
    comments: SummaryComments
    announcement: Announcement
    upload: Callable[[View], str] | None = None
    """Sends the findings to code scanning; a sentence on what went wrong, or nothing. None: not asked for."""

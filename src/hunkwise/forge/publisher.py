"""Review → GitHub: comments on files, then one review, and wherever that fails the next rung below."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Fault, Posted, ReviewEvent, Where
from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.client import PAGE, GitHub
from hunkwise.forge.errors import senseless
from hunkwise.forge.shapes import Shape
from hunkwise.publish.markdown import Page
from hunkwise.publish.placement import Placement
from hunkwise.publish.secrets import SecretScan

_MOST_ATTEMPTS = 3
_MOST_PAGES = 30
_BETWEEN_ATTEMPTS = 1.0
_HOPELESS = (ForgeKind.AUTHENTICATION, ForgeKind.FORBIDDEN, ForgeKind.NOT_FOUND)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendered:
    """A review ready to leave. The texts are callables, because what fails inline must be said in the body."""

    placement: Placement
    head_sha: str
    event: ReviewEvent
    marker: str
    """The hidden line in the body by which the review is known again; see `publish.markdown`."""
    comment: Callable[[Finding], str]
    body: Callable[[Placement], Page]


@dataclass
class _State:
    """What was tried so far."""

    placement: Placement
    event: ReviewEvent
    notes: list[str] = field(default_factory=list)
    on_file: list[Finding] = field(default_factory=list)


class Publisher:
    """Posts one review of one pull request, once."""

    def __init__(
        self, github: GitHub, number: int, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._github = github
        self._path = f"/repos/{github.repository}/pulls/{number}"
        self._scan = scan
        self._sleep = sleep

    def publish(self, rendered: Rendered, *, dry_run: bool = False) -> Posted:
        """Never raises ForgeError: what could not be posted is `Where.SUMMARY`, and the fault says why."""
        everything = _all_of(rendered.placement)
        if dry_run:
            where = dict.fromkeys(everything, Where.SUMMARY)
            return Posted(None, where, ("Dry run: nothing was posted.",))
        state = _State(rendered.placement, rendered.event)
        try:
            self._comment_on_files(rendered, state)
            page, url = self._review(rendered, state)
        except ForgeError as error:
            _log.warning("The review could not be posted: %s", error)
            fault = Fault(
                f"github {error.kind}", f"The review could not be posted: {error.message}", error.hint
            )
            where = dict.fromkeys(everything, Where.SUMMARY) | dict.fromkeys(state.on_file, Where.FILE)
            return Posted(None, where, tuple(state.notes), fault)
        where = _rungs(state) | dict.fromkeys(page.counted, Where.SUMMARY)
        return Posted(url, where, tuple(state.notes))

    def _comment_on_files(self, rendered: Rendered, state: _State) -> None:
        """One comment a file; each that is declined falls into the body. Raises where nothing can succeed."""
        failed: list[Finding] = []
        limited = False
        for finding in rendered.placement.on_file:
            comment = {"body": rendered.comment(finding), "path": finding.path, "subject_type": "file"}
            try:
                if limited:
                    failed.append(finding)
                    continue
                self._post("comments", {**comment, "commit_id": rendered.head_sha}).number("id")
                state.on_file.append(finding)
            except ForgeError as error:
                if error.kind in _HOPELESS:
                    raise
                limited = error.kind is ForgeKind.RATE_LIMIT
                failed.append(finding)
                state.notes.append(f"A comment on a file could not be posted: {error.message}")
        state.placement = replace(
            state.placement, on_file=tuple(state.on_file), in_body=(*state.placement.in_body, *failed)
        )

    def _review(self, rendered: Rendered, state: _State) -> tuple[Page, str]:
        """The page and the address of the stored review. Raises ForgeError when the last way has failed."""
        unsure = 0
        while True:
            page = rendered.body(state.placement)
            try:
                return page, self._address(self._post("reviews", _request(rendered, state, page)))
            except ForgeError as error:
                if error.kind is ForgeKind.INVALID and _another_way(error, state):
                    continue
                if error.kind is not ForgeKind.UNAVAILABLE:
                    raise
                unsure += 1
                stored = self._stored(rendered, error)
                if stored is not None:
                    return page, stored
                if unsure == _MOST_ATTEMPTS:
                    raise
                self._sleep(_BETWEEN_ATTEMPTS * unsure)

    def _stored(self, rendered: Rendered, failed: ForgeError) -> str | None:
        """The review's address, where GitHub stored it although its answer was lost.

        Raises `failed` where that cannot be found out: a second review would be worse than the summary.
        """
        try:
            me = self._github.connection.graphql("query { viewer { login } }", {}).text("viewer.login")
            for review in self._reviews():
                if rendered.marker in review.text_or("body", "") and _is_by(review, me):
                    return self._address(review)
        except ForgeError as error:
            raise failed from error
        return None

    def _reviews(self) -> Iterator[Shape]:
        for number in range(1, _MOST_PAGES + 1):
            query = {"per_page": PAGE, "page": number}
            reviews = self._github.connection.get(f"{self._path}/reviews", query).entries()
            yield from reviews
            if len(reviews) < PAGE:
                return

    def _post(self, what: str, body: Mapping[str, Any]) -> Shape:
        """The one door: nothing leaves with a secret of ours in it."""
        if self._scan.found_in("\n".join(_texts(body))):
            message = "what was to be posted holds one of this run's secrets, and was withheld."
            raise ForgeError(ForgeKind.FORBIDDEN, message, "Revoke that secret: the model has seen it.")
        return self._github.connection.post(f"{self._path}/{what}", body)

    def _address(self, review: Shape) -> str:
        review.number("id")  # a page of HTML or an empty object with status 200 stored nothing
        address = review.text("html_url")
        if not address.startswith(("https://", "http://")):
            raise senseless(review.request, "no address at `html_url`")
        return address


def _another_way(error: ForgeError, state: _State) -> bool:
    """Changes the state to what GitHub may take after it declined; False where nothing is left to change."""
    if state.event is ReviewEvent.REQUEST_CHANGES and "own pull request" in error.message.lower():
        state.event = ReviewEvent.COMMENT
        state.notes.append("Changes cannot be requested on one's own pull request: the review is a comment.")
        return True
    if state.placement.inline:
        moved = (*state.placement.in_body, *state.placement.inline)
        state.placement = replace(state.placement, inline=(), in_body=moved)
        state.notes.append(
            f"GitHub declined the comments on lines; each is in the review's body. {error.message}"
        )
        return True
    return False


def _request(rendered: Rendered, state: _State, page: Page) -> dict[str, Any]:
    return {
        "commit_id": rendered.head_sha,
        "event": state.event.value,
        "body": page.text,
        "comments": [_line_comment(finding, rendered) for finding in state.placement.inline],
    }


def _line_comment(finding: Finding, rendered: Rendered) -> dict[str, Any]:
    anchor = finding.anchor
    assert anchor is not None  # `place` puts nothing else inline
    place: dict[str, Any] = {"path": anchor.path, "line": anchor.line, "side": anchor.side.value}
    if anchor.start_line is not None:
        place |= {"start_line": anchor.start_line, "start_side": anchor.side.value}
    return {**place, "body": rendered.comment(finding)}


def _is_by(review: Shape, login: str) -> bool:
    """REST gives an app's login with a suffix that GraphQL may leave out."""
    author = review.text_or("user.login", "")
    return author == login or (review.text_or("user.type", "") == "Bot" and author == f"{login}[bot]")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _all_of(placement: Placement) -> tuple[Finding, ...]:
    return (*placement.inline, *placement.on_file, *placement.in_body)


def _rungs(state: _State) -> dict[Finding, Where]:
    placement = state.placement
    return {
        **dict.fromkeys(placement.inline, Where.INLINE),
        **dict.fromkeys(placement.on_file, Where.FILE),
        **dict.fromkeys(placement.in_body, Where.BODY),
    }

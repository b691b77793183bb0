"""The check run of a run: progress, conclusion, and which of two runs posts.

Where no check run can be written, the summary comment says that a review is in progress. Either one is also the lock by
which two runs on one head know of each other: the newest wins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.pull_request import CheckRun, Comment, Conversation
from hunkwise.domain.review import Conclusion
from hunkwise.errors import GitHubError
from hunkwise.publish.annotations import Annotation
from hunkwise.publish.documents import claim_comment
from hunkwise.tracking.state import claimed_by, summary_comments


class SummaryCommentPort(Protocol):
    """Our comment in the conversation; see github.comments. Both raise GitHubError."""

    def save(self, body: str, comment_id: int | None) -> Comment: ...

    def delete(self, comment_id: int) -> None: ...


class RunLock:
    """One run's claim on one head."""

    def __init__(self, comments: SummaryCommentPort, run: str, before: Conversation | None) -> None:
        """`before` is the conversation as it was when the run began."""
        said = summary_comments(before.comments) if before else ()
        self._comments = comments
        self._run = run
        self._previous = said[-1] if said else None
        self._taken: Comment | None = None

    def take(self, head_sha: str) -> None:
        """Says in the comment that this run is at work. Raises GitHubError."""
        previous = self._previous
        body = claim_comment(previous.body if previous else None, head_sha, self._run)
        self._taken = self._comments.save(body, previous.id if previous else None)

    def lost(self, conversation: Conversation) -> bool:
        """Whether a newer run has made the comment its own."""
        said = summary_comments(conversation.comments)
        by = claimed_by(said[-1].body) if said else ""
        return self._taken is not None and by not in ("", self._run)

    def release(self) -> None:
        """Puts back what stood there before, where the run ends without a summary. Raises GitHubError."""
        if self._taken is None:
            return
        if self._previous is None:
            self._comments.delete(self._taken.id)
        else:
            self._comments.save(self._previous.body, self._previous.id)
        self._taken = None


_BETWEEN_LINES = 10.0
"""Seconds from one line of progress to the next: GitHub counts writes."""
_OURS = "hunkwise:"
"""How our check runs' external ids begin: a job that is called hunkwise has a check run of our name too."""
_log = logging.getLogger(__name__)


class CheckRunPort(Protocol):
    """GitHub's check runs; see github.checks."""

    def start(
        self, head_sha: str, *, external_id: str, title: str, summary: str, details_url: str
    ) -> int: ...

    def progress(self, check_id: int, title: str, summary: str) -> None: ...

    def conclude(
        self,
        check_id: int,
        *,
        conclusion: str,
        title: str,
        summary: str,
        text: str = "",
        annotations: Sequence[Annotation] = (),
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class CheckRunResult:
    """What a check run says at its end."""

    conclusion: Conclusion
    title: str
    summary: str
    text: str = ""
    annotations: tuple[Annotation, ...] = ()


class CheckRunProgress:
    """The claim of one run on one head. `begin`, `progress` and `end` may be called from any thread."""

    def __init__(
        self,
        checks: CheckRunPort,
        claim: RunLock,
        *,
        run: str,
        details_url: str,
        clock: Callable[[], float],
    ) -> None:
        """`claim` is what is left where no check run can be written; `clock` gives seconds."""
        self._checks = checks
        self._claim = claim
        self._run = run
        self._details_url = details_url
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="check-run")
        self._started: Future[int | None] | None = None
        self._told = clock()
        self._ended = False

    def begin(self, head_sha: str) -> None:
        """Says it in the background. Once."""
        if self._started is None:
            self._told = self._clock()
            self._started = self._pool.submit(self._start, head_sha, claiming=True)

    def progress(self, done: int, total: int) -> None:
        """A line of progress in the background, not oftener than is polite."""
        started, now = self._started, self._clock()
        if started is None or now - self._told < _BETWEEN_LINES or done >= total:
            return
        self._told = now
        self._pool.submit(self._progress, started, done, total)

    def wait(self) -> None:
        """Waits until it is said, or is known to be refused: what is read from GitHub after that has the claim."""
        self._check_id()

    def newer(self, conversation: Conversation) -> bool:
        """Whether another run came to this head after us."""
        mine = self._check_id()
        if mine is not None:
            return any(run.id > mine for run in conversation.check_runs if _is_ours(run))
        return self._claim.lost(conversation)

    def older(self, conversation: Conversation) -> tuple[int, ...]:
        """Check runs at this head that began before ours and never ended: of a run that died, or is about to post."""
        mine = self._check_id()
        return tuple(
            run.id
            for run in conversation.check_runs
            if run.status != "completed" and _is_ours(run) and (mine is None or run.id < mine)
        )

    def end(self, head_sha: str, ending: CheckRunResult, *, older: Sequence[int] = ()) -> int:
        """Concludes the check run, which is begun here if it was not, and those of `older` dead runs.

        Gives the number of annotations that GitHub took; 0 where no check run can be written.
        """
        if self._started is None:
            self._started = self._pool.submit(self._start, head_sha, claiming=False)
        self._ended = True
        self._settle()
        mine = self._check_id()
        if mine is None:
            return 0
        for check_id in older:
            self._conclude(
                check_id,
                CheckRunResult(Conclusion.NEUTRAL, "Superseded", "A newer run has reviewed this head."),
            )
        return self._conclude(mine, ending)

    def abandon(self, title: str, summary: str) -> None:
        """Concludes as failed what was begun and not ended: nothing is left hanging."""
        if self._started is None or self._ended:
            return
        self._ended = True
        self._settle()
        mine = self._check_id()
        if mine is not None:
            self._conclude(mine, CheckRunResult(Conclusion.FAILURE, title, summary))
        self.release()

    def release(self) -> None:
        """Takes the claim out of the summary comment, where it stands there."""
        try:
            self._claim.release()
        except GitHubError as error:
            _log.warning("The summary comment still says that a review is under way: %s", error)

    def close(self) -> None:
        """Waits for what is under way. Whatever ended the run, its check run does not stay in progress."""
        self.abandon("No review was made", "The run ended without a review: its log says why.")
        self._pool.shutdown(cancel_futures=True)

    def _start(self, head_sha: str, *, claiming: bool) -> int | None:
        try:
            return self._checks.start(
                head_sha,
                external_id=f"{_OURS}{self._run}",
                title="Reviewing",
                summary="The review is under way.",
                details_url=self._details_url,
            )
        except GitHubError as error:
            _log.info("There is no check run, which needs `checks: write`: %s", error.message)
        try:
            if claiming:
                self._claim.take(head_sha)
        except GitHubError as error:
            _log.info("The summary comment could not be claimed: %s", error.message)
        return None

    def _progress(self, started: Future[int | None], done: int, total: int) -> None:
        check_id = started.result()
        if check_id is not None and not self._ended:
            self._checks.progress(check_id, "Reviewing", f"Reviewed {done} of {total} parts of the change.")

    def _conclude(self, check_id: int, ending: CheckRunResult) -> int:
        try:
            return self._checks.conclude(
                check_id,
                conclusion=str(ending.conclusion),
                title=ending.title,
                summary=ending.summary,
                text=ending.text,
                annotations=ending.annotations,
            )
        except GitHubError as error:
            _log.warning("The check run could not be concluded: %s", error)
            return 0

    def _settle(self) -> None:
        """Waits for what is on its way: a line of progress behind the conclusion would begin the check run anew."""
        self._pool.submit(lambda: None).result()

    def _check_id(self) -> int | None:
        return self._started.result() if self._started is not None else None


def _is_ours(run: CheckRun) -> bool:
    return run.external_id.startswith(_OURS)

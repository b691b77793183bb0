"""Shows a run's progress and conclusion as a check run, and decides which of two runs posts.

If no check run can be written, the summary comment says that a review is in progress. Either one also serves as the
lock between two runs on the same head: the newest wins.
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
from hunkwise.publish.documents import claim_comment, without_claim
from hunkwise.tracking.state import claimed_by, summary_comments


class SummaryCommentPort(Protocol):
    """Writes our summary comment; see github.comments. Both methods raise GitHubError."""

    def save(self, body: str, comment_id: int | None) -> Comment: ...

    def delete(self, comment_id: int) -> None: ...


class RunLock:
    """Marks the summary comment as claimed by one run on one head."""

    def __init__(self, comments: SummaryCommentPort, run: str, before: Conversation | None) -> None:
        """`before` is the conversation as it was when the run began."""
        existing = summary_comments(before.comments) if before else ()
        self._comments = comments
        self._run = run
        self._previous = existing[-1] if existing else None
        self._claimed: Comment | None = None
        self._lost = False

    def take(self, head_sha: str) -> None:
        """Writes into the comment that this run is in progress. Raises GitHubError."""
        previous = self._previous
        body = claim_comment(previous.body if previous else None, head_sha, self._run)
        self._claimed = self._comments.save(body, previous.id if previous else None)

    def lost(self, conversation: Conversation) -> bool:
        """Returns whether a newer run has claimed the comment, which is that run's to restore from then on."""
        existing = summary_comments(conversation.comments)
        owner = claimed_by(existing[-1].body) if existing else ""
        self._lost = self._claimed is not None and owner not in ("", self._run)
        return self._lost

    def release(self) -> None:
        """Restores the earlier comment, for a run that ends without a summary. Raises GitHubError."""
        if self._claimed is None or self._lost:
            return
        # The earlier text may hold the claim of a run that this one has replaced.
        if self._previous is not None and (body := without_claim(self._previous.body)):
            self._comments.save(body, self._previous.id)
        else:
            self._comments.delete(self._claimed.id)
        self._claimed = None


_SECONDS_BETWEEN_UPDATES = 10.0
"""Seconds between two progress updates: GitHub limits writes."""
_ID_PREFIX = "hunkwise:"
"""Prefix of our check runs' external ids: a job that is called hunkwise has a check run of the same name."""
_log = logging.getLogger(__name__)


class CheckRunPort(Protocol):
    """Writes GitHub's check runs; see github.checks."""

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
    """The conclusion and the texts of a completed check run."""

    conclusion: Conclusion
    title: str
    summary: str
    text: str = ""
    annotations: tuple[Annotation, ...] = ()


class CheckRunProgress:
    """The check run of one run on one head. `begin`, `progress` and `end` may be called from any thread."""

    def __init__(
        self,
        checks: CheckRunPort,
        claim: RunLock,
        *,
        run: str,
        details_url: str,
        clock: Callable[[], float],
    ) -> None:
        """`claim` is the fallback where no check run can be written; `clock` returns seconds."""
        self._checks = checks
        self._claim = claim
        self._run = run
        self._details_url = details_url
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="check-run")
        self._started: Future[int | None] | None = None
        self._updated = clock()
        self._ended = False

    def begin(self, head_sha: str) -> None:
        """Starts the check run in the background; later calls do nothing."""
        if self._started is None:
            self._updated = self._clock()
            self._started = self._pool.submit(self._start, head_sha, claiming=True)

    def progress(self, done: int, total: int) -> None:
        """Updates the progress in the background, at most once in 10 seconds."""
        started, now = self._started, self._clock()
        if started is None or now - self._updated < _SECONDS_BETWEEN_UPDATES or done >= total:
            return
        self._updated = now
        self._pool.submit(self._progress, started, done, total)

    def wait(self) -> None:
        """Waits until the check run or claim is written or refused: a later read from GitHub then includes it."""
        self._check_id()

    def newer(self, conversation: Conversation) -> bool:
        """Returns whether another run started on this head after this one."""
        mine = self._check_id()
        if mine is not None:
            return any(run.id > mine for run in conversation.check_runs if _is_ours(run))
        return self._claim.lost(conversation)

    def older(self, conversation: Conversation) -> tuple[int, ...]:
        """Returns ids of our older unfinished check runs at this head: their runs died or are about to post."""
        mine = self._check_id()
        return tuple(
            run.id
            for run in conversation.check_runs
            if run.status != "completed" and _is_ours(run) and (mine is None or run.id < mine)
        )

    def end(self, head_sha: str, ending: CheckRunResult, *, older: Sequence[int] = ()) -> int:
        """Concludes the check run, starting it first if needed, and the check runs of `older` dead runs.

        Returns the number of annotations that GitHub accepted; 0 where no check run can be written.
        """
        if self._started is None:
            self._started = self._pool.submit(self._start, head_sha, claiming=False)
        self._ended = True
        self._wait_for_updates()
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
        """Concludes the check run as failed if it is still in progress, and releases the claim."""
        if self._started is None or self._ended:
            return
        self._ended = True
        self._wait_for_updates()
        mine = self._check_id()
        if mine is not None:
            self._conclude(mine, CheckRunResult(Conclusion.FAILURE, title, summary))
        self.release()

    def release(self) -> None:
        """Removes the claim from the summary comment, if it is there."""
        try:
            self._claim.release()
        except GitHubError as error:
            _log.warning("The summary comment still says that a review is under way: %s", error)

    def close(self) -> None:
        """Waits for pending writes, and fails a check run that is still in progress, however the run ended."""
        self.abandon("No review was made", "The run ended without a review: its log says why.")
        self._pool.shutdown(cancel_futures=True)

    def _start(self, head_sha: str, *, claiming: bool) -> int | None:
        try:
            return self._checks.start(
                head_sha,
                external_id=f"{_ID_PREFIX}{self._run}",
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

    def _wait_for_updates(self) -> None:
        """Waits for pending writes: an update after the conclusion would set the check run back to in progress."""
        self._pool.submit(lambda: None).result()

    def _check_id(self) -> int | None:
        return self._started.result() if self._started is not None else None


def _is_ours(run: CheckRun) -> bool:
    return run.external_id.startswith(_ID_PREFIX)

"""Shows a run's progress and conclusion as a check run, and decides which of two runs posts.

Of two runs on the same head, the one with the newest check run posts. Runs whose token may not write check runs do not
know of each other: the workflow's `concurrency` group keeps them apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from hunkwise.domain.pull_request import CheckRun, Conversation, PullRequest
from hunkwise.domain.review import CheckOutput, Conclusion
from hunkwise.errors import GitHubError
from hunkwise.publish.annotations import Annotation

_SECONDS_BETWEEN_UPDATES = 10.0
"""Seconds between two progress updates: GitHub limits writes."""
_ID_PREFIX = "hunkwise:"
"""Prefix of our check runs' external ids: a job that is called hunkwise has a check run of the same name."""
_STARTED = CheckOutput("Reviewing", "The review is under way.")
_SUPERSEDED = CheckOutput("Superseded", "A newer run has reviewed this head.")
_log = logging.getLogger(__name__)


class CheckRunPort(Protocol):
    """Writes GitHub's check runs; see github.checks. `start` and `complete` raise GitHubError, the others never."""

    def start(self, head_sha: str, external_id: str, output: CheckOutput, details_url: str) -> int: ...

    def progress(self, check_id: int, output: CheckOutput) -> None: ...

    def annotate(self, check_id: int, output: CheckOutput, annotations: Sequence[Annotation]) -> int: ...

    def complete(self, check_id: int, conclusion: Conclusion, output: CheckOutput) -> None: ...


class CheckRunProgress:
    """The check run of one run on one head. Its methods may be called from any thread."""

    def __init__(
        self, checks: CheckRunPort, *, run: str, details_url: str, clock: Callable[[], float]
    ) -> None:
        """`clock` returns seconds."""
        self._checks = checks
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
            self._started = self._pool.submit(self._start, head_sha)

    def progress(self, done: int, total: int) -> None:
        """Updates the progress in the background, at most once in 10 seconds."""
        started, now = self._started, self._clock()
        if started is None or now - self._updated < _SECONDS_BETWEEN_UPDATES or done >= total:
            return
        self._updated = now
        self._pool.submit(self._progress, started, done, total)

    def wait(self) -> None:
        """Waits until the check run is written or refused: a later read from GitHub then includes it."""
        self._check_id()

    def newer(self, conversation: Conversation) -> bool:
        """Returns whether another run started on this head after this one."""
        mine = self._check_id()
        return mine is not None and any(run.id > mine for run in conversation.check_runs if _is_ours(run))

    def older(self, conversation: Conversation) -> tuple[int, ...]:
        """Returns ids of our older unfinished check runs at this head: their runs died or are about to post."""
        mine = self._check_id()
        return tuple(
            run.id
            for run in conversation.check_runs
            if _is_unfinished(run) and (mine is None or run.id < mine)
        )

    def annotate(self, head_sha: str, annotations: Sequence[Annotation]) -> int:
        """Adds the annotations, starting the check run if needed; returns how many GitHub accepted, from the first.

        It is 0 where no check run can be written.
        """
        if not annotations:
            return 0
        self.begin(head_sha)
        self._wait_for_updates()
        mine = self._check_id()
        return 0 if mine is None else self._checks.annotate(mine, _STARTED, annotations)

    def end(
        self, head_sha: str, conclusion: Conclusion, output: CheckOutput, *, older: Sequence[int] = ()
    ) -> None:
        """Completes the check run, starting it first if needed, and the check runs of `older` dead runs."""
        self.begin(head_sha)
        self._ended = True
        self._wait_for_updates()
        mine = self._check_id()
        if mine is None:
            return
        for check_id in older:
            self._complete(check_id, Conclusion.NEUTRAL, _SUPERSEDED)
        self._complete(mine, conclusion, output)

    def abandon(self, title: str, summary: str, conclusion: Conclusion = Conclusion.FAILURE) -> None:
        """Completes the check run without a review, if it is still in progress."""
        if self._started is None or self._ended:
            return
        self._ended = True
        self._wait_for_updates()
        mine = self._check_id()
        if mine is not None:
            self._complete(mine, conclusion, CheckOutput(title, summary))

    def close(self) -> None:
        """Waits for pending writes, and fails a check run that is still in progress, however the run ended."""
        self.abandon("No review was made", "The run ended without a review: its log says why.")
        self._pool.shutdown(cancel_futures=True)

    def _start(self, head_sha: str) -> int | None:
        try:
            return self._checks.start(head_sha, f"{_ID_PREFIX}{self._run}", _STARTED, self._details_url)
        except GitHubError as error:
            _log.info("There is no check run, which needs `checks: write`: %s", error.message)
            return None

    def _progress(self, started: Future[int | None], done: int, total: int) -> None:
        check_id = started.result()
        if check_id is not None and not self._ended:
            summary = f"Reviewed {done} of {total} parts of the change."
            self._checks.progress(check_id, CheckOutput(_STARTED.title, summary))

    def _complete(self, check_id: int, conclusion: Conclusion, output: CheckOutput) -> None:
        try:
            self._checks.complete(check_id, conclusion, output)
        except GitHubError as error:
            _log.warning("The check run could not be concluded: %s", error)

    def _wait_for_updates(self) -> None:
        """Waits for pending writes: an update after the conclusion would set the check run back to in progress."""
        self._pool.submit(lambda: None).result()

    def _check_id(self) -> int | None:
        return self._started.result() if self._started is not None else None


class MergeQueuePort(Protocol):
    """Reads and creates check runs in a merge queue; see github.checks. Its methods raise GitHubError."""

    def at(self, head_sha: str) -> tuple[CheckRun, ...]: ...

    def create_completed(
        self, head_sha: str, external_id: str, output: CheckOutput, details_url: str, conclusion: Conclusion
    ) -> None: ...


def repeat_check_run(
    checks: MergeQueuePort, pull_request: PullRequest, group_sha: str, run: str
) -> Conclusion | None:
    """Creates a check run at the commit of a merge group, with the conclusion of our last completed one at the head.

    Returns the conclusion; None if there is no such check run. Raises GitHubError.
    """
    head_sha = pull_request.head_sha
    completed = [
        check.conclusion for check in checks.at(head_sha) if check.status == "completed" and _is_ours(check)
    ]
    if not completed:
        return None
    # A conclusion that hunkwise never sets, such as `timed_out`, counts as a failure.
    known = completed[-1] in Conclusion.__members__.values()
    conclusion = Conclusion(completed[-1]) if known else Conclusion.FAILURE
    output = CheckOutput(
        f"As in pull request #{pull_request.number}",
        f"Nothing is reviewed in a merge queue: this is the conclusion at {head_sha}.",
    )
    checks.create_completed(group_sha, f"{_ID_PREFIX}{run}", output, pull_request.url, conclusion)
    return conclusion


def is_review_running(conversation: Conversation) -> bool:
    """Returns whether a check run of ours at the head is not completed: its run is at work, or died."""
    return any(map(_is_unfinished, conversation.check_runs))


def _is_unfinished(run: CheckRun) -> bool:
    return run.status != "completed" and _is_ours(run)


def _is_ours(run: CheckRun) -> bool:
    return run.external_id.startswith(_ID_PREFIX)

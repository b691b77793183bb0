"""Reviews a pull request, or publishes the report of a job that could not write.

Importing this module imports PyGithub and pydantic; the SDK follows when fetching has begun. Nothing of the head is
run or read but as text, and a report is untrusted (publish.report_input).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from hunkwise.commands.publish import PublishedRun, Publisher
from hunkwise.commands.repository_reader import RepositoryReader
from hunkwise.commands.run import Journal
from hunkwise.commands.signals import Signals
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.finding import NOTHING_TOLD
from hunkwise.domain.pull_request import PullRequest
from hunkwise.domain.review import Review
from hunkwise.errors import Error, SettingsError
from hunkwise.files import read_given
from hunkwise.flows.fetch import FetchedPullRequest
from hunkwise.flows.review import ReviewInput, ReviewRequest, merge
from hunkwise.publish.report import ReportedReview
from hunkwise.publish.report_input import MAX_BYTES, as_review, check, read_report
from hunkwise.settings.github_context import NothingToDo, PublishTask, ReviewTask, RunnerEnvironment
from hunkwise.settings.inputs import Inputs


class PullRequestReview:
    """Reviews one pull request. Constructed after the sidecar was started; `run` does everything else."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        started: float,
        signals: Signals,
        log: Callable[[str], None],
    ) -> None:
        self._inputs = inputs
        self._started = started
        self._signals = signals
        self._log = log
        self._reading = RepositoryReader(environment, inputs, started)
        self._journal = Journal(environment.reports.inside / "journal.jsonl", self._reading.scan.found_in)
        self._publishing: Publisher | None = None

    def run(
        self, task: ReviewTask, where: Sidecar | Sequence[Address], *, demo: bool = False
    ) -> PublishedRun:
        """Fetches, asks, publishes. Raises Error where no review can be made."""
        fetching: Future[ReviewInput] = in_background(lambda: self._fetch(task.number, demo=demo))
        # The SDK is imported while GitHub answers: one waits for the network, the other for the processor.
        from hunkwise.copilot.sdk_import import import_sdk

        import_sdk()
        from hunkwise.commands.run import ReviewRun, RunBackend

        backend = RunBackend(where, self._inputs.provider)
        run = ReviewRun(
            backend,
            fetching,
            self._journal,
            self._progress,
            self._signals,
            self._started,
            self._reading.deadlines,
        )
        try:
            review = asyncio.run(run.review())
            assert self._publishing is not None, "a review is of what was fetched"
            return self._publishing.publish(review)
        except Error as error:
            if self._publishing is not None:
                self._publishing.abandon(error)
            raise
        finally:
            if self._publishing is not None:
                self._publishing.announcement.close()
            self._reading.close()

    def _progress(self, done: int, total: int) -> None:
        publishing = self._publishing
        assert publishing is not None, "nothing is asked before it was fetched"
        if done:
            self._log(f"Reviewed {done} of {total} parts of the change.")
            publishing.progress(done, total)
        else:
            publishing.begin()

    def _fetch(self, number: int, *, demo: bool) -> ReviewInput:
        fetched = self._reading.fetch(number)
        head = self._reading.commit(fetched.snapshot.pull_request.head_sha)
        self._publishing = self._reading.publishing(fetched)
        told = fetched.state.told if fetched.state is not None else NOTHING_TOLD
        order = ReviewRequest(
            fetched.snapshot,
            fetched.texts.config,
            fetched.texts.templates,
            demo=demo,
            state=fetched.state,
            full=self._inputs.full_review,
            earlier_summary=told.overview,
            earlier_walkthrough=told.walkthrough,
        )
        return ReviewInput(order, head)


def in_background(work: Callable[[], ReviewInput]) -> Future[ReviewInput]:
    """Runs `work` in a thread that nobody waits for when the process ends."""
    future: Future[ReviewInput] = Future()
    future.set_running_or_notify_cancel()  # so that whoever stops waiting does not cancel it

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # carried to whoever awaits the result
            future.set_exception(error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return future


_WITHOUT_REPORT = ("cancelled", "skipped")


class ReportPublication:
    """Publishes one report. `run` does everything."""

    def __init__(
        self, environment: RunnerEnvironment, inputs: Inputs, started: float, log: Callable[[str], None]
    ) -> None:
        self._repository = environment.repository
        self._reading = RepositoryReader(environment, inputs, started)
        self._log = log

    def run(self, task: PublishTask, path: Path) -> PublishedRun | NothingToDo:
        """Checks the report against the event and GitHub, and publishes it. Raises Error."""
        if task.conclusion in _WITHOUT_REPORT and not path.exists():
            return NothingToDo(f"The run that was to make the report was {task.conclusion}: there is none.")
        report = read_report(_contents(path))
        check(
            report,
            repository=self._repository,
            number=task.number,
            head_sha=task.head_sha,
            head_repository=task.head_repository,
        )
        assert report.pull_request is not None, "check refuses a report on a range of commits"
        self._log(f"The report is on pull request #{report.pull_request} at {report.head_sha[:12]}.")
        try:
            fetched = self._reading.fetch(report.pull_request)
            pull_request = fetched.snapshot.pull_request
            if (why := _moved_on(pull_request, report.head_sha)) is not None:
                return why
            check(
                report,
                repository=pull_request.repository,
                number=pull_request.number,
                head_repository=task.head_repository,
            )
            _check_head(pull_request, task)
            publishing = self._reading.publishing(fetched, own_review=False)
            try:
                return publishing.publish(_review(report, fetched))
            finally:
                publishing.announcement.close()
        finally:
            self._reading.close()


def _review(report: ReportedReview, fetched: FetchedPullRequest) -> Review:
    """The reported review under the base's own configuration, whatever the job that made it went by."""
    review = as_review(report, fetched.snapshot.files)
    findings, left_out = merge(review.findings, fetched.texts.config.min_severity)
    return replace(review, findings=findings, dropped=review.dropped + left_out)


def _contents(path: Path) -> bytes:
    try:
        return read_given(path, MAX_BYTES)
    except OSError as error:
        raise SettingsError(
            [
                f"The report {path} cannot be read ({error.strerror}): the input `publish` must name the file "
                "that the reviewing run wrote, report.json, where this job has downloaded it."
            ]
        ) from error


def _moved_on(pull_request: PullRequest, head_sha: str) -> NothingToDo | None:
    """Why the report is of no use any more, which is nobody's fault."""
    if pull_request.state != "open":
        return NothingToDo(f"Pull request #{pull_request.number} is closed: nothing is published.")
    if pull_request.head_sha != head_sha:
        return NothingToDo(
            f"The head of pull request #{pull_request.number} has moved from {head_sha[:12]} to "
            f"{pull_request.head_sha[:12]}: nothing is published, the newer head has a run of its own."
        )
    return None


def _check_head(pull_request: PullRequest, task: PublishTask) -> None:
    """The run that made the report must have been on this pull request's own head repository."""
    asked, found = task.head_repository, pull_request.head_repository
    if asked is not None and found and asked.casefold() != found.casefold():
        raise SettingsError(
            [
                f"The run that made the report was on the repository {asked}, but the head of pull request "
                f"#{pull_request.number} is in {found}: only that head's own run can be published."
            ]
        )

"""Reviews a pull request, or publishes the report of a job that could not write.

This module imports PyGithub and pydantic; the SDK is imported after fetching has begun. The head is read as text only,
nothing of it is run, and a report is untrusted (publish.report_input).
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
from hunkwise.domain.finding import NO_SUMMARY
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
    """Reviews one pull request. Construct it after the sidecar was started; `run` does all I/O."""

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
        """Fetches and reviews the pull request, and publishes the review. Raises Error where no review is possible."""
        fetching: Future[ReviewInput] = in_background(lambda: self._fetch(task.number, demo=demo))
        # Importing the SDK while GitHub answers saves time: one needs the processor, the other the network.
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
            assert self._publishing is not None, "_fetch has set it"
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
        assert publishing is not None, "no question is asked before _fetch has set it"
        if done:
            self._log(f"Reviewed {done} of {total} parts of the change.")
            publishing.progress(done, total)
        else:
            publishing.begin()

    def _fetch(self, number: int, *, demo: bool) -> ReviewInput:
        fetched = self._reading.fetch(number)
        head = self._reading.commit(fetched.snapshot.pull_request.head_sha)
        self._publishing = self._reading.publishing(fetched)
        earlier = fetched.state.summary if fetched.state is not None else NO_SUMMARY
        request = ReviewRequest(
            fetched.snapshot,
            fetched.texts.config,
            fetched.texts.templates,
            demo=demo,
            state=fetched.state,
            full=self._inputs.full_review,
            earlier_summary=earlier.overview,
            earlier_walkthrough=earlier.walkthrough,
        )
        return ReviewInput(request, head)


def in_background(work: Callable[[], ReviewInput]) -> Future[ReviewInput]:
    """Runs `work` in a daemon thread, which does not keep the process from ending."""
    future: Future[ReviewInput] = Future()
    future.set_running_or_notify_cancel()  # so that a caller that stops waiting does not cancel it

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised again where the result is awaited
            future.set_exception(error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return future


_WITHOUT_REPORT = ("cancelled", "skipped")


class ReportPublication:
    """Publishes one report. `run` does all I/O."""

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
        report = read_report(_read_file(path))
        check(
            report,
            repository=self._repository,
            number=task.number,
            head_sha=task.head_sha,
            head_repository=task.head_repository,
        )
        assert report.pull_request is not None, "`check` refuses a report on a range of commits"
        self._log(f"The report is on pull request #{report.pull_request} at {report.head_sha[:12]}.")
        try:
            fetched = self._reading.fetch(report.pull_request)
            pull_request = fetched.snapshot.pull_request
            if (reason := _reason_to_skip(pull_request, report.head_sha)) is not None:
                return reason
            check(
                report,
                repository=pull_request.repository,
                number=pull_request.number,
                head_repository=task.head_repository,
            )
            _check_head(pull_request, task)
            publishing = self._reading.publishing(fetched, own_review=False)
            try:
                return publishing.publish(_to_review(report, fetched))
            finally:
                publishing.announcement.close()
        finally:
            self._reading.close()


def _to_review(report: ReportedReview, fetched: FetchedPullRequest) -> Review:
    """Returns the reported review, with the base's `min-severity` applied instead of the reviewing job's."""
    review = as_review(report, fetched.snapshot.files)
    findings, omitted = merge(review.findings, fetched.texts.config.min_severity)
    return replace(review, findings=findings, dropped=review.dropped + omitted)


def _read_file(path: Path) -> bytes:
    try:
        return read_given(path, MAX_BYTES)
    except OSError as error:
        raise SettingsError(
            [
                f"The report {path} cannot be read ({error.strerror}): the input `publish` must name the file "
                "that the reviewing run wrote, report.json, where this job has downloaded it."
            ]
        ) from error


def _reason_to_skip(pull_request: PullRequest, head_sha: str) -> NothingToDo | None:
    """Returns why the report is outdated, which is not an error; None if it can be published."""
    if pull_request.state != "open":
        return NothingToDo(f"Pull request #{pull_request.number} is closed: nothing is published.")
    if pull_request.head_sha != head_sha:
        return NothingToDo(
            f"The head of pull request #{pull_request.number} has moved from {head_sha[:12]} to "
            f"{pull_request.head_sha[:12]}: nothing is published, the newer head has a run of its own."
        )
    return None


def _check_head(pull_request: PullRequest, task: PublishTask) -> None:
    """Raises SettingsError if the run that made the report was not on the pull request's head repository."""
    of_run, of_head = task.head_repository, pull_request.head_repository
    if of_run is not None and of_head and of_run.casefold() != of_head.casefold():
        raise SettingsError(
            [
                f"The run that made the report was on the repository {of_run}, but the head of pull request "
                f"#{pull_request.number} is in {of_head}: only that head's own run can be published."
            ]
        )

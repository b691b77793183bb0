"""Composes `hunkwise publish`: the report of a job that could not write, published by one that can.

Nothing of the head is run or read but as text, and the report is a stranger's word: see publish.read_report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hunkwise.commands.publishing import Finished
from hunkwise.commands.reading import Reading
from hunkwise.domain.outcome import Review
from hunkwise.domain.pull_request import PullRequest
from hunkwise.errors import SettingsError
from hunkwise.flows.fetch import Fetched
from hunkwise.given_file import read_given
from hunkwise.publish.merge import merge
from hunkwise.publish.read_report import MAX_BYTES, ReportedReview, check, read_report
from hunkwise.publish.reported import as_review
from hunkwise.settings.environment import RunnerEnvironment
from hunkwise.settings.event import NothingToDo, PublishTask
from hunkwise.settings.inputs import Inputs

_WITHOUT_REPORT = ("cancelled", "skipped")


class ReportPublication:
    """Publishes one report. `run` does everything."""

    def __init__(
        self, environment: RunnerEnvironment, inputs: Inputs, started: float, log: Callable[[str], None]
    ) -> None:
        self._repository = environment.repository
        self._reading = Reading(environment, inputs, started)
        self._log = log

    def run(self, task: PublishTask, path: Path) -> Finished | NothingToDo:
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


def _review(report: ReportedReview, fetched: Fetched) -> Review:
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

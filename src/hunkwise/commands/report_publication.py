"""Publishes the report of a job that could not write; a report is untrusted (publish.report_input)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hunkwise.commands.publish import PublishedRun
from hunkwise.commands.pull_request import RepositoryReader, explain_skip
from hunkwise.domain.pull_request import PullRequest
from hunkwise.domain.review import Review, Suppression
from hunkwise.errors import SettingsError
from hunkwise.files import read_bounded
from hunkwise.flows.fetch import FetchedPullRequest
from hunkwise.flows.planning import select_files
from hunkwise.flows.publish_plan import merge, split_by_confidence
from hunkwise.publish.report import ReportedReview
from hunkwise.publish.report_input import MAX_BYTES, as_review, check, read_report
from hunkwise.settings.events import NothingToDo, PublishTask
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs

_WITHOUT_REPORT = ("cancelled", "skipped")


class ReportPublication:
    """Publishes one report. `run` does all I/O."""

    def __init__(
        self, environment: RunnerEnvironment, inputs: Inputs, started: float, log: Callable[[str], None]
    ) -> None:
        self._repository = environment.repository
        self._reader = RepositoryReader(environment, inputs, started)
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
            fetched = self._reader.fetch(report.pull_request)
            pull_request = fetched.snapshot.pull_request
            if (reason := _reason_to_skip(pull_request, report.head_sha)) is not None:
                return reason
            if skipped := explain_skip(fetched, task):
                return NothingToDo(skipped)
            check(
                report,
                repository=pull_request.repository,
                number=pull_request.number,
                head_repository=pull_request.head_repository or None,
            )
            _check_head(pull_request, task)
            publisher = self._reader.publisher(fetched, automatic=task.automatic, own_review=False)
            try:
                return publisher.publish(_to_review(report, fetched))
            finally:
                publisher.announcement.close()
        finally:
            self._reader.close()


def _to_review(report: ReportedReview, fetched: FetchedPullRequest) -> Review:
    """Returns the reported review, with the base's `min-severity`, `min-confidence` and selection of files, not the
    reviewing job's."""
    snapshot, config = fetched.snapshot, fetched.texts.config
    skipped = select_files(snapshot, config).skipped
    review = as_review(report, snapshot.files, skipped, snapshot.unlisted_files)
    findings, omitted = merge(
        (*review.findings, *(entry.finding for entry in review.low_confidence)), config.min_severity
    )
    findings, unsure = split_by_confidence(findings, config)
    others = (entry for entry in review.suppressed if entry.kind is not Suppression.LOW_CONFIDENCE)
    return replace(review, findings=findings, suppressed=(*others, *unsure), dropped=review.dropped + omitted)


def _read_file(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise SettingsError(
            [
                f"The report {path} cannot be read ({error.strerror}): name the file report.json that the reviewing "
                "run wrote, where it is now."
            ]
        ) from error


def _reason_to_skip(pull_request: PullRequest, head_sha: str) -> NothingToDo | None:
    """Returns why the report is outdated, which is not an error; None if it can be published."""
    if pull_request.state != "open":
        return NothingToDo(f"Pull request #{pull_request.number} is closed: nothing is published.")
    if pull_request.head_sha != head_sha:
        return NothingToDo(
            f"The head of pull request #{pull_request.number} has moved from {head_sha[:12]} to "
            f"{pull_request.head_sha[:12]}: nothing is published, the run for the newer head reviews it."
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

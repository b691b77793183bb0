"""Publishes a review on GitHub, with report, SARIF, job summary and outputs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hunkwise import __version__
from hunkwise.actions import takes
from hunkwise.commands.journal import write_json
from hunkwise.domain.pull_request import Conversation, PullRequest
from hunkwise.domain.review import Conclusion, ExitCode, Review
from hunkwise.errors import GitHubErrorKind
from hunkwise.flows.check_run import CheckRunProgress
from hunkwise.flows.publication import GitHubPorts, HeadFilePort, Publication, PublishedFindings
from hunkwise.flows.publish_plan import PublishSettings
from hunkwise.github.checks import CheckRuns, CodeScanning
from hunkwise.github.client import GitHub
from hunkwise.github.comments import SummaryComments, Threads
from hunkwise.github.reviews import Reviews
from hunkwise.github.writer import Writer
from hunkwise.publish import sanitize
from hunkwise.publish.annotations import Annotation, workflow_annotations
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude, outputs_of
from hunkwise.publish.documents import job_summary
from hunkwise.publish.placement import in_report
from hunkwise.publish.report import as_json
from hunkwise.publish.sarif import as_sarif
from hunkwise.redaction import SecretScan, withhold, without_secrets
from hunkwise.settings.config import Config
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.telemetry import annotate, span

_SPARE, _SPARE_A_FINDING = 16 * 1024, 256
"""Bytes by which a job summary may grow when the place of each finding is known."""
_MOST_WARNINGS = 10
"""GitHub shows at most this number of annotations of one kind from one step."""
_MAX_REASON = 2_000
"""Characters of the reason in the check run."""


@dataclass(frozen=True)
class PublishedRun:
    """The results that the step writes to its runner: warnings, annotations, job summary, outputs, exit code."""

    published: PublishedFindings
    summary: str
    outputs: Mapping[str, str]
    config_warnings: tuple[str, ...] = ()
    read_only: str = ""
    """Why the token cannot write, if that is to be expected."""

    @property
    def view(self) -> PublishedReview:
        return self.published.view

    def in_shell(self) -> PublishedRun:
        """Returns the run with the hints for a shell."""
        view = self.view
        fault = view.posted.fault.in_shell() if view.posted.fault else None
        shown = replace(view, review=view.review.in_shell(), posted=replace(view.posted, fault=fault))
        return replace(self, published=replace(self.published, view=shown))

    @property
    def exit_code(self) -> ExitCode:
        return self.view.verdict.exit_code

    @property
    def warnings(self) -> tuple[str, ...]:
        """Faults of the run, what was not reviewed and what could not be posted, as unique messages; at most 10."""
        view, unposted = self.view, self.view.posted.fault
        faults = [*view.review.faults, *([unposted] if unposted and not self.notices else [])]
        messages = [*self.config_warnings, *(f"{fault.message} {fault.hint}".strip() for fault in faults)]
        if self.exit_code is ExitCode.PARTIAL:
            messages += view.verdict.reasons
        known = view.verdict.fallbacks if self.notices else ()
        messages += [warning for warning in view.verdict.warnings if warning not in known]
        messages += self.published.warnings
        messages += [view.posted.stale] if view.posted.stale else []
        return tuple(dict.fromkeys(messages))[:_MOST_WARNINGS]

    @property
    def notices(self) -> tuple[str, ...]:
        """Why nothing was posted, instead of warnings, where a token is read-only as expected."""
        fault = self.view.posted.fault
        forbidden = fault is not None and fault.kind == f"github {GitHubErrorKind.FORBIDDEN}"
        return (self.read_only,) if self.read_only and forbidden else ()

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Findings that could not be posted on the pull request, as annotations; as many as GitHub shows."""
        return workflow_annotations(
            self.published.unposted,
            self.view.review.files,
            server_url=self.view.server_url,
            names_prompt=self.view.names_prompt,
            warnings=_MOST_WARNINGS - len(self.warnings),
        )

    @property
    def errors(self) -> tuple[str, ...]:
        """The gates that were reached."""
        return self.view.verdict.reasons if self.exit_code is ExitCode.GATE else ()


class Publisher:
    """Publishes the review of one fetched pull request. The constructor does no I/O."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        github: GitHub,
        scan: SecretScan,
        *,
        run: str,
        pull_request: PullRequest,
        conversation: Conversation | None,
        config: Config,
        files: HeadFilePort,
        own_review: bool = True,
        automatic: bool = True,
        warnings: tuple[str, ...] = (),
    ) -> None:
        """`own_review` is False for a review that another job reported, `automatic` for one that a person requested.

        `warnings`: sentences about the configuration for the step's annotations.
        """
        self._warnings = warnings
        self._environment = environment
        self._github = github
        self._scan = scan
        self._run = run
        self._pull_request = pull_request
        self._conversation = conversation
        self._config = config
        self.files = files
        self._own_review = own_review
        self._automatic = automatic
        self._reports = environment.reports
        self._writer = Writer(github, pull_request.number, scan)
        self.announcement = CheckRunProgress(
            CheckRuns(self._writer),
            run=run,
            details_url=self._details_url,
            clock=time.monotonic,
        )

    def begin(self) -> None:
        """Starts the check run that shows the progress, except with `dry-run`."""
        if not self._config.dry_run:
            self.announcement.begin(self._pull_request.head_sha)

    def abandon(self, why: str, conclusion: Conclusion) -> None:
        """Completes the check run with the reason for which no review was made."""
        # The reason can contain text of the model's provider or of GitHub.
        reason = sanitize.line(self._scan.redacted(why), _MAX_REASON)
        self.announcement.abandon("No review was made", reason, conclusion)

    def progress(self, done: int, total: int) -> None:
        """Writes to the check run how many parts of the change are done."""
        self.announcement.progress(done, total)

    @span("post")
    def publish(self, result: Review) -> PublishedRun:
        """Posts the review, and writes report and SARIF. Never raises GitHubError."""
        review = withhold(result, self._scan)
        publication = Publication(self._settings(review), self._ports(), self._conversation, self.files)
        published = publication.publish(review)
        view = published.view
        report = self._write_report_file("report.json", self._report(view))
        sarif = self._write_report_file("hunkwise.sarif", self._sarif(view))
        outputs = outputs_of(view, report, sarif)
        annotate(
            {
                "hunkwise.conclusion": outputs["conclusion"],
                "hunkwise.findings": len(view.review.findings),
                "hunkwise.coverage": view.review.coverage.percent,
            }
        )
        return PublishedRun(published, job_summary(view).text, outputs, self._warnings)

    @property
    def _details_url(self) -> str:
        """The workflow's run; without one the pull request: the service reads its number where a webhook lists none."""
        environment = self._environment
        if not environment.run_id:
            return self._pull_request.url
        return f"{environment.server_url}/{environment.repository}/actions/runs/{environment.run_id}"

    @property
    def _gates(self) -> Gates:
        config = self._config
        return Gates(config.fail_on, config.request_changes_on, config.min_coverage, config.approve)

    def _settings(self, review: Review) -> PublishSettings:
        pull_request, config = self._pull_request, self._config
        # Writes the report before anything is posted: no finding is lost if posting fails.
        early = PublishedReview(
            review,
            conclude(review, self._gates),
            in_report(review.findings),
            repository=pull_request.repository,
        )
        text, spare = job_summary(early).text, _SPARE + len(review.findings) * _SPARE_A_FINDING
        return PublishSettings(
            repository=pull_request.repository,
            number=pull_request.number,
            base=pull_request.base,
            server_url=self._environment.server_url,
            run=self._run,
            gates=self._gates,
            max_comments=config.max_comments,
            strict=config.verify == "strict",
            dry_run=config.dry_run,
            own_review=self._own_review,
            for_agents=config.prompt_for_agents,
            automatic=self._automatic,
            summary=not self._environment.actions or takes(self._environment.step_summary, text, spare),
            report=bool(self._write_report_file("report.json", self._report(early))),
        )

    def _write_report_file(self, name: str, contents: object) -> str:
        """Writes a JSON file; returns its path for later steps, or an empty text where it could not be written."""
        written = write_json(self._reports.inside / name, without_secrets(contents, self._scan))
        return str(self._reports.outside / name) if written else ""

    def _ports(self) -> GitHubPorts:
        github, number = self._github, self._pull_request.number
        head_sha = self._pull_request.head_sha
        return GitHubPorts(
            conversation=lambda: github.conversation(number, head_sha),
            reviews=Reviews(self._writer),
            threads=Threads(self._writer),
            comments=SummaryComments(self._writer),
            announcement=self.announcement,
            upload=self._upload if self._config.upload_sarif else None,
        )

    def _upload(self, view: PublishedReview) -> None:
        ref = f"refs/pull/{self._pull_request.number}/head"
        CodeScanning(self._writer).upload(json.dumps(self._sarif(view)), view.review.head_sha, ref)

    def _report(self, view: PublishedReview) -> dict[str, object]:
        pull_request = self._pull_request
        return as_json(
            replace(view, base_sha=pull_request.base_sha), head_repository=pull_request.head_repository
        )

    def _sarif(self, view: PublishedReview) -> dict[str, object]:
        return as_sarif(
            view.review,
            repository=self._pull_request.repository,
            server_url=self._environment.server_url,
            version=__version__,
        )

"""Composes the review of a pull request: GitHub and the checkout on one side, the model on the other.

Importing this module imports PyGithub and pydantic; the SDK follows when the fetching has begun.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.outcome import ExitCode, Posted, Review
from hunkwise.errors import RepositoryError
from hunkwise.flows.fetch import Fetch
from hunkwise.flows.review import Order, Ready
from hunkwise.flows.withheld import Withheld
from hunkwise.forge.client import GitHub
from hunkwise.forge.head import ForgeHead
from hunkwise.forge.publisher import Publisher, Rendered
from hunkwise.journal import Journal, write_report
from hunkwise.publish.gates import Gates, Verdict, conclude, review_event
from hunkwise.publish.markdown import comment, job_summary, review_body, review_marker
from hunkwise.publish.placement import Placement, place, suggestion_applies
from hunkwise.publish.report import as_json
from hunkwise.publish.secrets import SecretScan, withhold
from hunkwise.repository.git import Git
from hunkwise.repository.head import GitHead
from hunkwise.settings.environment import RunnerEnvironment
from hunkwise.settings.event import ReviewTask
from hunkwise.settings.inputs import Inputs
from hunkwise.signals import Signals

_LONGEST_RUN = 6 * 3_600.0
"""Seconds that GitHub gives a job: the deadline until the configuration has told its own."""
_MOST_ANNOTATIONS = 10
"""GitHub shows no more annotations of a kind from one step."""


@dataclass(frozen=True)
class Finished:
    """What the step tells its runner."""

    review: Review
    posted: Posted
    verdict: Verdict
    summary: str
    outputs: Mapping[str, str]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Faults on the way, and what was not reviewed, one sentence each."""
        faults = [*self.review.faults, *([self.posted.fault] if self.posted.fault else [])]
        said = [f"{fault.message} {fault.hint}".strip() for fault in faults]
        if self.verdict.exit_code is ExitCode.PARTIAL:
            said += self.verdict.reasons
        if self.posted.fault is not None and self.review.findings:
            said.append("Every finding is in the job summary and in the JSON report.")
        return tuple(said[:_MOST_ANNOTATIONS])

    @property
    def errors(self) -> tuple[str, ...]:
        """The gates that were reached."""
        return self.verdict.reasons if self.verdict.exit_code is ExitCode.GATE else ()


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
        self._environment = environment
        self._inputs = inputs
        self._started = started
        self._signals = signals
        self._log = log
        self._ends = started + _LONGEST_RUN
        self._folder = environment.temp / "hunkwise"
        self._run_name = f"{environment.run_id or 'local'}-{secrets.token_hex(8)}"
        self._github = GitHub(
            inputs.github_token, environment.api_url, environment.repository, deadline=self._seconds_left
        )
        self._git = Git(environment.workspace) if environment.workspace else None
        self._scan = SecretScan(inputs.secrets)

    def run(self, task: ReviewTask, where: Sidecar | Sequence[Address], *, demo: bool = False) -> Finished:
        """Fetches, asks, publishes. Raises Error where no review can be made."""
        fetching: Future[Ready] = in_background(lambda: self._fetch(task.number, demo=demo))
        # The SDK is imported while GitHub answers: one waits for the network, the other for the processor.
        from hunkwise.copilot.quick_import import import_sdk

        import_sdk()
        from hunkwise.run import Backend, Run

        backend = Backend(where, self._inputs.provider)
        journal = Journal(self._folder / "journal.jsonl", self._scan.found_in)
        run = Run(backend, fetching, journal, self._progress, self._signals, self._started)
        try:
            review = asyncio.run(run.review())
            return self._publish(review, fetching.result().order, task.number)
        finally:
            self._github.close()

    def _seconds_left(self) -> float:
        return max(0.0, self._ends - time.monotonic())

    def _progress(self, done: int, total: int) -> None:
        self._log(f"Reviewed {done} of {total} parts of the change.")

    def _fetch(self, number: int, *, demo: bool) -> Ready:
        git = self._checkout()
        withheld = Withheld(self._github, git, Git.diff_blobs)
        fetch = Fetch(self._github, withheld, lambda sha: self._commit(git, sha))
        overrides = self._inputs.overrides
        fetched = fetch.run(number, self._inputs.config_path, lambda config: config.with_overrides(overrides))
        texts = fetched.texts
        self._ends = self._started + texts.config.deadline * 60
        head = fetched.snapshot.pull_request.head_sha
        order = Order(fetched.snapshot, texts.config, texts.templates, demo=demo)
        return Ready(order, self._commit(git, head))

    def _checkout(self) -> Git | None:
        """The workspace, if there is a repository in it at all."""
        if self._git is None:
            return None
        try:
            self._git.has("0" * 40)
        except RepositoryError:
            return None
        return self._git

    def _commit(self, git: Git | None, sha: str) -> GitHead | ForgeHead:
        """The files of a commit: from the checkout's objects where they are there, else over the API."""
        if git is not None and git.has(sha):
            return GitHead(git, sha)
        return ForgeHead(self._github, sha)

    def _publish(self, found: Review, order: Order, number: int) -> Finished:
        review = withhold(found, self._scan)
        config = order.config
        gates = Gates(config.fail_on, config.request_changes_on, config.min_coverage)
        placement = place(review.findings, review.files, max_comments=config.max_comments)
        posted = self._post(review, placement, gates, number, dry_run=config.dry_run)
        verdict = conclude(review, gates)
        summary = job_summary(
            replace(review, notes=(*review.notes, *posted.notes)),
            server_url=self._environment.server_url,
            repository=self._environment.repository,
            where=posted.where,
            review_url=posted.review_url,
        ).text
        report = self._folder / "report.json"
        contents = as_json(
            review,
            posted,
            repository=self._environment.repository,
            pull_request=number,
            exit_code=verdict.exit_code,
        )
        written = write_report(report, contents)
        outputs = outputs_of(review, posted, verdict, str(report) if written else "")
        return Finished(review, posted, verdict, summary, outputs)

    def _post(
        self,
        review: Review,
        placement: Placement,
        gates: Gates,
        number: int,
        *,
        dry_run: bool,
    ) -> Posted:
        if says_nothing(review):
            return Posted(notes=("Nothing in this change is to be reviewed, so nothing was posted.",))
        rendered = self._rendered(review, placement, gates)
        return Publisher(self._github, number, self._scan).publish(rendered, dry_run=dry_run)

    def _rendered(self, review: Review, placement: Placement, gates: Gates) -> Rendered:
        server_url, repository = self._environment.server_url, self._environment.repository
        return Rendered(
            placement=placement,
            head_sha=review.head_sha,
            event=review_event(review, gates),
            marker=review_marker(self._run_name, review.head_sha),
            comment=lambda finding: comment(
                finding, server_url=server_url, applies=suggestion_applies(finding, review.files)
            ),
            body=lambda placed: review_body(
                review, placed, server_url=server_url, repository=repository, run=self._run_name
            ),
        )


def says_nothing(review: Review) -> bool:
    """A change of lock files, say: a comment on it would be noise. What is missing is always worth one."""
    coverage = review.coverage
    return not (review.findings or review.faults or coverage.reviewed_lines) and coverage.complete


def outputs_of(review: Review, posted: Posted, verdict: Verdict, report: str) -> dict[str, str]:
    """The step's outputs, by CONTRACT.md's names."""
    return {
        "conclusion": str(verdict.exit_code.conclusion),
        "findings": str(len(review.findings)),
        "highest-severity": review.highest.label if review.highest else "",
        "coverage": str(review.coverage.percent),
        "review-url": posted.review_url or "",
        "report": report,
        "model-calls": str(review.usage.model_calls),
        "input-tokens": str(review.usage.input_tokens),
        "output-tokens": str(review.usage.output_tokens),
    }


def in_background(work: Callable[[], Ready]) -> Future[Ready]:
    """Runs `work` in a thread that nobody waits for when the process ends."""
    future: Future[Ready] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # carried to whoever awaits the result
            future.set_exception(error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return future

"""Reads a repository on GitHub, and reviews a pull request.

This module imports PyGithub and pydantic; the SDK is imported after fetching has begun. The head is read as text only,
and nothing of it is run.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from hunkwise.commands.finding_stream import FindingStream
from hunkwise.commands.journal import Journal
from hunkwise.commands.publish import PublishedRun, Publisher
from hunkwise.commands.signals import Signals
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.domain.finding import NO_SUMMARY
from hunkwise.domain.model import Deadlines
from hunkwise.domain.pull_request import CommitFiles, PullRequest
from hunkwise.domain.review import Conclusion
from hunkwise.errors import (
    Error,
    GitHubError,
    ModelError,
    ModelKind,
    RepositoryError,
    StoppedError,
)
from hunkwise.flows.analysis import Progress
from hunkwise.flows.fetch import FetchedPullRequest, MissingPatches, PullRequestFetch
from hunkwise.flows.review import ReviewInput, ReviewRequest
from hunkwise.github.client import ApiTree, GitHub
from hunkwise.publish.sections import describe_pause
from hunkwise.redaction import SecretScan
from hunkwise.repository.git import Git
from hunkwise.repository.trees import GitTree, local_tree, readable
from hunkwise.settings.config import Config
from hunkwise.settings.events import NothingToDo, PublishTask, ReviewTask
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs
from hunkwise.telemetry import annotate, span

_Result = TypeVar("_Result")
_REFUSED_TOKEN = (ModelKind.AUTHENTICATION, ModelKind.FORBIDDEN)
_MOST_READS = 20
"""Maximum number of files read over the API to check suggestions and removed code; a checkout has no such limit."""


class _Unreadable:
    """The cache entry of a file that could not be read."""


class HeadContents:
    """Reads files at the head, to check suggestions and removed code. Each file is read once."""

    def __init__(self, commit: GitTree | ApiTree) -> None:
        self._commit = commit
        self._left = _MOST_READS if isinstance(commit, ApiTree) else None
        self._cache: dict[str, bytes | _Unreadable | None] = {}

    def read(self, path: str) -> bytes | None:
        """Returns the file's bytes; None where there is no such file, or it cannot be read."""
        content = self._read_cached(path)
        return None if isinstance(content, _Unreadable) else content

    def text(self, path: str) -> str | None:
        """Returns the file's text, empty where there is no such file; None where it cannot be read."""
        content = self._read_cached(path)
        return None if isinstance(content, _Unreadable) else (content or b"").decode("utf-8", "replace")

    def _read_cached(self, path: str) -> bytes | _Unreadable | None:
        if path not in self._cache:
            self._cache[path] = self._read_file(path)
        return self._cache[path]

    def _read_file(self, path: str) -> bytes | _Unreadable | None:
        if self._left is not None:
            if self._left == 0:
                return _Unreadable()
            self._left -= 1
        try:
            return self._commit.read(path)
        except (GitHubError, RepositoryError):
            return _Unreadable()


class RepositoryReader:
    """Reads one repository on GitHub. The constructor does no I/O, and raises SettingsError for invalid inputs.

    Call `close` at the end.
    """

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        started: float,
        rules: CommitFiles | None = None,
    ) -> None:
        """`rules`: where configuration, templates and instructions are read, instead of the base commit."""
        self._environment = environment
        self._inputs = inputs
        self._rules = rules
        self._overrides = inputs.overrides()
        # `fetch` replaces it by the configuration's deadline, which takes seconds to read.
        minutes = cast("float", self._overrides.get("deadline", Config().deadline))
        self.deadlines = Deadlines(started, minutes)
        workspace = environment.workspace
        self._git = Git(workspace, seconds_left=self.deadlines.last_seconds) if workspace else None
        self.scan = SecretScan(inputs.secrets)
        self.run = f"{environment.run_id or 'local'}.{secrets.token_hex(8)}"
        """This run's unguessable name."""
        self.github = GitHub(
            inputs.github_token,
            environment.api_url,
            environment.repository,
            deadline=self.deadlines.seconds_left,
            last=self.deadlines.last_seconds,
        )

    def close(self) -> None:
        """Closes the connections, and ends the running git processes."""
        self.github.close()
        if self._git is not None:
            self._git.close()

    @span("fetch")
    def fetch(self, number: int) -> FetchedPullRequest:
        """Fetches the pull request and its base's configuration, whose deadline applies from now on. Raises Error."""
        annotate({"vcs.change.id": str(number)})
        git = self._git = readable(self._git)
        withheld = MissingPatches(self.github, git, Git.diff_blobs)
        near: Callable[[str], CommitFiles | None] = partial(local_tree, git)
        if self._rules is not None:
            rules = self._rules
            near = lambda _sha: rules  # noqa: E731
        fetch = PullRequestFetch(self.github, withheld, near, partial(ApiTree, self.github))
        fetched = fetch.run(
            number,
            self._inputs.config_path,
            lambda config: config.with_overrides(self._overrides),
            "" if self._rules is None else "the working tree",
        )
        self.deadlines.minutes = fetched.texts.config.deadline
        return fetched

    def commit(self, sha: str) -> GitTree | ApiTree:
        """Returns the files of a commit: from the checkout's Git objects if they are there, else over the API."""
        return local_tree(self._git, sha) or ApiTree(self.github, sha)

    def base(self, pull_request: PullRequest) -> GitTree | ApiTree:
        """Returns the files before the change: at the merge base if the checkout has it, else at the base's head."""
        git, base, head = self._git, pull_request.base_sha, pull_request.head_sha
        start = git.merge_base(base, head) if git is not None and git.has(base) and git.has(head) else None
        return self.commit(start or base)

    def publisher(
        self, fetched: FetchedPullRequest, *, automatic: bool, own_review: bool = True
    ) -> Publisher:
        """Returns the publisher for the fetched pull request."""
        return Publisher(
            self._environment,
            self.github,
            self.scan,
            run=self.run,
            pull_request=fetched.snapshot.pull_request,
            conversation=fetched.snapshot.conversation,
            config=fetched.texts.config,
            files=HeadContents(self.commit(fetched.snapshot.pull_request.head_sha)),
            own_review=own_review,
            automatic=automatic,
            warnings=fetched.texts.warnings,
        )


class _SkippedError(Error):
    """The pull request is not to be reviewed: it is closed, paused, or skipped by the configuration."""


def explain_skip(fetched: FetchedPullRequest, task: ReviewTask | PublishTask) -> str:
    """Returns why an automatic run has nothing to do; empty if it has, or a person requested the run."""
    if not task.automatic:
        return ""
    if fetched.state is not None and fetched.state.paused is not None:
        return describe_pause(fetched.state.paused)
    return fetched.texts.config.automatic.reason_to_skip(fetched.snapshot.pull_request)


class PullRequestReview:
    """Reviews one pull request. Construct it after the sidecar was started; `run` does all I/O."""

    def __init__(
        self,
        environment: RunnerEnvironment,
        inputs: Inputs,
        started: float,
        signals: Signals,
        progress: Progress,
        stream: FindingStream | None = None,
        rules: CommitFiles | None = None,
    ) -> None:
        """`stream` writes the findings while they are found; `rules`: see RepositoryReader."""
        self._environment = environment
        self._inputs = inputs
        self._started = started
        self._signals = signals
        self._report_progress = progress
        self._stream = stream
        self._reader = RepositoryReader(environment, inputs, started, rules)
        self._journal = Journal(
            environment.reports.inside / "journal.jsonl",
            self._reader.scan.found_in,
            *([stream.add] if stream else []),
        )
        self._publisher: Publisher | None = None

    def run(
        self, task: ReviewTask, where: Sidecar | Sequence[Address], *, demo: bool = False
    ) -> PublishedRun | NothingToDo:
        """Fetches and reviews the pull request, and publishes the review. Raises Error where no review is possible."""
        fetching: Future[ReviewInput] = in_background(lambda: self._fetch(task, demo=demo))
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
            self._reader.deadlines,
            self._reader.scan,
        )
        try:
            review = asyncio.run(run.review())
            assert self._publisher is not None, "_fetch has set it"
            read_only = self._environment.explain_read_only_token(fork=task.fork)
            return replace(self._publisher.publish(review), read_only=read_only)
        except _SkippedError as skipped:
            return NothingToDo(skipped.message)
        except Error as error:
            withheld = self._explain_withheld_secrets(error, task)
            if self._publisher is not None:
                self._publisher.abandon(withheld or str(error), _check_conclusion(error, withheld))
            if withheld:
                return NothingToDo(withheld)
            raise
        finally:
            if self._publisher is not None:
                self._publisher.announcement.close()
            self._reader.close()

    def _explain_withheld_secrets(self, error: Error, task: ReviewTask) -> str:
        """Returns why a run of Dependabot could not ask a model; empty if it is no such run, or another error."""
        refused = isinstance(error, ModelError) and error.kind in _REFUSED_TOKEN
        if not (refused and task.automatic and self._environment.is_started_by_dependabot):
            return ""
        return (
            f"Nothing was reviewed: GitHub gives runs of Dependabot no Actions secrets. {error.message} Add the secret"
            " as a Dependabot secret, or name `dependabot[bot]` in `automatic.skip-authors`; see docs/events.md."
        )

    def _progress(self, done: int, total: int) -> None:
        publisher = self._publisher
        assert publisher is not None, "no question is asked before _fetch has set it"
        self._report_progress(done, total)
        if done:
            publisher.progress(done, total)
        else:
            publisher.begin()

    def _fetch(self, task: ReviewTask, *, demo: bool) -> ReviewInput:
        fetched = self._reader.fetch(task.number)
        pull_request, config = fetched.snapshot.pull_request, fetched.texts.config
        if pull_request.state != "open" and not config.dry_run:
            raise _SkippedError(f"Pull request #{pull_request.number} is closed: nothing is reviewed.")
        if reason := explain_skip(fetched, task):
            raise _SkippedError(reason)
        head = self._reader.commit(pull_request.head_sha)
        self._publisher = self._reader.publisher(fetched, automatic=task.automatic)
        earlier = fetched.state.summary if fetched.state is not None else NO_SUMMARY
        request = ReviewRequest(
            fetched.snapshot,
            config,
            fetched.texts.templates,
            demo=demo,
            state=fetched.state,
            full=self._inputs.full_review,
            earlier_summary=earlier.overview,
            earlier_walkthrough=earlier.walkthrough,
            text_at_head=self._publisher.files.text,
        )
        if self._stream is not None:
            self._stream.start(request)
        return ReviewInput(request, head, self._reader.base(pull_request))


def _check_conclusion(error: Error, withheld: str) -> Conclusion:
    """Returns the check run's conclusion where no review was made; `withheld`: see `_explain_withheld_secrets`."""
    if isinstance(error, StoppedError):
        return Conclusion.CANCELLED
    return Conclusion.NEUTRAL if withheld else Conclusion.FAILURE


def in_background(work: Callable[[], _Result]) -> Future[_Result]:
    """Runs `work` in a daemon thread, which does not keep the process from ending."""
    future: Future[_Result] = Future()
    future.set_running_or_notify_cancel()  # so that a caller that stops waiting does not cancel it

    own = copy_context()  # what is recorded in the thread belongs to the run

    def run() -> None:
        try:
            future.set_result(own.run(work))
        except BaseException as error:  # noqa: BLE001  # raised again where the result is awaited
            future.set_exception(error)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    return future

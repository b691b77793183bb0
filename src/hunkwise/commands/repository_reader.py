"""Reads one repository on GitHub: from the checkout where it has the commit, else over the API."""

from __future__ import annotations

import secrets
from typing import cast

from hunkwise.commands.publish import Publisher
from hunkwise.commands.run import Deadlines
from hunkwise.errors import GitHubError, RepositoryError
from hunkwise.flows.fetch import FetchedPullRequest, MissingPatches, PullRequestFetch
from hunkwise.github.client import ApiTree, GitHub
from hunkwise.redaction import SecretScan
from hunkwise.repository.git import Git
from hunkwise.repository.trees import GitTree
from hunkwise.settings.config import Config
from hunkwise.settings.github_context import RunnerEnvironment
from hunkwise.settings.inputs import Inputs

_MOST_READS = 20
"""Files that are read over the API to prove a suggestion, or that code is gone; a checkout has no such limit."""


class UnreadFiles:
    """Stands for a file that could not be had."""


class HeadContents:
    """Files at the head, for proofs. Each is read once."""

    def __init__(self, commit: GitTree | ApiTree) -> None:
        self._commit = commit
        self._left = _MOST_READS if isinstance(commit, ApiTree) else None
        self._known: dict[str, bytes | UnreadFiles | None] = {}

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None where there is none, or it cannot be had."""
        content = self._fetched(path)
        return None if isinstance(content, UnreadFiles) else content

    def text(self, path: str) -> str | None:
        """The file's text, empty where there is no such file; None where nobody can say."""
        content = self._fetched(path)
        return None if isinstance(content, UnreadFiles) else (content or b"").decode("utf-8", "replace")

    def _fetched(self, path: str) -> bytes | UnreadFiles | None:
        if path not in self._known:
            self._known[path] = self._asked(path)
        return self._known[path]

    def _asked(self, path: str) -> bytes | UnreadFiles | None:
        if self._left is not None:
            if self._left == 0:
                return UnreadFiles()
            self._left -= 1
        try:
            return self._commit.read(path)
        except (GitHubError, RepositoryError):
            return UnreadFiles()


class RepositoryReader:
    """Reads one repository on GitHub. Constructed without I/O; `close` when all is done."""

    def __init__(self, environment: RunnerEnvironment, inputs: Inputs, started: float) -> None:
        self._environment = environment
        self._inputs = inputs
        # The configuration may tell another one: it is read first of all, and that takes seconds.
        minutes = cast("float", inputs.overrides.get("deadline", Config().deadline))
        self.deadlines = Deadlines(started, minutes)
        workspace = environment.workspace
        self._git = Git(workspace, seconds_left=self.deadlines.last_seconds) if workspace else None
        self.scan = SecretScan(inputs.secrets)
        self.run = f"{environment.run_id or 'local'}.{secrets.token_hex(8)}"
        """This run's own name, which nobody can guess."""
        self.github = GitHub(
            inputs.github_token,
            environment.api_url,
            environment.repository,
            deadline=self.deadlines.seconds_left,
            last=self.deadlines.last_seconds,
        )

    def close(self) -> None:
        """Closes the connections, and ends whatever is still being read."""
        self.github.close()
        if self._git is not None:
            self._git.close()

    def fetch(self, number: int) -> FetchedPullRequest:
        """The pull request and what its base says. The deadline holds from here on. Raises Error."""
        git = self._git = self._checkout()
        withheld = MissingPatches(self.github, git, Git.diff_blobs)
        overrides = self._inputs.overrides
        fetch = PullRequestFetch(self.github, withheld, self._near, self._far)
        fetched = fetch.run(number, self._inputs.config_path, lambda config: config.with_overrides(overrides))
        self.deadlines.minutes = fetched.texts.config.deadline
        return fetched

    def commit(self, sha: str) -> GitTree | ApiTree:
        """The files of a commit: from the checkout's objects where they are there, else over the API."""
        return self._near(sha) or self._far(sha)

    def publishing(self, fetched: FetchedPullRequest, *, own_review: bool = True) -> Publisher:
        """What publishes the review of what was fetched."""
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
        )

    def _near(self, sha: str) -> GitTree | None:
        return GitTree(self._git, sha) if self._git is not None and self._git.has(sha) else None

    def _far(self, sha: str) -> ApiTree:
        return ApiTree(self.github, sha)

    def _checkout(self) -> Git | None:
        """The workspace, if there is a repository in it at all."""
        if self._git is None:
            return None
        try:
            self._git.has("0" * 40)
        except RepositoryError:
            return None
        return self._git

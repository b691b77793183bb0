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
"""Maximum number of files read over the API to check suggestions and removed code; a checkout has no such limit."""


class UnreadFiles:
    """Marks a file that could not be read."""


class HeadContents:
    """Reads files at the head, to check suggestions and removed code. Each file is read once."""

    def __init__(self, commit: GitTree | ApiTree) -> None:
        self._commit = commit
        self._left = _MOST_READS if isinstance(commit, ApiTree) else None
        self._cache: dict[str, bytes | UnreadFiles | None] = {}

    def read(self, path: str) -> bytes | None:
        """Returns the file's bytes; None where there is no such file, or it cannot be read."""
        content = self._read_cached(path)
        return None if isinstance(content, UnreadFiles) else content

    def text(self, path: str) -> str | None:
        """Returns the file's text, empty where there is no such file; None where it cannot be read."""
        content = self._read_cached(path)
        return None if isinstance(content, UnreadFiles) else (content or b"").decode("utf-8", "replace")

    def _read_cached(self, path: str) -> bytes | UnreadFiles | None:
        if path not in self._cache:
            self._cache[path] = self._read_file(path)
        return self._cache[path]

    def _read_file(self, path: str) -> bytes | UnreadFiles | None:
        if self._left is not None:
            if self._left == 0:
                return UnreadFiles()
            self._left -= 1
        try:
            return self._commit.read(path)
        except (GitHubError, RepositoryError):
            return UnreadFiles()


class RepositoryReader:
    """Reads one repository on GitHub. The constructor does no I/O; call `close` at the end."""

    def __init__(self, environment: RunnerEnvironment, inputs: Inputs, started: float) -> None:
        self._environment = environment
        self._inputs = inputs
        # `fetch` replaces it by the configuration's deadline, which takes seconds to read.
        minutes = cast("float", inputs.overrides.get("deadline", Config().deadline))
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

    def fetch(self, number: int) -> FetchedPullRequest:
        """Fetches the pull request and its base's configuration, whose deadline applies from now on. Raises Error."""
        git = self._git = self._checkout()
        withheld = MissingPatches(self.github, git, Git.diff_blobs)
        overrides = self._inputs.overrides
        fetch = PullRequestFetch(self.github, withheld, self._local_tree, self._api_tree)
        fetched = fetch.run(number, self._inputs.config_path, lambda config: config.with_overrides(overrides))
        self.deadlines.minutes = fetched.texts.config.deadline
        return fetched

    def commit(self, sha: str) -> GitTree | ApiTree:
        """Returns the files of a commit: from the checkout's Git objects if they are there, else over the API."""
        return self._local_tree(sha) or self._api_tree(sha)

    def publishing(self, fetched: FetchedPullRequest, *, own_review: bool = True) -> Publisher:
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
        )

    def _local_tree(self, sha: str) -> GitTree | None:
        return GitTree(self._git, sha) if self._git is not None and self._git.has(sha) else None

    def _api_tree(self, sha: str) -> ApiTree:
        return ApiTree(self.github, sha)

    def _checkout(self) -> Git | None:
        """Returns the workspace's repository; None if there is no repository in it."""
        if self._git is None:
            return None
        try:
            self._git.has("0" * 40)
        except RepositoryError:
            return None
        return self._git

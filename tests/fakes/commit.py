"""The files of a commit, and a GitHub that lists a pull request, from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.pull_request import Conversation, Known, PullRequest
from hunkwise.errors import Error


@dataclass(frozen=True)
class FakeCommit:
    """A commit; `failing` paths raise."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    failing: Mapping[str, Error] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path in self.failing:
            raise self.failing[path]
        return self.files.get(path)

    def read_many(self, paths: Sequence[str]) -> Known:
        return {path: self.read(path) for path in paths}

    def list(self, path: str) -> tuple[str, ...] | None:
        self.asked.append(path)
        inside = [name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/")]
        return tuple(inside) or None


@dataclass
class FakeForge:
    """GitHub, as far as a review reads from it; `failing` names of methods, or paths, raise."""

    asked: PullRequest
    listed: tuple[FileDiff, ...]
    said: Conversation = field(default_factory=Conversation)
    known: Known = field(default_factory=dict)
    """What is told of the base beside the conversation."""
    versions: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    """Contents by path and SHA."""
    failing: Mapping[str, Error] = field(default_factory=dict)
    reads: list[tuple[str, str]] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    """Paths of the base that were asked for beside the conversation."""

    def pull_request(self, number: int) -> PullRequest:
        assert number == self.asked.number
        return self.asked

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]:
        return self.listed

    def conversation_and_base(
        self, pull_request: PullRequest, paths: Sequence[str]
    ) -> tuple[Conversation, Known]:
        self.looked_at += paths
        self._fail("conversation")
        return self.said, {path: self.known[path] for path in paths if path in self.known}

    def merge_base(self, base_sha: str, head_sha: str) -> str:
        self._fail("merge_base")
        return base_sha

    def file(self, path: str, sha: str) -> bytes | None:
        self.reads.append((path, sha))
        self._fail(path)
        return self.versions.get((path, sha))

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise self.failing[what]

"""Pull requests, diffs and the files of a commit, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import count_changes, parse_hunks
from hunkwise.domain.pull_request import Conversation, Instructions, Known, PullRequest, Snapshot, Thread
from hunkwise.errors import Error

HEAD = "1" * 40
BASE = "2" * 40
PATCH = b"@@ -1,3 +1,4 @@ def first():\n one\n-two\n+two!\n+two and a half\n three"


def changed(path: str, patch: bytes = PATCH, *, old_path: str | None = None) -> FileDiff:
    """A modified or renamed file."""
    hunks = parse_hunks(patch)
    additions, deletions = count_changes(hunks)
    status = FileStatus.RENAMED if old_path else FileStatus.MODIFIED
    return FileDiff(path, status, hunks, additions, deletions, old_path)


def added(path: str, *lines: str) -> FileDiff:
    """A new file of those lines."""
    rows = b"\n".join(b"+" + line.encode() for line in lines)
    hunks = parse_hunks(b"@@ -0,0 +1,%d @@\n" % len(lines) + rows)
    return FileDiff(path, FileStatus.ADDED, hunks, len(lines), 0)


def pull_request(
    title: str = "Change something", body: str = "Because.", changed_files: int = 1
) -> PullRequest:
    return PullRequest(
        repository="octo/repo",
        number=7,
        title=title,
        body=body,
        author="ann",
        base="main",
        base_sha=BASE,
        head="feature",
        head_sha=HEAD,
        labels=("bug",),
        changed_files=changed_files,
    )


def snapshot(
    *files: FileDiff,
    asked: PullRequest | None = None,
    threads: tuple[Thread, ...] = (),
    instructions: tuple[Instructions, ...] = (),
) -> Snapshot:
    return Snapshot(asked or pull_request(changed_files=len(files)), files, threads, instructions)


@dataclass(frozen=True)
class FakeCommit:
    """A commit; `failing` paths raise, and `search` if it is one of them. Without `hits` it is not searchable."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    failing: Mapping[str, Error] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hits: Sequence[tuple[str, int, str]] | None = None
    searches: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @property
    def searchable(self) -> bool:
        return self.hits is not None

    def search(
        self, pattern: str, paths: tuple[str, ...], *, limit: int = 0, seconds: float = 0.0
    ) -> list[tuple[str, int, str]] | None:
        assert seconds > 0
        self.searches.append((pattern, paths))
        if "search" in self.failing:
            raise self.failing["search"]
        return None if self.hits is None else list(self.hits)[:limit]

    def read(self, path: str) -> bytes | None:
        self.asked.append(path)
        if path in self.failing:
            raise self.failing[path]
        return self.files.get(path)

    def read_many(self, paths: Sequence[str]) -> Known:
        return {path: self._names(path) or self.read(path) for path in paths}

    def list(self, path: str) -> tuple[str, ...] | None:
        self.asked.append(path)
        return self._names(path)

    def _names(self, path: str) -> tuple[str, ...] | None:
        inside = [name.removeprefix(f"{path}/") for name in self.files if name.startswith(f"{path}/")]
        return tuple(inside) or None


@dataclass
class FakeForge:
    """GitHub, as far as a review reads from it; `failing` names of methods, or paths, raise."""

    asked: PullRequest
    listed: tuple[FileDiff, ...]
    said: Conversation = field(default_factory=Conversation)
    versions: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    """Contents by path and SHA."""
    failing: Mapping[str, Error] = field(default_factory=dict)
    reads: list[tuple[str, str]] = field(default_factory=list)

    def pull_request(self, number: int) -> PullRequest:
        assert number == self.asked.number
        return self.asked

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]:
        self._fail("files")
        return self.listed

    def conversation(self, number: int, head_sha: str) -> Conversation:
        assert (number, head_sha) == (self.asked.number, self.asked.head_sha)
        self._fail("conversation")
        return self.said

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

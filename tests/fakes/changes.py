"""Changes under review, made of a few words."""

from __future__ import annotations

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import count_changes, parse_hunks
from hunkwise.domain.pull_request import Instructions, PullRequest, Snapshot, Thread

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

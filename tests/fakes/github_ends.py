"""What happens to the two ends of a fake GitHub's pull request, and where its threads stand afterwards."""

from __future__ import annotations

import re

from tests.fakes.git_store import ChangedFile, GitStore
from tests.fakes.github_state import Comment, Hub, PullRequest, Thread

_HUNK = re.compile(rb"(?m)^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def push(hub: Hub, pull: PullRequest, revision: str) -> str:
    """Moves the head; by force, where the old one is not part of the new one. The SHA."""
    sha = hub.store.commit(revision)
    if not hub.store.is_ancestor(pull.head_sha, sha):
        pull.timeline.append("HEAD_REF_FORCE_PUSHED_EVENT")
    pull.head_sha = sha
    place_threads(hub, pull)
    return sha


def push_base(hub: Hub, pull: PullRequest, revision: str) -> str:
    """Moves the base branch; by force, where its old commit is not part of the new one. The SHA."""
    sha = hub.store.commit(revision)
    if not hub.store.is_ancestor(pull.base_sha, sha):
        pull.timeline.append("BASE_REF_FORCE_PUSHED_EVENT")
    pull.base_sha = sha
    place_threads(hub, pull)
    return sha


def retarget(hub: Hub, pull: PullRequest, branch: str) -> str:
    """Puts the pull request on another base branch. The SHA."""
    pull.base_branch, pull.base_sha = branch, hub.store.commit(branch)
    pull.timeline.append("BASE_REF_CHANGED_EVENT")
    place_threads(hub, pull)
    return pull.base_sha


def place_threads(hub: Hub, pull: PullRequest) -> None:
    """Where each thread stands in the diff of today, reckoned from where it was begun."""
    files = {file.path: file for file in hub.changed_files(pull)}
    for thread in hub.threads:
        if thread.number == pull.number:
            _place(hub.store, pull, files.get(thread.comments[0].path), thread)


def _place(store: GitStore, pull: PullRequest, file: ChangedFile | None, thread: Thread) -> None:
    first = thread.comments[0]
    if first.line is None:
        thread.outdated = file is None
        return
    moved = _moved(store, pull, file, first) if file is not None else None
    thread.outdated = moved is None
    for comment in thread.comments:
        comment.shown_start, comment.shown_line = moved or (None, None)


def _moved(
    store: GitStore, pull: PullRequest, file: ChangedFile, first: Comment
) -> tuple[int | None, int] | None:
    """The first and the last line of today; None where a line was changed, or the diff shows it no more."""
    assert first.line is not None
    begun = first.start_line if first.start_line is not None else first.line
    start_side = first.start_side or first.side
    rows = [(first.side, line) for line in range(begun, first.line + 1)]
    if start_side != first.side:
        rows = [(start_side, begun), (first.side, first.line)]
    moved = [_line(store, pull, file, first, side, line) for side, line in rows]
    start, last = moved[0], moved[-1]
    if start is None or last is None or None in moved:
        return None
    if start_side == first.side and last - start != first.line - begun:
        return None  # something was put between the two
    return (start if first.start_line is not None else None), last


def _line(
    store: GitStore, pull: PullRequest, file: ChangedFile, first: Comment, side: str, line: int
) -> int | None:
    """One line of one side, followed to its version of today."""
    if side == "RIGHT":
        moved = shifted(store.changes(first.commit_id, pull.head_sha, file.path), line)
        return moved if moved is not None and file.hunk_text(side, moved) is not None else None
    bases = store.merge_base(first.base_sha, first.commit_id), store.merge_base(pull.base_sha, pull.head_sha)
    moved = shifted(store.changes(*bases, file.old_path or file.path), line)
    if moved is None or file.hunk_text(side, moved) is None:
        return None
    then = next(old for old in store.diff(first.base_sha, first.commit_id) if old.path == first.path)
    # A line that the change takes away no more is another line of the diff.
    return None if line in then.removed_lines and moved not in file.removed_lines else moved


def shifted(hunks: bytes, line: int) -> int | None:
    """Where a line is after a change, whose hunks have no lines around them; None where it was changed."""
    by = 0
    for found in _HUNK.finditer(hunks):
        start, count = int(found[1]), 1 if found[2] is None else int(found[2])
        added = 1 if found[4] is None else int(found[4])
        if start <= line < start + count:
            return None
        if line >= start + (count == 0):  # `-5,0` adds behind line 5
            by += added - count
    return line + by

"""Pull requests in the middle of their life, for the tests of what becomes of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Anchor, Finding, Recheck, Severity
from hunkwise.domain.pull_request import Conversation, PostedReview, Reply, ReviewState, Thread
from hunkwise.domain.review import Destination
from hunkwise.publish.placement import resolve_anchor
from hunkwise.tracking.markers import HiddenState, PreviousFinding, finding_marker, fixed_marker, make_record
from hunkwise.tracking.previous import raised_before
from hunkwise.tracking.reconcile import Reconciliation, reconcile

HEAD = "0123456789abcdef0123456789abcdef01234567"
FIXED = Reply("us", f"Fixed in 0123456.\n\n{fixed_marker(HEAD)}", ours=True)


def changed(
    path: str,
    *rows: str,
    at: int = 1,
    old_at: int | None = None,
    status: FileStatus = FileStatus.MODIFIED,
    old_path: str | None = None,
    **more: Any,
) -> FileDiff:
    """A file of one hunk: rows as a patch has them, the first of them on line `at`."""
    old = sum(row[0] != "+" for row in rows)
    new = sum(row[0] != "-" for row in rows)
    patch = "\n".join([f"@@ -{old_at or at},{old} +{at},{new} @@", *rows])
    return FileDiff(path, status, parse_hunks(patch.encode()), new, old, old_path, **more)


def fault(
    file: FileDiff,
    line: int | None,
    title: str = "The value is used before it is checked",
    *,
    start: int | None = None,
    side: Side = Side.RIGHT,
    category: str = "bug",
    severity: Severity = Severity.HIGH,
    body: str = "In full.",
) -> Finding:
    """A finding on a line that the diff shows, or about the file."""
    anchor = None if line is None else resolve_anchor(file.path, line, start, side, {file.path: file})
    assert anchor is None or isinstance(anchor, Anchor), anchor
    return Finding(file.path, severity, title, body, anchor, category)


def thread(finding: Finding, number: int = 1, **changes: Any) -> Thread:
    """The finding as it was posted, with a thread of its own."""
    anchor = finding.anchor
    where = Destination.INLINE if anchor else Destination.FILE
    posted = Thread(
        path=finding.path,
        line=anchor.line if anchor else None,
        side=anchor.side if anchor else Side.RIGHT,
        author="us",
        body=f"**{finding.title}**\n\n{finding.body}\n\n{finding_marker(finding, where)}",
        id=f"T{number}",
        comment_id=number,
        ours=True,
    )
    return replace(posted, **changes)


def said(*threads: Thread, **changes: Any) -> Conversation:
    """What was said on a pull request of a stranger's; `maintainer` may write."""
    talk = Conversation(
        head_sha=HEAD, viewer="us", author="stranger", threads=threads, writers=frozenset({"maintainer"})
    )
    return replace(talk, **changes)


def review(number: int, *findings: Finding, state: ReviewState = ReviewState.COMMENTED) -> PostedReview:
    """A review of ours with the findings in its body."""
    body = "\n\n".join(f"{one.title}\n\n{finding_marker(one, Destination.BODY)}" for one in findings)
    return PostedReview(number, state, body, HEAD)


def state(*findings: PreviousFinding, **changes: Any) -> HiddenState:
    whole = HiddenState("o/r", 7, HEAD, (HEAD,), "main", 0, "0123456789abcdef", findings=findings)
    return replace(whole, **changes)


def inline(*findings: Finding) -> HiddenState:
    """The state after a run that commented on all of them."""
    return state(
        *(make_record(one, Destination.INLINE if one.anchor else Destination.FILE) for one in findings)
    )


def run(
    talk: Conversation,
    *files: FileDiff,
    found: tuple[Finding, ...] = (),
    before: HiddenState | None = None,
    texts: dict[str, str] | None = None,
    unreviewed: tuple[str, ...] = (),
    rechecks: Mapping[str, Recheck] = MappingProxyType({}),
) -> Reconciliation:
    """A run that looked at everything but `unreviewed`; `texts` are the files at the head, others are unreadable."""
    return reconcile(
        found,
        raised_before(before, talk),
        talk,
        files,
        reviewed=lambda path: path not in unreviewed,
        text_at_head=(texts or {}).get,
        recheck=rechecks.get,
    )

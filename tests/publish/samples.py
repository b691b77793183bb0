"""Findings, files and reviews for the tests of published texts."""

from __future__ import annotations

from dataclasses import replace

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.pull_request import Thread
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    PostResult,
    Review,
    ReviewFault,
    SkipReason,
    SuppressedFinding,
    Suppression,
    Usage,
)
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.placement import PublishedFinding, in_report
from hunkwise.tracking.markers import HiddenState, PreviousFinding

NOTHING_POSTED = PostResult()
SERVER = "https://github.com"
HEAD = "0123456789abcdef0123456789abcdef01234567"
PATCH = b"""@@ -1,4 +1,5 @@ def first():
 one
-two
+two!
+two and a half
 three
 four
@@ -40,3 +41,4 @@
 forty
+forty and a half
 forty-one
 forty-two"""


def file_diff(path: str = "src/a.py", patch: bytes = PATCH, old_path: str | None = None) -> FileDiff:
    status = FileStatus.RENAMED if old_path else FileStatus.MODIFIED
    return FileDiff(path, status, parse_hunks(patch), additions=3, deletions=1, old_path=old_path)


def anchor(
    line: int = 2, start_line: int | None = None, side: Side = Side.RIGHT, path: str = "src/a.py"
) -> Anchor:
    return Anchor(path, line, side, start_line, code=f"code of {line}")


def finding(
    title: str = "A title",
    *,
    severity: Severity = Severity.MEDIUM,
    at: Anchor | None = None,
    path: str = "src/a.py",
    body: str = "A body.",
    category: str = "",
    suggestion: str | None = None,
    confidence: float | None = None,
) -> Finding:
    """Returns a finding at the anchor, or on the file if `at` is None."""
    where = at.path if at else path
    return Finding(where, severity, title, body, at, category, suggestion, confidence)


def review(*findings: Finding) -> Review:
    files = (
        FileCoverage("src/a.py", 4, 4),
        FileCoverage("src/b.py", 10, 0, SkipReason.DEADLINE, "after 15 minutes"),
        FileCoverage("poetry.lock", 900, 0, SkipReason.LOCK_FILE),
    )
    usage = Usage(2, 12_345, 678, 300, 3, ("a-model",))
    return Review(HEAD, findings, Coverage(files), usage, seconds=12.34, prompts=("review",))


def clean(whole: Review) -> Review:
    """Returns the review with complete coverage."""
    return replace(whole, coverage=Coverage((FileCoverage("src/a.py", 4, 4),)))


def thread(
    body: str = "", *, resolved: bool = False, url: str = f"{SERVER}/o/r/pull/7#discussion_r1"
) -> Thread:
    """Returns a thread that hunkwise started."""
    return Thread("src/a.py", 2, Side.RIGHT, "us", body, resolved, id="T1", ours=True, url=url)


def known_finding(
    of: Finding, on: Thread | None = None, where: Destination = Destination.INLINE
) -> PublishedFinding:
    """Returns the finding as one that an earlier run published."""
    return PublishedFinding(of, where, previous_finding(of, where), on)


def previous_finding(of: Finding, where: Destination = Destination.INLINE) -> PreviousFinding:
    line = of.anchor.line if of.anchor else None
    return PreviousFinding(
        of.fingerprint, of.path, of.severity, of.title, of.category, line=line, where=where
    )


def view(
    whole: Review,
    verdict: RunConclusion | None = None,
    *published: PublishedFinding,
    posted: PostResult = NOTHING_POSTED,
) -> PublishedReview:
    """Returns a pull request's review; findings that are not in `published` are only in the report."""
    known = {one.finding: one for one in published}
    findings = tuple(known.get(one.finding, one) for one in in_report(whole.findings))
    conclusion = verdict or RunConclusion(ExitCode.REVIEWED)
    return PublishedReview(
        whole, conclusion, findings, posted, repository="o/r", number=7, server_url=SERVER, run="run.1"
    )


def state(*hunks: str) -> HiddenState:
    return HiddenState("o/r", 7, HEAD, (HEAD,), "main", 0, "0123456789abcdef", frozenset(hunks))


def longest() -> PublishedReview:
    """Returns a review with the maximum of every list and text, in characters of four bytes."""
    fox = "🦊" * 9_000
    faults = tuple(ReviewFault(fox, fox, fox) for _ in range(20))
    files = tuple(FileCoverage(f"{fox}{number}", 5, 0, SkipReason.FAILED, fox) for number in range(300))
    many = tuple(finding(f"{fox}{n}", at=anchor(n + 1, path="🦊" * 200), body=fox) for n in range(300))
    whole = replace(review(*many), faults=faults, notes=(fox,) * 20, summary=fox, coverage=Coverage(files))
    small = tuple(SuppressedFinding(one, fox, Suppression.NOT_WORTH_COMMENT) for one in many)
    usage = replace(whole.usage, models=(fox,) * 9)
    whole = replace(whole, usage=usage, suppressed=small, instructions=(fox,) * 30, carried_lines=1)
    return view(whole, posted=PostResult(stale=fox))

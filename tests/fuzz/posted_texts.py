"""Foreign text in every place that it is given, in every text that hunkwise posts, whole and as it is posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from hunkwise.domain.finding import Area, Finding, Risk, RiskLevel, Severity, Walkthrough
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    PostResult,
    ReviewEvent,
    ReviewFault,
    SkipReason,
    Usage,
)
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.documents import (
    check_output,
    comment,
    failure_summary,
    job_summary,
    review_body,
    summary_comment,
)
from hunkwise.publish.placement import CommentPlan, PublishedFinding
from hunkwise.publish.sarif import as_sarif
from tests.publish.samples import SERVER, anchor, finding, known_finding, review, state, thread, view

BEHIND: Final = "What stands behind it stands alone."
"""A paragraph that follows every posted text, as the next words on the page do."""
AFTERWARDS: Final = "Calm words of a finding that comes later."
RUN: Final = "12.abcdef0123456789"
_HINT = "Mend it."


def hostile(foreign: str) -> Finding:
    """A finding of which every text is foreign."""
    return Finding(
        foreign,
        Severity.HIGH,
        foreign,
        foreign,
        anchor(2, path=foreign),
        foreign,
        foreign,
        0.5,
    )


def hostile_view(foreign: str) -> PublishedReview:
    """A run in which every text that can be foreign is: of the model, of git, of GitHub, of a provider."""
    first, last = hostile(foreign), finding("Calm", path="zz/last.py", body=AFTERWARDS)
    old = replace(hostile(foreign), anchor=anchor(4, path=foreign), raised_as="0123456789abcdef")
    whole = replace(
        review(first, old, last),
        summary=foreign,
        walkthrough=Walkthrough(
            (Area(foreign, foreign, foreign),) * 4, Risk(RiskLevel.MEDIUM, foreign), foreign
        ),
        notes=(foreign, "A calm note."),
        faults=(ReviewFault(foreign, foreign, foreign), ReviewFault("model", "A calm fault.", _HINT)),
        coverage=Coverage(
            (
                FileCoverage("src/a.py", 4, 4),
                FileCoverage(foreign, 9, 1, SkipReason.FAILED, foreign),
                FileCoverage("calm.py", 9, 1, SkipReason.FAILED, "calmly"),
                FileCoverage(foreign, 9, 0, SkipReason.IGNORED, foreign),
            )
        ),
        usage=Usage(1, 2, 3, models=(foreign, "calm")),
    )
    told = PostResult(
        f"{SERVER}/o/r/pull/7#pullrequestreview-1",
        notes=(foreign,),
        fault=ReviewFault("forbidden", foreign, _HINT),
        stale=foreign,
    )
    seen = view(
        whole,
        RunConclusion(ExitCode.PARTIAL, ("A part was not reviewed.",), ("A warning.",)),
        PublishedFinding(first, Destination.INLINE),
        PublishedFinding(last, Destination.BODY),
        known_finding(old, thread()),
        posted=told,
    )
    return replace(seen, run=RUN)


def _inline(foreign: str) -> str:
    return comment(hostile(foreign), server_url=SERVER, offered=foreign)


def _on_file(foreign: str) -> str:
    return comment(hostile(foreign), server_url=SERVER, where=Destination.FILE)


def _body(foreign: str) -> str:
    seen = hostile_view(foreign)
    low = finding("Calm", path="zz/last.py", body=AFTERWARDS)
    about_file = replace(hostile(foreign), anchor=None)
    placed = CommentPlan((), (), (hostile(foreign), about_file, low))
    return review_body(seen, placed, ReviewEvent.COMMENT).text


def _summary(foreign: str) -> str:
    return summary_comment(hostile_view(foreign), state("A" * 20))


def _sarif(foreign: str) -> str:
    made: Any = as_sarif(review(hostile(foreign)), repository="o/r", server_url=SERVER, version="1.0.0")
    return str(made["runs"][0]["results"][0]["message"]["markdown"])


POSTED: Final[Mapping[str, Callable[[str], str]]] = {
    "comment on a line": _inline,
    "comment on a file": _on_file,
    "review's body": _body,
    "summary comment": _summary,
    "job summary": lambda foreign: job_summary(hostile_view(foreign)).text,
    "check run's summary": lambda foreign: check_output(hostile_view(foreign)).summary,
    "check run's text": lambda foreign: check_output(hostile_view(foreign)).text,
    "failure": lambda foreign: failure_summary([foreign, "A calm fault."]),
    "code scanning": _sarif,
}
"""By the name of the place, what makes the whole text that is posted there."""

"""Untrusted text in every field of every text that hunkwise posts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from hunkwise.domain.command import UnknownCommand
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
from hunkwise.publish.command_texts import config_text, unknown_text
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.documents import (
    answer_body,
    check_output,
    failure_summary,
    job_summary,
    review_body,
    summary_comment,
)
from hunkwise.publish.finding_text import comment
from hunkwise.publish.placement import CommentPlan, PublishedFinding
from hunkwise.publish.sarif import as_sarif
from tests.publish.samples import SERVER, anchor, finding, known_finding, review, state, thread, view

FOLLOWING: Final = "This paragraph follows the posted text."
"""A paragraph after every posted text, like the next text on the page."""
LATER_FINDING: Final = "Calm words of a finding that comes later."
RUN: Final = "12.abcdef0123456789"
_HINT = "Mend it."


def hostile(untrusted: str) -> Finding:
    """Returns a finding whose texts are all untrusted."""
    return Finding(
        untrusted,
        Severity.HIGH,
        untrusted,
        untrusted,
        anchor(2, path=untrusted),
        untrusted,
        untrusted,
        0.5,
    )


def hostile_view(untrusted: str) -> PublishedReview:
    """Returns a run with all texts of the model, git, GitHub and the provider replaced."""
    first, last = hostile(untrusted), finding("Calm", path="zz/last.py", body=LATER_FINDING)
    old = replace(hostile(untrusted), anchor=anchor(4, path=untrusted), raised_as="0123456789abcdef")
    whole = replace(
        review(first, old, last),
        summary=untrusted,
        walkthrough=Walkthrough(
            (Area(untrusted, untrusted, untrusted),) * 4, Risk(RiskLevel.MEDIUM, untrusted), untrusted
        ),
        notes=(untrusted, "A calm note."),
        faults=(ReviewFault(untrusted, untrusted, untrusted), ReviewFault("model", "A calm fault.", _HINT)),
        coverage=Coverage(
            (
                FileCoverage("src/a.py", 4, 4),
                FileCoverage(f"a {untrusted}/a", 9, 1, SkipReason.FAILED, untrusted),
                FileCoverage("calm.py", 9, 1, SkipReason.FAILED, "calmly"),
                FileCoverage(f"a {untrusted}/b", 9, 0, SkipReason.IGNORED, untrusted),
            )
        ),
        usage=Usage(1, 2, 3, models=(untrusted, "calm")),
    )
    posted = PostResult(
        f"{SERVER}/o/r/pull/7#pullrequestreview-1",
        notes=(untrusted,),
        fault=ReviewFault("forbidden", untrusted, _HINT),
        stale=untrusted,
    )
    seen = view(
        whole,
        RunConclusion(ExitCode.PARTIAL, ("A part was not reviewed.",), ("A warning.",)),
        PublishedFinding(first, Destination.INLINE),
        PublishedFinding(last, Destination.BODY),
        known_finding(old, thread()),
        posted=posted,
    )
    return replace(seen, run=RUN, for_agents=True)


def _inline(untrusted: str) -> str:
    return comment(
        hostile(untrusted), server_url=SERVER, offered=untrusted, for_agents=True, names_prompt=True
    )


def _on_file(untrusted: str) -> str:
    return comment(
        hostile(untrusted), server_url=SERVER, where=Destination.FILE, for_agents=True, names_prompt=True
    )


def _body(untrusted: str) -> str:
    seen = hostile_view(untrusted)
    low = finding("Calm", path="zz/last.py", body=LATER_FINDING)
    about_file = replace(hostile(untrusted), anchor=None)
    placed = CommentPlan((), (), (hostile(untrusted), about_file, low))
    return review_body(seen, placed, ReviewEvent.COMMENT).text


def _summary(untrusted: str) -> str:
    return summary_comment(hostile_view(untrusted), state("A" * 20))


def _sarif(untrusted: str) -> str:
    log: Any = as_sarif(review(hostile(untrusted)), repository="o/r", server_url=SERVER, version="1.0.0")
    return str(log["runs"][0]["results"][0]["message"]["markdown"])


POSTED: Final[Mapping[str, Callable[[str], str]]] = {
    "comment on a line": _inline,
    "comment on a file": _on_file,
    "review's body": _body,
    "summary comment": _summary,
    "job summary": lambda untrusted: job_summary(hostile_view(untrusted)).text,
    "check run's summary": lambda untrusted: check_output(hostile_view(untrusted)).summary,
    "check run's text": lambda untrusted: check_output(hostile_view(untrusted)).text,
    "answer": lambda untrusted: answer_body(untrusted, untrusted, "", server_url=SERVER),
    "failure": lambda untrusted: failure_summary([untrusted, "A calm fault."]),
    "code scanning": _sarif,
    "unknown command": lambda untrusted: unknown_text(UnknownCommand(untrusted)),
    "configuration": lambda untrusted: config_text(
        [(untrusted, untrusted, untrusted)], defaults=1, path=untrusted, sha="a" * 40, found=True
    ),
}
"""Functions by the name of a posted text, which return the whole text."""

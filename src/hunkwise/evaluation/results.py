"""The results of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Usage
from hunkwise.evaluation.dataset import Case
from hunkwise.evaluation.golden import GoldenFinding
from hunkwise.evaluation.scoring import Counts, Match, MatchSource, added, summed


@dataclass(frozen=True, slots=True)
class CaseFailure:
    """Why a case could not be measured."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ScoredGolden:
    """What should be found, and by which of the findings it was."""

    path: str
    line: int
    end_line: int | None
    side: str
    severity: str | None
    text: str
    finding: int | None = None
    """Its index in the findings; None where it was missed."""
    by: str | None = None
    """`place` or `judge`."""


@dataclass(frozen=True, slots=True)
class ScoredFinding:
    """What was found, and which golden it is."""

    path: str
    line: int | None
    start_line: int | None
    side: str | None
    severity: str
    title: str
    body: str
    prompt: str
    check: str | None = None
    golden: int | None = None
    """Its index in the goldens; None for noise."""


@dataclass(frozen=True)
class CaseResult:
    """One case after its review; in a failed one nothing is said of goldens and findings."""

    name: str
    digest: str
    """Of the case's own files."""
    description: str = ""
    goldens: tuple[ScoredGolden, ...] = ()
    findings: tuple[ScoredFinding, ...] = ()
    refuted: int = 0
    """Findings that the second opinion dropped."""
    usage: Usage = field(default_factory=Usage)
    judge_usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    failure: CaseFailure | None = None

    @cached_property
    def counts(self) -> Counts:
        """Nothing of a failed case counts."""
        if self.failure is not None:
            return Counts()
        found = [golden for golden in self.goldens if golden.finding is not None]
        rated = [golden for golden in found if golden.severity is not None]
        noise = sum(1 for finding in self.findings if finding.golden is None)
        return Counts(
            cases=1,
            clean=int(self.clean),
            silent=int(self.clean and not self.findings),
            matched=len(found),
            missed=len(self.goldens) - len(found),
            noise=noise,
            rated=len(rated),
            agreed=sum(1 for one in rated if self.findings[one.finding or 0].severity == one.severity),
        )

    @property
    def clean(self) -> bool:
        return not self.goldens and self.failure is None


def marked(
    case: Case, findings: Sequence[Finding], matches: Sequence[Match]
) -> tuple[tuple[ScoredGolden, ...], tuple[ScoredFinding, ...]]:
    """Goldens and findings in their order, each with its match."""
    by_golden = {match.golden: match for match in matches}
    by_finding = {match.finding: match.golden for match in matches}
    goldens = tuple(
        _golden(golden, by_golden.get(index)) for index, golden in enumerate(case.golden.findings)
    )
    return goldens, tuple(_finding(finding, by_finding.get(index)) for index, finding in enumerate(findings))


def _golden(golden: GoldenFinding, match: Match | None) -> ScoredGolden:
    return ScoredGolden(
        golden.path,
        golden.line,
        golden.end_line,
        golden.side,
        golden.severity,
        golden.text,
        match.finding if match else None,
        MatchSource(match.by).value if match else None,
    )


def _finding(finding: Finding, golden: int | None) -> ScoredFinding:
    anchor = finding.anchor
    return ScoredFinding(
        finding.path,
        anchor.line if anchor else finding.said_line,
        anchor.start_line if anchor else None,
        anchor.side.value if anchor else None,
        finding.severity.label,
        finding.title,
        finding.body,
        finding.prompt,
        finding.check.value if finding.check else None,
        golden,
    )


@dataclass(frozen=True)
class Evaluation:
    """A whole run, in the order of the cases' names."""

    marks: tuple[CaseResult, ...]
    model: str | None = None
    """As it was asked for; None is the choice of whoever answers."""
    judge: str | None = None
    demo: bool = False
    settings: str = ""
    """Digest of configuration, prompts and instructions; see evaluation.run."""
    seconds: float = 0.0
    """Of the whole run, which is less than the cases' sum where they ran side by side."""

    @cached_property
    def counts(self) -> Counts:
        return summed(one.counts for one in self.marks)

    @cached_property
    def usage(self) -> Usage:
        """Of all reviews, those that failed included."""
        return added(one.usage for one in self.marks)

    @cached_property
    def judge_usage(self) -> Usage:
        return added(one.judge_usage for one in self.marks)

    @property
    def evaluated(self) -> tuple[CaseResult, ...]:
        return tuple(one for one in self.marks if one.failure is None)

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        return tuple(one for one in self.marks if one.failure is not None)

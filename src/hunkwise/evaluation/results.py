"""The results of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Usage
from hunkwise.evaluation.golden import Golden, GoldenFinding
from hunkwise.evaluation.scoring import Counts, Match, sum_counts, sum_usage


@dataclass(frozen=True, slots=True)
class CaseFailure:
    """The reason why a case could not be measured."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ScoredGolden:
    """A golden, and the finding that matches it."""

    path: str
    line: int
    end_line: int | None
    side: str
    severity: str | None
    text: str
    finding: int | None = None
    """The index of the finding; None if the golden was missed."""
    by: str | None = None
    """`place` or `judge`."""

    @property
    def met(self) -> bool:
        return self.finding is not None


@dataclass(frozen=True, slots=True)
class ScoredFinding:
    """A finding, and the golden that it matches."""

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
    """The index of the golden; None for noise."""


@dataclass(frozen=True, slots=True)
class ScoredStatement:
    """A required or forbidden statement, and whether the answer states it."""

    text: str
    required: bool
    stated: bool
    by: str
    """`words` or `judge`."""

    @property
    def met(self) -> bool:
        return self.stated is self.required


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """The answer to a question, and the statements that it is measured by."""

    text: str
    suggestion: str
    why_none: str
    statements: tuple[ScoredStatement, ...]


@dataclass(frozen=True)
class CaseResult:
    """The result of one case; a failed one has no goldens, findings and answer."""

    name: str
    digest: str
    """Digest of the case's own files."""
    description: str = ""
    goldens: tuple[ScoredGolden, ...] = ()
    findings: tuple[ScoredFinding, ...] = ()
    suppressed: int = 0
    """Number of findings that verification dropped."""
    usage: Usage = field(default_factory=Usage)
    judge_usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    failure: CaseFailure | None = None
    answer: ScoredAnswer | None = None
    """None in a case without a question."""

    @property
    def expectations(self) -> tuple[ScoredGolden | ScoredStatement, ...]:
        """All that was expected, in the order of the case's file."""
        return self.goldens if self.answer is None else self.answer.statements

    @cached_property
    def counts(self) -> Counts:
        """The counts for the measures; all 0 for a failed case."""
        if self.failure is not None:
            return Counts()
        if self.answer is not None:
            return _statement_counts(self.answer.statements)
        matched = [golden for golden in self.goldens if golden.finding is not None]
        rated = [golden for golden in matched if golden.severity is not None]
        noise = sum(1 for finding in self.findings if finding.golden is None)
        return Counts(
            cases=1,
            clean=int(self.clean),
            silent=int(self.clean and not self.findings),
            matched=len(matched),
            missed=len(self.goldens) - len(matched),
            noise=noise,
            rated=len(rated),
            agreed=sum(
                1 for golden in rated if self.findings[golden.finding or 0].severity == golden.severity
            ),
        )

    @property
    def clean(self) -> bool:
        return not self.goldens and self.answer is None and self.failure is None


def _statement_counts(statements: Sequence[ScoredStatement]) -> Counts:
    """Returns the counts of an answer: a required statement counts like a golden, a forbidden one like noise."""
    required = [statement.stated for statement in statements if statement.required]
    forbidden = [statement.stated for statement in statements if not statement.required]
    return Counts(cases=1, matched=sum(required), missed=required.count(False), noise=sum(forbidden))


def score(
    expected: Golden, findings: Sequence[Finding], matches: Sequence[Match]
) -> tuple[tuple[ScoredGolden, ...], tuple[ScoredFinding, ...]]:
    """Returns goldens and findings in their order, each with its match."""
    by_golden = {match.golden: match for match in matches}
    by_finding = {match.finding: match.golden for match in matches}
    goldens = tuple(_golden(golden, by_golden.get(index)) for index, golden in enumerate(expected.findings))
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
        match.by.value if match else None,
    )


def _finding(finding: Finding, golden: int | None) -> ScoredFinding:
    anchor = finding.anchor
    return ScoredFinding(
        finding.path,
        anchor.line if anchor else finding.reported_line,
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
    """The result of a whole run, in the order of the cases' names."""

    results: tuple[CaseResult, ...]
    model: str | None = None
    """The model ids that were set; None for the backend's choice."""
    judge: str | None = None
    demo: bool = False
    settings: str = ""
    """Digest of configuration, prompts and instructions; see evaluation.run."""
    seconds: float = 0.0
    """Seconds of the whole run, less than the sum over the cases if they ran in parallel."""

    @cached_property
    def counts(self) -> Counts:
        return sum_counts(result.counts for result in self.results)

    @cached_property
    def usage(self) -> Usage:
        """The usage of all reviews, including failed ones."""
        return sum_usage(result.usage for result in self.results)

    @cached_property
    def judge_usage(self) -> Usage:
        return sum_usage(result.judge_usage for result in self.results)

    @property
    def evaluated(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if result.failure is None)

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if result.failure is not None)

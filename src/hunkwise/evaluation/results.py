"""The results of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Usage
from hunkwise.evaluation.golden import AcceptedFinding, Golden
from hunkwise.evaluation.scoring import Counts, FindingMatches, Match, sum_counts, sum_usage
from hunkwise.tracking.assignment import group_by


@dataclass(frozen=True, slots=True)
class CaseFailure:
    """The reason why a case could not be measured."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ScoredGolden:
    """An expected or accepted finding of the case, and the model's finding that matches it."""

    path: str
    line: int
    end_line: int | None
    side: str
    severity: str | None
    text: str
    finding: int | None = None
    """The index of the finding; None if there is none that counts."""
    by: str | None = None
    """`place` or `judge`."""
    candidates: tuple[int, ...] = ()
    """The indices of all findings that describe it, by preference; only the first one counts."""

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
    confidence: float | None = None
    """0..1, as the model reported it."""
    accept: int | None = None
    """The index of the accepted finding that noise matches."""
    counts: bool = True
    """False if the confidence is below the run's `min-confidence`."""

    def reaches(self, min_confidence: float) -> bool:
        """Returns whether the confidence is at least this; a finding without one reaches every number."""
        return self.confidence is None or self.confidence >= min_confidence


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
    accept: tuple[ScoredGolden, ...] = ()
    """What is also true of the case."""

    def at(self, min_confidence: float) -> CaseResult:
        """Returns the result if only findings of this confidence counted, from 0 to 1.

        Where the finding that matches a golden does not count, the next one that describes it does.
        """
        left = {index for index, finding in enumerate(self.findings) if finding.reaches(min_confidence)}
        counting = frozenset(left)
        goldens, accept = (tuple(_rematch(one, left) for one in ones) for ones in (self.goldens, self.accept))
        golden_of, accept_of = (
            {one.finding: index for index, one in enumerate(ones)} for ones in (goldens, accept)
        )
        findings = tuple(
            replace(
                finding,
                golden=golden_of.get(index),
                accept=accept_of.get(index),
                counts=index in counting,
            )
            for index, finding in enumerate(self.findings)
        )
        return replace(self, goldens=goldens, accept=accept, findings=findings)

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
        findings = [finding for finding in self.findings if finding.counts]
        noise = [finding for finding in findings if finding.golden is None]
        return Counts(
            cases=1,
            clean=int(self.clean),
            silent=int(self.clean and not findings),
            matched=len(matched),
            missed=len(self.goldens) - len(matched),
            noise=len(noise),
            accepted=sum(1 for finding in noise if finding.accept is not None),
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


def _rematch(golden: ScoredGolden, left: set[int]) -> ScoredGolden:
    """Returns the golden with its first candidate of those that are left, which is removed from them."""
    # A report of an earlier version has no candidates.
    candidates = golden.candidates or (() if golden.finding is None else (golden.finding,))
    finding = next((index for index in candidates if index in left), None)
    left.discard(-1 if finding is None else finding)
    return replace(golden, finding=finding)


def score(
    expected: Golden, findings: Sequence[Finding], matches: FindingMatches, accepted: FindingMatches
) -> tuple[tuple[ScoredGolden, ...], tuple[ScoredGolden, ...], tuple[ScoredFinding, ...]]:
    """Returns the goldens, the accepted findings and the model's findings in their order, each with its match.

    `matches` are those of the goldens, `accepted` those of the accepted findings with the rest of the findings.
    """
    golden_of, accept_of = (
        {match.finding: match.golden for match in both.matches} for both in (matches, accepted)
    )
    scored = tuple(
        _finding(finding, golden_of.get(index), accept_of.get(index))
        for index, finding in enumerate(findings)
    )
    return _goldens(expected.findings, matches), _goldens(expected.accept, accepted), scored


def _goldens(goldens: Sequence[AcceptedFinding], matches: FindingMatches) -> tuple[ScoredGolden, ...]:
    by_golden = {match.golden: match for match in matches.matches}
    spare = group_by(matches.spare, lambda pair: pair[0])
    return tuple(
        _golden(golden, by_golden.get(index), [finding for _, finding in spare.get(index, ())])
        for index, golden in enumerate(goldens)
    )


def _golden(golden: AcceptedFinding, match: Match | None, spare: Sequence[int]) -> ScoredGolden:
    return ScoredGolden(
        golden.path,
        golden.line,
        golden.end_line,
        golden.side,
        golden.level.label if golden.level else None,
        golden.text,
        match.finding if match else None,
        match.by.value if match else None,
        (match.finding, *spare) if match else (),
    )


def _finding(finding: Finding, golden: int | None, accept: int | None) -> ScoredFinding:
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
        finding.confidence,
        accept,
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
    name: str = ""
    """What tells this run from the others: its model and prompts."""
    min_confidence: float = 0.0
    """The confidence that a finding must have to count."""

    def at(self, min_confidence: float) -> Evaluation:
        """Returns the evaluation if only findings of this confidence counted."""
        results = tuple(result.at(min_confidence) for result in self.results)
        return replace(self, results=results, min_confidence=min_confidence)

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

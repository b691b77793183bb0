"""Applies the verdicts of a verification to the findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hunkwise.domain.finding import Finding, Recheck, RecheckState, Severity, Verification, joint_confidence
from hunkwise.domain.review import ReviewFault, SuppressedFinding, Suppression
from hunkwise.domain.text import cut
from hunkwise.prompts.report_verdicts import Verdict, VerdictCollector
from hunkwise.publish.sanitize import code_span

_FAULT_KIND: Final = "double-check"
_MAX_PATH: Final = 200
_MAX_MERGED: Final = 5
"""Places of merged findings that the text of the one that is kept names."""


@dataclass(frozen=True)
class VerificationResult:
    """The findings that remain after verification, and those that it took out of the comments."""

    findings: tuple[Finding, ...]
    suppressed: tuple[SuppressedFinding, ...] = ()
    faults: tuple[ReviewFault, ...] = ()
    rechecked: Mapping[Finding, Recheck] = field(default_factory=dict)
    """The answer for the finding of each earlier claim; `findings` and `suppressed` have none of them."""


@dataclass(frozen=True, slots=True)
class MissingVerdict:
    """Why a finding has no verdict. Those of one `kind` are reported together, with the first one's message."""

    kind: str
    message: str
    hint: str = ""
    shell_hint: str = ""


INTERRUPTED: Final = MissingVerdict(
    "interrupted", "The run was stopped from outside before it was asked, or before it answered."
)
NO_VERDICT: Final = MissingVerdict("silence", "It gave no verdict that could be taken.")
_CONTRADICTION: Final = MissingVerdict("contradiction", "It contradicted itself.")


@dataclass(frozen=True, slots=True)
class _Answer:
    """A verdict, and the finding that a verdict `same` refers to."""

    verdict: Verdict
    same_as: Finding | None


class Verdicts:
    """The verdicts on the findings of a run."""

    def __init__(self) -> None:
        self._answers: dict[Finding, _Answer | MissingVerdict] = {}

    def store(
        self, findings: Sequence[Finding], collector: VerdictCollector, missing: MissingVerdict
    ) -> None:
        """Stores the verdicts on a question's findings, or why they are `missing`."""
        for number, finding in enumerate(findings, 1):
            verdict = collector.verdict_on(number)
            if verdict is not None:
                other = findings[verdict.same_as - 1] if verdict.same_as is not None else None
                self._answers[finding] = _Answer(verdict, other)
            else:
                contradicted = number in collector.contradicted
                self._answers[finding] = _CONTRADICTION if contradicted else missing

    def result(
        self,
        new: Sequence[Finding],
        earlier: Sequence[Finding],
        least: Mapping[str, Severity],
        covers: Callable[[Finding], bool],
    ) -> VerificationResult:
        """Returns the result for new and earlier findings.

        `least`: the minimum severity of each prompt; findings that verification does not cover stay as they are.
        """
        rechecked: dict[Finding, Recheck] = {}
        missing: list[MissingVerdict] = []
        for finding in earlier:
            answer = self._answers.get(finding, INTERRUPTED)
            rechecked[finding] = _recheck(answer)
            if isinstance(answer, MissingVerdict) and covers(finding):
                missing.append(answer)
        outcomes: dict[Finding, Finding | SuppressedFinding] = {}
        for finding in new:
            answer = self._answers.get(finding, INTERRUPTED)
            if not covers(finding):
                outcomes[finding] = finding
            elif isinstance(answer, MissingVerdict):
                missing.append(answer)
                outcomes[finding] = replace(finding, check=Verification.UNVERIFIED)
            elif answer.same_as is None:
                outcomes[finding] = _apply(answer.verdict, finding, least.get(finding.prompt, Severity.LOW))
        merged: dict[Finding, list[Finding]] = {}
        for finding in [finding for finding in new if finding not in outcomes]:
            root = self._root(finding)
            target = outcomes.get(root) if root else None
            if target is None and root in rechecked and rechecked[root].state is RecheckState.OPEN:
                target = root
            if root is None or target is None or _hides(target, finding, root):
                missing.append(_CONTRADICTION)
                outcomes[finding] = replace(finding, check=Verification.UNVERIFIED)
                continue
            said = f"The same as the finding on {_place(root)}: {root.title}"
            if isinstance(target, SuppressedFinding):
                outcomes[finding] = SuppressedFinding(finding, f"{said}\n\n{target.reason}", target.kind)
            else:
                merged.setdefault(root, []).append(finding)
                outcomes[finding] = SuppressedFinding(finding, said, Suppression.MERGED)
        for root, others in merged.items():
            target = outcomes.get(root)
            if isinstance(target, Finding):
                outcomes[root] = _with_merged(target, others)
        ordered = [outcomes[finding] for finding in new]
        return VerificationResult(
            tuple(outcome for outcome in ordered if isinstance(outcome, Finding)),
            tuple(outcome for outcome in ordered if isinstance(outcome, SuppressedFinding)),
            _faults(missing),
            rechecked,
        )

    def _root(self, finding: Finding) -> Finding | None:
        """Returns the finding that a chain of `same` ends at; None if the chain is a circle."""
        seen: set[Finding] = set()
        while finding not in seen:
            seen.add(finding)
            answer = self._answers.get(finding)
            if not isinstance(answer, _Answer) or answer.same_as is None:
                return finding
            finding = answer.same_as
        return None


def _recheck(answer: _Answer | MissingVerdict) -> Recheck:
    if isinstance(answer, MissingVerdict):
        return Recheck(RecheckState.UNDECIDED)
    state = {"keep": RecheckState.OPEN, "fixed": RecheckState.FIXED}.get(answer.verdict.verdict)
    return Recheck(state or RecheckState.UNDECIDED, answer.verdict.evidence)


def _hides(target: Finding | SuppressedFinding, finding: Finding, root: Finding) -> bool:
    """Returns whether a more severe finding would be suppressed with a refuted one, whose evidence is not about it."""
    return isinstance(target, SuppressedFinding) and finding.severity > root.severity


def _apply(verdict: Verdict, finding: Finding, min_severity: Severity) -> Finding | SuppressedFinding:
    """Returns the finding after its verdict; a finding that the verdict removes has the reason with it."""
    match verdict.verdict:
        case "drop":
            return SuppressedFinding(finding, verdict.evidence)
        case "not_worth_comment":
            return SuppressedFinding(finding, verdict.evidence, Suppression.NOT_WORTH_COMMENT)
        case "unclear":
            return replace(finding, check=Verification.UNCLEAR, evidence=verdict.evidence)
    check = Verification.CONFIRMED
    if verdict.corrected:
        # The suggestion belongs to the text that was wrong.
        finding = replace(finding, body=verdict.corrected, suggestion=None)
        check = Verification.CORRECTED
    if verdict.severity is None:
        return replace(finding, check=check, evidence=verdict.evidence)
    if verdict.severity < min_severity:
        reason = (
            f"Lowered to {verdict.severity.label}, and {min_severity.label} is the least that is asked for:"
        )
        return SuppressedFinding(finding, f"{reason} {verdict.evidence}")
    return replace(finding, severity=verdict.severity, check=Verification.LOWERED, evidence=verdict.evidence)


def _with_merged(finding: Finding, others: Sequence[Finding]) -> Finding:
    """Returns the finding with the places of those that say the same, as severe as the most severe of them."""
    places = dict.fromkeys(_place(other) for other in others if _place(other) != _place(finding))
    severity = finding.severity
    if finding.check is not Verification.LOWERED:
        severity = max(severity, *(other.severity for other in others))
    finding = replace(finding, severity=severity, confidence=joint_confidence((finding, *others)))
    if not places:
        return finding
    more = len(places) - _MAX_MERGED
    listed = ", ".join([*list(places)[:_MAX_MERGED], *([f"{more:,} more places"] if more > 0 else [])])
    return replace(finding, body=f"{finding.body}\n\n**The same:** {listed}.")


def _place(finding: Finding) -> str:
    line = finding.anchor.line if finding.anchor else None
    path = code_span(cut(finding.path, _MAX_PATH))
    return path if line is None else f"{path}, line {line}"


def _faults(missing: Iterable[MissingVerdict]) -> tuple[ReviewFault, ...]:
    """Returns one fault for each kind of reason, with the number of findings that were not verified."""
    by_kind: dict[str, list[MissingVerdict]] = {}
    for reason in missing:
        by_kind.setdefault(reason.kind, []).append(reason)
    return tuple(
        ReviewFault(_FAULT_KIND, _sentence(same), same[0].hint, same[0].shell_hint)
        for same in by_kind.values()
    )


def _sentence(same: Sequence[MissingVerdict]) -> str:
    first = same[0].message
    if len(same) == 1:
        return f"1 finding could not be double-checked and is kept as it was found. {first}"
    return f"{len(same):,} findings could not be double-checked and are kept as they were found. {first}"

"""The tool `report_verdicts`: its JSON schema, the parser of its arguments, and the reply to the model.

A wrong verdict loses a finding. So anything doubtful (wrong numbers, verdicts that contradict each other, a refutation
without evidence) gives no verdict, and the finding is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.model import ToolReply
from hunkwise.prompts.report_call import (
    Reported,
    ReportedCall,
    ReportedSeverity,
    normalized,
    read_call,
    text_within,
    tool_schema,
)

REPORT: Final = "report_verdicts"
DESCRIPTION: Final = (
    "Report your verdict on each finding. Text outside of this tool is not read. The answer says which verdicts were "
    "not accepted, and why."
)
MAX_VERDICTS: Final = 60
"""Verdicts in one call: several times the number of findings in a question."""
MAX_EVIDENCE: Final = 2_000
"""Maximum characters of a verdict's evidence."""
MAX_CORRECTION: Final = 4_000
"""Maximum characters of a finding's corrected text."""
_TOO_LARGE = 1_000_001
"""An invalid number, with `lt`: `le` would be in the tool's schema."""
VerdictName = Literal["keep", "drop", "lower", "same", "not_worth_comment", "unclear", "fixed"]
_OF_EARLIER: Final = ("keep", "fixed", "unclear")
"""The verdicts on a finding of an earlier run."""
_WITH_EVIDENCE: Final = frozenset(("drop", "lower", "not_worth_comment", "fixed"))
_HIGHEST_NOT_WORTH_COMMENT: Final = Severity.MEDIUM


class RawVerdict(Reported):
    """One verdict as the model reported it: its types are valid, its finding's number is not checked yet."""

    model_config = ConfigDict(json_schema_extra={"required": ["finding", "verdict", "evidence"]})

    finding: int = Field(
        ge=0, lt=_TOO_LARGE, json_schema_extra={"minimum": 1}, description="The finding's number."
    )
    verdict: VerdictName = Field(
        description="keep: it holds. drop: it is wrong. lower: it is right, and less bad than was said. "
        "same: another finding says it. not_worth_comment: it is right, and too small for a comment. "
        "unclear: it cannot be decided from here. fixed: a finding of an earlier run that no longer holds."
    )
    severity: ReportedSeverity | None = Field(
        default=None, description="With `lower` alone: what it is instead, below what was said."
    )
    same_as: int | None = Field(
        default=None,
        ge=0,
        lt=_TOO_LARGE,
        json_schema_extra={"minimum": 1},
        description="With `same` alone: the number of the finding to keep.",
    )
    corrected: Annotated[str, text_within(MAX_CORRECTION)] = Field(
        default="",
        description="With `keep` or `lower`: the whole new text of the finding, where it is wrong in a detail.",
    )
    evidence: Annotated[str, text_within(MAX_EVIDENCE)] = Field(
        default="", description="What in the code decides it, with file and line, in one to three sentences."
    )


class _VerdictsCall(ReportedCall):
    model_config = ConfigDict(json_schema_extra={"required": ["verdicts", "done"]})

    verdicts: list[RawVerdict] = Field(
        default=[], max_length=MAX_VERDICTS, description="One for each finding."
    )
    done: bool = Field(default=False, description="True when each finding has its verdict.")


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """A call of the tool: the valid verdicts, and the faults of the others."""

    verdicts: tuple[RawVerdict, ...] = ()
    faults: tuple[str, ...] = ()
    done: bool = False
    unreadable: frozenset[int] = frozenset()
    """Numbers of the findings with an invalid verdict."""


def read_verdicts(arguments: object) -> VerdictReport:
    """Parses the arguments of a call, which may be anything."""
    arguments = normalized(_VerdictsCall, arguments)
    items = arguments.get("verdicts") if isinstance(arguments, dict) else None
    if isinstance(items, list) and len(items) > MAX_VERDICTS:
        # None is read: a verdict after the limit may contradict one before it.
        fault = f"verdicts: there are {len(items):,}, and none was read; give one for each finding"
        return VerdictReport(faults=(fault,))
    reading = read_call(_VerdictsCall, arguments)
    if not isinstance(items, list):
        return VerdictReport(faults=reading.faults)
    unreadable = {
        number
        for rejected in reading.rejected
        if rejected.field == "verdicts"
        for number in _read_number(rejected.value)
    }
    return VerdictReport(
        tuple(reading.call.verdicts), reading.faults, reading.call.done, frozenset(unreadable)
    )


def _read_number(item: object) -> set[int]:
    """Returns the finding's number in an invalid verdict; empty if it has none."""
    number = item.get("finding") if isinstance(item, dict) else None
    return {number} if type(number) is int else set()


def parameters() -> dict[str, Any]:
    """Returns the tool's JSON schema."""
    return tool_schema(_VerdictsCall)


_MAX_CALLS = 10
_MAX_FAULTS = 30
_MAX_NUMBERS = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one finding."""

    verdict: VerdictName
    severity: Severity | None = None
    """The new severity of `lower`, below the finding's own; else None."""
    evidence: str = ""
    """The model's evidence; never empty where the verdict needs it."""
    same_as: int | None = None
    """The number of the other finding of `same`; else None."""
    corrected: str = ""
    """The new text of a finding that is kept or lowered; empty if it stays as it is."""

    def agrees(self, other: Verdict) -> bool:
        """Returns whether the verdicts are equal; evidence and new text may differ."""
        return (self.verdict, self.severity, self.same_as) == (other.verdict, other.severity, other.same_as)


class VerdictCollector:
    """Handles the calls of `report_verdicts` in one session."""

    def __init__(self, findings: Sequence[Finding], earlier: Sequence[Finding] = ()) -> None:
        """The model refers to `findings`, then to those of `earlier` runs, by position, from 1."""
        self._findings = dict(enumerate((*findings, *earlier), 1))
        self._new = len(findings)
        self._verdicts: dict[int, Verdict] = {}
        self._requested_again: set[int] = set()
        """Findings whose verdict the reply requested once more."""
        self._calls = 0
        self._is_done_reported = False
        self.contradicted: set[int] = set()
        """Numbers of the findings with contradictory verdicts."""
        self.done = False
        """Whether collection is complete."""

    @property
    def answered(self) -> bool:
        """Whether the model has reported `done`, even if it did not fix the rejected verdicts."""
        return self.done or self._is_done_reported

    def verdict_on(self, number: int) -> Verdict | None:
        """Returns the verdict on a finding; None if there is none, or the model did not finish."""
        return self._verdicts.get(number) if self.answered else None

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. The reply is accepted if each finding has its verdict, if a second request brought none, or
        at the limit of calls.

        Further calls in the same answer as the accepted one still arrive: they may contradict it.
        """
        self._calls += 1
        report = read_verdicts(arguments)
        unknown = sorted({raw.finding for raw in report.verdicts} - self._findings.keys())
        faults = list(report.faults)
        if unknown:
            # A model that counts from 0, for example, meant another finding with each number.
            self._verdicts.clear()
            faults.append(self._unknown_numbers_fault(unknown))
        else:
            faults += self._take_all(report)
            self._is_done_reported = self._is_done_reported or report.done
        last = self._calls >= _MAX_CALLS
        missing = self._missing()
        no_progress = report.done and self._requested_again.issuperset(missing)
        self.done = self.done or not missing or no_progress or last
        if report.done or faults:
            self._requested_again.update(missing)
        return ToolReply(self._reply_text(faults, missing, report.done), accepted=self.done)

    def _take_all(self, report: VerdictReport) -> list[str]:
        """Stores the valid verdicts; returns a sentence for each of the others that says what to fix."""
        by_number: dict[int, list[RawVerdict]] = {}
        for raw in report.verdicts:
            by_number.setdefault(raw.finding, []).append(raw)
        for number in report.unreadable & self._verdicts.keys():
            del self._verdicts[number]
        faults: list[str] = []
        for number, raw_verdicts in by_number.items():
            verdicts = [_convert(raw) for raw in raw_verdicts]
            earlier = [self._verdicts[number]] if number in self._verdicts else []
            first, *others = (*earlier, *verdicts)
            if not all(first.agrees(other) for other in others):
                self._verdicts.pop(number, None)
                self.contradicted.add(number)
            elif number not in report.unreadable and number not in self.contradicted:
                faults += self._store(number, verdicts)
        return faults

    def _store(self, number: int, verdicts: Sequence[Verdict]) -> list[str]:
        """Stores the first of equal verdicts that has evidence; returns its fault if it is invalid."""
        verdict = next((candidate for candidate in verdicts if _has_words(candidate.evidence)), verdicts[0])
        fault = self._verdict_fault(number, verdict)
        if fault:
            return [] if number in self._verdicts else [f"finding {number}: {fault}"]
        self._verdicts.setdefault(number, verdict)
        return []

    def _verdict_fault(self, number: int, verdict: Verdict) -> str:
        """Returns why the verdict is invalid; empty if it is valid."""
        name, severity = verdict.verdict, self._findings[number].severity
        is_earlier = number > self._new
        if is_earlier and name not in _OF_EARLIER:
            return f"it is of an earlier run: the verdict is one of `{'`, `'.join(_OF_EARLIER)}`"
        if not is_earlier and name == "fixed":
            return "`fixed` is for findings of an earlier run alone; where it is wrong, the verdict is `drop`"
        if name in _WITH_EVIDENCE and not _has_words(verdict.evidence):
            return f"`{name}` needs `evidence`: what in the code shows it, with file and line"
        if name == "lower" and verdict.severity is None:
            return "`lower` needs `severity`: what it is instead"
        if verdict.severity is not None and verdict.severity >= severity:
            return (
                f"`severity` must be below {severity.label}; where it is not, the verdict is `keep` or `drop`"
            )
        if name == "not_worth_comment" and severity > _HIGHEST_NOT_WORTH_COMMENT:
            return (
                f"it is {severity.label}, which is worth a comment: the verdict is `keep`, `lower` or `drop`"
            )
        if name == "same" and (verdict.same_as == number or verdict.same_as not in self._findings):
            return f"`same` needs `same_as`: the number of another finding, 1 to {len(self._findings)}"
        return ""

    def _missing(self) -> list[int]:
        return [
            number
            for number in self._findings
            if number not in self._verdicts and number not in self.contradicted
        ]

    def _unknown_numbers_fault(self, numbers: Sequence[int]) -> str:
        return (
            f"there is no finding {_listed(numbers)}: they are numbered from 1 to {len(self._findings)}. "
            "Nothing was taken; report each finding's verdict again, by the number that stands above it"
        )

    def _reply_text(self, faults: Sequence[str], missing: Sequence[int], done: bool) -> str:
        count = f"Taken so far: {len(self._findings) - len(missing)} of {len(self._findings)}."
        if self.done:
            return count
        if missing and done and not faults:
            faults = [f"no verdict yet on finding {_listed(missing)}"]
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults[:_MAX_FAULTS])
            return (
                f"{count} Not taken:\n{listed}\nFix these and call again with what is missing and `done: true`. "
                "A finding without a verdict is kept as it is."
            )
        return f"{count} Go on, and call again with `done: true` at the end."


def _convert(raw: RawVerdict) -> Verdict:
    lowered = raw.severity is not None and raw.verdict == "lower"
    severity = Severity.from_label(raw.severity) if lowered and raw.severity else None
    same_as = raw.same_as if raw.verdict == "same" else None
    corrected = raw.corrected if raw.verdict in ("keep", "lower") and _has_words(raw.corrected) else ""
    return Verdict(raw.verdict, severity, raw.evidence, same_as, corrected)


def _has_words(evidence: str) -> bool:
    return any(character.isalnum() for character in evidence)


def _listed(numbers: Sequence[int]) -> str:
    more = len(numbers) - _MAX_NUMBERS
    return ", ".join(map(str, numbers[:_MAX_NUMBERS])) + (f" and {more} more" if more > 0 else "")

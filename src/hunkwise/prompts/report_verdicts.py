"""The tool `report_verdicts`: its schema, what a model's call of it means, and the answer to the model.

A wrong `drop` loses a finding. Whatever is doubtful (numbers that were confused, verdicts that contradict each other, a
refutation without evidence) therefore leads to no ruling, and the finding is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.model import ToolReply
from hunkwise.prompts.report_findings import readable_text, sentences, without_nulls

REPORT: Final = "report_verdicts"
DESCRIPTION: Final = (
    "Report what became of each finding when you tried to refute it. The only way to be heard: text outside of it is "
    "not read. You are told at once which verdicts were not taken, and why."
)
MAX_VERDICTS: Final = 60
"""Verdicts a call: several times what any question asks for."""
MAX_EVIDENCE: Final = 2_000
"""Characters that are read of it."""
_MAX_NUMBER = 1_000_000


class RawVerdict(BaseModel):
    """One verdict as the model said it: its shape is right; whether there is such a finding is not known here."""

    # Unknown keys say nothing that is used.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    finding: int = Field(ge=0, le=_MAX_NUMBER)
    verdict: Literal["keep", "drop", "lower"]
    severity: Literal["low", "medium", "high", "critical"] | None = None
    evidence: str = ""

    @field_validator("evidence")
    @classmethod
    def _short_evidence(cls, value: str) -> str:
        return readable_text(value, MAX_EVIDENCE)


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """A call of the tool: what could be read of it, and the faults of the rest."""

    verdicts: tuple[RawVerdict, ...] = ()
    faults: tuple[str, ...] = ()
    done: bool = False
    unreadable: frozenset[int] = frozenset()
    """Numbers of findings of which something was said that could not be read."""


def read_verdicts(arguments: object) -> VerdictReport:
    """Reads a call's arguments, whatever they are."""
    if not isinstance(arguments, dict):
        return VerdictReport(faults=("the arguments: they must be an object",))
    said, done = arguments.get("verdicts"), arguments.get("done")
    faults: list[str] = []
    if not isinstance(done, bool):
        faults.append("done: it must be true or false")
    if not isinstance(said, list):
        faults.append("verdicts: it must be a list with one verdict for each finding")
        return VerdictReport(faults=tuple(faults))
    if len(said) > MAX_VERDICTS:
        # Which of them count is not ours to choose: one further down may say the contrary.
        faults.append(f"verdicts: there are {len(said):,}, and none was read; give one for each finding")
        return VerdictReport(faults=tuple(faults))
    verdicts: list[RawVerdict] = []
    unreadable: set[int] = set()
    for place, one in enumerate(said):
        try:
            verdicts.append(RawVerdict.model_validate(without_nulls(one)))
        except ValidationError as error:
            faults += sentences(error, f"verdicts[{place}]")
            unreadable |= _numbered(one)
    return VerdictReport(tuple(verdicts), tuple(faults), done is True, frozenset(unreadable))


def _numbered(said: object) -> set[int]:
    """The number of the finding that a faulty verdict speaks of, as far as it says one."""
    number = said.get("finding") if isinstance(said, dict) else None
    return {number} if type(number) is int else set()


PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdicts", "done"],
    "properties": {
        "verdicts": {
            "type": "array",
            "maxItems": MAX_VERDICTS,
            "description": "One for each finding.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["finding", "verdict", "evidence"],
                "properties": {
                    "finding": {"type": "integer", "minimum": 1, "description": "The finding's number."},
                    "verdict": {
                        "type": "string",
                        "enum": ["keep", "drop", "lower"],
                        "description": "keep: you could not refute it. drop: it is wrong. "
                        "lower: it is right, and less bad than was said.",
                    },
                    "severity": {
                        "type": "string",
                        "enum": ["low", "medium", "high", "critical"],
                        "description": "With `lower` alone: what it is instead, below what was said.",
                    },
                    "evidence": {
                        "type": "string",
                        "description": "What in the code decides it, with file and line, in one to three sentences.",
                    },
                },
            },
        },
        "done": {"type": "boolean", "description": "True when each finding has its verdict."},
    },
}
"""The tool's JSON schema; `RawVerdict` is what holds."""


_MAX_CALLS = 10
_MOST_FAULTS = 30
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided on one finding."""

    verdict: Literal["keep", "drop", "lower"]
    severity: Severity | None = None
    """Of `lower`: below the finding's own."""
    evidence: str = ""
    """The second model's words; never empty of `drop` and `lower`."""

    def agrees(self, other: Verdict) -> bool:
        """Whether they say the same, in whatever words."""
        return (self.verdict, self.severity) == (other.verdict, other.severity)


class VerdictCollector:
    """Stands behind `report_verdicts` in one session."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        """`findings` are known to the model by their places, from 1 on."""
        self._findings = dict(enumerate(findings, 1))
        self._rulings: dict[int, Verdict] = {}
        self._asked_again: set[int] = set()
        """Findings of which the model was told once that their verdict is missing."""
        self._calls = 0
        self._said_done = False
        self.contradicted: set[int] = set()
        """Numbers of the findings on which it said two things."""
        self.done = False
        """Whether nothing more is asked for."""

    @property
    def answered(self) -> bool:
        """Whether the model has said that it is done, also where it left out what it was told to mend."""
        return self.done or self._said_done

    def ruling(self, number: int) -> Verdict | None:
        """What was decided on a finding; None where nothing was, or the model did not come to its end."""
        return self._rulings.get(number) if self.answered else None

    def take(self, arguments: object) -> ToolReply:
        """Reads one call. Accepted where each finding has its ruling, or was asked for in vain, or at last.

        Calls that stand beside the last one in the same answer come behind it: they may contradict it.
        """
        self._calls += 1
        report = read_verdicts(arguments)
        strangers = sorted({said.finding for said in report.verdicts} - self._findings.keys())
        faults = list(report.faults)
        if strangers:
            # Who counts from 0, say, has meant another finding by each number.
            self._rulings.clear()
            faults.append(self._confused(strangers))
        else:
            faults += self._take_all(report)
            self._said_done = self._said_done or report.done
        last = self._calls >= _MAX_CALLS
        missing = self._missing()
        vain = report.done and self._asked_again.issuperset(missing)
        self.done = self.done or not missing or vain or last
        if report.done or faults:
            self._asked_again.update(missing)
        return ToolReply(self._answer(faults, missing, report.done), accepted=self.done)

    def _take_all(self, report: VerdictReport) -> list[str]:
        """Takes what holds; the sentences say what is to be mended in the rest."""
        by_number: dict[int, list[RawVerdict]] = {}
        for said in report.verdicts:
            by_number.setdefault(said.finding, []).append(said)
        for number in report.unreadable & self._rulings.keys():
            del self._rulings[number]
        faults: list[str] = []
        for number, verdicts in by_number.items():
            rulings = [_ruling(said) for said in verdicts]
            earlier = [self._rulings[number]] if number in self._rulings else []
            first, *others = (*earlier, *rulings)
            if not all(first.agrees(other) for other in others):
                self._rulings.pop(number, None)
                self.contradicted.add(number)
            elif number not in report.unreadable and number not in self.contradicted:
                faults += self._settle(number, rulings)
        return faults

    def _settle(self, number: int, rulings: Sequence[Verdict]) -> list[str]:
        """Keeps the ruling that says why, if one must; else the sentence that asks for it."""
        ruling = next((one for one in rulings if _says_something(one.evidence)), rulings[0])
        fault = _fault(ruling, self._findings[number].severity)
        if fault:
            return [] if number in self._rulings else [f"finding {number}: {fault}"]
        self._rulings.setdefault(number, ruling)
        return []

    def _missing(self) -> list[int]:
        return [
            number
            for number in self._findings
            if number not in self._rulings and number not in self.contradicted
        ]

    def _confused(self, strangers: Sequence[int]) -> str:
        return (
            f"there is no finding {_listed(strangers)}: they are numbered from 1 to {len(self._findings)}. "
            "Nothing was taken; report each finding's verdict again, by the number that stands above it"
        )

    def _answer(self, faults: Sequence[str], missing: Sequence[int], done: bool) -> str:
        taken = f"Taken so far: {len(self._findings) - len(missing)} of {len(self._findings)}."
        if self.done:
            return taken
        if missing and done and not faults:
            faults = [f"no verdict yet on finding {_listed(missing)}"]
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults[:_MOST_FAULTS])
            return (
                f"{taken} Not taken:\n{listed}\nMend these and call again with what is missing and `done: true`. "
                "A finding without a verdict is kept as it is."
            )
        return f"{taken} Go on, and call again with `done: true` at the end."


def _ruling(said: RawVerdict) -> Verdict:
    lowered = said.severity is not None and said.verdict == "lower"
    severity = Severity.parse(said.severity) if lowered and said.severity else None
    return Verdict(said.verdict, severity, said.evidence)


def _fault(ruling: Verdict, severity: Severity) -> str:
    """Why the ruling does not hold; empty where it does."""
    if ruling.verdict == "keep":
        return ""
    if not _says_something(ruling.evidence):
        return f"`{ruling.verdict}` needs `evidence`: what in the code refutes it, with file and line"
    if ruling.verdict == "lower" and ruling.severity is None:
        return "`lower` needs `severity`: what it is instead"
    if ruling.severity is not None and ruling.severity >= severity:
        return f"`severity` must be below {severity.label}; where it is not, the verdict is `keep` or `drop`"
    return ""


def _says_something(evidence: str) -> bool:
    return any(character.isalnum() for character in evidence)


def _listed(numbers: Sequence[int]) -> str:
    more = len(numbers) - _MOST_NAMED
    return ", ".join(map(str, numbers[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")

"""What a call of `report_verdicts` may carry, checked strictly and told back in words that a model can mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hunkwise.prompts.answers import readable_text, sentences, without_nulls

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


class SaidVerdict(BaseModel):
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

    verdicts: tuple[SaidVerdict, ...] = ()
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
    verdicts: list[SaidVerdict] = []
    unreadable: set[int] = set()
    for place, one in enumerate(said):
        try:
            verdicts.append(SaidVerdict.model_validate(without_nulls(one)))
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
"""The tool's JSON schema; `SaidVerdict` is what holds."""

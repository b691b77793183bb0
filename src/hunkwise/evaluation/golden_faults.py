"""What is wrong with a `golden.json`, from the model's errors and the document's lines to sentences."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from hunkwise.evaluation.golden import (
    MAX_GOLDENS,
    MAX_SPAN,
    MAX_WINDOW,
    Golden,
    GoldenFinding,
    PullRequestText,
)
from hunkwise.evaluation.located_json import read_json
from hunkwise.settings.config_faults import sentences
from hunkwise.settings.rules import SEVERITIES
from hunkwise.settings.strict_yaml import Document, Fault, Loc
from hunkwise.settings.wording import did_you_mean, listed, quoted

_LINE = "a line number, 1 or more"
_WANTS: Final = {
    "version": "1, the only version that this hunkwise reads",
    "description": "a text of up to 2,000 characters",
    "pull_request": 'an object with "title" and "body"',
    "title": "a text of up to 1,000 characters",
    "body": "a text of up to 65,536 characters",
    "window": f"a whole number from 0 to {MAX_WINDOW}",
    "findings": f"a list of up to {MAX_GOLDENS} objects, empty for a clean case",
    "path": "the path of a changed file, relative to the tree's root",
    "line": _LINE,
    "end_line": _LINE,
    "side": "RIGHT (numbered as at the head) or LEFT (as at the base)",
    "severity": listed(SEVERITIES),
    "text": "a text of 1 to 4,000 characters that says what is wrong there",
}
_KEYS: Final = {
    "": tuple(Golden.model_fields),
    "pull_request": tuple(PullRequestText.model_fields),
    "findings": tuple(GoldenFinding.model_fields),
}
_CHOICES: Final = {"severity": SEVERITIES, "side": ("RIGHT", "LEFT")}


def parse_golden(raw: bytes, path: str) -> tuple[Golden | None, Document, list[str]]:
    """The golden of a case, where its file's lines are, and its faults as `path:line: …`; None where it has any."""
    document = read_json(raw)
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        return None, document, sentences(faults, path)
    if not isinstance(document.value, dict):
        top = Fault((), 1, 'the file must be an object, such as {"version": 1, "findings": []}')
        return None, document, sentences([top], path)
    golden: Golden | None = None
    try:
        golden = Golden.model_validate(document.value)
    except ValidationError as error:
        faults += [_fault(found, document) for found in error.errors(include_url=False)]
    if golden is not None:
        faults += _span_faults(golden, document)
    return (None if faults else golden), document, sentences(faults, path)


def _fault(found: Any, document: Document) -> Fault:
    loc: Loc = found["loc"]
    return Fault(loc, document.line(loc), _sentence(found["type"], loc, found["input"]))


def _sentence(kind: str, loc: Loc, found: object) -> str:
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        known = _KEYS[next((part for part in loc[:-1] if isinstance(part, str)), "")]
        near = did_you_mean(key.replace("-", "_"), known) or f"; there is {listed(known)}"
        return f"unknown key {quoted(key)}{near}"
    if kind == "missing":
        return f"{quoted(key)} is missing; give {_WANTS[key]}"
    if isinstance(loc[-1], int):
        return f"an entry of {quoted(key)} must be an object with path, line and text, not {quoted(found)}"
    near = did_you_mean(found, _CHOICES[key]) if isinstance(found, str) and key in _CHOICES else ""
    many = f"; there are {len(found)}" if kind == "too_long" and isinstance(found, list | tuple) else ""
    return f"{quoted(key)} must be {_WANTS[key]}, not {quoted(found)}{near or many}"


def _span_faults(golden: Golden, document: Document) -> list[Fault]:
    faults = []
    for index, finding in enumerate(golden.findings):
        loc: Loc = ("findings", index, "end_line")
        if finding.end_line is not None and finding.end_line < finding.line:
            said = f'"end_line" {finding.end_line} comes before "line" {finding.line}; swap them'
            faults.append(Fault(loc, document.line(loc), said))
        elif len(finding.lines) > MAX_SPAN:
            said = f"lines {finding.line}–{finding.end_line} are more than {MAX_SPAN:,}; name the few that it is about"
            faults.append(Fault(loc, document.line(loc), said))
    return faults

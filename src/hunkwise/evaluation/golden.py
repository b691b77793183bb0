"""Reads golden.json, which has the expected findings of a case; errors have line numbers."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import SEVERITY_LABELS, Severity, SeverityLabel
from hunkwise.domain.text import is_encodable
from hunkwise.settings.config_errors import sentences
from hunkwise.settings.parsing import did_you_mean, listed, quoted
from hunkwise.settings.strict_yaml import Loc, YamlDocument, YamlFault

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 16
# An unterminated text is one token: otherwise each quote in it would be tried as the start of a text.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+|\n', re.DOTALL)


def read_json(raw: bytes) -> YamlDocument:
    """Parses `raw` (UTF-8); returns the value, the lines of its keys, and its faults. Never raises.

    A fault at () means that the file is unreadable. Besides invalid JSON these are faults: duplicate keys, NaN and
    infinities, lone surrogates, deep nesting.
    """
    fault = _size_fault(raw)
    if fault is not None:
        return YamlDocument(None, {}, (fault,))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return YamlDocument(None, {}, (YamlFault((), line, "the file is not UTF-8; save it as UTF-8"),))
    deep = _deep_line(text)
    if deep:
        message = f"more than {MAX_DEPTH} levels of nesting; flatten the file"
        return YamlDocument(None, {}, (YamlFault((), deep, message),))
    try:
        value: Any = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return YamlDocument(
            None, {}, (YamlFault((), error.lineno, f"not valid JSON: {_uncapitalized(error.msg)}"),)
        )
    except ValueError as error:  # NaN or infinity, or a number of thousands of digits
        return YamlDocument(None, {}, (YamlFault((), 1, f"not valid JSON: {str(error)[:200]}"),))
    places = _Places()
    places.walk(text)
    return YamlDocument(value, places.lines, tuple(places.faults))


def _size_fault(raw: bytes) -> YamlFault | None:
    if len(raw) <= MAX_BYTES:
        return None
    return YamlFault((), 1, f"the file has more than {MAX_BYTES:,} bytes; shorten it")


def _deep_line(text: str) -> int:
    """Returns the line on which the nesting is too deep, or 0. Python's parser would raise RecursionError there."""
    depth, line = 0, 1
    words: list[str] = _TOKEN.findall(text)
    for word in words:
        depth += (word in ("{", "[")) - (word in ("}", "]"))
        line += word.count("\n")
        if depth > MAX_DEPTH:
            return line
    return 0


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON; write a number")


def _uncapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Places:
    """Walks the tokens of valid JSON and stores the line of each key and list item."""

    def __init__(self) -> None:
        self.lines: dict[Loc, int] = {}
        self.faults: list[YamlFault] = []
        self._line = 1
        self._rest: list[str] = []

    def walk(self, text: str) -> None:
        self._rest = _TOKEN.findall(text)[::-1]
        self._value(self._next(), ())

    def _next(self) -> str:
        while (word := self._rest.pop()) == "\n":
            self._line += 1
        return word

    def _value(self, word: str, loc: Loc) -> None:
        if word == "{":
            self._object(loc)
        elif word == "[":
            self._array(loc)
        elif word.startswith('"') and not is_encodable(json.loads(word)):
            self.faults.append(YamlFault(loc, self._line, "a text holds half of a character; write it whole"))

    def _object(self, loc: Loc) -> None:
        word = self._next()
        while word != "}":
            if word == ",":
                word = self._next()
            key = json.loads(word)
            place = (*loc, key)
            if place in self.lines:
                message = f"{quoted(key)} stands on line {self.lines[place]} already; keep one of them"
                self.faults.append(YamlFault(place, self._line, message))
            self.lines.setdefault(place, self._line)
            self._next()  # the colon
            self._value(self._next(), place)
            word = self._next()

    def _array(self, loc: Loc) -> None:
        word, index = self._next(), 0
        while word != "]":
            if word == ",":
                word = self._next()
            self.lines[(*loc, index)] = self._line
            self._value(word, (*loc, index))
            word, index = self._next(), index + 1


MAX_GOLDENS: Final = 100
MAX_WINDOW: Final = 100
MAX_SPAN: Final = 1_000
"""Maximum number of lines of one golden finding."""
DEFAULT_WINDOW: Final = 3
"""Number of lines that a finding may be away from a golden one and still match."""

_Line = Annotated[int, Field(ge=1, le=10_000_000)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GoldenFinding(_Shape):
    """Something that a review of the case should find."""

    path: str = Field(
        min_length=1, max_length=4_096, description="The changed file, by its name at the head."
    )
    line: _Line = Field(description="The line that it is about, or the first of several.")
    end_line: _Line | None = Field(default=None, description="The last of several lines.")
    side: Literal["RIGHT", "LEFT"] = Field(
        default="RIGHT",
        description="RIGHT: numbered as at the head; LEFT: as at the base, for removed lines.",
    )
    severity: SeverityLabel | None = Field(
        default=None, description="How bad it is; agreement with it is reported, and is no condition."
    )
    text: str = Field(
        min_length=1,
        max_length=4_000,
        description="What is wrong there, in the words that a judge compares with.",
    )

    @property
    def lines(self) -> range:
        return range(self.line, (self.end_line or self.line) + 1)

    @property
    def side_of_diff(self) -> Side:
        return Side(self.side)

    @property
    def level(self) -> Severity | None:
        return None if self.severity is None else Severity.from_label(self.severity)


class PullRequestText(_Shape):
    """What the author says of the change."""

    title: str = Field(default="", max_length=1_000, description="The title.")
    body: str = Field(default="", max_length=65_536, description="The description.")


class Golden(_Shape):
    """What a case is about, and what a review of it should find."""

    version: Literal[1] = Field(description="The version of this file's format.")
    description: str = Field(default="", max_length=2_000, description="What the case is for.")
    pull_request: PullRequestText | None = Field(
        default=None, description="Its words; without it the change is reviewed as a range of commits."
    )
    window: int | None = Field(
        default=None,
        ge=0,
        le=MAX_WINDOW,
        description=f"Lines that a finding may stand off ({DEFAULT_WINDOW}).",
    )
    findings: Annotated[tuple[GoldenFinding, ...], Field(strict=False, max_length=MAX_GOLDENS)] = Field(
        description="What should be found; an empty list for a clean change."
    )

    @property
    def reach(self) -> int:
        """The window, or its default."""
        return DEFAULT_WINDOW if self.window is None else self.window


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of `golden.json`, for editors (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Golden.model_json_schema(),
        "title": "hunkwise golden",
        "description": "What a review of a case of `hunkwise eval` should find: golden.json",
    }


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
    "severity": listed(SEVERITY_LABELS),
    "text": "a text of 1 to 4,000 characters that says what is wrong there",
}
_KEYS: Final = {
    "": tuple(Golden.model_fields),
    "pull_request": tuple(PullRequestText.model_fields),
    "findings": tuple(GoldenFinding.model_fields),
}
_CHOICES: Final = {"severity": SEVERITY_LABELS, "side": ("RIGHT", "LEFT")}


def parse_golden(raw: bytes, path: str) -> tuple[Golden | None, YamlDocument, list[str]]:
    """Returns the golden (None if it has faults), its document with lines, and its faults as `path:line: …`."""
    document = read_json(raw)
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        return None, document, sentences(faults, path)
    if not isinstance(document.value, dict):
        top = YamlFault((), 1, 'the file must be an object, such as {"version": 1, "findings": []}')
        return None, document, sentences([top], path)
    golden: Golden | None = None
    try:
        golden = Golden.model_validate(document.value)
    except ValidationError as error:
        faults += [_fault(details, document) for details in error.errors(include_url=False)]
    if golden is not None:
        faults += _span_faults(golden, document)
    return (None if faults else golden), document, sentences(faults, path)


def _fault(details: Any, document: YamlDocument) -> YamlFault:
    loc: Loc = details["loc"]
    return YamlFault(loc, document.line(loc), _sentence(details["type"], loc, details["input"]))


def _sentence(kind: str, loc: Loc, value: object) -> str:
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        keys = _KEYS[next((part for part in loc[:-1] if isinstance(part, str)), "")]
        near = did_you_mean(key.replace("-", "_"), keys) or f"; there is {listed(keys)}"
        return f"unknown key {quoted(key)}{near}"
    if kind == "missing":
        return f"{quoted(key)} is missing; give {_WANTS[key]}"
    if isinstance(loc[-1], int):
        return f"an entry of {quoted(key)} must be an object with path, line and text, not {quoted(value)}"
    near = did_you_mean(value, _CHOICES[key]) if isinstance(value, str) and key in _CHOICES else ""
    many = f"; there are {len(value)}" if kind == "too_long" and isinstance(value, list | tuple) else ""
    return f"{quoted(key)} must be {_WANTS[key]}, not {quoted(value)}{near or many}"


def _span_faults(golden: Golden, document: YamlDocument) -> list[YamlFault]:
    faults = []
    for index, finding in enumerate(golden.findings):
        loc: Loc = ("findings", index, "end_line")
        if finding.end_line is not None and finding.end_line < finding.line:
            message = f'"end_line" {finding.end_line} comes before "line" {finding.line}; swap them'
            faults.append(YamlFault(loc, document.line(loc), message))
        elif len(finding.lines) > MAX_SPAN:
            message = (
                f"lines {finding.line}–{finding.end_line} are more than {MAX_SPAN:,}; "
                "name the few that it is about"
            )
            faults.append(YamlFault(loc, document.line(loc), message))
    return faults

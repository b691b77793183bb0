"""The JSON report of an evaluation, and reading an earlier one back.

Version 1 has these keys: `version`, `tool` (name, version, demo), `model`, `judge`, `settings`, `seconds`, `totals`,
`cases` and `comparison` (null without --against).

A case has `name`, `digest` (of its own files), `description`, `outcome` (evaluated or failed), `failure` (null, or
kind and message), `goldens` (as in golden.json, with `finding`: the index of the finding that it is, or null, and
`by`: place or judge), `findings` (with `golden`: the index of the golden that it is, or null for noise), `refuted`,
`measures` (null for a failed case), `usage`, `judge_usage`, `seconds` and `notes`.

`measures` and `totals` have whole numbers (`cases`, `clean`, `silent`, `matched`, `missed`, `noise`, `rated`,
`agreed`) and what is made of them (`precision`, `recall`, `f1`, `noise_per_case`, `silent_share`,
`severity_agreement`; the last three are null where there is nothing to divide by, all of them where no case was
measured). `totals` has `failed`, `usage` and `judge_usage` beside them: the sums over all cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hunkwise import __version__
from hunkwise.domain.outcome import Usage
from hunkwise.errors import SettingsError
from hunkwise.evaluation.evaluation import Evaluation
from hunkwise.evaluation.marks import Marks
from hunkwise.evaluation.measures import Counts
from hunkwise.given_file import read_given
from hunkwise.publish.characters import plain

VERSION: Final = 1
_MOST_BYTES: Final = 100_000_000
_RATIOS: Final = ("precision", "recall", "f1", "noise_per_case", "silent_share", "severity_agreement")
_MARKS: Final = TypeAdapter(Marks)


def as_json(evaluation: Evaluation, comparison: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        "version": VERSION,
        "tool": {"name": "hunkwise", "version": __version__, "demo": evaluation.demo},
        "model": evaluation.model,
        "judge": evaluation.judge,
        "settings": evaluation.settings,
        "seconds": round(evaluation.seconds, 3),
        "totals": {
            **measures_json(evaluation.counts),
            "failed": len(evaluation.failed),
            "usage": usage_json(evaluation.usage),
            "judge_usage": usage_json(evaluation.judge_usage),
        },
        "cases": [marks_json(one) for one in evaluation.marks],
        "comparison": comparison,
    }


def measures_json(counts: Counts) -> dict[str, Any]:
    """The counts, and the ratios that are made of them; of no case there are none."""
    ratios = {name: getattr(counts, name) if counts.cases else None for name in _RATIOS}
    return {**asdict(counts), **{name: _rounded(value) for name, value in ratios.items()}}


def usage_json(usage: Usage) -> dict[str, Any]:
    return {**asdict(usage), "models": list(usage.models), "credits": usage.credits}


def marks_json(marks: Marks) -> dict[str, Any]:
    """One case, from which `read_marks` makes the same value again."""
    said: dict[str, Any] = _plain(asdict(marks))
    return {
        **said,
        "outcome": "evaluated" if marks.failure is None else "failed",
        "measures": measures_json(marks.counts) if marks.failure is None else None,
        "usage": usage_json(marks.usage),
        "judge_usage": usage_json(marks.judge_usage),
        "seconds": round(marks.seconds, 3),
    }


def read_marks(value: object) -> Marks:
    """One case as `marks_json` wrote it. Raises ValueError."""
    marks = _MARKS.validate_python(value)
    for golden in marks.goldens:
        if golden.finding is not None and not 0 <= golden.finding < len(marks.findings):
            raise ValueError("a golden names a finding that is not there")
    for finding in marks.findings:
        if finding.golden is not None and not 0 <= finding.golden < len(marks.goldens):
            raise ValueError("a finding names a golden that is not there")
    return marks


class _Earlier(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: int
    model: str | None = None
    judge: str | None = None
    settings: str = ""
    cases: list[dict[str, Any]]


def read_report(path: Path) -> Evaluation:
    """An earlier report. Raises SettingsError that says what is wrong with the file."""
    asked = f"--against {path}"
    try:
        raw = read_given(path, _MOST_BYTES)
    except OSError as error:
        raise SettingsError([f"{asked}: it cannot be read ({error.strerror})."]) from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{asked}: it has more than {_MOST_BYTES:,} bytes."])
    try:
        found = _Earlier.model_validate_json(raw)
        if found.version != VERSION:
            raise SettingsError([f"{asked}: it has version {found.version}; only {VERSION} is read here."])
        marks = tuple(read_marks(case) for case in found.cases)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its top"
        said = f"{asked}: it is no report of `hunkwise eval`: {place}: {first['msg'][:200]}."
        raise SettingsError([said]) from error
    except ValueError as error:
        raise SettingsError([f"{asked}: it is damaged: {error}."]) from error
    return Evaluation(marks, found.model, found.judge, settings=found.settings)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _plain(value: Any) -> Any:
    """Strings as valid UTF-8 without unseen characters, so that no text moves a terminal or breaks a file."""
    match value:
        case str():
            return plain(value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value


assert {entry.name for entry in fields(Counts)}.isdisjoint(_RATIOS)

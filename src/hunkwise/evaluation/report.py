"""The JSON report of an evaluation.

Version 1 has these keys: `version`, `tool` (name, version, demo), `name` (of the run), `model`, `judge`, `settings`,
`min_confidence`, `seconds`, `totals`, `curve`, `cases` and `comparison` (null without --against). The report of several
runs has `version`, `tool` and `runs`: a report of each. New keys do not change the version.

A case has `name`, `digest` (of its own files), `description`, `outcome` (evaluated or failed), `failure` (null, or
kind and message), `goldens` (as in golden.json, with `finding`: the index of the matching finding, or null, `by`: place
or judge, and `candidates`: the indices of all findings that describe it), `accept` (the same of the accepted findings),
`answer` (null in a case without a question; else `text`, `suggestion`, `why_none`, and `statements`: each with `text`,
`required`, `stated` and `by`: words or judge), `findings` (with `golden`: the index of the matching golden, or null for
noise, `accept`: the index of the accepted finding that noise matches, or null, `confidence`, and `counts`: false below
`min_confidence`), `suppressed`, `measures` (null for a failed case), `usage`, `judge_usage`, `seconds` and `notes`.

`measures` and `totals` have integers (`cases`, `clean`, `silent`, `matched`, `missed`, `noise`, `accepted`, `rated`,
`agreed`) and ratios of them (`precision`, `recall`, `f1`, `adjusted_precision`, `adjusted_f1`, `noise_per_case`,
`silent_share`, `severity_agreement`; the last three are null where the divisor is 0, all of them where no case was
measured). `totals` also has `failed`, `usage` and `judge_usage`: the sums over all cases.

`curve` has `best` (the `min_confidence` with the highest adjusted F1, null where no case was measured) and `points`,
each with `min_confidence`, the number of `findings`, and the first five of the ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hunkwise import __version__
from hunkwise.domain.review import Usage
from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError
from hunkwise.evaluation.curve import best_point, curve
from hunkwise.evaluation.results import CaseResult, Evaluation
from hunkwise.evaluation.scoring import Counts
from hunkwise.files import read_bounded

VERSION: Final = 1
_MOST_BYTES: Final = 100_000_000
_SHARES: Final = ("precision", "recall", "f1", "adjusted_precision", "adjusted_f1")
_RATIOS: Final = (*_SHARES, "noise_per_case", "silent_share", "severity_agreement")
_RESULT: Final = TypeAdapter(CaseResult)


def as_json(evaluation: Evaluation, comparison: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the report as JSON values."""
    return {
        "version": VERSION,
        "tool": _tool_json(evaluation.demo),
        "name": evaluation.name,
        "model": evaluation.model,
        "judge": evaluation.judge,
        "settings": evaluation.settings,
        "min_confidence": evaluation.min_confidence,
        "seconds": round(evaluation.seconds, 3),
        "totals": {
            **measures_json(evaluation.counts),
            "failed": len(evaluation.failed),
            "usage": usage_json(evaluation.usage),
            "judge_usage": usage_json(evaluation.judge_usage),
        },
        "curve": curve_json(evaluation),
        "cases": [case_json(result) for result in evaluation.results],
        "comparison": comparison,
    }


def runs_json(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the report of several runs, from theirs as `as_json` returns them."""
    demo = all(report["tool"]["demo"] for report in reports)
    return {"version": VERSION, "tool": _tool_json(demo), "runs": list(reports)}


def _tool_json(demo: bool) -> dict[str, Any]:
    return {"name": "hunkwise", "version": __version__, "demo": demo}


def curve_json(evaluation: Evaluation) -> dict[str, Any]:
    """Returns the measures over `min-confidence`."""
    points = curve(evaluation)
    best = best_point(points)
    return {
        "best": best.min_confidence if best else None,
        "points": [
            {
                "min_confidence": point.min_confidence,
                "findings": point.counts.findings,
                **{name: _rounded(getattr(point.counts, name)) for name in _SHARES},
            }
            for point in points
        ],
    }


def measures_json(counts: Counts) -> dict[str, Any]:
    """Returns the counts and their ratios, which are None without cases."""
    ratios = {name: getattr(counts, name) if counts.cases else None for name in _RATIOS}
    return {**asdict(counts), **{name: _rounded(value) for name, value in ratios.items()}}


def usage_json(usage: Usage) -> dict[str, Any]:
    return {**asdict(usage), "models": list(usage.models), "credits": usage.credits}


def case_json(result: CaseResult) -> dict[str, Any]:
    """Returns one case as JSON values, which `read_case_result` reads back."""
    values: dict[str, Any] = _plain(asdict(result))
    return {
        **values,
        "outcome": "evaluated" if result.failure is None else "failed",
        "measures": measures_json(result.counts) if result.failure is None else None,
        "usage": usage_json(result.usage),
        "judge_usage": usage_json(result.judge_usage),
        "seconds": round(result.seconds, 3),
    }


def read_case_result(value: object) -> CaseResult:
    """Reads one case as `case_json` wrote it. Raises ValueError."""
    result = _RESULT.validate_python(value)
    findings, expected = range(len(result.findings)), (*result.goldens, *result.accept)
    named = [index for golden in expected for index in (golden.finding, *golden.candidates)]
    if not _are_in(named, findings):
        raise ValueError("a golden names a finding that is not there")
    goldens = [finding.golden for finding in result.findings]
    accepted = [finding.accept for finding in result.findings]
    if not _are_in(goldens, range(len(result.goldens))) or not _are_in(accepted, range(len(result.accept))):
        raise ValueError("a finding names a golden that is not there")
    return result


def _are_in(indices: Sequence[int | None], positions: range) -> bool:
    return all(index is None or index in positions for index in indices)


class _EarlierRun(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = ""
    model: str | None = None
    judge: str | None = None
    settings: str = ""
    min_confidence: float = 0.0
    cases: list[dict[str, Any]]


class _EarlierReport(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: int
    runs: list[_EarlierRun] | None = Field(default=None, min_length=1)


def read_report(path: Path) -> tuple[Evaluation, ...]:
    """Reads the runs of an earlier report. Raises SettingsError that says what is wrong with the file."""
    option = f"--against {path}"
    try:
        raw = read_bounded(path, _MOST_BYTES)
    except OSError as error:
        raise SettingsError([f"{option}: it cannot be read ({error.strerror})."]) from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{option}: it has more than {_MOST_BYTES:,} bytes."])
    try:
        earlier = _EarlierReport.model_validate_json(raw)
        if earlier.version != VERSION:
            raise SettingsError([f"{option}: it has version {earlier.version}; only {VERSION} is read here."])
        runs = [_EarlierRun.model_validate_json(raw)] if earlier.runs is None else earlier.runs
        return tuple(map(_evaluation, runs))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its top"
        message = f"{option}: it is no report of `hunkwise eval`: {place}: {first['msg'][:200]}."
        raise SettingsError([message]) from error
    except ValueError as error:
        raise SettingsError([f"{option}: it is damaged: {error}."]) from error


def _evaluation(run: _EarlierRun) -> Evaluation:
    return Evaluation(
        tuple(read_case_result(case) for case in run.cases),
        run.model,
        run.judge,
        settings=run.settings,
        name=run.name,
        min_confidence=run.min_confidence,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _plain(value: Any) -> Any:
    """Makes all strings valid UTF-8 without invisible characters, which are safe for terminals and files."""
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

"""The JSON report of an evaluation, and its comparison with an earlier one.

Version 1 has these keys: `version`, `tool` (name, version, demo), `model`, `judge`, `settings`, `seconds`, `totals`,
`cases` and `comparison` (null without --against).

A case has `name`, `digest` (of its own files), `description`, `outcome` (evaluated or failed), `failure` (null, or
kind and message), `goldens` (as in golden.json, with `finding`: the index of the matching finding, or null, and
`by`: place or judge), `answer` (null in a case without a question; else `text`, `suggestion`, `why_none`, and
`statements`: each with `text`, `required`, `stated` and `by`: words or judge), `findings` (with `golden`: the index of
the matching golden, or null for noise), `suppressed`, `measures` (null for a failed case), `usage`, `judge_usage`,
`seconds` and `notes`.

`measures` and `totals` have integers (`cases`, `clean`, `silent`, `matched`, `missed`, `noise`, `rated`, `agreed`)
and ratios of them (`precision`, `recall`, `f1`, `noise_per_case`, `silent_share`, `severity_agreement`; the last
three are null where the divisor is 0, all of them where no case was measured). `totals` also has `failed`, `usage`
and `judge_usage`: the sums over all cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hunkwise import __version__
from hunkwise.domain.review import Usage
from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError
from hunkwise.evaluation.results import CaseResult, Evaluation, ScoredGolden, ScoredStatement
from hunkwise.evaluation.scoring import Counts, sum_counts, sum_usage
from hunkwise.files import read_bounded

VERSION: Final = 1
_MOST_BYTES: Final = 100_000_000
_RATIOS: Final = ("precision", "recall", "f1", "noise_per_case", "silent_share", "severity_agreement")
_RESULT: Final = TypeAdapter(CaseResult)


def as_json(evaluation: Evaluation, comparison: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the report as JSON values."""
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
        "cases": [case_json(result) for result in evaluation.results],
        "comparison": comparison,
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
    for golden in result.goldens:
        if golden.finding is not None and not 0 <= golden.finding < len(result.findings):
            raise ValueError("a golden names a finding that is not there")
    for finding in result.findings:
        if finding.golden is not None and not 0 <= finding.golden < len(result.goldens):
            raise ValueError("a finding names a golden that is not there")
    return result


class _Earlier(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: int
    model: str | None = None
    judge: str | None = None
    settings: str = ""
    cases: list[dict[str, Any]]


def read_report(path: Path) -> Evaluation:
    """Reads an earlier report. Raises SettingsError that says what is wrong with the file."""
    option = f"--against {path}"
    try:
        raw = read_bounded(path, _MOST_BYTES)
    except OSError as error:
        raise SettingsError([f"{option}: it cannot be read ({error.strerror})."]) from error
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{option}: it has more than {_MOST_BYTES:,} bytes."])
    try:
        earlier = _Earlier.model_validate_json(raw)
        if earlier.version != VERSION:
            raise SettingsError([f"{option}: it has version {earlier.version}; only {VERSION} is read here."])
        results = tuple(read_case_result(case) for case in earlier.cases)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its top"
        message = f"{option}: it is no report of `hunkwise eval`: {place}: {first['msg'][:200]}."
        raise SettingsError([message]) from error
    except ValueError as error:
        raise SettingsError([f"{option}: it is damaged: {error}."]) from error
    return Evaluation(results, earlier.model, earlier.judge, settings=earlier.settings)


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


_SAME: Final = 1e-9
"""Tolerance for floats of the same counts."""


@dataclass(frozen=True, slots=True)
class CasePair:
    """The results of one case, before and now."""

    before: CaseResult
    now: CaseResult

    @property
    def new_misses(self) -> tuple[ScoredGolden | ScoredStatement, ...]:
        """The expectations that were met before and are not met now."""
        return tuple(_lost(self.before, self.now))

    @property
    def new_finds(self) -> tuple[ScoredGolden | ScoredStatement, ...]:
        return tuple(_lost(self.now, self.before))


@dataclass(frozen=True)
class Comparison:
    """The differences to an earlier run."""

    pairs: tuple[CasePair, ...]
    """Cases that can be compared: measured in both runs, with unchanged files."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Cases whose files or goldens have changed: not compared."""
    unmeasured: tuple[str, ...] = ()
    """Cases that failed in one of the runs: not compared."""
    max_regression: float = 0.0
    notes: tuple[str, ...] = ()
    """Other differences: the model and the judge."""

    @property
    def before(self) -> Counts:
        return sum_counts(pair.before.counts for pair in self.pairs)

    @property
    def now(self) -> Counts:
        return sum_counts(pair.now.counts for pair in self.pairs)

    @property
    def drop(self) -> float:
        """The decrease of F1 over the compared cases; negative if it is higher now."""
        return self.before.f1 - self.now.f1

    @property
    def regressed(self) -> bool:
        return self.drop > self.max_regression + _SAME


def compare(before: Evaluation, now: Evaluation, max_regression: float = 0.0) -> Comparison:
    """Compares two runs by the names of their cases."""
    old, new = _by_name(before.results), _by_name(now.results)
    both = [CasePair(old[name], new[name]) for name in new if name in old]
    same = [pair for pair in both if pair.before.digest == pair.now.digest]
    measured = [pair for pair in same if pair.before.failure is None and pair.now.failure is None]
    return Comparison(
        tuple(measured),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=_names(pair for pair in both if pair not in same),
        unmeasured=_names(pair for pair in same if pair not in measured),
        max_regression=max_regression,
        notes=tuple(_other_differences(before, now)),
    )


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the comparison as JSON values; `before`, `now` and `delta` include the compared cases only."""
    before, now = measures_json(comparison.before), measures_json(comparison.now)
    pairs = comparison.pairs
    return {
        "regressed": comparison.regressed,
        "max_regression": comparison.max_regression,
        "compared": len(pairs),
        "added": list(comparison.added),
        "removed": list(comparison.removed),
        "changed": list(comparison.changed),
        "unmeasured": list(comparison.unmeasured),
        "notes": list(comparison.notes),
        "before": {**before, "usage": usage_json(sum_usage(pair.before.usage for pair in pairs))},
        "now": {**now, "usage": usage_json(sum_usage(pair.now.usage for pair in pairs))},
        "delta": delta(comparison.before, comparison.now),
        "cases": [_pair_json(pair) for pair in pairs],
    }


def delta(before: Counts, now: Counts) -> dict[str, float | None]:
    """Returns the change of each measure, now minus before; None where one of them is not defined."""
    old, new = measures_json(before), measures_json(now)
    return {name: _difference(old[name], new[name]) for name in new}


def _difference(old: float | None, new: float | None) -> float | None:
    return None if old is None or new is None else round(new - old, 4)


def _pair_json(pair: CasePair) -> dict[str, Any]:
    return {
        "name": pair.now.name,
        "delta": delta(pair.before.counts, pair.now.counts),
        "new_misses": [_expectation_json(expectation) for expectation in pair.new_misses],
        "new_finds": [_expectation_json(expectation) for expectation in pair.new_finds],
    }


def _expectation_json(expectation: ScoredGolden | ScoredStatement) -> dict[str, Any]:
    if isinstance(expectation, ScoredStatement):
        return {"required": expectation.required, "text": expectation.text}
    golden = expectation
    return {"path": golden.path, "line": golden.line, "severity": golden.severity, "text": golden.text}


def _lost(met_in: CaseResult, unmet_in: CaseResult) -> Iterable[ScoredGolden | ScoredStatement]:
    """Yields the expectations that were met in the first and not in the second result of the same case."""
    # The expectations of both have the same order, because the files of the case are the same.
    for one, other in zip(met_in.expectations, unmet_in.expectations, strict=False):
        if one.met and not other.met:
            yield other


def _other_differences(before: Evaluation, now: Evaluation) -> Iterator[str]:
    """Yields differences between the runs other than the prompts."""
    if before.model != now.model:
        yield f"The model was {before.model or 'nobody by name'}, and is {now.model or 'nobody by name'}."
    if before.judge != now.judge:
        yield f"The judge was {before.judge or 'nobody'}, and is {now.judge or 'nobody'}: matches differ by that alone."


def _by_name(results: Iterable[CaseResult]) -> Mapping[str, CaseResult]:
    return {result.name: result for result in results}


def _names(pairs: Iterable[CasePair]) -> tuple[str, ...]:
    return tuple(pair.now.name for pair in pairs)

"""Compares an evaluation with an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hunkwise.evaluation.report import measures_json, usage_json
from hunkwise.evaluation.results import CaseResult, Evaluation, ScoredGolden, ScoredStatement
from hunkwise.evaluation.scoring import Counts, sum_counts, sum_usage

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
        """The decrease of the strict F1 over the compared cases; negative if it is higher now."""
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
    if before.min_confidence != now.min_confidence:
        yield f"min-confidence was {before.min_confidence:g}, and is {now.min_confidence:g}."


def _by_name(results: Iterable[CaseResult]) -> Mapping[str, CaseResult]:
    return {result.name: result for result in results}


def _names(pairs: Iterable[CasePair]) -> tuple[str, ...]:
    return tuple(pair.now.name for pair in pairs)

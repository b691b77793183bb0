"""Two evaluations → what became better and worse, over the cases that both have measured and nobody has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hunkwise.evaluation.evaluation import Evaluation
from hunkwise.evaluation.marks import MarkedGolden, Marks
from hunkwise.evaluation.measures import Counts, added, summed
from hunkwise.evaluation.report import measures_json, usage_json

_SAME: Final = 1e-9
"""Floats of the same counts differ by less."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One case, before and now."""

    before: Marks
    now: Marks

    @property
    def new_misses(self) -> tuple[MarkedGolden, ...]:
        """What was found before and is missed now."""
        return tuple(_lost(self.before, self.now))

    @property
    def new_finds(self) -> tuple[MarkedGolden, ...]:
        return tuple(_lost(self.now, self.before))


@dataclass(frozen=True)
class Comparison:
    """What has changed since an earlier run."""

    pairs: tuple[Pair, ...]
    """Cases that can be compared: measured in both, and the same."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Cases of which files or goldens are others now: not compared."""
    unmeasured: tuple[str, ...] = ()
    """Cases that failed then or now: not compared."""
    max_regression: float = 0.0
    notes: tuple[str, ...] = ()
    """What else is another: who answered, and who judged."""

    @property
    def before(self) -> Counts:
        return summed(pair.before.counts for pair in self.pairs)

    @property
    def now(self) -> Counts:
        return summed(pair.now.counts for pair in self.pairs)

    @property
    def drop(self) -> float:
        """By how much F1 over the compared cases is lower now; negative where it is higher."""
        return self.before.f1 - self.now.f1

    @property
    def regressed(self) -> bool:
        return self.drop > self.max_regression + _SAME


def compare(before: Evaluation, now: Evaluation, max_regression: float = 0.0) -> Comparison:
    """By the cases' names."""
    old, new = _by_name(before.marks), _by_name(now.marks)
    both = [Pair(old[name], new[name]) for name in new if name in old]
    same = [pair for pair in both if pair.before.digest == pair.now.digest]
    measured = [pair for pair in same if pair.before.failure is None and pair.now.failure is None]
    return Comparison(
        tuple(measured),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=_names(pair for pair in both if pair not in same),
        unmeasured=_names(pair for pair in same if pair not in measured),
        max_regression=max_regression,
        notes=tuple(_others(before, now)),
    )


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """For the report: `before`, `now` and `delta` are over the compared cases alone."""
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
        "before": {**before, "usage": usage_json(added(pair.before.usage for pair in pairs))},
        "now": {**now, "usage": usage_json(added(pair.now.usage for pair in pairs))},
        "delta": delta(comparison.before, comparison.now),
        "cases": [_pair_json(pair) for pair in pairs],
    }


def delta(before: Counts, now: Counts) -> dict[str, float | None]:
    """By measure, what it is now less what it was; None where one of them is not defined."""
    old, new = measures_json(before), measures_json(now)
    return {name: _difference(old[name], new[name]) for name in new}


def _difference(old: float | None, new: float | None) -> float | None:
    return None if old is None or new is None else round(new - old, 4)


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "name": pair.now.name,
        "delta": delta(pair.before.counts, pair.now.counts),
        "new_misses": [_golden_json(golden) for golden in pair.new_misses],
        "new_finds": [_golden_json(golden) for golden in pair.new_finds],
    }


def _golden_json(golden: MarkedGolden) -> dict[str, Any]:
    return {"path": golden.path, "line": golden.line, "severity": golden.severity, "text": golden.text}


def _lost(found_in: Marks, missed_in: Marks) -> Iterable[MarkedGolden]:
    """The same files and goldens stand behind both, so the goldens stand in the same order."""
    for one, other in zip(found_in.goldens, missed_in.goldens, strict=False):
        if one.finding is not None and other.finding is None:
            yield other


def _others(before: Evaluation, now: Evaluation) -> Iterator[str]:
    """Reasons for a difference that are not in the prompts."""
    if before.model != now.model:
        yield f"The model was {before.model or 'nobody by name'}, and is {now.model or 'nobody by name'}."
    if before.judge != now.judge:
        yield f"The judge was {before.judge or 'nobody'}, and is {now.judge or 'nobody'}: matches differ by that alone."


def _by_name(marks: Iterable[Marks]) -> Mapping[str, Marks]:
    return {one.name: one for one in marks}


def _names(pairs: Iterable[Pair]) -> tuple[str, ...]:
    return tuple(pair.now.name for pair in pairs)

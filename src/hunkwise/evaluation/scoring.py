"""Matches findings with expected ones: precision, recall, F1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.review import Usage
from hunkwise.evaluation.golden import AcceptedFinding
from hunkwise.tracking.assignment import assign_by_cost

_Nothing = TypeVar("_Nothing", float, None)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers that are summed over cases; all ratios are computed from the sums."""

    cases: int = 0
    clean: int = 0
    """Cases without goldens."""
    silent: int = 0
    """Clean cases in which nothing was found."""
    matched: int = 0
    """Goldens that were found."""
    missed: int = 0
    """Goldens that were not."""
    noise: int = 0
    """Findings that match no golden."""
    accepted: int = 0
    """Of the noise, the findings that match an accepted one."""
    rated: int = 0
    """Matched goldens that have a severity."""
    agreed: int = 0
    """Rated goldens whose finding has the same severity."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, entry.name) + getattr(other, entry.name) for entry in fields(Counts)))

    @property
    def precision(self) -> float:
        """Share of the findings that are golden; 1 where nothing was found, since nothing found is wrong."""
        return _share(self.matched, self.findings, 1.0)

    @property
    def recall(self) -> float:
        """Share of the goldens that were found; 1 where nothing was to be found."""
        return _share(self.matched, self.matched + self.missed, 1.0)

    @property
    def f1(self) -> float:
        """Harmonic mean of both, from the counts; 1 where nothing was to be found and nothing was."""
        return _share(2 * self.matched, 2 * self.matched + self.noise + self.missed, 1.0)

    @property
    def findings(self) -> int:
        return self.matched + self.noise

    @property
    def adjusted_precision(self) -> float:
        """Share of the findings that are golden or accepted; 1 where nothing was found."""
        return _share(self.matched + self.accepted, self.findings, 1.0)

    @property
    def adjusted_f1(self) -> float:
        """Harmonic mean of the adjusted precision and the recall."""
        precision, recall = self.adjusted_precision, self.recall
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def noise_per_case(self) -> float | None:
        """Average number of findings per case that match no golden; None without cases."""
        return _share(self.noise, self.cases, None)

    @property
    def silent_share(self) -> float | None:
        """Share of the clean cases in which nothing was found; None without clean cases."""
        return _share(self.silent, self.clean, None)

    @property
    def severity_agreement(self) -> float | None:
        """Share of the matched goldens with a severity whose finding has the same; None without such."""
        return _share(self.agreed, self.rated, None)


def sum_counts(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts())


def sum_usage(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())


def _share(part: int, whole: int, nothing: _Nothing) -> float | _Nothing:
    return part / whole if whole else nothing


class MatchSource(StrEnum):
    """The reason why a finding matches a golden."""

    PLACE = "place"
    """Its path and line."""
    JUDGE = "judge"
    """The second model's verdict on the meaning."""


@dataclass(frozen=True, slots=True)
class Match:
    """A golden and the finding that matches it, as indices in their lists."""

    golden: int
    finding: int
    by: MatchSource = MatchSource.PLACE


Pair = tuple[int, int]
"""The indices of a golden and a finding."""


@dataclass(frozen=True, slots=True)
class FindingMatches:
    """One-to-one matches of goldens and findings."""

    matches: tuple[Match, ...]
    spare: tuple[Pair, ...] = ()
    """Matched goldens with other findings that describe the same fault and match nothing, the best first: where the
    matching finding does not count, such a one matches."""
    notes: tuple[str, ...] = ()

    def renumbered(self, findings: Sequence[int]) -> FindingMatches:
        """Returns a copy in which each index of a finding is replaced by the one at that place of `findings`."""
        matches = tuple(Match(one.golden, findings[one.finding], one.by) for one in self.matches)
        return FindingMatches(
            matches, tuple((golden, findings[finding]) for golden, finding in self.spare), self.notes
        )


def lines_of(finding: Finding) -> range | None:
    """Returns the lines of a finding: of its anchor, else the line that the model named, else None."""
    if finding.anchor is not None:
        return finding.anchor.lines
    return None if finding.reported_line is None else range(finding.reported_line, finding.reported_line + 1)


def distance(golden: AcceptedFinding, finding: Finding) -> int | None:
    """Returns the number of lines between them, 0 if they overlap.

    None on different paths or sides, or if the finding has no line.
    """
    lines = lines_of(finding)
    side = finding.anchor.side if finding.anchor else Side.RIGHT
    if finding.path != golden.path or lines is None or side is not golden.side_of_diff:
        return None
    return max(0, golden.lines.start - lines[-1], lines.start - golden.lines[-1])


def near_pairs(
    goldens: Sequence[AcceptedFinding], findings: Sequence[Finding], window: int
) -> dict[Pair, int]:
    """Returns the distances of the pairs of golden and finding within the window, by their indices."""
    distances = {}
    for row, golden in enumerate(goldens):
        for column, finding in enumerate(findings):
            lines = distance(golden, finding)
            if lines is not None and lines <= window:
                distances[row, column] = lines
    return distances


def best(
    goldens: Sequence[AcceptedFinding], findings: Sequence[Finding], pairs: Mapping[Pair, int]
) -> dict[int, int]:
    """Returns the finding of each matched golden: of the allowed pairs the nearest first.

    Equally near pairs are chosen by agreement on the severity, then by the order of their texts: the order of the
    lists does not matter.
    """

    def texts(pair: Pair) -> tuple[Any, ...]:
        return _golden_key(goldens[pair[0]]), _finding_key(findings[pair[1]])

    candidates = (
        ((pairs[row, column], _disagreement(goldens[row], findings[column])), row, column)
        for row, column in sorted(pairs, key=texts)
    )
    return dict(sorted(assign_by_cost(candidates).items()))


def match(goldens: Sequence[AcceptedFinding], findings: Sequence[Finding], window: int) -> FindingMatches:
    """Returns one-to-one matches by place only."""
    pairs = near_pairs(goldens, findings, window)
    matches = tuple(Match(golden, finding) for golden, finding in best(goldens, findings, pairs).items())
    return FindingMatches(matches, spare_pairs(pairs, matches))


def spare_pairs(distances: Mapping[Pair, int], matches: Iterable[Match]) -> tuple[Pair, ...]:
    """Returns the pairs, the nearest first, whose golden is matched by another finding and whose finding by none."""
    finding_by_golden = {match.golden: match.finding for match in matches}
    taken = set(finding_by_golden.values())
    nearest_first = sorted(distances, key=lambda pair: (distances[pair], pair))
    return tuple(pair for pair in nearest_first if pair[0] in finding_by_golden and pair[1] not in taken)


def _disagreement(golden: AcceptedFinding, finding: Finding) -> int:
    """Returns the number of levels between the severities, 0 to 3."""
    return 0 if golden.level is None else abs(golden.level - finding.severity)


def _golden_key(golden: AcceptedFinding) -> tuple[Any, ...]:
    return golden.path, golden.line, golden.end_line or 0, golden.side, golden.level or 0, golden.text


def _finding_key(finding: Finding) -> tuple[Any, ...]:
    lines = lines_of(finding)
    place = (lines.start, lines.stop) if lines else (0, 0)
    texts = (finding.title, finding.body, finding.prompt, finding.category)
    return finding.path, *place, -finding.severity, *texts

"""Goldens and findings of a case → matches that the judge has looked at: it breaks pairs by place, and makes others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hunkwise.domain.finding import Finding
from hunkwise.evaluation.golden import MAX_WINDOW, GoldenFinding
from hunkwise.evaluation.judge import Judge
from hunkwise.evaluation.matching import By, Match, best, distance, near_pairs

MOST_PAIRS: Final = 40
"""Pairs of a case that are put before the judge beside those by place."""
_PARALLEL: Final = 4
_ELSEWHERE: Final = 1_000_000
"""Stands for the distance of what has no line in common to measure by: other sides, no line at all."""

Pair = tuple[int, int]
"""Indices of a golden and a finding."""


@dataclass(frozen=True)
class Judged:
    """The matches, and what the reader should know of them."""

    matches: tuple[Match, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Judging:
    """One case before its judge."""

    goldens: Sequence[GoldenFinding]
    findings: Sequence[Finding]
    window: int
    judge: Judge
    _verdicts: dict[Pair, bool | None] = field(default_factory=dict)

    async def matches(self) -> Judged:
        """Pairs that are near are asked about first; then, of what is left over, those of the same file.

        A verdict that could not be had leaves what the place says; the notes count those.
        """
        near = near_pairs(self.goldens, self.findings, self.window)
        first = best(self.goldens, self.findings, near)
        await self._ask(first.items())
        stand = {pair for pair in first.items() if self._verdicts[pair] is not False}
        rest = self._left_over({golden for golden, _ in stand}, {finding for _, finding in stand})
        asked = sorted(rest, key=lambda pair: (rest[pair], pair))[:MOST_PAIRS]
        await self._ask(asked)
        made = {pair: rest[pair] for pair in asked if self._holds(pair, near=pair in near)}
        later = best(self.goldens, self.findings, made)
        pairs = sorted(stand | set(later.items()))
        return Judged(
            tuple(Match(*pair, self._by(pair)) for pair in pairs), self._notes(len(rest) - len(asked))
        )

    def _left_over(self, goldens: set[int], findings: set[int]) -> dict[Pair, int]:
        """Pairs of the same file that nobody has judged, of which neither side is taken."""
        found = {}
        for row, golden in enumerate(self.goldens):
            for column, finding in enumerate(self.findings):
                pair = (row, column)
                taken = row in goldens or column in findings or pair in self._verdicts
                if golden.path == finding.path and not taken:
                    off = distance(golden, finding)
                    found[pair] = _ELSEWHERE if off is None else off
        return found

    def _holds(self, pair: Pair, *, near: bool) -> bool:
        verdict = self._verdicts[pair]
        return near if verdict is None else verdict

    def _by(self, pair: Pair) -> By:
        return By.PLACE if self._verdicts[pair] is None else By.JUDGE

    async def _ask(self, pairs: Iterable[Pair]) -> None:
        slots = asyncio.Semaphore(_PARALLEL)

        async def one(pair: Pair) -> None:
            async with slots:
                golden, finding = pair
                self._verdicts[pair] = await self.judge.same(self.goldens[golden], self.findings[finding])

        async with asyncio.TaskGroup() as group:
            for pair in pairs:
                group.create_task(one(pair))

    def _notes(self, unasked: int) -> tuple[str, ...]:
        notes = []
        if missing := len(self.judge.failed):
            pairs = "1 pair" if missing == 1 else f"{missing} pairs"
            notes.append(f"The judge did not decide on {pairs}, so the place did: {self.judge.failed[0]}")
        if unasked:
            notes.append(
                f"{unasked} pairs of the same file were not put before the judge ({MOST_PAIRS} are)."
            )
        return tuple(notes)


assert MAX_WINDOW < _ELSEWHERE

"""Numbered lines, of one side of a diff or of a whole file, and on which of them a code stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import code_key
from hunkwise.publish.lifecycle.pairing import paired

_SUBSTANTIAL = 12
"""Characters besides blanks from which a code is taken to be one of a kind: `}` is not."""


class NumberedLines:
    """Lines by their numbers. A code of `span` lines stands on a line when it ends there."""

    def __init__(self, text_by_number: Mapping[int, str], removed: frozenset[int] | None = None) -> None:
        """`removed`: numbers of which a code must have one; None where any line will do."""
        self._texts = text_by_number
        self._removed = removed

    @classmethod
    def of_diff(cls, file: FileDiff, side: Side) -> NumberedLines:
        """What the diff shows. On the LEFT only what is removed counts: the rest is there as it was."""
        rows = file.lines_by_side[side]
        texts = {number: row.text for number, row in rows.items()}
        removed = frozenset(number for number, row in rows.items() if row.changed)
        return cls(texts, removed if side is Side.LEFT else None)

    @classmethod
    def of_text(cls, text: str) -> NumberedLines:
        return cls(dict(enumerate(text.split("\n"), 1)))

    def shows(self, line: int, span: int) -> bool:
        """Whether all of the `span` lines that end with this one are there."""
        return all(number in self._texts for number in range(line - span + 1, line + 1))

    def code_on(self, line: int, span: int) -> str | None:
        """The `span` lines that end with this one, joined; None where no code stands on it."""
        numbers = range(line - span + 1, line + 1)
        if not self.shows(line, span) or (self._removed is not None and self._removed.isdisjoint(numbers)):
            return None
        return "\n".join(self._texts[number] for number in numbers)

    def lines_with(self, keys: Collection[str], span: int) -> dict[str, list[int]]:
        """The lines, in ascending order, that codes of these keys stand on. One pass over all lines."""
        found: dict[str, list[int]] = {}
        for line, code in self._codes(span):
            key = code_key(code)
            if key in keys:
                found.setdefault(key, []).append(line)
        return found

    def _codes(self, span: int) -> Iterator[tuple[int, str]]:
        """Every code of `span` lines, by its last line."""
        numbers = sorted(self._texts)
        texts = [self._texts[number] for number in numbers]
        for first, number in enumerate(numbers[: len(numbers) - span + 1]):
            last = number + span - 1
            if numbers[first + span - 1] != last:
                continue  # another hunk begins in between
            if self._removed is None or not self._removed.isdisjoint(range(number, last + 1)):
                yield last, texts[first] if span == 1 else "\n".join(texts[first : first + span])


def is_substantial(code: str) -> bool:
    """Whether the code is long enough to be known again anywhere."""
    return len("".join(code.split())) >= _SUBSTANTIAL


def assigned(wanted: Sequence[tuple[int, int]], lines: Sequence[int]) -> dict[int, int]:
    """Index in `wanted` → its line: one to one, the exact ones first, then by rank, then the nearest.

    `wanted` holds a rank and the line looked for; `lines` ascend. None of them needs to look at more lines on
    either side than there are others who could take them.
    """
    most = len(wanted)
    scored = []
    for index, (rank, line) in enumerate(wanted):
        position = bisect_left(lines, line)
        for near in lines[max(0, position - most) : position + most]:
            scored.append(((near != line, rank, abs(near - line)), index, near))
    return paired(scored)

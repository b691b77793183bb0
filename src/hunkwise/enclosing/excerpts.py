"""Excerpts of the functions and classes around changed lines, and of those that they call, for a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from hunkwise.domain.diff import DiffLine, Hunk
from hunkwise.domain.text import visible
from hunkwise.enclosing.scopes import Chain, Place, Scope
from hunkwise.plan.chunking import allotted

_END = DiffLine(" ", None, None, b"")


def places_in(hunks: Iterable[Hunk]) -> tuple[Place, ...]:
    """Returns the runs of changed lines. For lines that were only removed, it is the line before them, or line 1."""
    places: list[Place] = []
    for hunk in hunks:
        before = max(1, hunk.new_start - 1)
        added: list[int] = []
        removed = False
        for line in (*hunk.lines, _END):
            if line.kind == "+" and line.new is not None:
                added.append(line.new)
            elif line.kind == "-":
                removed = True
            elif added:
                places.append((added[0], added[-1]))
            elif removed:
                places.append((before, before))
            if line.kind == " ":
                before, added, removed = line.new or before, [], False
    return tuple(dict.fromkeys(places))


def shown_in(hunks: Iterable[Hunk]) -> frozenset[int]:
    """Returns the line numbers of the new file that the hunks show."""
    return frozenset(line.new for hunk in hunks for line in hunk.lines if line.new is not None)


ROW_LIMIT = 300
"""Characters of a row's code that are shown."""
GAP = "    … |"
"""Replaces rows that the diff shows, or that are omitted."""
_HEAD_ROWS = 6
"""Rows of a header that are shown."""
_NEAR_ROWS = 12
_MOST_ROWS = 2_000
_ROW_SIZE = 9
_GAP_SIZE = len(GAP) + 1


class Reach(NamedTuple):
    """How much of a scope is shown, in rows before and after a place."""

    function: int
    cls: int
    """Of a class, at a place that is outside of its functions."""
    outward: bool = False
    """Where the diff shows all of the innermost function, the one around it is shown."""


WHOLE = Reach(_MOST_ROWS, _NEAR_ROWS, outward=True)
TEST = Reach(_NEAR_ROWS, 0)
"""In a file of tests: neither the tests beside the changed one, nor long tables of data."""
DEFINITION_ROWS = 40
DEFINITION = Reach(DEFINITION_ROWS - 1, DEFINITION_ROWS - 1)
"""Rows after the first one of a definition."""


@dataclass(frozen=True, slots=True)
class FileLines:
    """One file of a chunk: its lines at the head, and the scopes around its changes."""

    title: str
    """The line above its rows in the prompt."""
    lines: Sequence[str]
    shown: frozenset[int]
    """Numbers of the lines that the diff shows."""
    places: Sequence[tuple[Place, Chain]]
    reach: Reach = WHOLE


@dataclass(frozen=True, slots=True)
class Excerpts:
    """The excerpts as text, and how many functions and classes did not fit."""

    text: str = ""
    cut: int = 0
    """Functions and classes that are shown in part."""
    absent: int = 0
    """Functions and classes that are not shown at all."""
    rows: tuple[frozenset[int], ...] = ()
    """The numbers of the rows that are shown of each file."""


@dataclass(slots=True)
class _Group:
    """A scope that contains changes, and the rows to show for it, by priority."""

    file: FileLines
    outer: Chain
    target: Scope | None
    places: list[Place] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    size: int = 0


def excerpts(files: Iterable[FileLines], room: int) -> Excerpts:
    """Returns the rows that fit into `room` characters: every scope gets a fair share of it, the smallest first.

    For a scope that does not fit, its header is shown, and as many rows around the changes as fit.
    """
    files = tuple(files)
    groups = [group for file in files for group in _group_places(file)]
    shown_files = {id(group.file): group.file for group in groups}.values()
    titles = sum(len(file.title) + 2 for file in shown_files)
    shares = allotted([group.size for group in groups], room - titles)
    rows_by_file: dict[int, set[int]] = {}
    cut = absent = 0
    for group, share in zip(groups, shares, strict=True):
        rows = group.rows if share >= group.size else list(_take_fitting_rows(group, share))
        rows_by_file.setdefault(id(group.file), set()).update(rows)
        cut += bool(rows) and len(rows) < len(group.rows)
        absent += not rows
    blocks = [
        _format_block(file, sorted(rows_by_file[id(file)])) for file in shown_files if rows_by_file[id(file)]
    ]
    shown = tuple(frozenset(rows_by_file.get(id(file), ())) for file in files)
    return Excerpts("\n\n".join(blocks), cut, absent, shown)


def _group_places(file: FileLines) -> list[_Group]:
    groups: dict[tuple[Chain, Scope | None], _Group] = {}
    for place, chain in file.places:
        outer, target = _choose_target(chain, file.shown, outward=file.reach.outward)
        group = groups.setdefault((outer, target), _Group(file, outer, target))
        group.places.append(place)
    for group in groups.values():
        group.rows = list(dict.fromkeys(_prioritize_rows(group)))[:_MOST_ROWS]
        group.size = (
            sum(_measure_row(group.file, row) for row in group.rows) + _count_gaps(group.rows) * _GAP_SIZE
        )
    return [group for group in groups.values() if group.rows]


def _choose_target(chain: Chain, shown: frozenset[int], *, outward: bool) -> tuple[Chain, Scope | None]:
    """Returns the outer scopes and the scope to show: the innermost function that the diff does not show completely.

    If there are no functions, it is the innermost such class. None if the diff shows all of them; if not `outward`,
    if it shows the innermost one.
    """
    functions = [index for index, scope in enumerate(chain) if scope.function]
    indices = functions or range(len(chain))
    for index in reversed(indices if outward else indices[-1:]):
        scope = chain[index]
        if not shown.issuperset(range(scope.start, scope.end + 1)):
            return chain[:index], scope
    return tuple(scope for scope in chain if not (outward and scope.function)), None


def _prioritize_rows(group: _Group) -> Iterator[int]:
    """Yields row numbers by priority: headers from the outermost scope inward, then rows by distance to a change."""
    shown, lines = group.file.shown, len(group.file.lines)
    target = group.target
    for scope in (*group.outer, *([target] if target else [])):
        for row in range(scope.head, min(scope.head_end, scope.head + _HEAD_ROWS - 1) + 1):
            if row not in shown:
                yield row
    if target is None:
        return
    reach = group.file.reach.function if target.function else group.file.reach.cls
    for distance in range(min(reach, target.end - target.start) + 1):
        for first, last in group.places:
            for row in (first - distance, last + distance):
                if max(1, target.start) <= row <= min(target.end, lines) and row not in shown:
                    yield row


def _take_fitting_rows(group: _Group, share: int) -> Iterator[int]:
    """Yields the rows with the highest priority, as many as fit."""
    share -= _GAP_SIZE * (_count_gaps(group.rows) + 2 * len(group.places))
    for row in group.rows:
        share -= _measure_row(group.file, row)
        if share < 0:
            return
        yield row


def _format_block(file: FileLines, rows: Sequence[int]) -> str:
    block = [file.title]
    before = 0
    for row in rows:
        if row > before + 1:
            block.append(GAP)
        block.append(f"{row:5} | {_format_row(file, row)}".rstrip())
        before = row
    if before < len(file.lines):
        block.append(GAP)
    return "\n".join(block)


def _count_gaps(rows: Iterable[int]) -> int:
    ordered = sorted(rows)
    return 2 + sum(1 for row, following in pairwise(ordered) if following > row + 1)


def _format_row(file: FileLines, row: int) -> str:
    code = file.lines[row - 1]
    text = visible(code[:ROW_LIMIT].removesuffix("\r"))[: 2 * ROW_LIMIT]
    return text if len(code) <= ROW_LIMIT else f"{text} …"


def _measure_row(file: FileLines, row: int) -> int:
    return len(_format_row(file, row)) + _ROW_SIZE + 2 * (row > 99_999)

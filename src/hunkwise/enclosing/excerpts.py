"""Which rows around a chunk's hunks are shown, so that they fit into a room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hunkwise.enclosing.places import Place
from hunkwise.enclosing.scopes import Chain, Scope
from hunkwise.plan.allotment import allotted
from hunkwise.plan.display import visible

ROW_LIMIT = 300
"""Characters of a row's code that are shown."""
GAP = "    … |"
"""Stands for rows that the diff shows, or that are left out."""
_HEAD_ROWS = 6
"""Rows of a header that are shown."""
_CLASS_ROWS = 12
"""Rows on each side of a place in a class and outside of its functions."""
_MOST_ROWS = 2_000
_ROW_SIZE = 9
_GAP_SIZE = len(GAP) + 1


@dataclass(frozen=True, slots=True)
class Around:
    """One file of a chunk: its lines at the head, and what stands around its changes."""

    title: str
    """The line above its rows."""
    lines: Sequence[str]
    shown: frozenset[int]
    """Numbers of the lines that the diff shows."""
    places: Sequence[tuple[Place, Chain]]


@dataclass(frozen=True, slots=True)
class Excerpts:
    """What is shown of the files, and how many functions and classes found no room, whole or in part."""

    text: str = ""
    cut: int = 0
    absent: int = 0


@dataclass(slots=True)
class _Group:
    """A scope that holds changes, and the rows that are wanted for it, the most wanted first."""

    around: Around
    outer: Chain
    target: Scope | None
    places: list[Place] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    size: int = 0


def excerpts(files: Iterable[Around], room: int) -> Excerpts:
    """The rows that fit into `room` characters: every scope gets a fair share of it, the smallest first.

    Of a scope that does not fit its header is shown, and as many rows around the changes as fit.
    """
    groups = [group for around in files for group in _groups(around)]
    titled = {id(group.around): group.around for group in groups}.values()
    shares = allotted([group.size for group in groups], room - sum(len(one.title) + 2 for one in titled))
    picked: dict[int, set[int]] = {}
    cut = absent = 0
    for group, share in zip(groups, shares, strict=True):
        rows = group.rows if share >= group.size else list(_fitting(group, share))
        picked.setdefault(id(group.around), set()).update(rows)
        cut += bool(rows) and len(rows) < len(group.rows)
        absent += not rows
    blocks = [_block(around, sorted(picked[id(around)])) for around in titled if picked[id(around)]]
    return Excerpts("\n\n".join(blocks), cut, absent)


def _groups(around: Around) -> list[_Group]:
    groups: dict[tuple[Chain, Scope | None], _Group] = {}
    for place, chain in around.places:
        outer, target = _target(chain, around.shown)
        group = groups.setdefault((outer, target), _Group(around, outer, target))
        group.places.append(place)
    for group in groups.values():
        group.rows = list(dict.fromkeys(_wanted(group)))[:_MOST_ROWS]
        group.size = sum(_size(group.around, row) for row in group.rows) + _gaps(group.rows) * _GAP_SIZE
    return [group for group in groups.values() if group.rows]


def _target(chain: Chain, shown: frozenset[int]) -> tuple[Chain, Scope | None]:
    """The innermost function that the diff does not show whole, else the innermost class; and what is around it."""
    functions = [place for place, scope in enumerate(chain) if scope.function]
    for place in reversed(functions or range(len(chain))):
        scope = chain[place]
        if not shown.issuperset(range(scope.start, scope.end + 1)):
            return chain[:place], scope
    return tuple(scope for scope in chain if not scope.function), None


def _wanted(group: _Group) -> Iterator[int]:
    """Numbers of rows, the most wanted first: headers from the outside in, then from the changes outward."""
    shown, lines = group.around.shown, len(group.around.lines)
    target = group.target
    for scope in (*group.outer, *([target] if target else [])):
        for row in range(scope.head, min(scope.head_end, scope.head + _HEAD_ROWS - 1) + 1):
            if row not in shown:
                yield row
    if target is None:
        return
    reach = target.end - target.start if target.function else _CLASS_ROWS
    for distance in range(min(reach, _MOST_ROWS) + 1):
        for first, last in group.places:
            for row in (first - distance, last + distance):
                if max(1, target.start) <= row <= min(target.end, lines) and row not in shown:
                    yield row


def _fitting(group: _Group, share: int) -> Iterator[int]:
    """The most wanted rows, as many as fit."""
    share -= _GAP_SIZE * (_gaps(group.rows) + 2 * len(group.places))
    for row in group.rows:
        share -= _size(group.around, row)
        if share < 0:
            return
        yield row


def _block(around: Around, rows: Sequence[int]) -> str:
    shown = [around.title]
    before = 0
    for row in rows:
        if row > before + 1:
            shown.append(GAP)
        shown.append(f"{row:5} | {_text(around, row)}".rstrip())
        before = row
    if before < len(around.lines):
        shown.append(GAP)
    return "\n".join(shown)


def _gaps(rows: Iterable[int]) -> int:
    ordered = sorted(rows)
    return 2 + sum(1 for one, other in pairwise(ordered) if other > one + 1)


def _text(around: Around, row: int) -> str:
    code = around.lines[row - 1]
    shown = visible(code[:ROW_LIMIT].removesuffix("\r"))
    if len(shown) > 2 * ROW_LIMIT:
        shown = shown[: 2 * ROW_LIMIT]
    return shown if len(code) <= ROW_LIMIT else f"{shown} …"


def _size(around: Around, row: int) -> int:
    return len(_text(around, row)) + _ROW_SIZE + 2 * (row > 99_999)

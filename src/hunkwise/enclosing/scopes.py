"""The functions and classes around changed lines, found by a worker process, as excerpts for a prompt."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec, module_from_spec
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple, Self

from hunkwise.domain.diff import DiffLine, Hunk
from hunkwise.domain.text import visible
from hunkwise.plan.chunking import allotted
from hunkwise.worker import Worker


class Scope(NamedTuple):
    """Lines of the new file, 1-based. `start <= head <= head_end <= end`."""

    start: int
    """With decorators and the like."""
    head: int
    """Where its own header begins."""
    head_end: int
    """The last line of its header."""
    end: int
    function: bool
    """Or a method; otherwise a class, an interface, a namespace and so on."""


Chain = tuple[Scope, ...]
"""The scopes around a place, the outermost first."""

_BY_ENDING = {
    "python": (".py", ".pyi"),
    "javascript": (".js", ".jsx", ".mjs", ".cjs"),
    "typescript": (".ts", ".mts", ".cts"),
    "tsx": (".tsx",),
    "go": (".go",),
    "java": (".java",),
    "rust": (".rs",),
    "c": (".c",),
    "cpp": (".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".cu", ".cuh"),
    "csharp": (".cs",),
    "ruby": (".rb", ".rake"),
    "php": (".php",),
}
LANGUAGES = tuple(_BY_ENDING)
_LANGUAGE = {ending: language for language, endings in _BY_ENDING.items() for ending in endings}


def language_of(path: str) -> str | None:
    """One of LANGUAGES by the name's ending; None for a language that nothing here can parse."""
    dot = path.rfind(".")
    return _LANGUAGE.get(path[dot:].lower()) if dot >= 0 else None


SECONDS = 3.0
"""Wall-clock time of one file, the child's start included."""


class ScopeFinder:
    """One child, started early by `begin`; once it died or was late, nothing is known any more."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds`: of wall-clock time for one file; `python`: the interpreter that the child runs in."""
        self._seconds = seconds
        self._child = Worker("hunkwise.enclosing.scope_worker", _package, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._child.close()

    @property
    def failed(self) -> bool:
        """Nothing will be known any more."""
        return self._child.failed

    def begin(self) -> None:
        """Starts the child, so that it is ready when it is asked."""
        self._child.begin()

    def scopes(
        self, language: str, text: str, places: Sequence[tuple[int, int]], seconds: float
    ) -> tuple[Chain, ...] | None:
        """A chain for each place, each a pair of 1-based lines; None where nothing can be said of the file.

        Takes `seconds` at the most. Raises nothing that the file did.
        """
        if seconds <= 0:
            return None
        question = json.dumps({"language": language, "text": text, "places": list(places)})
        answer = self._child.answer(question, min(seconds, self._seconds))
        return _chains(answer, len(places), text.count("\n") + 1) if answer else None


def _package() -> ModuleType | None:
    """The package is not executed here: it is the child's alone."""
    found = find_spec("tree_sitter")
    return module_from_spec(found) if found else None


def _chains(answer: str, count: int, lines: int) -> tuple[Chain, ...] | None:
    """What the child says, if it can be: it has read a stranger's file."""
    try:
        said = json.loads(answer)
        if not isinstance(said, list) or len(said) != count:
            return None
        chains = tuple(tuple(Scope(*scope) for scope in chain) for chain in said)
        sound = all(
            1 <= one.start <= one.head <= one.head_end <= one.end <= lines
            for chain in chains
            for one in chain
        )
    except (ValueError, TypeError, RecursionError):
        return None
    return chains if sound else None


Place = tuple[int, int]
"""The first and the last of some lines of the new file, 1-based."""
_END = DiffLine(" ", None, None, b"")


def places_in(hunks: Iterable[Hunk]) -> tuple[Place, ...]:
    """The runs of changed lines. Where lines were only removed it is the line before them, or the first one."""
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
    """The lines of the new file that the hunks show."""
    return frozenset(line.new for hunk in hunks for line in hunk.lines if line.new is not None)


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
class FileLines:
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

    around: FileLines
    outer: Chain
    target: Scope | None
    places: list[Place] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    size: int = 0


def excerpts(files: Iterable[FileLines], room: int) -> Excerpts:
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


def _groups(around: FileLines) -> list[_Group]:
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


def _block(around: FileLines, rows: Sequence[int]) -> str:
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


def _text(around: FileLines, row: int) -> str:
    code = around.lines[row - 1]
    shown = visible(code[:ROW_LIMIT].removesuffix("\r"))
    if len(shown) > 2 * ROW_LIMIT:
        shown = shown[: 2 * ROW_LIMIT]
    return shown if len(code) <= ROW_LIMIT else f"{shown} …"


def _size(around: FileLines, row: int) -> int:
    return len(_text(around, row)) + _ROW_SIZE + 2 * (row > 99_999)

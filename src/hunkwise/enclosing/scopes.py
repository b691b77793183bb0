"""Finds the functions and classes around changed lines with a worker process, and excerpts them for a prompt."""

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
    """A function or class, as 1-based lines of the new file. `start <= head <= head_end <= end`."""

    start: int
    """The first line, including decorators."""
    head: int
    """The first line of its header."""
    head_end: int
    """The last line of its header."""
    end: int
    function: bool
    """True for a function or method; False for a class, an interface, a namespace and so on."""


Chain = tuple[Scope, ...]
"""The scopes around a place, outermost first."""
Place = tuple[int, int]
"""A range of lines of the new file: first and last, 1-based."""

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
_DATA = {".json": "json", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml"}
"""Languages without scopes, whose syntax is checked. Not .jsonc and .json5, for which there is no parser here."""


def language_of(path: str) -> str | None:
    """Returns one of LANGUAGES by the file's ending; None if there is no grammar for it."""
    return _LANGUAGE.get(_ending(path))


def _ending(path: str) -> str:
    dot = path.rfind(".")
    return path[dot:].lower() if dot >= 0 else ""


SECONDS = 3.0
"""Wall-clock time for one file, including the start of the worker."""
CHECK_SECONDS = 5.0
"""The same where the syntax of a file is checked; the largest files that are parsed take about 3 s."""
LARGEST = 1_000_000
"""Maximum size in characters of a file whose syntax is checked."""


class ScopeFinder:
    """Parses files in one worker process, which `begin` starts early. After it died or was late, finds nothing."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds` is the wall-clock time for one file; `python` is the worker's interpreter."""
        self._seconds = seconds
        self._worker = Worker("hunkwise.enclosing.scope_worker", _find_tree_sitter, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._worker.close()

    @property
    def failed(self) -> bool:
        """The worker died, was late or could not be started: no more scopes are found."""
        return self._worker.failed

    def begin(self) -> None:
        """Starts the worker early, so that it is ready for the first question."""
        self._worker.begin()

    def scopes(
        self, language: str, text: str, places: Sequence[Place], seconds: float
    ) -> tuple[Chain, ...] | None:
        """Returns a chain per place (a pair of 1-based lines); None if the file could not be parsed in time.

        Takes at most `seconds`. Never raises because of the file.
        """
        if seconds <= 0:
            return None
        question = json.dumps({"language": language, "text": text, "places": list(places)})
        answer = self._worker.answer(question, min(seconds, self._seconds))
        return _parse_chains(answer, len(places), text.count("\n") + 1) if answer else None

    def syntax_errors(self, path: str, text: str) -> tuple[Place, ...] | None:
        """Returns the lines of each syntax error; None if the file is too large or could not be parsed in time.

        There are none in files of a language that has no parser here. Never raises because of the file.
        """
        ending = _ending(path)
        language = _LANGUAGE.get(ending) or _DATA.get(ending)
        if language is None:
            return ()
        if len(text) > LARGEST:
            return None
        answer = self._worker.answer(json.dumps({"language": language, "text": text}), self._seconds)
        try:
            return tuple((int(first), int(last)) for first, last in json.loads(answer))
        except (ValueError, TypeError, RecursionError):
            return None


def _find_tree_sitter() -> ModuleType | None:
    """Returns the tree_sitter package without executing it: only the worker runs its code."""
    spec = find_spec("tree_sitter")
    return module_from_spec(spec) if spec else None


def _parse_chains(answer: str, count: int, lines: int) -> tuple[Chain, ...] | None:
    """Parses the worker's answer; None if it is invalid. It is untrusted: the worker has read an untrusted file."""
    try:
        decoded = json.loads(answer)
        if not isinstance(decoded, list) or len(decoded) != count:
            return None
        chains = tuple(tuple(Scope(*scope) for scope in chain) for chain in decoded)
        valid = all(
            1 <= scope.start <= scope.head <= scope.head_end <= scope.end <= lines
            for chain in chains
            for scope in chain
        )
    except (ValueError, TypeError, RecursionError):
        return None
    return chains if valid else None


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
_CLASS_ROWS = 12
"""Rows before and after a place that is in a class, but outside of its functions."""
_MOST_ROWS = 2_000
_ROW_SIZE = 9
_GAP_SIZE = len(GAP) + 1


@dataclass(frozen=True, slots=True)
class FileLines:
    """One file of a chunk: its lines at the head, and the scopes around its changes."""

    title: str
    """The line above its rows in the prompt."""
    lines: Sequence[str]
    shown: frozenset[int]
    """Numbers of the lines that the diff shows."""
    places: Sequence[tuple[Place, Chain]]


@dataclass(frozen=True, slots=True)
class Excerpts:
    """The excerpts as text, and how many functions and classes did not fit."""

    text: str = ""
    cut: int = 0
    """Functions and classes that are shown in part."""
    absent: int = 0
    """Functions and classes that are not shown at all."""


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
    return Excerpts("\n\n".join(blocks), cut, absent)


def _group_places(file: FileLines) -> list[_Group]:
    groups: dict[tuple[Chain, Scope | None], _Group] = {}
    for place, chain in file.places:
        outer, target = _choose_target(chain, file.shown)
        group = groups.setdefault((outer, target), _Group(file, outer, target))
        group.places.append(place)
    for group in groups.values():
        group.rows = list(dict.fromkeys(_prioritize_rows(group)))[:_MOST_ROWS]
        group.size = (
            sum(_measure_row(group.file, row) for row in group.rows) + _count_gaps(group.rows) * _GAP_SIZE
        )
    return [group for group in groups.values() if group.rows]


def _choose_target(chain: Chain, shown: frozenset[int]) -> tuple[Chain, Scope | None]:
    """Returns the outer scopes and the scope to show: the innermost function that the diff does not show completely.

    If there are no functions, it is the innermost such class. None if the diff shows all of them.
    """
    functions = [index for index, scope in enumerate(chain) if scope.function]
    for index in reversed(functions or range(len(chain))):
        scope = chain[index]
        if not shown.issuperset(range(scope.start, scope.end + 1)):
            return chain[:index], scope
    return tuple(scope for scope in chain if not scope.function), None


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
    reach = target.end - target.start if target.function else _CLASS_ROWS
    for distance in range(min(reach, _MOST_ROWS) + 1):
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

"""Proof that a place is in the diff, or a sentence that lets whoever named it mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from hunkwise.domain.diff import FileDiff, Hunk, Side
from hunkwise.domain.finding import Anchor
from hunkwise.publish.characters import cut, one_line

LONGEST_SPAN = 200
_NEAR_RANGES = 3
_MOST_COMPARED = 500


def by_path(files: Iterable[FileDiff]) -> dict[str, FileDiff]:
    """The files by their names at the head."""
    return {file.path: file for file in files}


def anchor_fault(
    path: str, line: int, start_line: int | None, side: Side, files_by_path: Mapping[str, FileDiff]
) -> Anchor | str:
    """The proved anchor with its code, or what is wrong with it. A name from before a rename is mended."""
    file = _file(path, files_by_path)
    if file is None:
        return _unknown_path(path, files_by_path)
    start = line if start_line is None else start_line
    fault = _span_fault(start, line)
    if fault:
        return fault
    hunk = file.hunk_at(side, line)
    if hunk is None:
        return _not_shown(line, side, file)
    if start != line:
        first = file.hunk_at(side, start)
        if first is None:
            return _not_shown(start, side, file)
        if first is not hunk:
            return (
                f"lines {start}–{line} of {_named(file.path)} reach over several hunks; "
                f"stay within {_shown_range(hunk, side)}"
            )
    shown = file.lines_by_side[side]
    code = "\n".join(shown[number].text for number in range(start, line + 1) if number in shown)
    return Anchor(file.path, line, side, None if start == line else start, code)


def _file(path: str, files_by_path: Mapping[str, FileDiff]) -> FileDiff | None:
    file = files_by_path.get(path)
    if file is not None:
        return file
    return next((other for other in files_by_path.values() if other.old_path == path), None)


def _unknown_path(path: str, files_by_path: Mapping[str, FileDiff]) -> str:
    nearest = _nearest(path, files_by_path)
    hint = f"; did you mean {_named(nearest)}?" if nearest else ""
    return f"{_named(path)} is not among the changed files{hint}"


def _nearest(path: str, files_by_path: Mapping[str, FileDiff]) -> str | None:
    """A changed file that ends alike, or is spelt alike."""
    name = path.rsplit("/", 1)[-1]
    alike = [known for known in files_by_path if known == name or known.endswith(f"/{name}")]
    candidates = alike or list(files_by_path)[:_MOST_COMPARED]
    close = get_close_matches(path[:500], candidates, n=1, cutoff=0.0 if alike else 0.6)
    return close[0] if close else None


def _span_fault(start: int, line: int) -> str | None:
    if min(start, line) < 1:
        return f"line {min(start, line)} does not exist: lines are counted from 1"
    if start > line:
        return f"start_line {start} comes after line {line}; start_line must be the first and line the last"
    if line - start >= LONGEST_SPAN:
        return f"lines {start}–{line} are more than {LONGEST_SPAN}; name the few that the finding is about"
    return None


def _not_shown(line: int, side: Side, file: FileDiff) -> str:
    path = _named(file.path)
    other = Side.LEFT if side is Side.RIGHT else Side.RIGHT
    missing = f"line {line} of {path} is not in the diff"
    if not file.hunks:
        return f"{missing}: none of its lines is shown"
    where = "" if side is Side.RIGHT else " on side LEFT"
    near = _near(line, side, file)
    if not near:
        return f"{missing}{where}: it has no changed lines there; name side {other} instead"
    hint = ""
    if line in file.lines_by_side[other] and file.lines_by_side[other][line].changed:
        meant = "removed" if other is Side.LEFT else "added"
        hint = f"; if you mean the {meant} line, name side {other}"
    return f"{missing}{where}; changed lines near it: {', '.join(near)}{hint}"


def _near(line: int, side: Side, file: FileDiff) -> list[str]:
    """The ranges of changed lines that are nearest, in their order in the file."""
    changed = sorted(number for number, row in file.lines_by_side[side].items() if row.changed)
    nearest = sorted(_ranges(changed), key=lambda span: max(span[0] - line, line - span[1]))
    return [
        f"{first}–{last}" if first != last else f"{first}" for first, last in sorted(nearest[:_NEAR_RANGES])
    ]


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as runs: first and last of each."""
    start = previous = None
    for number in numbers:
        if start is None or previous is None or number != previous + 1:
            if start is not None and previous is not None:
                yield start, previous
            start = number
        previous = number
    if start is not None and previous is not None:
        yield start, previous


def _shown_range(hunk: Hunk, side: Side) -> str:
    numbers = [row.new if side is Side.RIGHT else row.old for row in hunk.lines]
    shown = [number for number in numbers if number is not None]
    return f"{shown[0]}–{shown[-1]}"


def _named(path: str) -> str:
    return cut(one_line(path), 200)

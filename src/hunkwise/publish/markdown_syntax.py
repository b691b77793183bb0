"""Recognizes fenced code, code spans and tables in untrusted Markdown."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

RUNS = re.compile("`+")
_OPENERS = re.compile(r"\\[!-/:-@\[-`{-~]|`+")
_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<ticks>`{3,}|~{3,})(?P<info>[^\n]*)")
_PIPE = re.compile(r"(?<!\\)\|")
_DASHES = re.compile(" *:?-+:? *")
MOST_COLUMNS = 20


def fence_opening(line: str) -> re.Match[str] | None:
    """Returns the match (`indent`, `ticks`, `info`) of a line that opens a fence; None for another line."""
    opening = _FENCE.fullmatch(line)
    return None if opening and opening["ticks"][0] == "`" and "`" in opening["info"] else opening


def read_fenced_lines(lines: Iterator[str], opening: re.Match[str]) -> Iterator[str]:
    """Yields the lines up to the closing fence, or to the end, without the opening's indentation."""
    ticks = opening["ticks"]
    indent = len(opening["indent"])
    for current in lines:
        bare = current.strip()
        if len(bare) >= len(ticks) and not bare.strip(ticks[0]):
            return
        yield current[min(indent, len(current) - len(current.lstrip())) :]


def find_code_spans(text: str) -> Iterator[tuple[int, int, int]]:
    """Yields start, end and delimiter length of each code span, paired as in CommonMark."""
    starts: dict[int, list[int]] = {}
    for run in RUNS.finditer(text):
        starts.setdefault(len(run[0]), []).append(run.start())
    position = 0
    while opener := _OPENERS.search(text, position):
        position = opener.end()
        if opener[0][0] == "\\":
            continue
        ticks = len(opener[0])
        candidates = starts.get(ticks, [])
        closer = bisect_left(candidates, position)
        if closer < len(candidates):
            position = candidates[closer] + ticks
            yield opener.start(), position, ticks


def split_cells(row: str) -> list[str]:
    """Returns the cells of a table's row, split at each pipe that is not escaped, also within code, as GitHub does."""
    first, *cells = _PIPE.split(row)
    cells = [first, *cells] if first.strip() or not cells else cells
    return cells[:-1] if len(cells) > 1 and not cells[-1].strip() else cells


def count_columns(header: str, rule: str) -> int:
    """Returns the columns of the table that a line and the row of dashes below it begin; 0 if they begin none, or one
    with more than MOST_COLUMNS."""
    if "|" not in rule or "|" not in header or header[:1] in " >":
        return 0
    cells = split_cells(rule)
    is_table = len(cells) == len(split_cells(header)) and all(map(_DASHES.fullmatch, cells))
    return len(cells) if is_table and len(cells) <= MOST_COLUMNS else 0

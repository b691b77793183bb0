"""Which lines above the limit of a prompt are data, and which are code that a model should have seen whole."""

from __future__ import annotations

from hunkwise.domain.diff import DiffLine, FileDiff, FileStatus, Side
from hunkwise.domain.text import LINE_LIMIT, is_cut

_TABLES = frozenset("csv tsv jsonl ndjson geojson topojson map".split())
"""Endings of formats that only hold data."""
_DOCUMENTS = frozenset("json ipynb svg xml".split())
"""Endings of formats that hold data, and also code or settings."""
_NEW_PATH = (FileStatus.ADDED, FileStatus.COPIED, FileStatus.RENAMED)


def count_data_lines(file: FileDiff, rows: tuple[DiffLine, ...]) -> int:
    """Returns how many changed rows of a file are too long for a prompt and data; they do not count in the coverage.

    Of such a row either everything but its data is shown, whatever its file is, or its file is a table, or a document
    whose version at the base has such rows already. So the author of a change cannot hide code by the shape of a file.
    """
    long = [row for row in rows if len(row.raw) > LINE_LIMIT and row.changed]
    if not long:
        return 0
    return len(long) if _holds_data(file) else sum(1 for row in long if not is_cut(row))


def _holds_data(file: FileDiff) -> bool:
    _, dot, ending = file.path.rpartition("/")[2].lower().rpartition(".")
    if dot and ending in _TABLES:
        first = file.lines_by_side[Side.RIGHT].get(1)
        return first is None or not first.raw.startswith(b"#!")
    return (
        dot != ""
        and ending in _DOCUMENTS
        and file.status not in _NEW_PATH
        and any(is_cut(row) for hunk in file.hunks for row in hunk.lines if row.old is not None)
    )

"""Code whose file left the diff, looked for in the files that were added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.publish.lifecycle.numbered import NumberedLines, is_substantial
from hunkwise.publish.lifecycle.remembered import DISMISSED, Entry

_Places = dict[tuple[str, int], list[tuple[str, int]]]
_MOST_PLACES = 200
"""Places of one code that are compared."""


def moved(
    lost: Mapping[int, Entry], files: Iterable[FileDiff], lines_of: Callable[[str, Side], NumberedLines]
) -> dict[int, tuple[str, int]]:
    """Path and last line, by index, of the entries that an added file holds the code of; only substantial code.

    Files of the same name come first, then the nearest line; no two entries of one fingerprint get the same place.
    """
    sought = {index: entry for index, entry in lost.items() if entry.raised.side is Side.RIGHT}
    places = _places(sought, files, lines_of)
    taken: set[tuple[str, str, int]] = set()
    found: dict[int, tuple[str, int]] = {}
    for index, entry in sorted(sought.items(), key=lambda known: known[1].rank):
        record = entry.raised
        name = PurePosixPath(record.path).name
        free = [
            (PurePosixPath(path).name != name, abs(line - (record.line or 0)), path, line)
            for path, line in places.get((record.code, record.span), [])
            if entry.rank == DISMISSED or (record.fingerprint, path, line) not in taken
        ]
        if free:
            _, _, path, line = min(free)
            taken.add((record.fingerprint, path, line))
            found[index] = path, line
    return found


def _places(
    sought: Mapping[int, Entry], files: Iterable[FileDiff], lines_of: Callable[[str, Side], NumberedLines]
) -> _Places:
    """Where the codes stand in added files, by code and number of lines."""
    keys_by_span: dict[int, set[str]] = {}
    for entry in sought.values():
        keys_by_span.setdefault(entry.raised.span, set()).add(entry.raised.code)
    places: _Places = {}
    if not keys_by_span:
        return places
    for file in files:
        if file.status not in (FileStatus.ADDED, FileStatus.COPIED):
            continue
        lines = lines_of(file.path, Side.RIGHT)
        for span, keys in keys_by_span.items():
            for key, numbers in lines.lines_with(keys, span).items():
                if is_substantial(lines.code_on(numbers[0], span) or ""):
                    of_code = places.setdefault((key, span), [])
                    of_code += [(file.path, line) for line in numbers[: _MOST_PLACES - len(of_code)]]
    return places

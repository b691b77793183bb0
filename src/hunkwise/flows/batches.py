"""Findings → the batches in which a second opinion is asked for: of one file each, and what is shown of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Finding, reading_order
from hunkwise.plan.around import Place, hunks_around
from hunkwise.plan.chunks import ChunkPart
from hunkwise.prompts.context import diff_text

MOST_IN_BATCH = 12
_AROUND_A_SAID_LINE = 5
"""Lines by which a line that could not be proved may be off."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Findings of one file for one question; the model knows them by their places, from 1 on."""

    path: str
    findings: tuple[Finding, ...]


def batches_of(findings: Iterable[Finding]) -> tuple[Batch, ...]:
    """Each finding once, the gravest batch first: where the budget ends, the least grave go without."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.path, []).append(finding)
    batches = [batch for path, of_file in by_file.items() for batch in _cut(path, of_file)]
    return tuple(sorted(batches, key=lambda batch: -max(one.severity for one in batch.findings)))


def _cut(path: str, findings: Sequence[Finding]) -> Iterator[Batch]:
    grave = sorted(findings, key=lambda finding: -finding.severity)
    for start in range(0, len(grave), MOST_IN_BATCH):
        yield Batch(path, tuple(sorted(grave[start : start + MOST_IN_BATCH], key=reading_order)))


@dataclass(frozen=True, slots=True)
class Shown:
    """What a question may show of the code."""

    files: Mapping[str, FileDiff]
    """Those of the change, by their names at the head."""
    room: int
    """Characters of rows of the diff."""
    around: Callable[[Sequence[ChunkPart], int], str] = lambda _parts, _room: ""
    """The functions around the hunks, in at most so many characters; see flows.surroundings."""
    room_around: int = 0


def names_of(batch: Batch, shown: Shown) -> dict[str, Any]:
    """What the template `verify` alone sees: `path`, `findings` and `code`.

    `code` is empty where the change has no such file, or its patch is not known.
    """
    return {
        "path": batch.path,
        "findings": [_values(number, finding) for number, finding in enumerate(batch.findings, 1)],
        "code": _code(batch, shown),
    }


def _values(number: int, finding: Finding) -> dict[str, Any]:
    anchor = finding.anchor
    return {
        "number": number,
        "severity": finding.severity.label,
        "category": finding.category,
        "title": finding.title,
        "body": finding.body,
        "line": anchor.line if anchor else finding.said_line,
        "start_line": anchor.start_line if anchor else None,
        "side": str(anchor.side) if anchor else str(Side.RIGHT),
        "suggestion": finding.suggestion,
        "prompt": finding.prompt,
        "placed": anchor is not None,
    }


def _code(batch: Batch, shown: Shown) -> str:
    file = shown.files.get(batch.path)
    if file is None:
        return ""
    places = [place for place in map(_place, batch.findings) if place is not None]
    hunks = hunks_around(file, places, shown.room)
    if not hunks:
        return ""
    part = ChunkPart(file, hunks)
    around = shown.around((part,), shown.room_around)
    return "\n\n".join([diff_text(part), around] if around else [diff_text(part)])


def _place(finding: Finding) -> Place | None:
    anchor = finding.anchor
    if anchor is not None:
        return Place(anchor.side, anchor.lines)
    said = finding.said_line
    if said is None:
        return None
    return Place(Side.RIGHT, range(max(1, said - _AROUND_A_SAID_LINE), said + _AROUND_A_SAID_LINE + 1))

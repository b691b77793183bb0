"""Pages of findings within a limit: whole where they fit, else shortened, a line each, and at last counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hunkwise.domain.finding import Finding
from hunkwise.publish.overview import count

_COUNT_SPACE = 400
"""Bytes for what is said of the findings that are only counted."""


@dataclass(frozen=True, slots=True)
class Page:
    """Markdown within its limit, and the findings that it could only count."""

    text: str
    counted: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a page has around its findings, and how it writes one."""

    heads: tuple[list[str], ...]
    """The blocks above, from the longest to the shortest."""
    tail: list[str]
    writers: tuple[Callable[[Finding], str], ...]
    """From the longest to the shortest, which is a line or two."""
    limit: int
    """Bytes."""
    rest: str
    """A sentence that says where those are that are only counted."""


def joined(blocks: Iterable[str]) -> str:
    """The blocks with a blank line between them, without the empty ones."""
    return "\n\n".join(block for block in blocks if block)


def size(text: str) -> int:
    """Bytes."""
    return len(text.encode("utf-8"))


def fitted(sheet: Sheet, findings: Sequence[Finding]) -> Page:
    """The page at the greatest length that fits."""
    room = 0
    for head in sheet.heads:
        room = sheet.limit - size(joined([*head, *sheet.tail])) - _COUNT_SPACE
        for write in sheet.writers:
            blocks = _all_within((write(finding) for finding in findings), room)
            if blocks is not None:
                return Page(joined([*head, *blocks, *sheet.tail]))
    return _counted(sheet, findings, room)


def _counted(sheet: Sheet, findings: Sequence[Finding], room: int) -> Page:
    """As many findings, a line each, as there is room for, the most severe first; the rest as a number."""
    urgent = sorted(findings, key=lambda finding: -finding.severity)
    blocks: list[str] = []
    for finding in urgent:
        block = sheet.writers[-1](finding)
        room -= size(block) + 2
        if room < 0:
            break
        blocks.append(block)
    counted = tuple(urgent[len(blocks) :])
    more = f"**{count(len(counted), 'more finding')}** did not fit here. {sheet.rest}"
    return Page(joined([*sheet.heads[-1], *blocks, more, *sheet.tail]), counted)


def _all_within(blocks: Iterable[str], room: int) -> list[str] | None:
    """All blocks, or None as soon as they need more room."""
    kept: list[str] = []
    for block in blocks:
        room -= size(block) + 2
        if room < 0:
            return None
        kept.append(block)
    return kept

"""Renders, reads and ticks the boxes in the issue of an audit, by which people dismiss findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hunkwise.tracking.ledger import LedgerEntry
from hunkwise.tracking.markers import LONGEST_TEXT, marker

AGAIN_BOX: Final = f"- [ ] Read everything again {marker('audit-again')}"
_KIND: Final = "audit-finding"
_BOX = re.compile(rf"^(- \[)([ xX])(\] .*{marker(_KIND, 'fp=([0-9a-f]{16})')}\r?)$", re.MULTILINE)
_AGAIN = re.compile(rf"^- \[[xX]\] .*{marker('audit-again')}\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class IssueControls:
    """The boxes of the issue's body. Nothing else is read from a body: people may edit it."""

    read_again: bool = False
    """Read all files again: begin a new lap."""
    ticked: frozenset[str] = frozenset()
    """Fingerprints whose box is ticked: these findings are dismissed."""
    shown: frozenset[str] = frozenset()
    """Fingerprints that have a box. A finding without one was not decided on."""


def read_boxes(body: str) -> IssueControls:
    """Returns the state of the boxes. A fingerprint with a ticked and a cleared box counts as not shown."""
    if len(body) > LONGEST_TEXT:
        return IssueControls()
    boxes: dict[bool, set[str]] = {True: set(), False: set()}
    for _, mark, _, fingerprint in _BOX.findall(body):
        boxes[mark != " "].add(fingerprint)
    ticked, cleared = boxes[True], boxes[False]
    return IssueControls(
        _AGAIN.search(body) is not None, frozenset(ticked - cleared), frozenset(ticked ^ cleared)
    )


def tick_box(body: str, fingerprint: str, ticked: bool) -> str:
    """Returns the body with all boxes of a finding ticked or cleared, and everything else as it was."""
    if len(body) > LONGEST_TEXT:
        return body
    mark = "x" if ticked else " "
    return _BOX.sub(
        lambda box: f"{box[1]}{mark}{box[3]}" if box[4] == fingerprint else box[0],
        body,
    )


def finding_box(entry: LedgerEntry, badge: str, text: str, *, ticked: bool = False) -> str:
    """Returns an item with a box. For GitHub, `[x]` anywhere in the line of an item, also in code, ticks its box."""
    box = f"- [{'x' if ticked else ' '}] {badge}"
    end = marker(_KIND, f"fp={entry.fingerprint}")
    return f"{box} {end}\n  {text}" if "[x]" in text.lower() else f"{box} · {text} {end}"

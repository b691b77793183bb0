"""Renders, reads and ticks the boxes in the issue of an audit, by which people dismiss findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hunkwise.tracking.ledger import LedgerEntry
from hunkwise.tracking.markers import LONGEST_TEXT, marker

_AGAIN: Final = marker("audit-again")
_KIND: Final = "audit-finding"
_DISMISSED: Final = "dismissed"
_BOX_END: Final = marker(_KIND, f"fp=([0-9a-f]{{16}})( {_DISMISSED})?")
_BOX = re.compile(rf"^(- \[)([ xX])(\] .*{_BOX_END}\r?)$", re.MULTILINE)
_AGAIN_BOX = re.compile(rf"^- \[[xX]\] .*{_AGAIN}\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class IssueControls:
    """The boxes of the issue's body. Nothing else is read from a body: people may edit it."""

    read_again: bool = False
    """Read all files again: begin a new lap."""
    ticked: frozenset[str] = frozenset()
    """Fingerprints whose box is ticked: these findings are dismissed."""
    shown: frozenset[str] = frozenset()
    """Fingerprints that have a box. A finding without one was not decided on."""
    open: frozenset[str] = frozenset()
    """Fingerprints with a box among the open findings. If it is cleared, nobody has touched it."""


def read_boxes(body: str) -> IssueControls:
    """Returns the state of the boxes. A fingerprint with a ticked and a cleared box counts as not shown."""
    if len(body) > LONGEST_TEXT:
        return IssueControls()
    rows = [(mark, key, dismissed) for _, mark, _, key, dismissed in _BOX.findall(body)]
    ticked = {key for mark, key, _ in rows if mark != " "}
    cleared = {key for mark, key, _ in rows if mark == " "}
    is_open = frozenset(key for _, key, dismissed in rows if not dismissed)
    again = _AGAIN_BOX.search(body) is not None
    return IssueControls(again, frozenset(ticked - cleared), frozenset(ticked ^ cleared), is_open)


def tick_box(body: str, fingerprint: str, ticked: bool) -> str:
    """Returns the body with all boxes of a finding ticked or cleared, and everything else as it was."""
    if len(body) > LONGEST_TEXT:
        return body
    mark = "x" if ticked else " "
    return _BOX.sub(
        lambda box: f"{box[1]}{mark}{box[3]}" if box[4] == fingerprint else box[0],
        body,
    )


def again_box(*, ticked: bool) -> str:
    """Returns the box by which people request that everything is read again."""
    return f"- [{'x' if ticked else ' '}] Read everything again {_AGAIN}"


def finding_box(entry: LedgerEntry, badge: str, text: str, *, ticked: bool = False) -> str:
    """Returns an item with a box. For GitHub, `[x]` anywhere in the line of an item, also in code, ticks its box."""
    box = f"- [{'x' if ticked else ' '}] {badge}"
    end = marker(_KIND, f"fp={entry.fingerprint}", *([_DISMISSED] if ticked else []))
    return f"{box} {end}\n  {text}" if "[x]" in text.lower() else f"{box} · {text} {end}"

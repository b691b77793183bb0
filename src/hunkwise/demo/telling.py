"""The summary of a change by rules: it counts what the prompt lists, and understands nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_FILE = re.compile(r'^- ("(?:[^"\\]|\\.)*") \([a-z ]{1,20}, \+(\d{1,9}) -(\d{1,9})\)$')
_MORE = re.compile(r"^- and (\d{1,9}) more$")
_MOST_AREAS = 4
_TOP = "the top folder"


@dataclass(slots=True)
class _Tally:
    """Files and lines of one folder."""

    files: int = 0
    added: int = 0
    removed: int = 0

    def __str__(self) -> str:
        return f"{_count(self.files, 'file')}, {_count(self.added, 'line')} added, {self.removed:,} removed"


def telling_in(prompt: str) -> dict[str, Any]:
    """The arguments of `report_summary`, with the folders that have most lines as areas."""
    folders, more = _folders(prompt)
    whole = _Tally(
        more + sum(one.files for one in folders.values()),
        sum(one.added for one in folders.values()),
        sum(one.removed for one in folders.values()),
    )
    largest = sorted(folders.items(), key=lambda item: (-item[1].added - item[1].removed, item[0]))
    areas = [{"area": name, "what": f"{tally}."} for name, tally in largest[:_MOST_AREAS]]
    return {
        "overview": f"Rules, not a model, counted: {whole}. What the change means they cannot tell.",
        "areas": areas if len(areas) > 1 else [],
        "risk": {"level": _level(whole), "why": "Rules judged by the number of changed lines alone."},
        "done": True,
    }


def _folders(prompt: str) -> tuple[dict[str, _Tally], int]:
    """A tally for each folder at the top of the tree, and the number of files that are not listed."""
    folders: dict[str, _Tally] = {}
    more = 0
    for row in prompt.split("\n"):
        listed = _FILE.match(row)
        if listed:
            tally = folders.setdefault(_folder(listed[1]), _Tally())
            tally.files += 1
            tally.added += int(listed[2])
            tally.removed += int(listed[3])
        elif rest := _MORE.match(row):
            more += int(rest[1])
    return folders, more


def _folder(quoted: str) -> str:
    try:
        path = str(json.loads(quoted))
    except ValueError:  # a row of somebody's own template that only looks like a file's
        return _TOP
    folder, slash, _ = path.partition("/")
    return f"{folder}/" if slash and folder else _TOP


def _level(whole: _Tally) -> str:
    changed = whole.added + whole.removed
    return "low" if changed < 200 else "medium" if changed < 2_000 else "high"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")

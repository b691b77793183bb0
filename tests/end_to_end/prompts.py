"""Reads the diff back out of a prompt: files, and rows with their anchors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.fakes.model_script import ModelRequest

_HEADER = re.compile(r'### ("(?:[^"\\]|\\.)*") \(([a-z]+)(?:, was ("(?:[^"\\]|\\.)*"))?\)')
_ROW = re.compile(r"([LR])(\d+) ([-+ ]) (.*)", re.DOTALL)
_LAST_ROW = re.compile(r"([LR])(\d+)(?: ([-+]))?()")
"""The CLI cuts the spaces at the end of a prompt: a blank line may stand there without its text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a diff, as a prompt shows it."""

    path: str
    side: str
    number: int
    kind: str
    text: str


def user_text(request: ModelRequest) -> str:
    """All that the user said in the conversation."""
    return "\n".join(message.text for message in request.messages if message.role == "user")


def rows_in(request: ModelRequest) -> list[Row]:
    """The rows of the part to review. Raises ValueError for a line there that is neither row nor header."""
    rows: list[Row] = []
    path = ""
    part = user_text(request).partition("\n# The part to review")[2].partition("\n")[2]
    part = part.partition("\n## The code around it")[0]
    for line in part.strip("\n").split("\n"):
        if header := _HEADER.fullmatch(line):
            path = json.loads(header[1])
        elif row := _ROW.fullmatch(line) or _LAST_ROW.fullmatch(line):
            rows.append(Row(path, row[1], int(row[2]), row[3] or " ", row[4]))
        elif line and not line.startswith("@@"):
            raise ValueError(f"neither row nor header: {line!r}")
    return rows


def paths_in(request: ModelRequest) -> list[str]:
    """The files of the part to review, in order."""
    return list(dict.fromkeys(row.path for row in rows_in(request)))

"""Parses the diff of a prompt: files, and rows with their anchors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.fakes.model_script import Answer, Fault, ModelRequest, Script, Step

_HEADER = re.compile(r'### ("(?:[^"\\]|\\.)*") \(([a-z]+)(?:, was ("(?:[^"\\]|\\.)*"))?\)')
_ROW = re.compile(r"([LR])(\d+) ([-+ ]) (.*)", re.DOTALL)
_LAST_ROW = re.compile(r"([LR])(\d+)(?: ([-+]))?()")
"""The CLI removes spaces at the end of a prompt: a blank line may lack its text."""


@dataclass(frozen=True, slots=True)
class Row:
    path: str
    side: str
    number: int
    kind: str
    text: str


def user_text(request: ModelRequest) -> str:
    """Returns all user messages of the conversation."""
    return "\n".join(message.text for message in request.messages if message.role == "user")


def rows_in(request: ModelRequest) -> list[Row]:
    """Returns the rows of the part to review. Raises ValueError for an unknown line."""
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
    """Returns the files of the part to review, in order."""
    return list(dict.fromkeys(row.path for row in rows_in(request)))


def by_file(scripts: dict[str, Step]) -> Script:
    """Returns a script that answers by the file that a prompt shows."""

    def script(request: ModelRequest) -> Answer | Fault:
        step = next(step for name, step in scripts.items() if f'### "{name}"' in user_text(request))
        return step if isinstance(step, (Answer, Fault)) else step(request)

    return script

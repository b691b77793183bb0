"""Files that tell reviewers and agents about a repository, and which changed files they speak of."""

from __future__ import annotations

import re

from hunkwise.domain.pull_request import Instructions

INSTRUCTION_FILES = ("AGENTS.md", ".github/copilot-instructions.md")
INSTRUCTION_FOLDER = ".github/instructions"
MAX_TEXT = 100_000
"""Bytes of a file that are read."""
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.{0,4000}?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_APPLY_TO = re.compile(r"^applyTo:[ \t]*(.+)$", re.MULTILINE)


def read_instructions(path: str, content: bytes) -> Instructions | None:
    """The instructions in a file; None for an empty one, or one of the folder that names no files."""
    text = content[:MAX_TEXT].decode("utf-8", "replace").removeprefix("\ufeff")
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    if not body.strip():
        return None
    if not path.startswith(INSTRUCTION_FOLDER):
        return Instructions(path, body.strip())
    apply_to = _APPLY_TO.search(front[1]) if front else None
    if apply_to is None:
        return None  # GitHub, too, attaches a file without applyTo to nothing by itself
    globs = tuple(glob.strip() for glob in apply_to[1].strip().strip("\"'").split(",") if glob.strip())
    return Instructions(path, body.strip(), globs)

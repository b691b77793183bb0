"""What a question is known by in a recording: digests of all that a model sees of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from hunkwise.domain.question import Question


def request_key(question: Question) -> str:
    """64 hex digits over system message, prompt, tools and model: the same question has the same ones."""
    return _digest(_parts(question))


def part_digests(question: Question) -> dict[str, str]:
    """Twelve hex digits of each part of it, by which one can tell what has changed."""
    return {name: _digest(part)[:12] for name, part in _parts(question).items() if name != "purpose"}


def _parts(question: Question) -> Mapping[str, object]:
    tool = question.tool
    return {
        "system": question.system,
        "prompt": question.prompt,
        "tool": [tool.name, tool.description, tool.parameters],
        "reading": list(question.reading),
        "model": question.model,
        "purpose": question.purpose,
    }


def _digest(part: object) -> str:
    return sha256(json.dumps(part, sort_keys=True).encode("ascii")).hexdigest()

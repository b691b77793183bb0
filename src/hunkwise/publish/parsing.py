"""The child process that parses files under review: `python -m hunkwise.publish.parsing`.

A hostile file can take any parser's time, memory or stack; the kernel can bound a process. One JSON object
`{"language", "text"}` a line; each is answered by a line, its `Verdict`. Syntax only: nothing is imported,
built or run.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
import warnings
from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn, TextIO

import yaml

from hunkwise.bounded import bound

MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 10
"""Processor time for all files of a run."""


class Verdict(StrEnum):
    """What a parser says of a file."""

    PARSES = "parses"
    BROKEN = "broken"
    """It is not in the language, or in a newer version of it than is known here."""
    UNKNOWN = "unknown"
    """Parsing it took too much of something."""


def verdict(language: str, text: str) -> Verdict:
    """Of a file in one of LANGUAGES."""
    try:
        _PARSERS[language](text)
    except (RecursionError, MemoryError):
        return Verdict.UNKNOWN
    except (SyntaxError, ValueError, OverflowError, yaml.YAMLError):
        return Verdict.BROKEN
    return Verdict.PARSES


def _python(text: str) -> None:
    """By the grammar of the Python that runs here; as bytes, so that a coding cookie counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(text.encode("utf-8"))


def _json(text: str) -> None:
    """Strictly; numbers stay as they are written, as making them of thousands of digits takes long."""
    json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str, parse_constant=_no_constant)


def _toml(text: str) -> None:
    tomllib.loads(text.removeprefix("\ufeff"))


def _yaml(text: str) -> None:
    """All documents, as events: nothing that aliases could multiply is made. Tags may be anything."""
    anchors: set[str] = set()
    for event in yaml.parse(text.removeprefix("\ufeff"), Loader=_YAML_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ValueError("an alias without its anchor")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARSERS: dict[str, Callable[[str], None]] = {"python": _python, "json": _json, "toml": _toml, "yaml": _yaml}
LANGUAGES = tuple(_PARSERS)


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers line by line until there are no more."""
    for line in requests:
        asked = json.loads(line)
        replies.write(verdict(asked["language"], asked["text"]) + "\n")
        replies.flush()


if __name__ == "__main__":
    bound(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

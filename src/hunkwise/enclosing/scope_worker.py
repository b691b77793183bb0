"""The worker process that parses files under review: `python -m hunkwise.enclosing.scope_worker`.

A separate process, because an untrusted file can use up any parser's time, memory or stack. It reads one JSON object
per line and writes one line for each; null if the file took too long:

- `{"language", "text", "places"}`, with places as pairs of 1-based lines: `{"chains", "calls", "definitions"}`: the
  scopes around each place, the names that are called there, and the definitions of these names in the file
- `{"language", "text", "names"}`: the definitions of these names
- `{"language", "text"}`: the lines of each syntax error

It only parses and compiles the files: nothing is imported or run.
"""

from __future__ import annotations

import json
import sys
import tomllib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TextIO

import yaml

from hunkwise.enclosing.scopes import Place
from hunkwise.enclosing.syntax_tree import KINDS, ParsedSource
from hunkwise.worker import limit_process

MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 20
"""CPU time for all files of a run."""


MOST_ERRORS = 200
"""Syntax errors of a file that are returned."""


def errors_in(language: str, text: str) -> list[Place] | None:
    """Returns the lines of each syntax error; None if the file exceeded a limit of time, memory or depth."""
    errors: list[Place] = []
    try:
        if language in _PARSERS:
            _PARSERS[language](text)
    except (RecursionError, MemoryError):
        return None
    except SyntaxError as error:
        errors.append((error.lineno or 1, error.lineno or 1))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        errors.append((line, line))
    except (ValueError, OverflowError, yaml.YAMLError) as error:
        line = getattr(error, "lineno", 1)
        errors.append((line, line))
    if language in KINDS:
        parsed = ParsedSource.parse(language, text.encode("utf-8", "replace"))
        if parsed is None:
            return None
        errors += parsed.error_lines(MOST_ERRORS)
    return errors


def _compile_python(text: str) -> None:
    """Compiles with the grammar of the running Python; as bytes, so that an encoding declaration is respected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(text.encode("utf-8", "replace"), "<file>", "exec", dont_inherit=True)


def _parse_json(text: str) -> None:
    """Parses strictly; numbers are not converted, which would be slow for thousands of digits."""
    json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str, parse_constant=_reject_constant)


def _parse_toml(text: str) -> None:
    tomllib.loads(text.removeprefix("\ufeff"))


def _parse_yaml(text: str) -> None:
    """Parses all documents as events, so that no objects are created, which aliases could multiply. Allows any tag."""
    anchors: set[str] = set()
    for event in yaml.parse(text.removeprefix("\ufeff"), Loader=_YAML_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ValueError("an alias without its anchor")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARSERS: dict[str, Callable[[str], None]] = {
    "python": _compile_python,
    "json": _parse_json,
    "toml": _parse_toml,
    "yaml": _parse_yaml,
}


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers each line of `requests` with a line in `replies`, until the input ends."""
    for line in requests:
        replies.write(json.dumps(_answer(json.loads(line))) + "\n")
        replies.flush()


def _answer(request: Mapping[str, Any]) -> Any:
    language, text = request["language"], request["text"]
    if not request.keys() & {"places", "names"}:
        return errors_in(language, text)
    parsed = ParsedSource.parse(language, text.encode("utf-8", "replace"))
    if parsed is None:
        return None
    if "names" in request:
        return parsed.definitions(request["names"])
    places = [(first, last) for first, last in request["places"]]
    calls = parsed.calls(places)
    names = dict.fromkeys(name for names in calls for name in names)
    return {"chains": parsed.chains(places), "calls": calls, "definitions": parsed.definitions(names)}


if __name__ == "__main__":
    limit_process(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

"""Finds the functions and classes around changed lines, and those that they call, with a worker process."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, NamedTuple, Self

from hunkwise.worker import Worker


class Scope(NamedTuple):
    """A function or class, as 1-based lines of the new file. `start <= head <= head_end <= end`."""

    start: int
    """The first line, including decorators."""
    head: int
    """The first line of its header."""
    head_end: int
    """The last line of its header."""
    end: int
    function: bool
    """True for a function or method; False for a class, an interface, a namespace and so on."""


Chain = tuple[Scope, ...]
"""The scopes around a place, outermost first."""
Place = tuple[int, int]
"""A range of lines of the new file: first and last, 1-based."""
Definitions = Mapping[str, tuple[Chain, ...]]
"""Functions and classes by name; the last scope of a chain is the definition itself."""


@dataclass(frozen=True, slots=True)
class FileScopes:
    """The scopes around each place of a file, the names that are called there, and those that the file defines."""

    chains: tuple[Chain, ...]
    calls: tuple[tuple[str, ...], ...]
    definitions: Definitions


_BY_ENDING = {
    "python": (".py", ".pyi"),
    "javascript": (".js", ".jsx", ".mjs", ".cjs"),
    "typescript": (".ts", ".mts", ".cts"),
    "tsx": (".tsx",),
    "go": (".go",),
    "java": (".java",),
    "rust": (".rs",),
    "c": (".c",),
    "cpp": (".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".cu", ".cuh"),
    "csharp": (".cs",),
    "ruby": (".rb", ".rake"),
    "php": (".php",),
}
LANGUAGES = tuple(_BY_ENDING)
_LANGUAGE = {ending: language for language, endings in _BY_ENDING.items() for ending in endings}
_FAMILIES = {"typescript": "javascript", "tsx": "javascript", "cpp": "c"}
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,119}")
_DATA = {".json": "json", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml"}
"""Languages without scopes, whose syntax is checked. Not .jsonc and .json5, for which there is no parser here."""


def language_of(path: str) -> str | None:
    """Returns one of LANGUAGES by the file's ending; None if there is no grammar for it."""
    return _LANGUAGE.get(_ending(path))


def family_of(path: str) -> str | None:
    """Returns the language of the file, the same for languages whose files call each other; None as `language_of`."""
    language = language_of(path)
    return _FAMILIES.get(language, language) if language else None


def endings_of(family: str) -> list[str]:
    return [ending for ending, language in _LANGUAGE.items() if _FAMILIES.get(language, language) == family]


def _ending(path: str) -> str:
    dot = path.rfind(".")
    return path[dot:].lower() if dot >= 0 else ""


SECONDS = 3.0
"""Wall-clock time for one file, including the start of the worker."""
CHECK_SECONDS = 5.0
"""The same where the syntax of a file is checked; the largest files that are parsed take about 3 s."""
LARGEST = 1_000_000
"""Maximum size in characters of a file whose syntax is checked."""


class ScopeFinder:
    """Parses files in one worker process, which `begin` starts early. After it died or was late, finds nothing."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds` is the wall-clock time for one file; `python` is the worker's interpreter."""
        self._seconds = seconds
        self._worker = Worker("hunkwise.enclosing.scope_worker", _find_tree_sitter, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._worker.close()

    @property
    def failed(self) -> bool:
        """The worker died, was late or could not be started: no more scopes are found."""
        return self._worker.failed

    def begin(self) -> None:
        """Starts the worker early, so that it is ready for the first question."""
        self._worker.begin()

    def scopes(self, language: str, text: str, places: Sequence[Place], seconds: float) -> FileScopes | None:
        """Returns the scopes and calls at each place (a pair of 1-based lines); None if parsing failed or was late.

        Takes at most `seconds`. Never raises because of the file.
        """
        answer = self._parsed({"language": language, "text": text, "places": list(places)}, seconds)
        return _parse_scopes(answer, len(places), text.count("\n") + 1) if answer else None

    def definitions(
        self, language: str, text: str, names: Sequence[str], seconds: float
    ) -> Definitions | None:
        """Returns the file's functions and classes with these names; None as `scopes`."""
        answer = self._parsed({"language": language, "text": text, "names": list(names)}, seconds)
        return _parse_definitions(answer, text.count("\n") + 1) if answer else None

    def _parsed(self, question: Mapping[str, Any], seconds: float) -> str:
        return self._worker.answer(json.dumps(question), min(seconds, self._seconds)) if seconds > 0 else ""

    def syntax_errors(self, path: str, text: str) -> tuple[Place, ...] | None:
        """Returns the lines of each syntax error; None if the file is too large or could not be parsed in time.

        There are none in files of a language that has no parser here. Never raises because of the file.
        """
        ending = _ending(path)
        language = _LANGUAGE.get(ending) or _DATA.get(ending)
        if language is None:
            return ()
        if len(text) > LARGEST:
            return None
        answer = self._worker.answer(json.dumps({"language": language, "text": text}), self._seconds)
        try:
            return tuple((int(first), int(last)) for first, last in json.loads(answer))
        except (ValueError, TypeError, RecursionError):
            return None


def _find_tree_sitter() -> ModuleType | None:
    """Returns the tree_sitter package without executing it: only the worker runs its code."""
    spec = find_spec("tree_sitter")
    return module_from_spec(spec) if spec else None


def _parse_scopes(answer: str, count: int, lines: int) -> FileScopes | None:
    """Parses the worker's answer; None if it is invalid. It is untrusted: the worker has read an untrusted file."""
    try:
        decoded = json.loads(answer)
        found = FileScopes(
            tuple(_chain(chain, lines) for chain in decoded["chains"]),
            tuple(tuple(map(_name, names)) for names in decoded["calls"]),
            _definitions(decoded["definitions"], lines),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found if len(found.chains) == len(found.calls) == count else None


def _parse_definitions(answer: str, lines: int) -> Definitions | None:
    try:
        return _definitions(json.loads(answer), lines)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _definitions(decoded: Any, lines: int) -> Definitions:
    return {
        _name(name): tuple(chain for one in chains if (chain := _chain(one, lines)))
        for name, chains in decoded.items()
    }


def _chain(decoded: Any, lines: int) -> Chain:
    """Raises ValueError or TypeError if these are no scopes within the lines of the file."""
    chain = tuple(Scope(*scope) for scope in decoded)
    if not all(1 <= one.start <= one.head <= one.head_end <= one.end <= lines for one in chain):
        raise ValueError("a scope is not in the file")
    return chain


def _name(decoded: Any) -> str:
    if not isinstance(decoded, str) or not _IDENTIFIER.fullmatch(decoded):
        raise ValueError("no name")
    return decoded

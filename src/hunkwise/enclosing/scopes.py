"""A function or class that encloses lines of a file, and which languages these can be told of."""

from __future__ import annotations

from typing import NamedTuple


class Scope(NamedTuple):
    """Lines of the new file, 1-based. `start <= head <= head_end <= end`."""

    start: int
    """With decorators and the like."""
    head: int
    """Where its own header begins."""
    head_end: int
    """The last line of its header."""
    end: int
    function: bool
    """Or a method; otherwise a class, an interface, a namespace and so on."""


Chain = tuple[Scope, ...]
"""The scopes around a place, the outermost first."""

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


def language_of(path: str) -> str | None:
    """One of LANGUAGES by the name's ending; None for a language that nothing here can parse."""
    dot = path.rfind(".")
    return _LANGUAGE.get(path[dot:].lower()) if dot >= 0 else None

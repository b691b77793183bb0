"""Reads GitHub's JSON by path: what is not there, or is of another type, makes the whole answer senseless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from hunkwise.forge.errors import senseless

_T = TypeVar("_T")
_WORDS: dict[type, str] = {str: "text", int: "number", bool: "yes or no"}


@dataclass(frozen=True, slots=True)
class Shape:
    """A JSON value and the request that it answers. All readers raise ForgeError (UNAVAILABLE)."""

    value: object
    request: str

    def at(self, path: str) -> Shape:
        """The value under keys joined by dots; null where a key is missing."""
        value = self.value
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return Shape(value, self.request)

    def text(self, path: str) -> str:
        return self._typed(path, str)

    def number(self, path: str) -> int:
        return self._typed(path, int)

    def text_or(self, path: str, otherwise: str) -> str:
        """The text, or `otherwise` where GitHub has null or another type."""
        value = self.at(path).value
        return value if isinstance(value, str) else otherwise

    def number_or_none(self, path: str) -> int | None:
        value = self.at(path).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def truth(self, path: str) -> bool:
        return self.at(path).value is True

    def certain(self, path: str) -> bool:
        """True or false, which must be there."""
        return self._typed(path, bool)

    def objects(self, path: str = "") -> list[Shape]:
        """As `entries`, where each must be an object: a hole in the list would be something left unread."""
        entries = self.entries(path)
        if not all(isinstance(entry.value, dict) for entry in entries):
            raise senseless(self.request, "an entry of its list is no object")
        return entries

    def entries(self, path: str = "") -> list[Shape]:
        """The elements of a list, which must be there."""
        value = self.at(path).value if path else self.value
        if not isinstance(value, list):
            raise senseless(self.request, f"no list at `{path}`" if path else "it is no list")
        return [Shape(entry, self.request) for entry in value]

    def _typed(self, path: str, kind: type[_T]) -> _T:
        value = self.at(path).value
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise senseless(self.request, f"no {_WORDS[kind]} at `{path}`")
        return value

"""JSON that people write, with the line of every place in it: a fault can then say where it is."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from hunkwise.settings.strict_yaml import Document, Fault, Loc
from hunkwise.settings.wording import quoted

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 16
# A text that never ends is one word: else each quote in it would be tried as its beginning.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+|\n', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(raw: bytes) -> Document:
    """The value in `raw` (UTF-8), its lines, and what is wrong with it. Never raises; a fault at () means: unreadable.

    Refused beside what is no JSON: keys that stand twice, NaN and infinities, lone surrogates, deep nesting.
    """
    fault = _size_fault(raw)
    if fault is not None:
        return Document(None, {}, (fault,))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return Document(None, {}, (Fault((), line, "the file is not UTF-8; save it as UTF-8"),))
    deep = _deep_line(text)
    if deep:
        said = f"more than {MAX_DEPTH} levels of nesting; flatten the file"
        return Document(None, {}, (Fault((), deep, said),))
    try:
        value: Any = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return Document(None, {}, (Fault((), error.lineno, f"not valid JSON: {_uncapitalized(error.msg)}"),))
    except ValueError as error:  # a constant that is no number, or one of thousands of digits
        return Document(None, {}, (Fault((), 1, f"not valid JSON: {str(error)[:200]}"),))
    places = _Places()
    places.walk(text)
    return Document(value, places.lines, tuple(places.faults))


def _size_fault(raw: bytes) -> Fault | None:
    if len(raw) <= MAX_BYTES:
        return None
    return Fault((), 1, f"the file has more than {MAX_BYTES:,} bytes; shorten it")


def _deep_line(text: str) -> int:
    """The line on which the nesting is too deep; 0 where it never is. Python's own parser gives up by crashing."""
    depth, line = 0, 1
    words: list[str] = _TOKEN.findall(text)
    for word in words:
        depth += (word in ("{", "[")) - (word in ("}", "]"))
        line += word.count("\n")
        if depth > MAX_DEPTH:
            return line
    return 0


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON; write a number")


def _uncapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Places:
    """Walks the tokens of valid JSON and notes where each key and list item stands."""

    def __init__(self) -> None:
        self.lines: dict[Loc, int] = {}
        self.faults: list[Fault] = []
        self._line = 1
        self._rest: list[str] = []

    def walk(self, text: str) -> None:
        self._rest = _TOKEN.findall(text)[::-1]
        self._value(self._next(), ())

    def _next(self) -> str:
        while (word := self._rest.pop()) == "\n":
            self._line += 1
        return word

    def _value(self, word: str, loc: Loc) -> None:
        if word == "{":
            self._object(loc)
        elif word == "[":
            self._array(loc)
        elif word.startswith('"') and _SURROGATE.search(json.loads(word)):
            self.faults.append(Fault(loc, self._line, "a text holds half of a character; write it whole"))

    def _object(self, loc: Loc) -> None:
        word = self._next()
        while word != "}":
            if word == ",":
                word = self._next()
            key = json.loads(word)
            place = (*loc, key)
            if place in self.lines:
                said = f"{quoted(key)} stands on line {self.lines[place]} already; keep one of them"
                self.faults.append(Fault(place, self._line, said))
            self.lines.setdefault(place, self._line)
            self._next()  # the colon
            self._value(self._next(), place)
            word = self._next()

    def _array(self, loc: Loc) -> None:
        word, index = self._next(), 0
        while word != "]":
            if word == ",":
                word = self._next()
            self.lines[(*loc, index)] = self._line
            self._value(word, (*loc, index))
            word, index = self._next(), index + 1

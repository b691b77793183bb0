"""Reads untrusted YAML as plain data: no anchors, aliases, merge keys, tags or duplicate keys.

Built on PyYAML's events, because its loaders expand merge keys without bound (500 bytes can hang them) and
follow YAML 1.1: here `on`, `no` and `2024-01-01` are texts, as in YAML 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from hunkwise.domain.text import CONTROLS, SEPARATORS, SURROGATES
from hunkwise.settings.parsing import quoted

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 15
"""Digits of a whole number: as many as every YAML and JSON parser represents exactly."""

Loc = tuple[str | int, ...]
"""A location in a document: keys and indices from its top."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NAMED_SCALARS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = ("", "~", "null", "Null", "NULL")
_NOT_TEXT = re.compile(f"[{CONTROLS}{SEPARATORS}{SURROGATES}]")
_LINE_END = re.compile("\r\n|\r|\n")
_SPECIAL = "*&!@`%{[|>"
"""Characters that a value can begin with only in quotes."""
_VALUE = re.compile(r" *(?P<dashes>(?:- +)*)(?:(?P<key>[\w-]+): +)?(?P<value>\S.*)")
_COMMENT = re.compile(r"\s+#.*")
_COMMENTED_ENTRY = re.compile(r" *(?:- +)+(#.*)")
_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}
_LONGEST_EXAMPLE = 60
_LONGEST_LINE = 500
"""Characters: in a longer line no value to quote is looked for, which takes time for each alias in it."""


@dataclass(frozen=True, slots=True)
class YamlFault:
    """An error in a document: its location, 1-based line, and a sentence without the file's name."""

    loc: Loc
    line: int
    text: str


@dataclass(frozen=True)
class YamlDocument:
    """A parsed file. Lists are tuples. Values with a fault are included as far as they could be read."""

    value: object
    lines: Mapping[Loc, int]
    """The 1-based line of every key and list item."""
    faults: tuple[YamlFault, ...]

    def line(self, loc: Loc) -> int:
        """Returns the line of a location, or of the nearest one that contains it."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)


class _UnreadableError(Exception):
    """The document cannot be parsed from here on."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def read_yaml(raw: bytes) -> YamlDocument:
    """Parses a single document (UTF-8, at most 64 KB). Never raises; a fault at () means that it is unreadable."""
    composer = _Composer()
    try:
        value = composer.compose(_decode(raw))
    except _UnreadableError as unreadable:
        fault = YamlFault((), unreadable.line, unreadable.text)
        return YamlDocument(None, {}, (*composer.faults, fault))
    return YamlDocument(value, composer.lines, tuple(composer.faults))


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _UnreadableError(1, f"the file has {len(raw):,} bytes; keep it within {MAX_BYTES:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _UnreadableError(line, "the file is not UTF-8; save it as UTF-8") from error
    if match := _NOT_TEXT.search(text):
        line = len(_LINE_END.findall(text[: match.start()])) + 1
        raise _UnreadableError(line, f"the file holds the character {quoted(match[0])}; remove it")
    return text


@dataclass(slots=True)
class _Composer:
    """Builds values from events, and collects their line numbers and the faults."""

    lines: dict[Loc, int] = field(default_factory=dict)
    faults: list[YamlFault] = field(default_factory=list)
    _source: list[str] = field(default_factory=list)
    """The lines of the text."""
    _anchors: set[str] = field(default_factory=set)

    def compose(self, text: str) -> object:
        self._source = _LINE_END.split(text)
        events = _parse_events(text, self._source)
        value: object = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if event.version or event.tags:
                    self._add_fault((), event, "a % directive is not allowed; remove the line")
                if documents > 1:
                    raise _UnreadableError(_line_of(event), "a second document begins; keep one, without ---")
            elif isinstance(event, yaml.NodeEvent):
                value = self._compose_node(event, events, ())
        return value

    def _compose_node(self, event: yaml.NodeEvent, events: Iterator[yaml.Event], loc: Loc) -> object:
        self._require_plain(event, loc)
        if isinstance(event, yaml.ScalarEvent):
            return self._parse_scalar(event, loc)
        if isinstance(event, yaml.AliasEvent):
            return None
        if len(loc) >= MAX_DEPTH:
            raise _UnreadableError(
                _line_of(event), f"more than {MAX_DEPTH} levels of nesting; flatten the file"
            )
        if isinstance(event, yaml.SequenceStartEvent):
            return self._compose_sequence(events, loc)
        return self._compose_mapping(events, loc)

    def _compose_sequence(self, events: Iterator[yaml.Event], loc: Loc) -> tuple[object, ...]:
        entries: list[object] = []
        for event in _iterate_nodes(events):
            entry_loc = (*loc, len(entries))
            self.lines[entry_loc] = _line_of(event)
            entries.append(self._compose_node(event, events, entry_loc))
            self._require_entry(event, entries[-1], entry_loc)
        return tuple(entries)

    def _require_entry(self, event: yaml.NodeEvent, entry: object, loc: Loc) -> None:
        """Adds a fault for entries that were meant as texts: `- {a,b}` is a mapping, and `- #a` is empty."""
        line = self._source[_line_of(event) - 1][:_LONGEST_LINE]
        if isinstance(entry, dict) and entry and all(value is None for value in entry.values()):
            if getattr(event, "flow_style", False) and (hint := unquoted_value(line, _column_of(event))):
                self._add_fault(loc, event, hint)
        elif entry is None and (comment := _COMMENTED_ENTRY.fullmatch(line)):
            hint = _must_be_quoted(comment[1], "- ")
            self._add_fault(loc, event, f"{hint}; write a comment on a line of its own")

    def _compose_mapping(self, events: Iterator[yaml.Event], loc: Loc) -> dict[str, object]:
        entries: dict[str, object] = {}
        for event in _iterate_nodes(events):
            key = self._parse_key(event, loc)
            entry_loc = (*loc, key)
            if key in entries:
                text = f"{quoted(key)} is on line {self.lines[entry_loc]} already; keep one of them"
                self._add_fault(entry_loc, event, text)
            else:
                self.lines[entry_loc] = _line_of(event)
            entries[key] = self._compose_node(_next_node(events), events, entry_loc)
        return entries

    def _parse_key(self, event: yaml.NodeEvent, loc: Loc) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise _UnreadableError(_line_of(event), "a key must be plain text")
        self._require_plain(event, loc)
        if event.value == "<<" and not event.style:
            self._add_fault((*loc, "<<"), event, "merge keys (<<) are not allowed; write the keys out")
        return event.value

    def _require_plain(self, event: yaml.NodeEvent, loc: Loc) -> None:
        """Adds a fault for aliases, anchors and tags."""
        if isinstance(event, yaml.AliasEvent):
            hint = "" if event.anchor in self._anchors else self._quoting_hint(event)
            self._add_fault(loc, event, hint or "aliases (*name) are not allowed; write the value out")
        elif event.anchor is not None:
            self._anchors.add(event.anchor)
            hint = self._quoting_hint(event)
            self._add_fault(loc, event, hint or "anchors (&name) are not allowed; remove it")
        if getattr(event, "tag", None) is not None:
            self._add_fault(
                loc, event, self._quoting_hint(event) or "tags (!name) are not allowed; remove it"
            )

    def _quoting_hint(self, event: yaml.NodeEvent) -> str:
        """Returns how to quote a value without spaces; in `!x a` and `&x a` the first word is a tag or an anchor."""
        hint = unquoted_value(self._source[_line_of(event) - 1], _column_of(event))
        return hint if hint.rpartition(" ")[2].startswith(('"', "'")) else ""

    def _parse_scalar(self, event: yaml.ScalarEvent, loc: Loc) -> object:
        text = event.value
        if match := _NOT_TEXT.search(text):
            self._add_fault(loc, event, f"a text holds the character {quoted(match[0])}; remove it")
        if event.style:
            return text
        if text in _NULLS:
            return None
        if text in _NAMED_SCALARS:
            return _NAMED_SCALARS[text]
        if not _FLOAT.fullmatch(text):
            return text
        if sum(map(str.isdigit, text)) > MAX_DIGITS:
            self._add_fault(
                loc, event, f"{quoted(text)} has more than {MAX_DIGITS} digits; write a smaller number"
            )
            return 0
        return int(text) if _INTEGER.fullmatch(text) else float(text)

    def _add_fault(self, loc: Loc, event: yaml.Event, text: str) -> None:
        self.faults.append(YamlFault(loc, _line_of(event), text))


def unquoted_value(line: str, column: int) -> str:
    """Returns what to write instead of a value that must be quoted; empty if the line has none at the column."""
    match = _VALUE.fullmatch(line) if len(line) < _LONGEST_LINE else None
    if match is None:
        return ""
    lead = f"{match['key']}: " if match["key"] else "- " if match["dashes"] else ""
    return _unquoted_in(match["value"], column - match.start("value"), lead)


def _unquoted_in(value: str, column: int, lead: str) -> str:
    value = _COMMENT.sub("", value).rstrip(", ")
    if not value or value[0] not in _SPECIAL:
        return ""
    if value[0] not in _BRACKETS:
        return _must_be_quoted(value, lead)
    items, end = _split_flow(value)
    if end is not None and (end < len(value) or (value[0] == "{" and ":" not in value)):
        return _must_be_quoted(value, lead)
    for start, item in items:
        inner = _VALUE.fullmatch(item)
        if inner is not None and start <= column <= start + len(item):
            key = f"{inner['key']}: " if inner["key"] else ""
            return _unquoted_in(inner["value"], column - start - inner.start("value"), key)
    return ""


def _split_flow(value: str) -> tuple[list[tuple[int, str]], int | None]:
    """Returns the parts between the commas of a list or mapping in brackets, with their positions, and its end.

    The end is None if the brackets are not closed.
    """
    items: list[tuple[int, str]] = []
    depth, start = 0, 1
    for index, character in enumerate(value):
        depth += _BRACKETS.get(character, 0)
        if depth == 0 or (character == "," and depth == 1):
            items.append((start, value[start:index]))
            start = index + 1
        if depth == 0:
            return items, start
    return [*items, (start, value[start:])], None


def _must_be_quoted(value: str, lead: str) -> str:
    sentence = f"a value that begins with {value[0]} must be quoted"
    if len(value) > _LONGEST_EXAMPLE or not value.isprintable():
        return sentence
    plain = '"' not in value and "\\" not in value
    example = f'"{value}"' if plain else "'" + value.replace("'", "''") + "'"
    return f"{sentence}: {lead}{example}"


def _parse_events(text: str, source: list[str]) -> Iterator[yaml.Event]:
    """Yields PyYAML's events. Raises _UnreadableError, also for ValueError and OverflowError of PyYAML's scanner.

    `source`: the lines of the text.
    """
    line = 1
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = _line_of(event)
            yield event
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it ends too early"
        remedy = f"not valid YAML: {problem[:200]}"
        if mark is not None:
            line = mark.line + 1
            failing = source[mark.line] if mark.line < len(source) else ""
            if failing[mark.column : mark.column + 1] == "\t":
                remedy = "a tab is not allowed here; write spaces"
            else:
                remedy = unquoted_value(failing, mark.column) or remedy
        raise _UnreadableError(line, remedy) from error
    except yaml.YAMLError as error:
        raise _UnreadableError(
            line, "not valid YAML here or just below: a character is not allowed"
        ) from error
    except (ValueError, OverflowError) as error:
        text = "not valid YAML here or just below: an escape or a number is out of range"
        raise _UnreadableError(line, text) from error


def _iterate_nodes(events: Iterator[yaml.Event]) -> Iterator[yaml.NodeEvent]:
    """Yields the nodes of the current list or mapping, and consumes its end event."""
    while isinstance(event := next(events), yaml.NodeEvent):
        yield event


def _next_node(events: Iterator[yaml.Event]) -> yaml.NodeEvent:
    event = next(events)
    assert isinstance(event, yaml.NodeEvent)
    return event


def _column_of(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.column)


def _line_of(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.line) + 1

"""One line of foreign Markdown made inert: what it points at, calls or embeds is shown as code or as it is."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hunkwise.publish.code import code_span

# An escaped character is kept apart from a bare one by moving it into a private block while a line is read.
_PRIVATE = 0xE000
_STRUCTURAL = "`*_[]<>|\\!~$&{}"
_PRIVATE_CHARACTERS = re.compile("[\ue000-\ue07f]")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_RUNS = re.compile("`+")
_OPENERS = re.compile(r"\\[!-/:-@\[-`{-~]|`+")

_TOKENS = re.compile(
    r"(?P<entity>&(?:lt|gt|amp|quot|#36);)"  # what we write ourselves, and what stays a plain character
    r"|(?P<link>!?\[(?P<label>[^\[\]\n]{0,300})\]\(\s{0,3}<?(?P<target>[^\s<>()`]{1,2000})>?"
    r"(?:\s{1,3}(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?\s{0,3}\))"
    r"|<?(?P<address>[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s<>`|\\\ue000-\ue07f]{1,2000})>?"
    r"|(?P<word>[^\s`\\&<>\[\]()|*\"',;!$~{}\ue000-\ue07f]+)"
    r"|(?P<tildes>~{3,})"
    r"|.",
    re.DOTALL,
)

_CALLS = re.compile(
    r"[@＠﹫]"  # mentions, mail addresses, references to commits
    r"|[#＃﹟]\d"  # issues and pull requests, those of other repositories too
    r"|(?<![A-Za-z0-9])gh-\d"
    r"|(?-i:(?<![0-9A-Za-z])[0-9a-f]{7,40}(?![0-9A-Za-z]))"  # commits
    r"|(?<![A-Za-z0-9])ghsa-\w{4}-"  # advisories
    r"|://|www\.|^(?:mailto|xmpp):",
    re.IGNORECASE,
)
_REFERENCES = ("/issues/", "/pull/", "/pulls/", "/discussions/", "/commit/", "/commits/", "/compare/")
_STEPS = re.compile(r"//|/(?:\.|%2e){1,2}(?=/|\Z)", re.IGNORECASE)
"""Steps that a browser takes away, so that an address leads elsewhere than it says."""
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~/%+-]*(?:#L\d{1,9}(?:-L\d{1,9})?)?")
_ESCAPED = {"<": "&lt;", "&": "\\&", "$": "&#36;"}


@dataclass(frozen=True, slots=True)
class Manner:
    """How prose is to be written: for a body of its own, or (`literal`) inside a line of ours."""

    server_url: str = ""
    """Links to this server stay links, but for those that would leave a reference at their target."""
    literal: bool = False
    """Emphasis is escaped, and no code span may hold the pipe that would end a table's cell."""


@dataclass(slots=True)
class _Line:
    """What was written so far. Two code spans must not touch, or their backticks would run together."""

    parts: list[str] = field(default_factory=list)
    ends_in_code: bool = False

    def add(self, text: str) -> None:
        if text:
            self.parts.append(text)
            self.ends_in_code = False

    def add_code(self, content: str) -> None:
        span = code_span(content)
        if span:
            self.parts.append(f" {span}" if self.ends_in_code else span)
            self.ends_in_code = True
        else:
            self.add(" ")  # or what stands around it would become one word

    def part(self) -> None:
        """Keeps what follows from becoming one word with what stands there."""
        if self.parts and not self.parts[-1][-1].isspace() and self.parts[-1] != "(":
            self.add(" ")


def inert(foreign: str, manner: Manner) -> str:
    """One line, without what GitHub would resolve, embed or run, in time linear in its length."""
    text = _PRIVATE_CHARACTERS.sub("\ufffd", foreign)
    line = _Line()
    position = 0
    for start, end, ticks in _code_spans(text):
        _write_prose(line, _hide_escapes(text[position:start]), manner)
        _write_code(line, text[start + ticks : end - ticks], manner)
        position = end
    _write_prose(line, _hide_escapes(text[position:]), manner)
    return "".join(line.parts)


def _write_prose(line: _Line, text: str, manner: Manner) -> None:
    for match in _TOKENS.finditer(text):
        if match["entity"]:
            line.add(match[0])
        elif match["link"]:
            _write_link(line, match["label"], _show(match["target"]), manner)
        elif match["address"]:
            _write_address(line, match["address"], manner)
        elif match["word"]:
            _write_word(line, match[0], manner)
        elif match["tildes"]:
            line.add("\\~" * len(match[0]))
        else:
            line.add(_escaped(match[0], manner))


def _write_code(line: _Line, content: str, manner: Manner) -> None:
    if manner.literal and "|" in content:
        _write_prose(line, _hide(content), manner)
    else:
        line.add_code(content)


def _write_link(line: _Line, label: str, target: str, manner: Manner) -> None:
    """A link or an image: its text, and where it points as code; a link only to our own server."""
    within = replace(manner, server_url="")  # a link in a link's text would end the outer one
    if _is_ours(target, manner) and label.strip():
        line.add("[")
        _write_prose(line, label, within)
        line.add(f"]({target})")
        return
    line.part()
    if _show(label).strip() == target:
        _write_code(line, target, manner)
        return
    _write_prose(line, label, within)
    line.add(" (" if label else "(")
    _write_code(line, target, manner)
    line.add(")")


def _write_address(line: _Line, url: str, manner: Manner) -> None:
    address = url.rstrip(".,:;!?)*_'\"")
    if _is_ours(address, manner):
        line.add(f"<{address}>")
    else:
        _write_code(line, address, manner)
    for character in url[len(address) :]:
        line.add(_escaped(character, manner))


def _write_word(line: _Line, word: str, manner: Manner) -> None:
    if not _CALLS.search(word):
        line.add(word.replace("_", "\\_") if manner.literal else word)
        return
    called = word.rstrip(".:?_-")
    _write_code(line, called, manner)
    line.add(word[len(called) :].replace("_", "\\_"))


def _escaped(character: str, manner: Manner) -> str:
    """A single character as Markdown shows it literally; emphasis stays where a body is written."""
    code = ord(character)
    if _PRIVATE <= code < _PRIVATE + 0x80:
        original = chr(code - _PRIVATE)
        return _ESCAPED.get(original, f"\\{original}")
    if character in "[]|`\\":
        return f"\\{character}"
    if character in "*~" and manner.literal:
        return f"\\{character}"
    return _ESCAPED.get(character, character)


def _is_ours(url: str, manner: Manner) -> bool:
    """A plain page of the forge's own server, and none that would note there that it was referred to."""
    server = manner.server_url.rstrip("/")
    if not server or not url.startswith(f"{server}/"):
        return False
    path = url.removeprefix(server)
    referring = any(part in f"{path}/" for part in _REFERENCES)
    return bool(_PLAIN_PATH.fullmatch(path)) and not referring and not _STEPS.search(path)


def _code_spans(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and length of the delimiters of each code span, paired as CommonMark does it."""
    starts: dict[int, list[int]] = {}
    for run in _RUNS.finditer(text):
        starts.setdefault(len(run[0]), []).append(run.start())
    position = 0
    while opener := _OPENERS.search(text, position):
        position = opener.end()
        if opener[0][0] == "\\":
            continue
        ticks = len(opener[0])
        candidates = starts.get(ticks, [])
        closer = bisect_left(candidates, position)
        if closer < len(candidates):
            position = candidates[closer] + ticks
            yield opener.start(), position, ticks


def _hide_escapes(text: str) -> str:
    """Backslash escapes resolved: structural characters into the private block, others to themselves."""
    return _ESCAPE.sub(lambda match: _hide(match[1]), text)


def _hide(text: str) -> str:
    return "".join(chr(_PRIVATE + ord(char)) if char in _STRUCTURAL else char for char in text)


def _show(text: str) -> str:
    """Characters of the private block as they were written, for code and addresses."""
    return _PRIVATE_CHARACTERS.sub(lambda match: chr(ord(match[0]) - _PRIVATE), text)

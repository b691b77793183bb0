"""Makes what a model or an untrusted author wrote safe to post.

Untrusted Markdown is not filtered but written anew, in a form that leaves GitHub's parser nothing to decide: fences
are at the margin between blank lines, code spans end on their line, and everything else that could be HTML, a link, a
table, a mention or a reference is escaped or shown as code. So what is read here as code is code on GitHub too.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hunkwise.domain.text import cut, one_line, plain

_RUNS = re.compile("`+")
_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+#._-]{0,29}")
_SLASH_COMMAND = re.compile("^/[A-Za-z]", re.MULTILINE)
_MARKER = re.compile(r"<!--(?=\s*hunkwise)", re.IGNORECASE)

# GitHub draws these instead of showing them, or offers them to be committed.
_DRAWN = frozenset({"suggestion", "math", "mermaid", "geojson", "topojson", "stl"})


def without_marker(text: str) -> str:
    """The text with our own hidden marker broken, wherever it stands: only we may write it."""
    return _MARKER.sub("<! --", text)


def code_span(text: str) -> str:
    """The text, on one line, as a code span that its own backticks cannot close."""
    content = without_marker(one_line(text))
    if not content:
        return ""
    delimiter = "`"
    while delimiter in _RUNS.findall(content):
        delimiter += "`"
    padding = " " if content[0] == "`" or content[-1] == "`" else ""
    return f"{delimiter}{padding}{content}{padding}{delimiter}"


def fence(text: str, language: str = "") -> str:
    """A fenced block longer than any run of backticks inside; no language that GitHub draws is kept."""
    word = language if _LANGUAGE.fullmatch(language) and language.lower() not in _DRAWN else ""
    return _fence_code(without_marker(plain(text)), word)


def suggestion_fence(text: str) -> str:
    """The block that GitHub offers to commit: `text` replaces the commented lines; empty text removes them."""
    return _fence_code(plain(text), "suggestion")


def drawn_fence(source: str) -> str:
    """The block that GitHub draws: for what `publish.change_summary` has looked at, and nothing else."""
    return _fence_code(without_marker(plain(source)), "mermaid")


def _fence_code(content: str, info: str) -> str:
    longest = max((len(run) for run in _RUNS.findall(content)), default=0)
    ticks = "`" * max(3, longest + 1)
    lines = [f"{ticks}{info}", *([content.removesuffix("\n")] if content else []), ticks]
    block = "\n".join(lines)
    if _SLASH_COMMAND.search(content):
        # A fence that is indented by a blank takes one blank from each line: bots that read a comment's
        # raw lines find no command at their start, and what is shown stays exact.
        block = "\n".join(f" {line}" for line in block.split("\n"))
    return block


# An escaped character is kept apart from a bare one by moving it into a private block while a line is read.
_PRIVATE = 0xE000
_STRUCTURAL = "`*_[]<>|\\!~$&{}"
_PRIVATE_CHARACTERS = re.compile("[\ue000-\ue07f]")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
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
class InlineContext:
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


def inert(foreign: str, manner: InlineContext) -> str:
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


def _write_prose(line: _Line, text: str, manner: InlineContext) -> None:
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


def _write_code(line: _Line, content: str, manner: InlineContext) -> None:
    if manner.literal and "|" in content:
        _write_prose(line, _hide(content), manner)
    else:
        line.add_code(content)


def _write_link(line: _Line, label: str, target: str, manner: InlineContext) -> None:
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


def _write_address(line: _Line, url: str, manner: InlineContext) -> None:
    address = url.rstrip(".,:;!?)*_'\"")
    if _is_ours(address, manner):
        line.add(f"<{address}>")
    else:
        _write_code(line, address, manner)
    for character in url[len(address) :]:
        line.add(_escaped(character, manner))


def _write_word(line: _Line, word: str, manner: InlineContext) -> None:
    if not _CALLS.search(word):
        line.add(word.replace("_", "\\_") if manner.literal else word)
        return
    called = word.rstrip(".:?_-")
    _write_code(line, called, manner)
    line.add(word[len(called) :].replace("_", "\\_"))


def _escaped(character: str, manner: InlineContext) -> str:
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


def _is_ours(url: str, manner: InlineContext) -> bool:
    """A plain page of GitHub's own server, and none that would note there that it was referred to."""
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


_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<ticks>`{3,}|~{3,})(?P<info>[^\n]*)")
_HEADING = re.compile(r" {0,3}#{1,6}(?: +(?P<title>.*))?")
_LIST = re.compile(r"(?P<indent> *)(?P<marker>[-*+]|\d{1,9}[.)]) +(?P<rest>.*)")
_BLOCK_START = re.compile(r"[-+*](?= |\Z)|#{1,6}(?= |\Z)|>|/(?=[A-Za-z])|:(?=:)")
_NUMBER = re.compile(r"(\d{1,9})(?=[.)](?: |\Z))")
_RULE = re.compile(r"([-*_])(?: *\1){2,} *")
_RULE_CHARACTERS = frozenset("-=:|+*_ ")
_DEEPEST_LIST = 12
_DEEPEST_QUOTE = 3


def text(foreign: str, limit: int, *, server_url: str = "") -> str:
    """Foreign Markdown as harmless Markdown of at most `limit` characters.

    Emphasis, lists, quotes, code spans and fences stay. Links stay only where they lead to `server_url`.
    """
    manner = InlineContext(server_url=server_url)
    kept = foreign[:limit]
    shortened = len(foreign) > limit
    while kept:
        written = _blocks(without_marker(plain(kept)), manner) + ("\n\n…" if shortened else "")
        if len(written) <= limit:
            return written
        # Escapes made it longer than it was; the next try is shorter by a tenth at the least.
        kept = kept[: min(len(kept) * limit // len(written), len(kept) * 9 // 10)]
        shortened = True
    return cut("…" if shortened else "", limit)


def line(foreign: str, limit: int) -> str:
    """Foreign text as one harmless line of at most `limit` characters, for titles and cells of tables.

    Code spans stay; emphasis, headings, lists and pipes are shown as they were written.
    """
    manner = InlineContext(literal=True)
    kept = one_line(foreign[: limit * 4])
    shortened = len(foreign) > limit * 4
    while kept:
        written = _guarded(inert(without_marker(kept), manner)) + ("…" if shortened else "")
        if len(written) <= limit:
            return written
        kept = kept[: min(len(kept) * limit // len(written), len(kept) * 9 // 10)].rstrip()
        shortened = True
    return cut("…" if shortened else "", limit)


def _blocks(foreign: str, manner: InlineContext) -> str:
    """The text block by block: fences apart from the lines between them."""
    written: list[str] = []
    lines = iter(foreign.split("\n"))
    for current in lines:
        opening = _FENCE.fullmatch(current)
        if opening and not (opening["ticks"][0] == "`" and "`" in opening["info"]):
            block = fence("\n".join(_fenced_lines(lines, opening)), _first_word(opening["info"]))
            written.extend(["", block, ""])
        else:
            written.append(_prose(current, manner))
    return _join(written)


def _join(written: list[str]) -> str:
    """The parts without blank lines at the ends or in rows; those within a fence are its own."""
    kept: list[str] = []
    for part in written:
        if part or (kept and kept[-1]):
            kept.append(part)
    return "\n".join(kept).strip("\n")


def _fenced_lines(lines: Iterator[str], opening: re.Match[str]) -> Iterator[str]:
    """The lines up to the closing fence, or to the end; the opening's indentation is taken off."""
    ticks = opening["ticks"]
    indent = len(opening["indent"])
    for current in lines:
        bare = current.strip()
        if len(bare) >= len(ticks) and not bare.strip(ticks[0]):
            return
        yield current[min(indent, len(current) - len(current.lstrip())) :]


def _first_word(info: str) -> str:
    return (info.split() or [""])[0]


def _prose(foreign: str, manner: InlineContext) -> str:
    """One line outside of fences."""
    current = foreign.expandtabs(4).rstrip()
    bare = current.lstrip(" >")
    shown = bare.replace("\\", "")
    if shown.strip("+ ") and _RULE_CHARACTERS.issuperset(shown):
        return f"\\{shown}"  # it could part the text, underline a heading, or make a table of the line above
    heading = _HEADING.fullmatch(current)
    if heading:
        title = inert((heading["title"] or "").strip(), InlineContext(manner.server_url, literal=True))
        return f"**{title}**" if title else ""
    listed = _LIST.fullmatch(current)
    if listed:
        indent = listed["indent"][:_DEEPEST_LIST]
        return f"{indent}{listed['marker']} {_guarded(inert(listed['rest'], manner))}"
    depth = min(current[: len(current) - len(bare)].count(">"), _DEEPEST_QUOTE)
    if depth:
        return "> " * depth + _guarded(inert(bare, manner))
    indent = current[: min(len(current) - len(bare), 3)]
    return indent + _guarded(inert(bare, manner))


def _guarded(written: str) -> str:
    """The line with an escape where it would begin a block, or call a bot that reads raw comments."""
    written = written.lstrip()
    if _BLOCK_START.match(written) or _RULE.fullmatch(written):
        return f"\\{written}"
    return _NUMBER.sub(r"\1\\", written, count=1) if _NUMBER.match(written) else written

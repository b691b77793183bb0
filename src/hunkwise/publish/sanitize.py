"""Makes Markdown of a model or an untrusted author safe to post.

Untrusted Markdown is not filtered but rewritten in a form that every parser reads the same way: fences are at the
margin between blank lines, code spans end on their line, a table has a pipe at both ends of each row and blank lines
around it, and everything else that could be HTML, a link, a table, a mention or a reference is escaped or shown as
code. So code that is recognized here is code on GitHub too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hunkwise.domain.text import cut, one_line, plain
from hunkwise.publish.markdown_syntax import (
    RUNS,
    count_columns,
    fence_opening,
    find_code_spans,
    read_fenced_lines,
    split_cells,
)
from hunkwise.tracking.markers import RESEMBLES_MARKER

_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+#._-]{0,29}")
_SLASH_COMMAND = re.compile("^/[A-Za-z]", re.MULTILINE)

# GitHub renders these as graphics, or offers them as a change to commit.
_RENDERED_LANGUAGES = frozenset({"suggestion", "math", "mermaid", "geojson", "topojson", "stl"})


def without_marker(text: str) -> str:
    """Returns the text with every hidden marker of ours made invalid: only we may write one."""
    return RESEMBLES_MARKER.sub("<! --", text)


def code_span(text: str) -> str:
    """Returns the text, on one line, as a code span that its own backticks cannot close."""
    content = without_marker(one_line(text))
    if not content:
        return ""
    delimiter = "`"
    while delimiter in RUNS.findall(content):
        delimiter += "`"
    padding = " " if content[0] == "`" or content[-1] == "`" else ""
    return f"{delimiter}{padding}{content}{padding}{delimiter}"


def fence(text: str, language: str = "") -> str:
    """Returns a fenced block, its fence longer than any run of backticks inside.

    Languages that GitHub renders as graphics are removed.
    """
    word = language if _LANGUAGE.fullmatch(language) and language.lower() not in _RENDERED_LANGUAGES else ""
    return _fence_code(without_marker(plain(text)), word)


def suggestion_fence(text: str) -> str:
    """Returns the block that GitHub offers to commit: `text` replaces the commented lines; empty text removes them."""
    return _fence_code(plain(text), "suggestion")


def drawn_fence(source: str) -> str:
    """Returns the block that GitHub renders as a diagram; only for sources that `publish.change_summary` checked."""
    return _fence_code(without_marker(plain(source)), "mermaid")


def _fence_code(content: str, info: str) -> str:
    longest = max((len(run) for run in RUNS.findall(content)), default=0)
    ticks = "`" * max(3, longest + 1)
    lines = [f"{ticks}{info}", *([content.removesuffix("\n")] if content else []), ticks]
    block = "\n".join(lines)
    if _SLASH_COMMAND.search(content):
        # In a fence that is indented by a space, Markdown removes one space from each line. So bots that read a
        # comment's raw lines find no command at their start, and the rendered code is still exact.
        block = "\n".join(f" {line}" for line in block.split("\n"))
    return block


# While a line is parsed, escaped characters are moved to a Unicode private use area, to distinguish them from others.
_PRIVATE = 0xE000
_STRUCTURAL = "`*_[]<>|\\!~$&{}"
_PRIVATE_CHARACTERS = re.compile("[\ue000-\ue07f]")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")

_TOKENS = re.compile(
    r"(?P<entity>&(?:lt|gt|amp|quot|#36);)"  # entities that we write ourselves, and that are plain characters
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
"""Path segments that a browser removes, so that an address leads to another page than its text says."""
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~/%+-]*(?:#L\d{1,9}(?:-L\d{1,9})?)?")
_ESCAPED = {"<": "&lt;", "&": "\\&", "$": "&#36;"}


@dataclass(frozen=True, slots=True)
class InlineContext:
    """The place that prose is written for: a body of its own, or (`literal`) inside a line of ours."""

    server_url: str = ""
    """Links to this server are kept, except those that would create a reference at their target."""
    literal: bool = False
    """Emphasis is escaped, and no code span may have a pipe, which would end a table's cell."""


@dataclass(slots=True)
class _Line:
    """The line as written so far. Adjacent code spans are separated, or their backticks would merge."""

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
            self.add(" ")  # or the text before and after it would become one word

    def add_separator(self) -> None:
        """Adds a space, so that the next text is not joined with the last word."""
        if self.parts and not self.parts[-1][-1].isspace() and self.parts[-1] != "(":
            self.add(" ")


def inert(untrusted: str, context: InlineContext) -> str:
    """Returns one line without anything that GitHub would resolve, embed or run, in time linear in its length."""
    text = _PRIVATE_CHARACTERS.sub("\ufffd", untrusted)
    line = _Line()
    position = 0
    for start, end, ticks in find_code_spans(text):
        _write_prose(line, _hide_escapes(text[position:start]), context)
        _write_code(line, text[start + ticks : end - ticks], context)
        position = end
    _write_prose(line, _hide_escapes(text[position:]), context)
    return "".join(line.parts)


def _write_prose(line: _Line, text: str, context: InlineContext) -> None:
    for match in _TOKENS.finditer(text):
        if match["entity"]:
            line.add(match[0])
        elif match["link"]:
            _write_link(line, match["label"], _show(match["target"]), context)
        elif match["address"]:
            _write_address(line, match["address"], context)
        elif match["word"]:
            _write_word(line, match[0], context)
        elif match["tildes"]:
            line.add("\\~" * len(match[0]))
        else:
            line.add(_escape(match[0], context))


def _write_code(line: _Line, content: str, context: InlineContext) -> None:
    if context.literal and "|" in content:
        _write_prose(line, _hide(content), context)
    else:
        line.add_code(content)


def _write_link(line: _Line, label: str, target: str, context: InlineContext) -> None:
    """Writes a link or an image as its text with the target as code; links to our own server stay links."""
    within = replace(context, server_url="")  # a link in a link's text would end the outer one
    if _is_ours(target, context) and label.strip():
        line.add("[")
        _write_prose(line, label, within)
        line.add(f"]({target})")
        return
    line.add_separator()
    if _show(label).strip() == target:
        _write_code(line, target, context)
        return
    _write_prose(line, label, within)
    line.add(" (" if label else "(")
    _write_code(line, target, context)
    line.add(")")


def _write_address(line: _Line, url: str, context: InlineContext) -> None:
    address = url.rstrip(".,:;!?)*_'\"")
    if _is_ours(address, context):
        line.add(f"<{address}>")
    else:
        _write_code(line, address, context)
    for character in url[len(address) :]:
        line.add(_escape(character, context))


def _write_word(line: _Line, word: str, context: InlineContext) -> None:
    if not _CALLS.search(word):
        line.add(word.replace("_", "\\_") if context.literal else word)
        return
    called = word.rstrip(".:?_-")
    _write_code(line, called, context)
    line.add(word[len(called) :].replace("_", "\\_"))


def _escape(character: str, context: InlineContext) -> str:
    """Returns a single character as Markdown that shows it literally; in a body, emphasis is kept."""
    code = ord(character)
    if _PRIVATE <= code < _PRIVATE + 0x80:
        original = chr(code - _PRIVATE)
        return _ESCAPED.get(original, f"\\{original}")
    if character in "[]|`\\":
        return f"\\{character}"
    if character in "*~" and context.literal:
        return f"\\{character}"
    return _ESCAPED.get(character, character)


def _is_ours(url: str, context: InlineContext) -> bool:
    """Returns whether this is a plain page of GitHub's own server that does not record references to it."""
    server = context.server_url.rstrip("/")
    if not server or not url.startswith(f"{server}/"):
        return False
    path = url.removeprefix(server)
    referring = any(part in f"{path}/" for part in _REFERENCES)
    return bool(_PLAIN_PATH.fullmatch(path)) and not referring and not _STEPS.search(path)


def _hide_escapes(text: str) -> str:
    """Returns the text with backslash escapes resolved: structural characters are moved to the private use area."""
    return _ESCAPE.sub(lambda match: _hide(match[1]), text)


def _hide(text: str) -> str:
    return "".join(chr(_PRIVATE + ord(char)) if char in _STRUCTURAL else char for char in text)


def _show(text: str) -> str:
    """Returns the text with characters of the private use area restored, for code and addresses."""
    return _PRIVATE_CHARACTERS.sub(lambda match: chr(ord(match[0]) - _PRIVATE), text)


_HEADING = re.compile(r" {0,3}#{1,6}(?: +(?P<title>.*))?")
_LIST = re.compile(r"(?P<indent> *)(?P<marker>[-*+]|\d{1,9}[.)]) +(?P<rest>.*)")
_CONTINUES_TEXT = re.compile(r" *(?:(?!0*1[.)])\d+[.)] .*|\S+ +)")
"""An item that begins no list after a line of text: its number is not 1, or it is empty."""
_BLOCK_START = re.compile(r"[-+*](?= |\Z)|#{1,6}(?= |\Z)|>|/(?=[A-Za-z])|:(?=:)")
_NUMBER = re.compile(r"(\d{1,9})(?=[.)](?: |\Z))")
_RULE = re.compile(r"([-*_])(?: *\1){2,} *")
_RULE_CHARACTERS = frozenset("-=:|+*_ ")
_DEEPEST_LIST = 12
_MARGIN = 3
"""Spaces before a line, or before what an item of a list contains; with more of them the line would be code."""
_DEEPEST_QUOTE = 3
_MOST_ROWS = 100


def text(untrusted: str, limit: int, *, server_url: str = "") -> str:
    """Returns untrusted Markdown as safe Markdown of at most `limit` characters.

    Emphasis, lists, quotes, code spans, fences and tables are kept. Links are kept only if they lead to `server_url`.
    """
    context = InlineContext(server_url=server_url)

    def write(kept: str) -> str:
        return _rewrite_blocks(without_marker(plain(kept)), context)

    return _write_within(limit, write, untrusted[:limit], "\n\n…", shortened=len(untrusted) > limit)


def line(untrusted: str, limit: int) -> str:
    """Returns untrusted text as one safe line of at most `limit` characters, for titles and cells of tables.

    Code spans are kept; emphasis, headings, lists and pipes are shown literally.
    """
    context = InlineContext(literal=True)

    def write(kept: str) -> str:
        return _guard(inert(without_marker(kept.rstrip()), context))

    kept = one_line(untrusted[: limit * 4])
    return _write_within(limit, write, kept, "…", shortened=len(untrusted) > limit * 4)


def _write_within(limit: int, write: Callable[[str], str], kept: str, end: str, *, shortened: bool) -> str:
    """Returns as much of the text as fits into `limit` characters once it is written, then `end` if it is cut."""
    while kept:
        written = write(kept) + (end if shortened else "")
        if len(written) <= limit:
            return written
        # Escapes made it longer than its source; the next attempt is shorter by at least a tenth.
        kept = kept[: min(len(kept) * limit // len(written), len(kept) * 9 // 10)]
        shortened = True
    return cut("…" if shortened else "", limit)


def _rewrite_blocks(untrusted: str, context: InlineContext) -> str:
    """Returns the text rewritten block by block: fences, tables, and single lines outside of them."""
    written: list[str] = []
    lines = iter(untrusted.split("\n"))
    above = ""
    columns = rows = 0
    starts = [0]  # columns at which what the open lists contain begins
    for current in lines:
        rows += 1
        if opening := fence_opening(current):
            block = fence("\n".join(read_fenced_lines(lines, opening)), _first_word(opening["info"]))
            written.extend(["", block, ""])
            above, columns, starts = "", 0, [0]
        elif columns and "|" in current and rows <= _MOST_ROWS:
            written.append(_write_row(current, columns, context))
        elif columns := count_columns(above, current):
            written[-1:] = ["", _write_row(above, columns, context), "|" + " --- |" * columns]
            above, rows, starts = "", 0, [0]
        else:
            if written and written[-1].startswith("|"):
                written.append("")  # the end of a table
            row = _rewrite_line(current, context, starts)
            after_blank = not (written and written[-1])
            continues = not after_blank and starts == [0] and _CONTINUES_TEXT.fullmatch(row)
            if (item := _LIST.fullmatch(row)) and not continues:
                starts = [*(start for start in starts if start <= item.end("indent")), item.start("rest")]
            elif row and (row[0] == ">" or after_blank):  # the end of all lists
                starts = [0]
            written.append(row)
            above = current
    return _join_blocks(written)


def _write_row(row: str, columns: int, context: InlineContext) -> str:
    """Returns a row of a table with this number of cells, each of them safe."""
    cells = [*split_cells(row), *[""] * columns][:columns]
    within = replace(context, literal=True)
    return f"| {' | '.join(inert(cell.strip(), within) for cell in cells)} |"


def _join_blocks(blocks: list[str]) -> str:
    """Returns the joined blocks without repeated blank lines, or any at the ends; a fence keeps its own."""
    kept: list[str] = []
    for block in blocks:
        if block or (kept and kept[-1]):
            kept.append(block)
    return "\n".join(kept).strip("\n")


def _first_word(info: str) -> str:
    return (info.split() or [""])[0]


def _rewrite_line(untrusted: str, context: InlineContext, starts: Sequence[int]) -> str:
    """Returns one line outside of fences as safe Markdown. `starts`: see `_rewrite_blocks`."""
    current = untrusted.expandtabs(4).rstrip()
    bare = current.lstrip(" >")
    unescaped = bare.replace("\\", "")
    if unescaped.strip("+ ") and _RULE_CHARACTERS.issuperset(unescaped):
        return (
            f"\\{unescaped}"  # it could be a rule, the underline of a heading, or make the line above a table
        )
    heading = _HEADING.fullmatch(current)
    if heading:
        title = inert((heading["title"] or "").strip(), InlineContext(context.server_url, literal=True))
        return f"**{title}**" if title else ""
    listed = _LIST.fullmatch(current)
    if listed:
        indent = listed["indent"][:_DEEPEST_LIST]
        indent = indent[: max(start for start in starts if start <= len(indent)) + _MARGIN]
        return f"{indent}{listed['marker']} {_guard(inert(listed['rest'], context))}"
    depth = min(current[: len(current) - len(bare)].count(">"), _DEEPEST_QUOTE)
    if depth:
        return "> " * depth + _guard(inert(bare, context))
    indent = current[: min(len(current) - len(bare), _MARGIN)]
    return indent + _guard(inert(bare, context))


def _guard(written: str) -> str:
    """Returns the line, escaped if it would begin a block, or call a bot that reads raw comments."""
    written = written.lstrip()
    if _BLOCK_START.match(written) or _RULE.fullmatch(written):
        return f"\\{written}"
    return _NUMBER.sub(r"\1\\", written, count=1) if _NUMBER.match(written) else written

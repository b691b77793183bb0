"""Everything that a model or a stranger wrote passes through here before it is posted.

Foreign Markdown is not filtered but written anew, in a form that leaves GitHub's parser nothing to decide:
fences stand at the margin between blank lines, code spans are closed on their line, all else that could be
HTML, a link, a table, a mention or a reference is escaped or shown as code. What is read here as code is
therefore code there too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hunkwise.publish.characters import cut, one_line, plain
from hunkwise.publish.code import code_span, fence, without_marker
from hunkwise.publish.prose import Manner, inert

__all__ = ["code_span", "fence", "line", "plain", "text"]

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
    manner = Manner(server_url=server_url)
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
    manner = Manner(literal=True)
    kept = one_line(foreign[: limit * 4])
    shortened = len(foreign) > limit * 4
    while kept:
        written = _guarded(inert(without_marker(kept), manner)) + ("…" if shortened else "")
        if len(written) <= limit:
            return written
        kept = kept[: min(len(kept) * limit // len(written), len(kept) * 9 // 10)].rstrip()
        shortened = True
    return cut("…" if shortened else "", limit)


def _blocks(foreign: str, manner: Manner) -> str:
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


def _prose(foreign: str, manner: Manner) -> str:
    """One line outside of fences."""
    current = foreign.expandtabs(4).rstrip()
    bare = current.lstrip(" >")
    shown = bare.replace("\\", "")
    if shown.strip("+ ") and _RULE_CHARACTERS.issuperset(shown):
        return f"\\{shown}"  # it could part the text, underline a heading, or make a table of the line above
    heading = _HEADING.fullmatch(current)
    if heading:
        title = inert((heading["title"] or "").strip(), Manner(manner.server_url, literal=True))
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

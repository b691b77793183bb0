"""Renders Markdown as GitHub does: CommonMark with tables, strikethrough and HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_DRAWN = {"suggestion", "math", "mermaid", "geojson", "topojson", "stl"}
_CALLS = re.compile(r"[@＠﹫]|[#＃]\d|(?<![a-z0-9])gh-\d|://|www\.", re.IGNORECASE)


@dataclass
class Rendered:
    """The elements that GitHub would act on or show."""

    links: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    """Text nodes outside of code and links."""
    cells: int = 0
    """Number of table cells without the header row."""


def rendered(markdown: str) -> Rendered:
    """Returns the text's elements; `faults` has all but prose, emphasis, lists, quotes and code."""
    found = Rendered()
    for token in _MARKDOWN.parse(markdown):
        _block(token, found)
    found.faults += [f"calls: {text!r}" for text in found.prose if _CALLS.search(text)]
    return found


def _block(token: Token, found: Rendered) -> None:
    if token.type in ("html_block", "table_open", "heading_open", "code_block"):
        found.faults.append(f"{token.type}: {token.content[:80]!r}")
    elif token.type == "fence":
        if token.info.strip().lower() in _DRAWN:
            found.faults.append(f"a fence of {token.info}")
        found.code.append(token.content)
    found.cells += token.type == "td_open"
    linked = 0
    pieces = [""]
    for child in token.children or []:
        if child.type in ("html_inline", "image"):
            found.faults.append(f"{child.type}: {child.content[:80]!r}")
        elif child.type == "code_inline":
            found.code.append(child.content)
        elif child.type == "link_open":
            found.links.append(str(child.attrGet("href")))
        linked += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type == "text" and not linked:
            pieces[-1] += child.content
        else:
            pieces.append("")
    found.prose += [piece for piece in pieces if piece]

"""Reads the repository's Markdown pages: tables, code blocks, links, anchors."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    """Returns the fenced blocks of a language in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def table(text: str, first_heading: str) -> list[list[str]]:
    """Returns the rows of all tables with that heading in their first column, without the heads."""
    found = re.findall(rf"^\| {re.escape(first_heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    assert found, f"there is no table of {first_heading}"
    rows = (row for rows in found for row in rows.splitlines())
    return [[cell.strip() for cell in row.strip("|\n ").split(" | ")] for row in rows]


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def prose(text: str) -> str:
    """Returns the page without its fenced blocks and comments."""
    return re.sub(r"^ *```.*?^ *```$|<!--.*?-->", "", text, flags=re.DOTALL | re.MULTILINE)


def relative_links(text: str) -> list[str]:
    """Returns the targets of links and pictures that are no URLs, with their anchors."""
    targets = re.findall(r"""\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)\"""", prose(text))
    return [target for pair in targets for target in pair if target and not re.match(r"[a-z]+:", target)]


def anchor(heading: str) -> str:
    """Returns the anchor that GitHub gives a heading in Markdown, the first one of its kind on the page."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]|\\(?=[^\w\s])", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Returns the anchors of a page's headings; a repeated one ends in -1, -2 and so on."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} (.+?)(?: #+)?$", prose(text), re.MULTILINE):
        name = anchor(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found

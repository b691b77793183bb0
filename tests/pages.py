"""Reads the repository's Markdown pages: tables, code blocks, links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    """Returns the fenced blocks of a language in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def table(text: str, first_heading: str) -> list[list[str]]:
    """Returns the rows of the first table with that heading in its first column, without the head."""
    found = re.search(rf"^\| {re.escape(first_heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    assert found is not None, f"there is no table of {first_heading}"
    return [[cell.strip() for cell in row.strip("|\n ").split(" | ")] for row in found[1].splitlines()]


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def relative_links(text: str) -> list[str]:
    """Returns the targets of links that are neither URLs nor anchors on the same page."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]

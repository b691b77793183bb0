"""Code in Markdown: spans and fences that their content cannot close."""

from __future__ import annotations

import re

from hunkwise.publish.characters import one_line, plain

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
    """The block that GitHub draws: for what `publish.diagram` has looked at, and nothing else."""
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

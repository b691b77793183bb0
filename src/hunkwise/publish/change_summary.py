"""Renders a model's summary of a change, with its Mermaid diagram reduced to boxes and arrows.

GitHub renders `mermaid` fences with a program that supports links, clicks, styles, HTML and directives. A diagram that
is accepted here has none of them: only few kinds of diagrams, characters and statements are allowed.
"""

from __future__ import annotations

import re
from typing import Final

from hunkwise.domain.finding import MAX_AREAS, MAX_DIAGRAM, Area, Risk
from hunkwise.domain.text import joined, plain
from hunkwise.publish import sanitize
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.sanitize import drawn_fence

_MOST_LINES: Final = 60
_LONGEST_LINE: Final = 160
_KIND: Final = re.compile(
    r"(?P<flow>(?:flowchart|graph)(?: (?:TB|TD|BT|LR|RL))?)|sequenceDiagram|stateDiagram-v2|classDiagram"
)
# Besides letters and digits of any script. Not `#`, `;`, `\` and `%`: entities, several statements, directives.
_SIGNS: Final = frozenset(" _-.,:/()[]{}|<>=+*!?'\"")
_CODE: Final = re.compile(r"<(?=[A-Za-z/!?])|//|www\.|\]\(|!\[|:::")
"""HTML, addresses, Markdown links and images in labels, style classes."""
_ANNOTATION: Final = re.compile(r"<<(?:interface|abstract|enumeration|service|fork|join|choice)>>")
_WORDS: Final = re.compile(r"\b(?:click|href|javascript|callback)\b", re.IGNORECASE)
_STATEMENTS: Final = re.compile(
    r"(?:links?|properties|details|style|linkStyle|classDef|cssClass)\b", re.IGNORECASE
)
"""Words at the start of a line that have other effects than a shape or an arrow."""
_QUOTED: Final = re.compile(r'"[^"]*"')
_SHAPE: Final = re.compile(
    r"(?:\[\[|\[\(|\(\[|\(\(|\{\{|[\[({])[^\[\](){}]*(?:\]\]|\)\]|\]\)|\)\)|\}\}|[\])}])"
)
_BRACKETS: Final = re.compile(r"[\[\](){}]")


def diagram_fault(source: str) -> str | None:
    """Returns why the source is not rendered, for a reader; None if it is."""
    if source != plain(source):
        return "it has characters that are not seen"
    lines = source.split("\n")
    kind = _KIND.fullmatch(lines[0].strip(" "))
    if kind is None:
        return "it is of no kind that is shown"
    if len(lines) < 2 or len(lines) > _MOST_LINES or len(source) > MAX_DIAGRAM:
        return f"it has no line, or more than {_MOST_LINES} lines or {MAX_DIAGRAM:,} characters"
    if fault := next(filter(None, map(_find_line_fault, lines[1:])), None):
        return fault
    unquoted = _QUOTED.sub("", source)  # each line has closed all of its quotes
    if kind["flow"]:
        # With brackets within brackets Mermaid renders nothing.
        matching = not any(_BRACKETS.search(_SHAPE.sub("", line)) for line in unquoted.split("\n")[1:])
    else:
        matching = unquoted.count("{") == unquoted.count("}")
    return None if matching else "its brackets do not match"


def diagram(source: str) -> str:
    """Returns the fence that GitHub renders as a diagram; empty if `diagram_fault` reports anything."""
    return "" if not source or diagram_fault(source) else drawn_fence(source)


def _find_line_fault(line: str) -> str | None:
    text = line.strip(" ")
    if len(line) > _LONGEST_LINE:
        return f"a line of it has more than {_LONGEST_LINE} characters"
    # An ampersand joins nodes; anywhere else it could begin an entity.
    bare = _ANNOTATION.sub("", text).replace(" & ", " ")
    if not all(character.isalnum() or character in _SIGNS for character in bare):
        return "it has characters that are not let through"
    if _CODE.search(bare) or _WORDS.search(bare) or _STATEMENTS.match(bare):
        return "it has a statement, an address or HTML that is not let through"
    if bare.count('"') % 2:
        return "a quote in it is not closed"
    # These begin a bot's command, a workflow command, or the configuration of a diagram.
    is_command = bare[:1] == "/" or bare[:2] == "::" or (bare != "" and not bare.strip("-="))
    return "a line of it begins as no line of a diagram does" if is_command else None


_OVERVIEW_LIMIT = 3_000
_NAME_LIMIT = 120
_WORDS_LIMIT = 600
_BY_MODEL = "Summary (AI-generated)"
_BY_RULES = "Summary (by the demo's rules)"


def folded(title: str, markdown: str) -> str:
    """Returns a block that shows the title until a reader unfolds it; both must be safe Markdown."""
    return f"<details><summary>{title}</summary>\n\n{markdown}\n\n</details>"


def change_blocks(view: PublishedReview, *, drawn: bool) -> list[str]:
    """Returns overview, areas, risk and, if `drawn`, the diagram in a folded block; empty if there is no summary."""
    review = view.review
    parts = [sanitize.text(review.summary, _OVERVIEW_LIMIT, server_url=view.server_url)]
    if review.walkthrough is not None:
        areas, risk = review.walkthrough.areas[:MAX_AREAS], review.walkthrough.risk
        parts += [_render_areas(areas), _render_risk(risk) if risk else ""]
        parts.append(diagram(review.walkthrough.diagram) if drawn else "")
    blocks = [part for part in parts if part]
    return [folded(_BY_RULES if review.demo else _BY_MODEL, joined(blocks))] if blocks else []


def _render_areas(areas: tuple[Area, ...]) -> str:
    return "\n".join(row for area in areas if (row := _render_area(area)))


def _render_area(area: Area) -> str:
    """Returns a line of the list; empty if the area has no visible text."""
    name = sanitize.line(area.area, _NAME_LIMIT)
    words = [sanitize.line(text, _WORDS_LIMIT) for text in (area.what, area.why)]
    description = " ".join(word for word in words if word)
    if not name and not description:
        return ""
    return "- " + ": ".join(part for part in (f"**{name}**" if name else "", description) if part)


def _render_risk(risk: Risk) -> str:
    why = sanitize.line(risk.why, _WORDS_LIMIT)
    return f"**Risk: {risk.level} (AI estimate).**" + (f" {why}" if why else "")

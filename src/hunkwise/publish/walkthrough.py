"""What the model says of the change as a whole, as blocks of Markdown: all of it is foreign, and marked as such."""

from __future__ import annotations

from hunkwise.domain.walkthrough import MAX_AREAS, Area, Risk
from hunkwise.publish import sanitize
from hunkwise.publish.diagram import diagram
from hunkwise.publish.view import View

_OVERVIEW_LIMIT = 3_000
_NAME_LIMIT = 120
_WORDS_LIMIT = 600
_SHOWN = 3
"""Areas that are shown unfolded."""
_BY_MODEL = "#### The change, in the model's words"
_BY_RULES = "#### The change, in the words of the demo's rules"


def change_blocks(view: View, *, drawn: bool) -> list[str]:
    """Heading, overview, areas, risk and, where `drawn`, the diagram; nothing where nothing was said."""
    review = view.review
    said = [sanitize.text(review.summary, _OVERVIEW_LIMIT, server_url=view.server_url)]
    if review.walkthrough is not None:
        areas, risk = review.walkthrough.areas[:MAX_AREAS], review.walkthrough.risk
        said += [_areas(areas), _risk(risk) if risk else ""]
        said.append(diagram(review.walkthrough.diagram) if drawn else "")
    blocks = [block for block in said if block]
    return [_BY_RULES if review.demo else _BY_MODEL, *blocks] if blocks else []


def _areas(areas: tuple[Area, ...]) -> str:
    rows = [row for one in areas if (row := _row(one))]
    listed = "\n".join(rows)
    if len(rows) <= _SHOWN:
        return listed
    return f"<details><summary>Area by area: {len(rows)}</summary>\n\n{listed}\n\n</details>"


def _row(area: Area) -> str:
    """A line of the list; empty where nothing can be shown of it."""
    name = sanitize.line(area.area, _NAME_LIMIT)
    words = [sanitize.line(text, _WORDS_LIMIT) for text in (area.what, area.why)]
    said = " ".join(word for word in words if word)
    return (
        "- " + ": ".join(part for part in (f"**{name}**" if name else "", said) if part)
        if name or said
        else ""
    )


def _risk(risk: Risk) -> str:
    why = sanitize.line(risk.why, _WORDS_LIMIT)
    return f"**Risk, as the model sees it: {risk.level}.**" + (f" {why}" if why else "")

"""Looks every finding of a report up on the rung of the ladder that the report names."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from hunkwise.domain.text import plain
from tests.fakes.github_state import BOT, Hub

_PLACE = ("line", "start_line", "side")
_LONGEST = 60
"""Letters of a title by which it is known again: longer ones may have been cut."""


def misplaced(report: Any, summary: str, hub: Hub) -> list[str]:
    """The findings that are not where the report says, in words; `summary` is the run's job summary."""
    return [
        f"{found['title']!r} is not on the rung {found['where']!r}"
        for found in report["findings"]
        if not _stands(found, report["run"], summary, hub)
    ]


def _stands(found: Any, run: str, summary: str, hub: Hub) -> bool:
    marker = f"fp={found['fingerprint']}"
    match found["where"]:
        case "inline" | "file" as rung:
            return any(marker in body for body in _comments(found, rung, hub))
        case "body":
            bodies = [review.body for review in hub.reviews if review.state != "PENDING"]
            return any(marker in body for body in bodies)
        case "annotation":
            return any(
                _letters(found["title"]) in _letters(title, None) for title in _annotated(found, run, hub)
            )
        case "summary":
            return _letters(found["title"]) in _letters(summary, None)
        case _:
            return bool(found["where"] == "report")


def _comments(found: Any, rung: str, hub: Hub) -> Iterator[str]:
    """The texts of our comments that can be the finding's; what was raised before may have moved since."""
    pending, kind = hub.pending_ids(), "line" if rung == "inline" else "file"
    for comment in hub.comments:
        if comment.author != BOT or comment.subject_type != kind or comment.review_id in pending:
            continue
        places = () if rung == "file" else _PLACE
        same = plain(comment.path) == found["path"]  # a report has no character that nobody sees
        if found["known"] or (same and all(getattr(comment, name) == found[name] for name in places)):
            yield comment.body


def _annotated(found: Any, run: str, hub: Hub) -> Iterator[str]:
    """The titles of the annotations that can be the finding's; what is new is on the run's own check run."""
    for check_run in hub.check_runs:
        if found["known"] or check_run.external_id == f"hunkwise:{run}":
            yield from (note["title"] for note in check_run.annotations if note.get("title"))


def _letters(text: str, most: int | None = _LONGEST) -> str:
    """Letters and digits alone, so that no way of escaping matters."""
    return re.sub(r"[\W_]", "", html.unescape(text))[:most]

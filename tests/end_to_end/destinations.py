"""Checks at which fallback level each finding of a run is, from the line down to the report."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from hunkwise.domain.text import plain
from tests.end_to_end.step import Result
from tests.fakes.github import FakeGitHub
from tests.fakes.github_state import BOT, Hub

TITLES = ("Fault on a line", "Fault in the file", "Fault elsewhere")
"""Of the findings of `World.open_three_findings`."""
_POSITION = ("line", "start_line", "side")
_TITLE_LETTERS = 60
"""How many letters of a title are compared: longer titles may have been cut."""


def misplaced(report: Any, summary: str, hub: Hub) -> list[str]:
    """Describes the findings that are not where the report says; `summary` is the run's job summary."""
    return [
        f"{found['title']!r} is not at the level {found['where']!r}"
        for found in report["findings"]
        if not _is_in_place(found, report["run"], summary, hub)
    ]


def _is_in_place(found: Any, run: str, summary: str, hub: Hub) -> bool:
    marker = f"fp={found['fingerprint']}"
    match found["where"]:
        case "inline" | "file" as level:
            return any(marker in body for body in _comments(found, level, hub))
        case "body":
            return any(marker in review.body for review in hub.reviews if review.state != "PENDING")
        case "annotation":
            titles = _annotation_titles(found, run, hub)
            return any(_letters(found["title"]) in _letters(title, None) for title in titles)
        case "summary":
            return _letters(found["title"]) in _letters(summary, None)
        case _:
            return bool(found["where"] == "report")


def _comments(found: Any, level: str, hub: Hub) -> Iterator[str]:
    """Yields the texts of our comments that can be the finding's; a comment of an earlier run may have moved."""
    pending, kind = hub.pending_ids(), "line" if level == "inline" else "file"
    for comment in hub.comments:
        if comment.author != BOT or comment.subject_type != kind or comment.review_id in pending:
            continue
        position = () if level == "file" else _POSITION
        same = plain(comment.path) == found["path"]  # a report has no invisible characters
        if found["known"] or (same and all(getattr(comment, name) == found[name] for name in position)):
            yield comment.body


def _annotation_titles(found: Any, run: str, hub: Hub) -> Iterator[str]:
    """Yields the titles of annotations that can be the finding's; a new one is on the run's own check run."""
    for check_run in hub.check_runs:
        if found["known"] or check_run.external_id == f"hunkwise:{run}":
            yield from (note["title"] for note in check_run.annotations if note.get("title"))


def _letters(text: str, most: int | None = _TITLE_LETTERS) -> str:
    """Returns letters and digits alone, so that escaping makes no difference."""
    return re.sub(r"[\W_]", "", html.unescape(text))[:most]


def check_destinations(github: FakeGitHub, result: Result) -> dict[str, str]:
    """Returns the level of each finding by title, after checking that it is there once and nowhere else."""
    levels = {found["title"]: found["where"] for found in result.report["findings"]}
    for title, level in levels.items():
        assert _levels_on_github(github, title) == ([] if level in ("summary", "report") else [level]), title
        assert title in result.summary, title
    assert_conclusions_agree(github, result)
    return levels


def destinations(github: FakeGitHub, result: Result) -> str:
    """Returns the levels of the three findings, for example `inline file body`."""
    levels = check_destinations(github, result)
    return " ".join(levels[title] for title in TITLES)


def _levels_on_github(github: FakeGitHub, title: str) -> list[str]:
    mark = f"**{title}**"
    comments = [thread.comments[0] for thread in github.threads]
    found = ["file" if one.subject_type == "file" else "inline" for one in comments if mark in one.body]
    found += ["body" for review in github.reviews for _ in range(review.body.count(f" · {title}\n"))]
    annotations = [note for run in github.check_runs for note in run.annotations]
    return found + ["annotation" for note in annotations if note["title"].partition(": ")[2] == title]


def assert_conclusions_agree(github: FakeGitHub, result: Result) -> None:
    """Checks that check run, summary comment, outputs and warnings report the same conclusion."""
    conclusion = {0: "success", 1: "failure", 4: "neutral"}[result.code]
    assert result.outputs["conclusion"] == result.report["conclusion"] == conclusion
    checks = [run for run in github.check_runs if run.status == "completed"]
    assert [run.conclusion for run in checks[-1:]] in ([], [conclusion])
    count = len(result.report["findings"])
    headline = re.compile(
        rf"^### hunkwise: {count} (?:open )?finding" if count else "^### hunkwise: no", re.MULTILINE
    )
    assert headline.search(result.summary)
    assert len(github.issue_comments) <= 1
    assert all(headline.search(comment.body) for comment in github.issue_comments)
    assert [review for review in github.reviews if review.state == "PENDING"] == []
    levels = {found["where"] for found in result.report["findings"]}
    if levels & {"annotation", "summary", "report"} and result.code == 0:
        assert re.search("could not (comment on|be posted as)", result.warning_text)

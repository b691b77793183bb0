"""Compares what is on GitHub after runs, independently of the number of requests that it took."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from hunkwise.domain.pull_request import Comment
from hunkwise.tracking.state import SUMMARY_MARKER, latest_state
from tests.end_to_end.world import World
from tests.fakes.github import FakeGitHub

_TITLES = re.compile(r"Fault \w+")


@dataclass(frozen=True)
class Snapshot:
    """Findings by their location, without ids, addresses and times."""

    comments: tuple[tuple[str, int | None, str], ...]
    """Path, line as posted and title of each of our threads, duplicates included."""
    threads: tuple[tuple[str, bool, int], ...]
    """Title, whether it is resolved, and the number of replies."""
    in_bodies: tuple[str, ...]
    """Titles in the texts of reviews, once per occurrence."""
    reviews: tuple[str, ...]
    """The states of the submitted reviews."""
    conclusion: str | None
    """Of the newest check run at the head."""
    remembered: tuple[tuple[str, str], ...]
    """Title and fallback level of each finding in the hidden state."""
    hunks: int
    """The number of reviewed hunks in the hidden state."""


def snapshot(world: World) -> Snapshot:
    """Returns the state of pull request 1, after checking that nothing is unfinished."""
    github = world.github
    assert_nothing_unfinished(world)
    first = [thread.comments[0] for thread in github.threads]
    comments = tuple(Comment(one.id, one.body, "") for one in github.issue_comments)
    state = latest_state(comments, repository="octo/repo", number=1)
    checks = [run for run in github.check_runs if run.head_sha == github.hub.pulls[1].head_sha]
    return Snapshot(
        comments=tuple(sorted(((one.path, one.line, title(one.body)) for one in first), key=repr)),
        threads=tuple(
            sorted(
                (title(thread.comments[0].body), thread.resolved, len(thread.comments) - 1)
                for thread in github.threads
            )
        ),
        in_bodies=tuple(
            sorted(found for review in github.reviews for found in set(_TITLES.findall(review.body)))
        ),
        reviews=tuple(sorted(review.state for review in github.reviews)),
        conclusion=max(checks, key=lambda run: run.id).conclusion if checks else None,
        remembered=tuple(sorted((one.title, str(one.where)) for one in state.findings)) if state else (),
        hunks=len(state.hunks) if state else 0,
    )


def assert_nothing_unfinished(world: World) -> None:
    """Checks that no review is pending, no check run in progress and no comment posted twice."""
    github = world.github
    assert [review for review in github.reviews if review.state == "PENDING"] == []
    assert [run.id for run in github.check_runs if run.status != "completed"] == []
    assert len(summary_comments(github)) <= 1
    doubles = Counter((thread.comments[0].path, title(thread.comments[0].body)) for thread in github.threads)
    assert [place for place, times in doubles.items() if times > 1] == []


def summary_comments(github: FakeGitHub) -> list[str]:
    """Returns the bodies of our summary comments."""
    return [one.body for one in github.issue_comments if one.body.startswith(SUMMARY_MARKER)]


def title(body: str) -> str:
    """Returns the title of the finding that a comment is about, or the start of the comment."""
    found = _TITLES.search(body)
    return found[0] if found else body[:60]

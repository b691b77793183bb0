"""What stands on GitHub when runs are over, in words that are the same however often it took to get there."""

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
    """Findings by where they stand; nothing of it has an id, an address or a time."""

    comments: tuple[tuple[str, int | None, str], ...]
    """Path, line as posted and title of every thread of ours, doubles included."""
    threads: tuple[tuple[str, bool, int], ...]
    """Title, whether it is resolved, and how many answers it has."""
    in_bodies: tuple[str, ...]
    """Titles that stand in the text of a review, as often as they do."""
    reviews: tuple[str, ...]
    """The states of the reviews that were submitted."""
    conclusion: str | None
    """Of the newest check run at the head."""
    remembered: tuple[tuple[str, str], ...]
    """Title and rung of every finding that the next run will know of."""
    hunks: int
    """How many hunks the next run will not read again."""


def snapshot(world: World) -> Snapshot:
    """What stands on pull request 1, after nothing was found to be left hanging."""
    github = world.github
    assert_nothing_hangs(world)
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
        in_bodies=tuple(sorted(found for review in github.reviews for found in _TITLES.findall(review.body))),
        reviews=tuple(sorted(review.state for review in github.reviews)),
        conclusion=max(checks, key=lambda run: run.id).conclusion if checks else None,
        remembered=tuple(sorted((one.title, str(one.where)) for one in state.findings)) if state else (),
        hunks=len(state.hunks) if state else 0,
    )


def assert_nothing_hangs(world: World) -> None:
    """No review is pending, and no check run in progress."""
    github = world.github
    assert [review for review in github.reviews if review.state == "PENDING"] == []
    assert [run.id for run in github.check_runs if run.status != "completed"] == []
    assert len(summaries(github)) <= 1
    doubles = Counter((thread.comments[0].path, title(thread.comments[0].body)) for thread in github.threads)
    assert [place for place, times in doubles.items() if times > 1] == []


def summaries(github: FakeGitHub) -> list[str]:
    """Our summary comments; there must never be two for long."""
    return [one.body for one in github.issue_comments if one.body.startswith(SUMMARY_MARKER)]


def title(body: str) -> str:
    """The title of the finding that a comment of ours is about; the comment itself where it is of nobody's."""
    found = _TITLES.search(body)
    return found[0] if found else body[:60]

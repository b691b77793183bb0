"""Dismissing outdated reviews, and deleting pending ones."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.reviews import Reviews
from tests.fakes.github_state import Review
from tests.github.conftest import World

LOST: list[dict[str, Any]] = [
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"disconnect": True},
]


def add_review(world: World, state: str) -> Review:
    review = Review(world.fake.hub.next_id(), 1, "github-actions[bot]", "No.", state, world.head)
    world.fake.reviews.append(review)
    return review


@pytest.mark.parametrize("state", ["CHANGES_REQUESTED", "APPROVED"])
def test_review_is_dismissed(world: World, state: str) -> None:
    review = add_review(world, state)
    Reviews(world.writer()).dismiss(review.id, "Nothing blocks any more.")
    assert (review.state, review.dismissal) == ("DISMISSED", "Nothing blocks any more.")
    assert len(world.fake.journal) == 1


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_dismissal_holds_after_a_lost_response(world: World, fault: dict[str, Any], stored: bool) -> None:
    other, review = add_review(world, "COMMENTED"), add_review(world, "CHANGES_REQUESTED")
    world.fake.fault("PUT", "/dismissals", commit_then_fail=stored, **fault)
    Reviews(world.writer()).dismiss(review.id, "Nothing blocks any more.")
    assert (other.state, review.state) == ("COMMENTED", "DISMISSED")
    assert len(world.fake.writes) == (1 if stored else 2)


def test_review_dismissed_by_a_person_is_not_dismissed_again(world: World) -> None:
    Reviews(world.writer()).dismiss(add_review(world, "DISMISSED").id, "Nothing blocks any more.")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, GitHubErrorKind.AUTHENTICATION),
        (403, GitHubErrorKind.FORBIDDEN),
        (404, GitHubErrorKind.NOT_FOUND),
        (422, GitHubErrorKind.INVALID),
        (429, GitHubErrorKind.RATE_LIMIT),
        (502, GitHubErrorKind.UNAVAILABLE),
    ],
)
def test_refused_dismissal_is_an_error_with_reason(world: World, status: int, kind: GitHubErrorKind) -> None:
    review = add_review(world, "CHANGES_REQUESTED")
    world.clock.left = 0.0
    world.fake.fault("PUT", "/dismissals", status=status, times=3)
    with pytest.raises(GitHubError) as caught:
        Reviews(world.writer()).dismiss(review.id, "Nothing blocks any more.")
    assert caught.value.kind is kind
    assert review.state == "CHANGES_REQUESTED"


def test_message_with_a_secret_is_not_sent(world: World) -> None:
    review = add_review(world, "CHANGES_REQUESTED")
    with pytest.raises(GitHubError, match="secrets"):
        Reviews(world.writer()).dismiss(review.id, "It is a-secret-of-ours.")
    assert world.fake.journal == []


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_pending_review_is_deleted(world: World, fault: dict[str, Any], stored: bool) -> None:
    review = add_review(world, "PENDING")
    world.fake.fault("DELETE", "/reviews/", commit_then_fail=stored, **fault)
    Reviews(world.writer()).delete_pending(review.id)
    assert world.fake.reviews == []


def test_submitted_review_is_not_deleted(world: World) -> None:
    review = add_review(world, "COMMENTED")
    with pytest.raises(GitHubError) as caught:
        Reviews(world.writer()).delete_pending(review.id)
    assert caught.value.kind is GitHubErrorKind.INVALID
    assert world.fake.reviews == [review]

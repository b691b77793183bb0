"""What becomes of our earlier reviews: those that a killed run left pending, and verdicts that hold no more."""

from __future__ import annotations

from contextlib import suppress

from hunkwise.domain.conversation import Conversation, PostedReview, ReviewState
from hunkwise.domain.outcome import ReviewEvent
from hunkwise.errors import ForgeError
from hunkwise.flows.outlets import Reviews
from hunkwise.publish.gates import superseded
from hunkwise.publish.markers import is_review_marker


def leftovers(conversation: Conversation) -> tuple[PostedReview, ...]:
    """Pending reviews of ours, by which a run that was killed looked for a comment that GitHub declines."""
    return tuple(
        review
        for review in conversation.reviews
        if review.state is ReviewState.PENDING and is_review_marker(review.body)
    )


def clear(reviews: Reviews, now: Conversation) -> bool:
    """Deletes what a killed run left pending; whether another tool's review of our account is pending still."""
    pending = [review for review in now.reviews if review.state is ReviewState.PENDING]
    for review in leftovers(now):
        with suppress(ForgeError):  # whatever it stands in the way of will say so
            reviews.delete_pending(review.id)
    return len(pending) > len(leftovers(now))


def dismiss(reviews: Reviews, now: Conversation, event: ReviewEvent) -> list[str]:
    """Takes back our earlier verdicts that no longer hold; gives a sentence for each that stands still."""
    notes = []
    for review in superseded(now.reviews, event):
        try:
            reviews.dismiss(review.id, "Superseded by a newer review of hunkwise.")
        except ForgeError as error:
            notes.append(f"An earlier review of ours still stands: {error.message}")
    return notes

"""The summary comment says that a run is at work, and says so no more when the run has ended without a word."""

from __future__ import annotations

import pytest

from hunkwise.domain.pull_request import Comment, Conversation
from hunkwise.errors import GitHubError
from hunkwise.flows.check_run import RunLock
from hunkwise.tracking.state import SUMMARY_MARKER, claim_marker, claimed_by
from tests.flows.outlets import AWAY, FakeComments, Refusals
from tests.tracking.story import HEAD, said

PREVIOUS = Comment(5, f"{SUMMARY_MARKER}\nWhat stands.")


def claim(before: Conversation | None, **errors: GitHubError) -> tuple[RunLock, FakeComments]:
    comments = FakeComments(Refusals(errors))
    return RunLock(comments, "run.2", before), comments


def claimed(by: str) -> Conversation:
    return said(comments=(Comment(5, f"{SUMMARY_MARKER}\n{claim_marker(by)}\n…"),))


@pytest.mark.parametrize("before", [None, said(), said(comments=(Comment(4, "Not a summary."),))])
def test_a_claim_is_a_comment_of_its_own_where_there_is_no_summary(before: Conversation | None) -> None:
    ours, comments = claim(before)
    ours.take(HEAD)
    (body,) = comments.bodies.values()
    assert claimed_by(body) == "run.2"
    assert HEAD[:7] in body
    ours.release()
    assert comments.bodies == {}


def test_a_claim_stands_above_the_summary_and_leaves_it_as_it_was() -> None:
    ours, comments = claim(said(comments=(PREVIOUS,)))
    ours.take(HEAD)
    assert claimed_by(comments.bodies[5]) == "run.2"
    assert comments.bodies[5].endswith("What stands.")
    ours.release()
    assert comments.bodies == {5: PREVIOUS.body}
    ours.release()
    assert comments.to.told == ["save 5", "save 5"]


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        (claimed("run.3"), True),
        (claimed("run.2"), False),
        (said(comments=(PREVIOUS,)), False),
        (said(), False),
    ],
    ids=["a newer run's", "ours", "nobody's", "gone"],
)
def test_a_claim_is_lost_to_a_run_that_made_the_comment_its_own(now: Conversation, lost: bool) -> None:
    ours, _ = claim(said(comments=(PREVIOUS,)))
    assert not ours.lost(now), "what was never taken cannot be lost"
    ours.take(HEAD)
    assert ours.lost(now) == lost


def test_what_could_not_be_claimed_is_not_released() -> None:
    ours, comments = claim(None, save=AWAY)
    with pytest.raises(GitHubError, match="away"):
        ours.take(HEAD)
    ours.release()
    assert comments.to.told == []


def test_what_a_newer_run_claimed_is_left_to_that_run() -> None:
    ours, comments = claim(said(comments=(PREVIOUS,)))
    ours.take(HEAD)
    assert ours.lost(claimed("run.3"))
    ours.release()
    assert comments.to.told == ["save 5"]


@pytest.mark.parametrize(
    ("text", "restored"),
    [("…", {}), (f"…\n\n{PREVIOUS.body.partition(chr(10))[2]}", {5: f"{SUMMARY_MARKER}\n\nWhat stands."})],
    ids=["nothing else", "a summary"],
)
def test_the_claim_of_a_run_that_was_replaced_does_not_come_back(text: str, restored: dict[int, str]) -> None:
    before = said(comments=(Comment(5, f"{SUMMARY_MARKER}\n{claim_marker('run.1')}\n{text}"),))
    ours, comments = claim(before)
    ours.take(HEAD)
    ours.release()
    assert comments.bodies == restored

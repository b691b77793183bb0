"""Closing threads of fixed findings: reply and resolve, or edit; only our threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import Reply
from hunkwise.domain.pull_request import Thread as OwnThread
from hunkwise.github.comments import Threads
from hunkwise.tracking.markers import fixed_marker, is_fixed
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import Comment, Thread
from tests.github.conftest import World

BOT = "github-actions[bot]"
BODY = "**High**: a fault\n\n<!-- hunkwise:finding v1 fp=0123456789abcdef -->"


def add_thread(world: World, author: str = BOT) -> OwnThread:
    """Adds a thread at line 5, and returns it as in the conversation."""
    number = world.fake.hub.next_id()
    first = Comment(number, 1, author, BODY, "src/a.py", world.head, "@@", line=5)
    world.fake.comments.append(first)
    world.fake.threads.append(Thread(f"PRRT_{number}", 1, [first]))
    return OwnThread(
        "src/a.py", 5, Side.RIGHT, author, BODY, id=f"PRRT_{number}", comment_id=number, ours=author == BOT
    )


def close(
    world: World, *threads: OwnThread, token: str = "ghs_write", answer: bool = True
) -> tuple[str, ...]:
    return Threads(world.writer(token)).close(threads, world.head, answer=answer)


def closed(world: World) -> tuple[int, int]:
    """Returns the numbers of resolved threads and of comments that are edited as fixed."""
    resolved = sum(thread.resolved for thread in world.fake.threads)
    return resolved, sum(is_fixed(body) for body in first_bodies(world))


def first_bodies(world: World) -> list[str]:
    return [thread.comments[0].body for thread in world.fake.threads]


def test_fixed_thread_is_answered_and_resolved(world: World) -> None:
    assert close(world, add_thread(world)) == ()
    (thread,) = world.fake.threads
    assert (thread.resolved, thread.resolved_by) == (True, BOT)
    answer = thread.comments[1]
    assert (answer.author, answer.body) == (BOT, f"Fixed in {world.head}.\n\n{fixed_marker(world.head)}")
    assert is_fixed(answer.body)
    assert len(world.fake.journal) == 1


def test_ten_threads_take_one_request(world: World) -> None:
    threads = [add_thread(world) for _ in range(25)]
    assert close(world, *threads) == ()
    assert len(world.fake.journal) == 3
    assert all(thread.resolved and len(thread.comments) == 2 for thread in world.fake.threads)


def test_answered_thread_is_only_resolved(world: World) -> None:
    marker = fixed_marker("0" * 40)
    answered = replace(
        add_thread(world), replies=(Reply("github-actions", f"Fixed.\n\n{marker}", ours=True),)
    )
    copied = replace(add_thread(world), replies=(Reply("mallory", f"Fixed.\n\n{marker}"),))
    assert close(world, answered, copied) == ()
    assert closed(world) == (2, 0)
    assert [len(thread.comments) for thread in world.fake.threads] == [1, 2]


def test_no_reply_with_a_pending_review(world: World) -> None:
    assert close(world, add_thread(world), answer=False) == ()
    assert closed(world) == (1, 0)
    assert [len(thread.comments) for thread in world.fake.threads] == [1]


def test_only_our_threads_are_changed(world: World) -> None:
    assert close(world, add_thread(world, "mallory")) == ()
    assert world.fake.journal == []


def test_reply_has_the_evidence_of_its_thread(world: World) -> None:
    """Also for a thread that the author has resolved: only our reply says that it is fixed."""
    plain, proven = add_thread(world), replace(add_thread(world), resolved=True)
    Threads(world.writer("ghs_write")).close(
        (plain, proven), world.head, evidence={proven: "Line 4 checks it."}
    )
    marker = fixed_marker(world.head)
    assert [thread.comments[-1].body for thread in world.fake.threads] == [
        f"Fixed in {world.head}.\n\n{marker}",
        f"Fixed in {world.head}.\n\nLine 4 checks it.\n\n{marker}",
    ]


def test_at_most_a_hundred_threads_are_closed_in_one_run(world: World) -> None:
    threads = [replace(add_thread(world), id="") for _ in range(103)]
    assert close(world, *threads) == ("No more than 100 threads are closed in one run.",)
    assert closed(world) == (0, 100)


def test_comment_is_edited_if_resolving_is_refused(world: World) -> None:
    world.fake.refused_mutations.add("resolveReviewThread")
    threads = [add_thread(world) for _ in range(12)]
    assert close(world, *threads) == ()
    assert closed(world) == (0, 12)
    for body in first_bodies(world):
        assert body == f"**Fixed in {world.head}.**\n\n{fixed_marker(world.head)}\n\n{BODY}"
    graphql = [request for request in world.fake.journal if request.path == "/graphql"]
    assert len(graphql) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        GraphqlRefusal(403),
        GraphqlRefusal(404),
        GraphqlRefusal(200, ({"type": "FORBIDDEN", "message": "Resource not accessible"},)),
        GraphqlRefusal(200, ({"message": "Field 'addPullRequestReviewThreadReply' doesn't exist"},)),
    ],
)
def test_comment_is_edited_if_graphql_is_refused(world: World, refusal: GraphqlRefusal) -> None:
    world.fake.graphql_refusal = refusal
    threads = [add_thread(world) for _ in range(11)]
    assert close(world, *threads) == ()
    assert closed(world) == (0, 11)


def test_thread_known_only_by_rest_is_edited(world: World) -> None:
    assert close(world, replace(add_thread(world), id="")) == ()
    assert closed(world) == (0, 1)
    assert [request.method for request in world.fake.journal] == ["PATCH"]


def test_comment_marked_as_fixed_is_not_edited_again(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    thread = add_thread(world)
    close(world, thread)
    marked = replace(thread, body=first_bodies(world)[0])
    world.fake.journal.clear()
    assert close(world, marked) == ()
    assert [request.method for request in world.fake.journal] == ["POST"]


def test_each_thread_of_a_request_has_an_outcome(world: World) -> None:
    good, missing, last = (add_thread(world) for _ in range(3))
    world.fake.delete(world.fake.threads[1].comments[0])
    assert "stay open" in close(world, good, missing, last)[0]
    assert closed(world) == (2, 0)


def test_thread_without_outcome_is_not_edited(world: World) -> None:
    forbidden = {"type": "FORBIDDEN", "message": "No.", "path": ["c1"]}
    later = {"type": "RATE_LIMITED", "message": "Later.", "path": ["c2"]}
    data = {"c0": {"thread": {"isResolved": True}}, "c1": None, "c2": None, "c3": None}
    world.clock.left = 0.0
    response = {"data": data, "errors": [forbidden, {**later, "type": "SERVICE_UNAVAILABLE"}]}
    world.fake.fault("POST", "/graphql", status=200, body=response)
    assert len(close(world, *(add_thread(world) for _ in range(4)))) == 2
    assert [is_fixed(body) for body in first_bodies(world)] == [False, True, False, False]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    "fault",
    [{"status": 502}, {"status": 200, "html": True}, {"status": 200, "body": {}}, {"disconnect": True}],
)
def test_thread_with_unknown_outcome_is_left_to_the_next_run(
    world: World, fault: dict[str, object], stored: bool
) -> None:
    world.fake.fault("POST", "/graphql", commit_then_fail=stored, **fault)  # type: ignore[arg-type]  # its options
    threads = [add_thread(world) for _ in range(12)]
    assert len(close(world, *threads)) == 1
    assert len(world.fake.journal) == 1


@pytest.mark.parametrize("status", [401, 429])
def test_closing_stops_after_an_authentication_or_rate_limit_error(world: World, status: int) -> None:
    world.clock.left = 0.0
    world.fake.fault("POST", "/graphql", status=status)
    assert len(close(world, add_thread(world), add_thread(world))) == 1
    assert len(world.fake.journal) == 1


def test_read_only_token_changes_nothing(world: World) -> None:
    assert len(close(world, *(add_thread(world) for _ in range(12)), token="ghs_read")) == 1
    assert len(world.fake.journal) == 2
    assert first_bodies(world) == [BODY] * 12


@pytest.mark.parametrize(("status", "edited"), [(404, 1), (422, 1), (403, 0), (502, 0)])
def test_failed_edit_is_skipped(world: World, status: int, edited: int) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    world.fake.fault("PATCH", "/pulls/comments/", status=status)
    assert "stay open" in close(world, add_thread(world), add_thread(world))[0]
    assert closed(world) == (0, edited)


def test_thread_that_cannot_be_resolved_or_edited_is_skipped(world: World) -> None:
    nameless = replace(add_thread(world), id="", comment_id=0)
    long = replace(add_thread(world), id="", body="x" * 65_500)
    assert len(close(world, nameless, long)) == 1
    assert world.fake.journal == []


def test_newest_comments_of_the_account_are_found_by_their_last_lines(world: World) -> None:
    add_thread(world)
    for author in (BOT, "octocat"):
        add_thread(world, author)
    (_, newest, _) = world.fake.comments
    urls = Threads(world.writer()).urls("github-actions")
    assert [*urls] == [BODY.rpartition("\n")[2]]
    assert [url.rpartition("#")[2] for url in urls.values()] == [f"discussion_r{newest.id}"]
    assert len(world.fake.journal) == 1


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"status": 200, "body": [{"user": {"login": BOT}, "body": "x"}]}]
)
def test_comments_that_cannot_be_listed_have_no_url(world: World, fault: dict[str, Any]) -> None:
    add_thread(world)
    world.fake.fault("GET", r"/pulls/1/comments$", **fault)
    assert Threads(world.writer()).urls("github-actions") == {}

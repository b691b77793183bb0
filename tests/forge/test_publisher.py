"""Every finding ends on a rung that holds, whatever GitHub answers, and nothing is posted twice."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.outcome import Coverage, FileCoverage, Posted, Review, ReviewEvent, Usage, Where
from hunkwise.forge.publisher import Publisher, Rendered
from hunkwise.publish.markdown import BODY_LIMIT, comment, review_body, review_marker
from hunkwise.publish.placement import Placement, place
from hunkwise.publish.secrets import SecretScan
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import Review as Stored
from tests.forge.conftest import World

RUN = "4711.c0ffee"
SECRET = "a-secret-of-ours"
INLINE = Finding("src/a.py", Severity.HIGH, "Inline", "Why.", Anchor("src/a.py", 5))
SPAN = Finding("src/a.py", Severity.LOW, "Span", "Why.", Anchor("src/a.py", 6, start_line=5))
ON_FILE = Finding("logo.png", Severity.LOW, "On file", "Why.")
ELSEWHERE = Finding("README.md", Severity.LOW, "Elsewhere", "Why.")
OFF = Finding("src/a.py", Severity.LOW, "Off the diff", "Why.", Anchor("src/a.py", 50))
ALL = (INLINE, SPAN, ON_FILE, ELSEWHERE)
WHERE = {INLINE: Where.INLINE, SPAN: Where.INLINE, ON_FILE: Where.FILE, ELSEWHERE: Where.BODY}


def review(world: World, *findings: Finding) -> Review:
    return Review(world.head, findings, Coverage((FileCoverage("src/a.py", 3, 3),)), Usage(1))


def publish(
    world: World,
    *findings: Finding,
    token: str = "ghs_write",
    event: ReviewEvent = ReviewEvent.COMMENT,
    placement: Placement | None = None,
    **options: Any,
) -> Posted:
    """Posts the findings as they are placed against the pull request's own files."""
    reader = world.client()
    whole = review(world, *findings)
    placed = placement or place(findings, reader.files(reader.pull_request(1)), max_comments=30)
    rendered = Rendered(
        placement=placed,
        head_sha=world.head,
        event=event,
        marker=review_marker(RUN, world.head),
        comment=lambda finding: comment(finding, server_url=world.url, applies=False),
        body=lambda now: review_body(whole, now, server_url=world.url, repository="octo/repo", run=RUN),
    )
    publisher = Publisher(world.client(token), 1, SecretScan([SECRET]), sleep=world.clock.sleep)
    return publisher.publish(rendered, **options)


def test_findings_go_inline_on_the_file_and_into_the_body(world: World) -> None:
    posted = publish(world, *ALL)
    assert posted.where == WHERE
    assert (posted.notes, posted.fault) == ((), None)
    (stored,) = world.fake.reviews
    assert (stored.state, stored.commit_id) == ("COMMENTED", world.head)
    assert posted.review_url is not None
    assert posted.review_url.endswith(f"#pullrequestreview-{stored.id}")
    on_file, inline, span = world.fake.comments
    assert (on_file.path, on_file.subject_type) == ("logo.png", "file")
    assert (inline.line, inline.side, inline.start_line) == (5, "RIGHT", None)
    assert (span.line, span.start_line) == (6, 5)
    assert "Elsewhere" in stored.body
    assert "Inline" not in stored.body
    assert [request.method for request in world.fake.writes] == ["POST", "POST"]


def test_a_review_without_findings_is_still_a_review(world: World) -> None:
    posted = publish(world)
    assert posted.where == {}
    assert "nothing found in the reviewed lines" in world.fake.reviews[0].body


def test_a_dry_run_posts_nothing(world: World) -> None:
    posted = publish(world, *ALL, dry_run=True)
    assert set(posted.where.values()) == {Where.SUMMARY}
    assert posted.notes == ("Dry run: nothing was posted.",)
    assert world.fake.writes == []


def test_changes_are_requested_where_asked_for(world: World) -> None:
    publish(world, INLINE, event=ReviewEvent.REQUEST_CHANGES)
    assert world.fake.reviews[0].state == "CHANGES_REQUESTED"


def test_on_ones_own_pull_request_changes_become_a_comment(world: World) -> None:
    world.fake.hub.pulls[1].author = "github-actions[bot]"
    posted = publish(world, INLINE, event=ReviewEvent.REQUEST_CHANGES)
    assert world.fake.reviews[0].state == "COMMENTED"
    assert posted.where == {INLINE: Where.INLINE}
    assert "one's own pull request" in posted.notes[0]


def test_one_bad_line_loses_no_finding(world: World) -> None:
    posted = publish(world, INLINE, OFF, placement=Placement(inline=(INLINE, OFF)))
    assert posted.where == {INLINE: Where.BODY, OFF: Where.BODY}
    assert "must be part of the diff" in posted.notes[0]
    assert "Inline" in world.fake.reviews[0].body
    assert "Off the diff" in world.fake.reviews[0].body
    assert world.fake.comments == []


def test_a_file_comment_that_is_declined_falls_into_the_body(world: World) -> None:
    posted = publish(world, ELSEWHERE, ON_FILE, placement=Placement(on_file=(ELSEWHERE, ON_FILE)))
    assert posted.where == {ELSEWHERE: Where.BODY, ON_FILE: Where.FILE}
    assert "Elsewhere" in world.fake.reviews[0].body
    assert len(posted.notes) == 1


def test_at_a_rate_limit_the_other_file_comments_are_not_tried(world: World) -> None:
    second = Finding("empty.txt", Severity.LOW, "Second", "Why.")
    world.clock.left = 0.0
    world.fake.fault("POST", "/pulls/1/comments", status=429, headers={"retry-after": "60"})
    posted = publish(world, ON_FILE, second)
    assert set(posted.where.values()) == {Where.BODY}
    assert len(posted.notes) == 1


@pytest.mark.parametrize(("token", "word"), [("ghs_read", "forbidden"), ("ghs_wrong", "authentication")])
def test_a_token_that_may_not_write_leaves_all_to_the_summary(world: World, token: str, word: str) -> None:
    posted = publish(world, *ALL, token=token)
    assert posted.review_url is None
    assert posted.where == dict.fromkeys(ALL, Where.SUMMARY)
    assert posted.fault is not None
    assert word in posted.fault.kind
    assert posted.fault.hint
    assert len(world.fake.writes) == 1


def test_what_was_posted_on_files_is_told_where_the_review_then_fails(world: World) -> None:
    world.fake.fault("POST", "/reviews", status=403)
    posted = publish(world, *ALL)
    assert posted.where == {**dict.fromkeys(ALL, Where.SUMMARY), ON_FILE: Where.FILE}


def test_a_body_that_is_declined_leaves_all_to_the_summary(world: World) -> None:
    world.fake.fault("POST", "/reviews", status=422, times=2)
    posted = publish(world, INLINE)
    assert posted.where == {INLINE: Where.SUMMARY}
    assert posted.fault is not None
    assert "422" in posted.fault.message


FAULTS: list[dict[str, Any]] = [
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"status": 200, "body": {"id": 1, "html_url": "javascript:alert(1)"}},
    {"disconnect": True},
    {"truncate": True},
]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "truncate" not in fault])
def test_a_review_that_was_not_stored_is_posted_again(world: World, fault: dict[str, Any]) -> None:
    world.fake.fault("POST", "/reviews", **fault)
    posted = publish(world, INLINE)
    assert len(world.fake.reviews) == 1
    assert posted.where == {INLINE: Where.INLINE}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_review_that_was_stored_is_not_posted_again(world: World, fault: dict[str, Any]) -> None:
    world.fake.fault("POST", "/reviews", commit_then_fail=True, **fault)
    posted = publish(world, INLINE)
    assert len(world.fake.reviews) == 1
    assert posted.where == {INLINE: Where.INLINE}
    assert posted.review_url is not None
    assert posted.review_url.endswith(f"#pullrequestreview-{world.fake.reviews[0].id}")


def test_a_review_that_is_never_stored_is_tried_three_times(world: World) -> None:
    world.fake.fault("POST", "/reviews", status=502, times=9)
    posted = publish(world, INLINE)
    assert len(world.fake.writes) == 3
    assert world.clock.slept == [1.0, 2.0]
    assert posted.where == {INLINE: Where.SUMMARY}


def test_where_it_cannot_be_known_whether_it_was_stored_nothing_is_posted_again(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    world.fake.fault("POST", "/reviews", status=502)
    posted = publish(world, INLINE)
    assert len(world.fake.writes) == 1
    assert posted.where == {INLINE: Where.SUMMARY}
    assert posted.fault is not None
    assert "502" in posted.fault.message


def test_a_strangers_review_with_our_marker_is_not_ours(world: World) -> None:
    marker = review_marker(RUN, world.head)
    for number in range(101):
        author = "mallory" if number == 100 else "github-actions[bot]"
        body = marker if author == "mallory" else "earlier"
        world.fake.reviews.append(Stored(9_000 + number, 1, author, body, "COMMENTED", world.head))
    world.fake.fault("POST", "/reviews", status=502)
    posted = publish(world, INLINE)
    assert len(world.fake.reviews) == 102
    assert posted.where == {INLINE: Where.INLINE}


def test_a_person_finds_their_own_review_again(world: World) -> None:
    world.fake.fault("POST", "/reviews", status=502, commit_then_fail=True)
    posted = publish(world, INLINE, token="ghp_person")
    assert [stored.author for stored in world.fake.reviews] == ["hubot"]
    assert posted.where == {INLINE: Where.INLINE}


def test_a_secret_does_not_leave(world: World) -> None:
    leaky = Finding("src/a.py", Severity.LOW, "Leak", SECRET, Anchor("src/a.py", 5))
    posted = publish(world, leaky)
    assert world.fake.writes == []
    assert posted.fault is not None
    assert SECRET not in posted.fault.message


def test_findings_that_the_body_could_only_count_are_in_the_summary(world: World) -> None:
    many = [Finding("x.py", Severity.LOW, f"Number {n} {'x' * 200}", "Why.") for n in range(400)]
    posted = publish(world, *many)
    counts = {where: list(posted.where.values()).count(where) for where in set(posted.where.values())}
    assert counts[Where.BODY] + counts[Where.SUMMARY] == 400
    assert len(world.fake.reviews[0].body) <= BODY_LIMIT
    shown = [one for one, where in posted.where.items() if where is Where.BODY]
    assert all(one.title in world.fake.reviews[0].body for one in shown)


def test_a_page_of_reviews_without_end_is_read_to_a_bound(world: World) -> None:
    reviews = [{"id": 1, "body": "", "user": {"login": "x", "type": "User"}}] * 100
    world.fake.fault("GET", "/reviews", status=200, body=reviews, times=99)
    world.fake.fault("POST", "/reviews", status=502)
    publish(world, INLINE)
    assert sum(request.method == "GET" and "/reviews" in request.path for request in world.fake.journal) == 30

"""Publishing reviews: each finding is posted once on the first possible level, or returned to the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.review import Destination, PostResult, ReviewEvent
from hunkwise.github.reviews import Reviews
from hunkwise.publish.finding_text import comment
from hunkwise.publish.placement import CommentPlan, Page, ReviewDraft, place
from hunkwise.tracking.markers import finding_marker, review_marker
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import Comment, Review, node_id
from tests.github.conftest import SECRET, World

BOT = "github-actions[bot]"
RUN = "4711.c0ffee"
INLINE = Finding("src/a.py", Severity.HIGH, "Inline", "Why.", Anchor("src/a.py", 5))
SPAN = Finding("src/a.py", Severity.LOW, "Span", "Why.", Anchor("src/a.py", 6, start_line=5))
ON_FILE = Finding("logo.png", Severity.LOW, "On file", "Why.")
ELSEWHERE = Finding("README.md", Severity.LOW, "Elsewhere", "Why.")
OFF = Finding("src/a.py", Severity.LOW, "Off the diff", "Why.", Anchor("src/a.py", 50))
ALL = (INLINE, SPAN, ON_FILE, ELSEWHERE)
WHERE = {
    INLINE: Destination.INLINE,
    SPAN: Destination.INLINE,
    ON_FILE: Destination.FILE,
    ELSEWHERE: Destination.BODY,
}


def body(placement: CommentPlan, event: ReviewEvent) -> Page:
    """Returns a body with each finding and the marker."""
    listed = [
        f"{finding.title}\n\n{finding_marker(finding, Destination.BODY)}" for finding in placement.in_body
    ]
    return Page("\n\n".join([f"A review: {event}.", *listed, review_marker(RUN, "0" * 40)]))


def rendered(world: World, placement: CommentPlan, **changes: Any) -> ReviewDraft:
    whole = ReviewDraft(
        placement=placement,
        head_sha=world.head,
        event=ReviewEvent.COMMENT,
        marker=review_marker(RUN, "0" * 40),
        comment=lambda finding, where: comment(finding, server_url=world.url, where=where),
        body=body,
    )
    return replace(whole, **changes)


def publish(
    world: World,
    *findings: Finding,
    token: str = "ghs_write",
    placement: CommentPlan | None = None,
    **changes: Any,
) -> PostResult:
    """Posts the findings, placed by the pull request's files."""
    if placement is None:
        reader = world.client()
        placement = place(findings, reader.files(reader.pull_request(1)), max_comments=30)
        world.fake.journal.clear()
    return Reviews(world.writer(token)).publish(rendered(world, placement, **changes))


def publish_inline(world: World, findings: Sequence[Finding], **changes: Any) -> PostResult:
    """Posts all findings on their lines, also outside of the diff."""
    return publish(world, placement=CommentPlan(inline=tuple(findings)), **changes)


def many(count: int, bad: set[int]) -> list[Finding]:
    """Returns findings on lines of the diff, except the bad ones."""
    return [
        Finding("src/a.py", Severity.LOW, f"Number {n}", "Why.", Anchor("src/a.py", 50 if n in bad else 5))
        for n in range(count)
    ]


def pending(world: World) -> list[Review]:
    return [review for review in world.fake.reviews if review.state == "PENDING"]


def assert_each_is_posted_once(world: World, findings: Sequence[Finding], posted: PostResult) -> None:
    """Checks that each finding is visible once where the result says, and that no review is pending."""
    assert pending(world) == []
    texts = [one.body for one in world.fake.reviews] + [one.body for one in world.fake.comments]
    assert set(posted.where) == set(findings)
    for one in findings:
        assert sum(finding_marker(one, posted.where[one]) in text for text in texts) == 1, one.title


def add_review(world: World, text: str, author: str = BOT, state: str = "COMMENTED") -> Review:
    review = Review(world.fake.hub.next_id(), 1, author, text, state, world.head)
    world.fake.reviews.append(review)
    return review


def test_findings_are_inline_on_the_file_and_in_the_body(world: World) -> None:
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
    assert [request.method for request in world.fake.journal] == ["POST", "POST"]


def test_review_without_findings_is_posted(world: World) -> None:
    posted = publish(world)
    assert posted.where == {}
    assert world.fake.reviews[0].body.startswith("A review: COMMENT.")


@pytest.mark.parametrize(
    ("event", "state"),
    [(ReviewEvent.REQUEST_CHANGES, "CHANGES_REQUESTED"), (ReviewEvent.APPROVE, "APPROVED")],
)
def test_review_has_the_given_event(world: World, event: ReviewEvent, state: str) -> None:
    publish(world, INLINE, event=event)
    assert world.fake.reviews[0].state == state


@pytest.mark.parametrize("event", [ReviewEvent.REQUEST_CHANGES, ReviewEvent.APPROVE])
def test_review_of_own_pull_request_is_a_comment(world: World, event: ReviewEvent) -> None:
    world.fake.hub.pulls[1].author = BOT
    posted = publish(world, INLINE, event=event)
    (stored,) = world.fake.reviews
    assert (stored.state, stored.body.splitlines()[0]) == ("COMMENTED", "A review: COMMENT.")
    assert posted.where == {INLINE: Destination.INLINE}
    assert "the review is a comment" in posted.notes[0]


def test_review_is_a_comment_if_approval_is_not_permitted(world: World) -> None:
    response = {"message": "Unprocessable Entity: GitHub Actions is not permitted to approve pull requests."}
    world.fake.fault("POST", "/reviews", status=422, body=response)
    publish(world, INLINE, event=ReviewEvent.APPROVE)
    assert [review.state for review in world.fake.reviews] == ["COMMENTED"]


@pytest.mark.parametrize(
    ("count", "bad", "requests"),
    [
        (50, {0}, 6),
        (50, {25}, 6),
        (50, {49}, 6),
        (50, {0, 7, 14, 48, 49}, 6),
        (30, set(range(30)), 6),
        (1, {0}, 6),
        (51, {50}, 7),
    ],
)
def test_rejected_lines_do_not_affect_other_findings(
    world: World, count: int, bad: set[int], requests: int
) -> None:
    findings = many(count, bad)
    posted = publish_inline(world, findings)
    below = dict.fromkeys((findings[number] for number in bad), Destination.FILE)
    assert posted.where == dict.fromkeys(findings, Destination.INLINE) | below
    assert (posted.fault, len(posted.notes)) == (None, 1)
    assert "must be part of the diff" in posted.notes[0]
    assert len(world.fake.journal) == requests
    (stored,) = world.fake.reviews
    assert stored.state == "COMMENTED"
    assert {comment.review_id for comment in world.fake.comments} == {stored.id}
    assert_each_is_posted_once(world, findings, posted)


@pytest.mark.parametrize("refused_mutation", [False, True])
def test_finding_rejected_on_its_file_is_in_the_body(world: World, refused_mutation: bool) -> None:
    if refused_mutation:
        world.fake.refused_mutations.add("addPullRequestReviewThread")
    findings = many(30, set())
    outside = Anchor("nowhere.py", 1)
    findings[17] = replace(findings[17], path=outside.path, anchor=outside)
    posted = publish_inline(world, findings)
    assert posted.where == dict.fromkeys(findings, Destination.INLINE) | {findings[17]: Destination.BODY}
    assert_each_is_posted_once(world, findings, posted)


def test_review_rejected_for_another_reason_keeps_all_lines(world: World) -> None:
    world.fake.fault("POST", "/reviews$", status=422)
    findings = many(4, set())
    posted = publish_inline(world, findings)
    assert posted.where == dict.fromkeys(findings, Destination.INLINE)
    assert posted.notes == ()
    assert_each_is_posted_once(world, findings, posted)


@pytest.mark.parametrize(
    "refusal",
    [
        GraphqlRefusal(403),
        GraphqlRefusal(404),
        GraphqlRefusal(200, ({"type": "FORBIDDEN", "message": "Resource not accessible"},)),
        GraphqlRefusal(200, ({"message": "Field 'addPullRequestReviewThread' doesn't exist"},)),
        "/events$",
        "/reviews$",
    ],
)
def test_comments_are_posted_singly_if_threads_are_refused(
    world: World, refusal: GraphqlRefusal | str
) -> None:
    if isinstance(refusal, str):
        world.fake.fault("POST", refusal, status=422, asking='^(?!.*"comments": )')
    else:
        world.fake.graphql_refusal = refusal
    findings = many(6, {0, 3})
    posted = publish_inline(world, findings)
    below = {findings[0]: Destination.FILE, findings[3]: Destination.FILE}
    assert posted.where == dict.fromkeys(findings, Destination.INLINE) | below
    assert (posted.fault, [review.state for review in world.fake.reviews]) == (None, ["COMMENTED"])
    assert_each_is_posted_once(world, findings, posted)


def test_remaining_single_comments_are_in_the_body_after_a_rate_limit(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    world.clock.left = 30.0
    world.fake.fault(
        "POST", "/pulls/1/comments", status=429, headers={"retry-after": "60"}, asking="Number 2"
    )
    findings = many(5, {0})
    posted = publish_inline(world, findings)
    assert [posted.where[one] for one in findings] == [
        Destination.FILE,
        Destination.INLINE,
        *[Destination.BODY] * 3,
    ]
    assert_each_is_posted_once(world, findings, posted)


def test_nothing_is_posted_after_a_single_comment_with_unknown_result(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    world.fake.fault("POST", "/pulls/1/comments", status=502, commit_then_fail=True, asking="Number 2")
    findings = many(5, {4})
    posted = publish_inline(world, findings)
    assert posted.where == dict.fromkeys(findings[:2], Destination.INLINE)
    assert posted.fault is not None
    assert [comment.body.count("Number 2") for comment in world.fake.comments].count(1) == 1
    assert world.fake.reviews == []


def test_comment_stored_without_line_is_moved_to_its_file(world: World) -> None:
    number = world.fake.hub.next_id()
    thread = {"line": None, "comments": {"nodes": [{"id": node_id(number + 3)}]}}
    response = {
        "data": {"m0": {"thread": {**thread, "line": 5, "comments": {"nodes": []}}}, "m1": {"thread": thread}}
    }
    world.fake.fault("POST", "/reviews$", status=422)
    world.fake.fault("POST", "/graphql", status=200, body=response, commit_then_fail=True)
    findings = many(2, set())
    posted = publish_inline(world, findings)
    assert posted.where == {findings[0]: Destination.INLINE, findings[1]: Destination.FILE}
    assert [comment.subject_type for comment in world.fake.comments] == ["line", "file"]


def test_rejected_body_returns_all_findings_to_the_caller(world: World) -> None:
    world.fake.fault("POST", "/reviews", status=422, times=99, asking='"event"')
    posted = publish(world, ELSEWHERE)
    assert posted.where == {}
    assert posted.fault is not None
    assert (posted.fault.kind, "422" in posted.fault.message) == ("github invalid", True)


def test_locked_pull_request_is_not_retried_per_comment(world: World) -> None:
    world.fake.fault("POST", "/", status=422, body={"message": "lock prevents review"}, times=99)
    posted = publish_inline(world, many(30, set()))
    assert (posted.where, posted.fault is None) == ({}, False)
    assert len(world.fake.journal) == 24


TOO_QUICK = {
    "message": "Validation Failed",
    "errors": ["was submitted too quickly after a previous comment"],
}
ABUSE = {"message": "Validation Failed", "errors": [{"resource": "PullRequestReview", "code": "abuse"}]}


@pytest.mark.parametrize("response", [TOO_QUICK, ABUSE])
def test_rate_limit_as_422_is_waited_for_and_condemns_no_line(world: World, response: dict[str, Any]) -> None:
    world.fake.fault("POST", "/reviews", status=422, body=response)
    findings = many(30, set())
    posted = publish_inline(world, findings)
    assert posted.where == dict.fromkeys(findings, Destination.INLINE)
    assert (posted.notes, world.clock.slept) == ((), [60.0])
    assert_each_is_posted_once(world, findings, posted)


def test_rate_limit_as_422_beyond_the_deadline_ends_the_level(world: World) -> None:
    world.clock.left = 50.0
    world.fake.fault("POST", "/reviews", status=422, body=ABUSE)
    posted = publish_inline(world, many(30, set()))
    assert (posted.where, world.clock.slept) == ({}, [])
    assert posted.fault is not None
    assert posted.fault.kind == "github rate limit"
    assert len(world.fake.writes) == 1


def test_comments_that_a_rate_limit_stops_within_a_mutation_are_sent_again(world: World) -> None:
    findings = many(3, {0})
    limit = {"type": "UNPROCESSABLE", "message": "was submitted too quickly"}
    errors = [{**limit, "path": [alias]} for alias in ("m1", "m2")]
    body = {"data": {"m0": {"thread": None}, "m1": None, "m2": None}, "errors": errors}
    world.fake.fault("POST", "/graphql", status=200, body=body, times=2)
    posted = publish_inline(world, findings)
    assert (posted.where, world.clock.slept) == ({}, [60.0])
    assert posted.fault is not None
    posted = publish_inline(world, findings)
    assert [posted.where[one] for one in findings] == [
        Destination.FILE,
        Destination.INLINE,
        Destination.INLINE,
    ]
    assert_each_is_posted_once(world, findings, posted)


def test_rejected_file_comment_is_in_the_body(world: World) -> None:
    posted = publish(world, placement=CommentPlan(on_file=(ELSEWHERE, ON_FILE)))
    assert posted.where == {ELSEWHERE: Destination.BODY, ON_FILE: Destination.FILE}
    assert "Elsewhere" in world.fake.reviews[0].body
    assert len(posted.notes) == 1


def test_other_file_comments_are_skipped_after_a_rate_limit(world: World) -> None:
    second = Finding("empty.txt", Severity.LOW, "Second", "Why.")
    world.clock.left = 0.0
    world.fake.fault("POST", "/pulls/1/comments", status=429, headers={"retry-after": "60"})
    posted = publish(world, ON_FILE, second)
    assert set(posted.where.values()) == {Destination.BODY}
    assert len(posted.notes) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_secondary_rate_limit_is_waited_for_within_the_deadline(world: World, status: int) -> None:
    world.fake.fault("POST", "/reviews", status=status, headers={"retry-after": "30"})
    posted = publish(world, INLINE)
    assert posted.where == {INLINE: Destination.INLINE}
    assert world.clock.slept == [30.0]


def test_rate_limit_beyond_the_deadline_ends_the_level(world: World) -> None:
    world.clock.left = 10.0
    world.fake.fault("POST", "/reviews", status=429, headers={"retry-after": "30"})
    posted = publish(world, INLINE)
    assert posted.where == {}
    assert posted.fault is not None
    assert posted.fault.kind == "github rate limit"
    assert world.clock.slept == []


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("ghs_read", "forbidden"),
        ("ghs_wrong", "authentication"),
        ("ghs_other", "forbidden"),
        ("ghs_none", "not found"),
    ],
)
def test_token_without_write_permission_returns_all_findings_to_the_caller(
    world: World, token: str, kind: str
) -> None:
    world.fake.tokens.update({"ghs_other": "write:issues,read:pulls", "ghs_none": "none"})
    posted = publish(world, *ALL, token=token)
    assert (posted.review_url, posted.where) == (None, {})
    assert posted.fault is not None
    assert kind in posted.fault.kind
    assert posted.fault.hint
    assert len(world.fake.journal) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_posted_file_comments_are_reported_if_the_review_fails(world: World, status: int) -> None:
    world.fake.fault("POST", "/reviews", status=status)
    posted = publish(world, *ALL)
    assert posted.where == {ON_FILE: Destination.FILE}
    assert len(world.fake.journal) == 2


@pytest.mark.parametrize("path", ["/reviews$", "/graphql", "/events$"])
@pytest.mark.parametrize("status", [401, 429])
def test_rate_limit_or_invalid_token_returns_all_findings_to_the_caller(
    world: World, status: int, path: str
) -> None:
    world.clock.left = 0.0
    world.fake.fault("POST", path, status=status, asking='^(?!.*"comments": )')
    posted = publish_inline(world, many(5, {2}))
    assert posted.where == {}
    assert posted.fault is not None
    assert (world.fake.reviews, world.fake.comments) == ([], [])


def test_moved_head_is_stale_and_nothing_is_posted(world: World) -> None:
    world.fake.when("POST", "/reviews", lambda: world.fake.push(1, world.base))
    posted = publish_inline(world, [INLINE])
    assert posted.where == {}
    assert posted.fault is None
    assert world.base[:10] in (posted.stale or "")
    assert world.fake.reviews == []
    assert len(world.fake.writes) == 1


def test_review_of_a_missing_commit_is_stale(world: World) -> None:
    world.fake.push(1, world.base)
    posted = publish(world, placement=CommentPlan(in_body=(ELSEWHERE,)))
    assert "moved on" in (posted.stale or "")


def test_closed_pull_request_is_not_retried(world: World) -> None:
    world.fake.when("POST", "/reviews", lambda: world.fake.close(1))
    posted = publish_inline(world, [OFF])
    assert posted.where == {}
    assert "closed" in (posted.stale or "")


FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"status": 200, "body": {"id": 1, "html_url": "javascript:alert(1)"}},
    {"disconnect": True},
    {"truncate": True},
]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_review_is_posted_once(world: World, fault: dict[str, Any], stored: bool) -> None:
    world.fake.fault("POST", "/reviews", commit_then_fail=stored, **fault)
    posted = publish(world, INLINE)
    assert len(world.fake.reviews) == 1
    assert posted.where == {INLINE: Destination.INLINE}
    assert posted.review_url is not None
    assert posted.review_url.endswith(f"#pullrequestreview-{world.fake.reviews[0].id}")


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "html_url" not in str(fault)])
def test_file_comment_is_posted_once(world: World, fault: dict[str, Any], stored: bool) -> None:
    world.fake.fault("POST", "/pulls/1/comments", commit_then_fail=stored, **fault)
    posted = publish(world, ON_FILE)
    assert [comment.path for comment in world.fake.comments] == ["logo.png"]
    assert posted.where == {ON_FILE: Destination.FILE}


def test_equal_comment_of_another_head_or_author_is_not_the_lost_one(
    world: World,
) -> None:
    text = comment(ON_FILE, server_url=world.url, where=Destination.FILE)
    old = Comment(1, 1, BOT, text, "logo.png", world.base, "", subject_type="file")
    by_other = replace(old, id=2, author="mallory", commit_id=world.head)
    world.fake.comments.extend([old, by_other, replace(old, id=3, path="empty.txt", commit_id=world.head)])
    world.fake.fault("POST", "/pulls/1/comments", status=502)
    publish(world, ON_FILE)
    assert len(world.fake.comments) == 4


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", ["/reviews$", "/graphql", "/events$"])
def test_lost_response_posts_nothing_twice(
    world: World, path: str, fault: dict[str, Any], stored: bool
) -> None:
    world.fake.fault("POST", path, commit_then_fail=stored, asking='^(?!.*"comments": )', **fault)
    findings = many(5, {2})
    posted = publish_inline(world, findings)
    assert posted.where == dict.fromkeys(findings, Destination.INLINE) | {findings[2]: Destination.FILE}
    assert [review.state for review in world.fake.reviews] == ["COMMENTED"]
    assert_each_is_posted_once(world, findings, posted)


def test_missing_outcome_is_looked_up(world: World) -> None:
    """One comment was added and its outcome lost, one was not added, and one outcome is missing."""
    error = {"type": "SERVICE_UNAVAILABLE", "message": "Something went wrong.", "path": ["m1"]}
    response = {"data": {"m0": {"thread": None}, "m1": None}, "errors": [error]}
    world.fake.fault("POST", "/graphql", status=200, body=response, commit_then_fail=True)
    findings = many(3, {0})
    posted = publish_inline(world, findings)
    assert [posted.where[one] for one in findings] == [
        Destination.FILE,
        Destination.INLINE,
        Destination.INLINE,
    ]
    assert_each_is_posted_once(world, findings, posted)


def test_nothing_is_posted_if_added_comments_cannot_be_read(world: World) -> None:
    world.fake.fault(
        "POST", "/graphql", status=502, commit_then_fail=True, asking="addPullRequestReviewThread"
    )
    world.fake.fault("POST", "/graphql", status=401, asking="node\\(id")
    posted = publish_inline(world, many(5, {2}))
    assert (posted.where, posted.fault is None) == ({}, False)
    assert (world.fake.reviews, world.fake.comments) == ([], [])


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", FAULTS[1:4])
def test_pending_review_is_deleted_despite_a_lost_response(
    world: World, fault: dict[str, Any], stored: bool
) -> None:
    world.fake.refused_mutations.add("addPullRequestReviewThread")
    world.fake.fault("DELETE", "/reviews/", commit_then_fail=stored, **fault)
    findings = many(5, {4})
    assert_each_is_posted_once(world, findings, publish_inline(world, findings))


def test_next_run_deletes_a_leftover_pending_review(
    world: World,
) -> None:
    world.fake.fault("POST", "/graphql", status=401, commit_then_fail=True)
    world.fake.fault("DELETE", "/reviews/", status=502, times=3)
    findings = many(5, {4})
    assert publish_inline(world, findings).where == {}
    (leftover,) = pending(world)
    assert leftover.body == review_marker(RUN, "0" * 40)
    marker = review_marker("4712.decaf", "0" * 40)
    posted = publish_inline(
        world, findings, marker=marker, body=lambda placement, event: Page(f"Again.\n\n{marker}")
    )
    assert [review.body for review in world.fake.reviews] == [f"Again.\n\n{marker}"]
    assert_each_is_posted_once(world, findings, posted)


def test_leftover_pending_review_does_not_block_file_comments(world: World) -> None:
    add_review(world, review_marker("1.dead", world.base), state="PENDING")
    posted = publish(world, *ALL)
    assert posted.where == WHERE
    assert [review.state for review in world.fake.reviews] == ["COMMENTED"]


@pytest.mark.parametrize("text", ["My own words.", f"My words on {review_marker('1.dead', '0' * 40)}", ""])
def test_pending_review_of_another_tool_with_same_account_is_not_deleted(world: World, text: str) -> None:
    theirs = add_review(world, text, state="PENDING")
    posted = publish(world, *ALL)
    assert posted.where == {}
    assert posted.fault is not None
    assert "a pending review on this" in posted.fault.message
    assert "Submit or discard" in posted.fault.hint
    assert world.fake.reviews == [theirs]


@pytest.mark.parametrize("text", [review_marker("1.dead", "0" * 40), "Mine."])
def test_concurrent_pending_review_is_deleted_if_it_is_ours(world: World, text: str) -> None:
    world.fake.when(
        "POST", "/reviews$", lambda: add_review(world, text, state="PENDING"), body='^(?!.*"event")'
    )
    findings = many(5, {4})
    posted = publish_inline(world, findings)
    if text != "Mine.":
        assert_each_is_posted_once(world, findings, posted)
        return
    assert posted.where == {}
    assert posted.fault is not None
    assert "a pending review on this" in posted.fault.message
    assert [review.body for review in world.fake.reviews] == ["Mine."]


def test_unstored_review_is_tried_three_times(world: World) -> None:
    world.fake.fault("POST", "/reviews", status=502, times=9)
    posted = publish(world, INLINE)
    assert len(world.fake.writes) == 3
    assert world.clock.slept == [1.0, 2.0]
    assert posted.where == {}


def test_no_retry_if_stored_reviews_cannot_be_read(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    world.fake.fault("POST", "/reviews", status=502)
    posted = publish(world, INLINE)
    assert [request.path for request in world.fake.writes] == ["/repos/octo/repo/pulls/1/reviews"]
    assert posted.where == {}
    assert posted.fault is not None
    assert "502" in posted.fault.message


@pytest.mark.parametrize(("status", "answer"), [(404, None), (200, {}), (200, {"login": ""})])
def test_no_retry_without_known_account(world: World, status: int, answer: dict[str, str] | None) -> None:
    world.fake.fault("GET", "/user$", status=status, body=answer)
    world.fake.fault("POST", "/reviews", status=502, commit_then_fail=True)
    posted = publish(world, INLINE, token="ghp_person")
    assert posted.where == {}
    assert len(world.fake.reviews) == 1


def test_review_of_a_user_token_is_found(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(404)
    world.fake.fault("POST", "/reviews", status=502, commit_then_fail=True)
    posted = publish(world, INLINE, token="ghp_person")
    assert [stored.author for stored in world.fake.reviews] == ["hubot"]
    assert posted.where == {INLINE: Destination.INLINE}


def test_review_of_another_author_with_our_marker_is_not_ours(world: World) -> None:
    for number in range(101):
        by_other = number == 100
        add_review(
            world, review_marker(RUN, "0" * 40) if by_other else "earlier", "mallory" if by_other else BOT
        )
    world.fake.fault("POST", "/reviews", status=502)
    posted = publish(world, INLINE)
    assert len(world.fake.reviews) == 102
    assert posted.where == {INLINE: Destination.INLINE}


def test_pending_review_is_not_the_submitted_review(world: World) -> None:
    add_review(world, review_marker(RUN, "0" * 40), state="PENDING")
    world.fake.fault("POST", "/reviews", status=502)
    posted = publish(world, INLINE)
    assert posted.where == {INLINE: Destination.INLINE}
    assert [review.state for review in world.fake.reviews] == ["COMMENTED"]


def test_endless_list_is_read_to_a_limit_without_retry(world: World) -> None:
    reviews = [{"id": 1, "body": "", "user": {"login": "x", "type": "User"}}] * 100
    world.fake.fault("GET", "/reviews", status=200, body=reviews, times=99)
    world.fake.fault("POST", "/reviews", status=502)
    posted = publish(world, INLINE)
    assert posted.where == {}
    assert len(world.fake.writes) == 1
    assert sum("/reviews" in request.path for request in world.fake.journal) == 31


def test_review_with_a_secret_is_not_sent(world: World) -> None:
    leaky = Finding("src/a.py", Severity.LOW, "Leak", SECRET, Anchor("src/a.py", 5))
    posted = publish(world, leaky)
    assert world.fake.writes == []
    assert posted.fault is not None
    assert SECRET not in posted.fault.message


def test_findings_only_counted_in_the_body_are_returned_to_the_caller(world: World) -> None:
    posted = publish(world, INLINE, ELSEWHERE, body=lambda placement, event: Page("One more.", (ELSEWHERE,)))
    assert posted.where == {INLINE: Destination.INLINE}
    assert posted.review_url is not None
    assert posted.notes == ("The review's body had no room for 1 of the findings.",)

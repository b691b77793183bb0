"""What is published, in which order, and what becomes of it where GitHub refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.pull_request import Comment, Conversation, PostedReview, ReviewState, Thread
from hunkwise.domain.review import (
    Coverage,
    Destination,
    ExitCode,
    FileCoverage,
    ReviewEvent,
    ReviewFault,
    SkipReason,
)
from hunkwise.errors import GitHubError
from hunkwise.flows.publication import PublishedFindings, find_unsubmitted_reviews
from hunkwise.plan.incremental import hunk_keys
from hunkwise.publish.conclusion import Gates, PublishedReview
from hunkwise.publish.documents import updated_summary
from hunkwise.tracking.markers import Pause, finding_marker, review_marker
from hunkwise.tracking.state import SUMMARY_MARKER, empty_state, latest_state
from tests.flows.ports import (
    AWAY,
    FILE,
    FORBIDDEN,
    FOUND,
    MENDED,
    MENDED_TEXT,
    SECOND,
    TERMS,
    World,
    mine,
    whole_review,
)
from tests.tracking.pushes import HEAD, said, thread

POSTED = thread(FOUND)
MARKER = review_marker("41.abc", HEAD)
UNPOSTED = ReviewFault("github forbidden", "The review could not be posted: no.", "Give it more.")


def where(published: PublishedFindings) -> dict[str, Destination]:
    return {one.finding.title: one.destination for one in published.view.findings}


def reviewed(number: int, state: ReviewState, commit: str = "f" * 40) -> PostedReview:
    """A review of ours from an earlier run."""
    return PostedReview(number, state, f"Something.\n\n{MARKER}", commit)


def raised_once() -> Conversation:
    """The conversation after a run that raised the finding and remembered it."""
    world = World()
    return world.after(world.publish(whole_review(FOUND)), POSTED)


def test_a_first_review_is_posted_then_concluded_then_remembered() -> None:
    world = World()
    published = world.publish(whole_review(FOUND, SECOND))
    assert world.told == ["check Reviewing", "review COMMENT 2", "conclude 100 success", "save 901"]
    assert set(where(published).values()) == {Destination.INLINE}
    assert published.view.posted.review_url == "https://github.com/o/r/pull/7#pullrequestreview-1"
    assert (published.unposted, world.checks.annotations) == ((), ())
    comments = [Comment(901, world.comments.bodies[901])]
    state = latest_state(comments, repository="o/r", number=7)
    assert state is not None
    assert [one.title for one in state.findings] == [FOUND.title, SECOND.title]
    assert (state.head_sha, state.reviewed_shas, state.conclusion) == (HEAD, (HEAD,), "success")


def test_summary_links_new_findings_to_their_comments_or_else_to_the_review() -> None:
    world = World()
    address = "https://github.com/o/r/pull/7#discussion_r5"
    world.threads.posted = {finding_marker(FOUND, Destination.INLINE): address}
    published = world.publish(whole_review(FOUND, SECOND))
    assert published.view.posted.comments == {FOUND: address}
    summary = world.comments.bodies[901]
    assert f"| {FOUND.title} | [new]({address}) |" in summary
    assert f"| {SECOND.title} | [new](https://github.com/o/r/pull/7#pullrequestreview-1) |" in summary
    assert world.threads.logins == ["us"]


def test_no_comments_are_looked_for_where_none_was_posted() -> None:
    world = World(said(), replace(TERMS, max_comments=0))
    world.publish(whole_review(FOUND))
    World(said()).publish(whole_review())
    assert world.threads.logins == []


def test_the_summary_comment_is_the_address_where_no_review_is_due() -> None:
    world = World()
    published = world.publish(whole_review())
    assert world.told == ["check Reviewing", "conclude 100 success", "save 901"]
    assert published.view.posted.review_url == "https://github.com/o/r/pull/7#issuecomment-901"


def test_a_second_run_that_finds_the_same_writes_no_second_comment() -> None:
    world = World(raised_once())
    published = world.publish(whole_review(replace(FOUND, title="In other words")))
    assert world.told == ["check Reviewing", "conclude 100 success", "save 901"]
    (kept,) = published.view.findings
    assert kept.thread == POSTED
    assert where(published) == {"In other words": Destination.INLINE}


@pytest.mark.parametrize(
    ("automatic", "told"), [(True, []), (False, ["check Reviewing", "conclude 100 success"])]
)
def test_a_second_run_on_the_same_code_writes_a_check_run_only_for_a_person(
    automatic: bool, told: list[str]
) -> None:
    world = World(raised_once(), replace(TERMS, automatic=automatic))
    published = world.publish(whole_review(questions=0), begun=False)
    assert world.told == told
    assert published.view.posted.review_url == "C901"
    assert "Nothing has changed" in published.view.posted.notes[0]
    assert [found.title for found in published.view.review.findings] == [FOUND.title]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, whole_review(questions=1)),
        ({}, whole_review(SECOND, questions=0)),
        ({}, whole_review(questions=0, files=(MENDED,))),
        ({}, whole_review(questions=0, faults=(ReviewFault("model", "It failed."),))),
        ({}, whole_review(questions=0, settings="d2")),
        ({"reviews": (PostedReview(1, ReviewState.PENDING, MARKER),)}, whole_review(questions=0)),
        ({"reviews": (reviewed(1, ReviewState.CHANGES_REQUESTED),)}, whole_review(questions=0)),
        ({"check_runs": (mine(99),)}, whole_review(questions=0)),
        ({"comments": ()}, whole_review(questions=0)),
        ({"rewrites": 1}, whole_review(questions=0)),
    ],
    ids=[
        "asked",
        "new",
        "fixed",
        "fault",
        "settings",
        "pending",
        "superseded",
        "hanging",
        "no state",
        "rewritten",
    ],
)
def test_what_has_changed_in_any_way_is_written_down(changes: dict[str, Any], found: Any) -> None:
    world = World(replace(raised_once(), **changes))
    world.files = {"a.py": MENDED_TEXT.encode()}
    world.publish(found, begun=False)
    assert world.told != []


def test_a_dry_run_writes_nothing_and_says_where_all_of_it_is() -> None:
    world = World(raised_once(), replace(TERMS, dry_run=True))
    published = world.publish(whole_review(FOUND, SECOND), begun=False)
    assert world.told == []
    assert where(published) == {FOUND.title: Destination.INLINE, SECOND.title: Destination.SUMMARY}
    assert (published.view.posted.review_url, published.view.verdict.warnings) == (None, ())


def test_a_change_with_nothing_to_review_gets_no_comment() -> None:
    lock = Coverage((FileCoverage("a.lock", 9, 0, SkipReason.LOCK_FILE),))
    world = World()
    published = world.publish(whole_review(coverage=lock, files=()))
    assert world.told == ["check Reviewing", "conclude 100 success"]
    assert "Nothing in this change" in published.view.posted.notes[0]
    again = World(said(comments=(Comment(5, f"{SUMMARY_MARKER}\nOlder."),)))
    again.publish(whole_review(coverage=lock, files=()))
    assert again.told[-1] == "save 5"


@pytest.mark.parametrize("reason", SkipReason)
def test_a_change_that_nobody_chose_to_skip_is_never_silent(reason: SkipReason) -> None:
    chosen = {SkipReason.LOCK_FILE, SkipReason.BINARY, SkipReason.IGNORED, SkipReason.MARKED}
    chosen |= {SkipReason.NO_CHANGED_LINES, SkipReason.NO_PROMPT}
    world = World()
    world.publish(whole_review(coverage=Coverage((FileCoverage("a", 9, 0, reason),)), files=()))
    assert any(told.startswith("save") for told in world.told) is (reason not in chosen)


# Looking again


@pytest.mark.parametrize(
    ("now", "kind"),
    [(AWAY, "github unavailable"), (said(viewer=""), "identity")],
    ids=["unreadable", "nobody's token"],
)
def test_nothing_is_posted_where_it_is_not_known_what_was_posted(now: Any, kind: str) -> None:
    world = World()
    world.talks = [now]
    published = world.publish(whole_review(FOUND))
    assert world.told == ["check Reviewing", "annotate 100", "conclude 100 success"]
    fault = published.view.posted.fault
    assert fault is not None
    assert (fault.kind, fault.message.startswith("Nothing was posted")) == (kind, True)
    assert where(published) == {FOUND.title: Destination.ANNOTATION}
    assert published.view.verdict.warnings != ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "closed"}, "was closed while"),
        ({"state": "merged"}, "was merged while"),
        ({"head_sha": "e" * 40}, "The head moved from 0123456789ab to eeeeeeeeeeee"),
        ({"check_runs": (mine(101, "other"),)}, "A newer run"),
    ],
)
def test_a_run_whose_time_is_over_stands_back(changes: dict[str, Any], words: str) -> None:
    world = World()
    world.talks = [said(**changes)]
    published = world.publish(whole_review(FOUND))
    assert world.told == ["check Reviewing", "conclude 100 success"]
    assert words in (published.view.posted.stale or "")
    assert words in published.view.posted.notes[0]
    assert where(published) == {FOUND.title: Destination.SUMMARY}
    assert published.unposted == ()


def test_a_review_that_github_finds_stale_is_one() -> None:
    world = World()
    world.reviews.stale = "The pull request moved on."
    published = world.publish(whole_review(FOUND))
    assert published.view.posted.stale == "The pull request moved on."
    assert world.told == ["check Reviewing", "conclude 100 success"]


@pytest.mark.parametrize(("dies_after", "waits"), [(1, 1), (2, 2), (9, 2)])
def test_an_older_run_is_given_time_and_then_taken_for_dead(dies_after: int, waits: int) -> None:
    world = World()
    world.talks = [said(check_runs=(mine(99, "other"),))] * min(dies_after, 3)
    world.publish(whole_review(FOUND))
    assert len(world.slept) == waits
    assert ("conclude 99 neutral" in world.told) == (dies_after == 9)
    assert "review COMMENT 1" in world.told


def test_what_an_older_run_posted_meanwhile_is_not_posted_again() -> None:
    world = World(said())
    world.talks = [said(check_runs=(mine(99, "other"),)), said(POSTED)]
    world.publish(whole_review(FOUND))
    assert world.told == ["check Reviewing", "conclude 100 success", "save 901"]


def test_a_run_that_has_posted_its_review_is_given_time_for_its_summary() -> None:
    posted = reviewed(1, ReviewState.COMMENTED, HEAD)
    written = Comment(5, f"{SUMMARY_MARKER}\nOlder.")
    world = World(said())
    world.talks = [said(POSTED, reviews=(posted,)), said(POSTED, reviews=(posted,), comments=(written,))]
    world.publish(whole_review(FOUND))
    assert (len(world.slept), world.told[-1]) == (1, "save 5")
    killed = World(said())
    killed.talks = [said(POSTED, reviews=(posted,))] * 3
    killed.publish(whole_review(FOUND))
    assert (len(killed.slept), killed.told[-1]) == (2, "save 901")


# The ladder


def test_what_the_review_did_not_take_becomes_annotations_the_most_severe_first() -> None:
    low = replace(SECOND, severity=Severity.LOW)
    critical = replace(FOUND, severity=Severity.CRITICAL)
    world = World()
    world.reviews.fault, world.checks.takes = UNPOSTED, 1
    published = world.publish(whole_review(low, critical))
    assert [note.title for note in world.checks.annotations] == [
        f"critical: {FOUND.title}",
        f"low: {SECOND.title}",
    ]
    assert where(published) == {FOUND.title: Destination.ANNOTATION, SECOND.title: Destination.SUMMARY}
    assert published.unposted == (low,)
    view = published.view
    assert (view.verdict.exit_code, view.posted.fault) == (ExitCode.REVIEWED, UNPOSTED)
    assert "1 in annotations of the check run, 1 in the job summary" in view.verdict.warnings[0]


@pytest.mark.parametrize(
    ("rungs", "rung", "code"),
    [
        ({}, Destination.SUMMARY, ExitCode.REVIEWED),
        ({"summary": False}, Destination.REPORT, ExitCode.REVIEWED),
        ({"report": False}, Destination.SUMMARY, ExitCode.REVIEWED),
        ({"summary": False, "report": False}, Destination.REPORT, ExitCode.PARTIAL),
    ],
)
def test_below_the_check_run_are_the_summary_and_the_report(
    rungs: dict[str, Any], rung: Destination, code: ExitCode
) -> None:
    world = World(said(), replace(TERMS, **rungs), errors={"check": FORBIDDEN, "save": FORBIDDEN})
    world.reviews.fault = UNPOSTED
    published = world.publish(whole_review(FOUND))
    assert world.told == []
    assert where(published) == {FOUND.title: rung}
    assert published.view.verdict.exit_code is code
    assert any("next run reviews all again" in note for note in published.view.posted.notes)


def test_what_found_no_place_on_the_pull_request_is_asked_for_and_posted_anew() -> None:
    world = World()
    world.reviews.declined = frozenset({SECOND})
    published = world.publish(whole_review(FOUND, SECOND))
    assert where(published) == {FOUND.title: Destination.INLINE, SECOND.title: Destination.ANNOTATION}
    state = latest_state([Comment(901, world.comments.bodies[901])], repository="o/r", number=7)
    assert state is not None
    assert [one.where for one in state.findings] == [Destination.INLINE]
    homeless = next(file for file in published.view.review.files if file.path == SECOND.path)
    assert state.hunks.isdisjoint(hunk_keys(homeless))


def test_the_most_severe_stand_on_lines_where_comments_are_few() -> None:
    world = World(said(), replace(TERMS, max_comments=1))
    critical = replace(SECOND, severity=Severity.CRITICAL)
    world.publish(whole_review(FOUND, critical))
    (rendered,) = world.reviews.rendered
    assert rendered.placement.inline == (critical,)
    body = rendered.body(rendered.placement, rendered.event).text
    assert FOUND.title in body
    assert rendered.marker in body
    assert SECOND.title in rendered.comment(critical, Destination.INLINE)


# Threads, earlier reviews, code scanning


@pytest.mark.parametrize(
    ("pending", "told"),
    [
        ((), ["close T1"]),
        ((PostedReview(3, ReviewState.PENDING, MARKER),), ["delete_pending 3", "close T1"]),
        ((PostedReview(3, ReviewState.PENDING, "Another tool's."),), ["close T1 unanswered"]),
    ],
    ids=["nothing pending", "ours", "another's"],
)
def test_a_thread_whose_code_was_fixed_is_closed(pending: tuple[PostedReview, ...], told: list[str]) -> None:
    world = World(replace(raised_once(), reviews=pending))
    world.files = {"a.py": MENDED_TEXT.encode()}
    world.threads.notes = ("A thread stays open.",)
    published = world.publish(whole_review(files=(MENDED,)))
    assert world.told == ["check Reviewing", *told, "conclude 100 success", "save 901"]
    assert published.view.fixed == (POSTED,)
    assert "A thread stays open." in published.view.posted.notes


def test_a_pending_review_that_cannot_be_deleted_stops_nothing() -> None:
    talk = said(reviews=(PostedReview(3, ReviewState.PENDING, MARKER),))
    assert [review.id for review in find_unsubmitted_reviews(talk)] == [3]
    world = World(talk, errors={"delete_pending": AWAY})
    world.publish(whole_review(FOUND))
    assert "review COMMENT 1" in world.told


def test_an_earlier_request_for_changes_is_taken_back_when_nothing_blocks() -> None:
    talk = replace(raised_once(), reviews=(reviewed(4, ReviewState.CHANGES_REQUESTED),))
    world = World(talk)
    world.publish(whole_review(files=(MENDED,)))
    assert "dismiss 4" in world.told
    refused = World(talk, errors={"dismiss": FORBIDDEN})
    published = refused.publish(whole_review(files=(MENDED,)))
    assert any(
        "could not be dismissed: The token may not write" in note for note in published.view.posted.notes
    )


def test_no_earlier_verdict_is_taken_back_where_the_new_review_could_not_be_posted() -> None:
    world = World(said(reviews=(reviewed(4, ReviewState.CHANGES_REQUESTED),)))
    world.reviews.fault = UNPOSTED
    world.publish(whole_review(FOUND))
    assert not any(line.startswith("dismiss") for line in world.told)


@pytest.mark.parametrize(
    ("refused", "notes"),
    [
        ([], ()),
        ([AWAY], ("The findings could not be uploaded to code scanning: GitHub is away. Wait.",)),
    ],
    ids=["taken", "refused"],
)
def test_findings_are_uploaded_where_that_is_asked_for(
    refused: list[GitHubError], notes: tuple[str, ...]
) -> None:
    world = World()
    uploaded: list[tuple[Finding, ...]] = []

    def upload(view: PublishedReview) -> None:
        uploaded.append(view.review.findings)
        for error in refused:
            raise error

    world.upload = upload
    published = world.publish(whole_review(FOUND))
    assert (uploaded, published.view.posted.notes, published.warnings) == ([(FOUND,)], notes, notes)


def test_a_stale_review_is_not_uploaded() -> None:
    world = World()
    world.talks = [said(state="closed")]
    uploaded: list[PublishedReview] = []
    world.upload = uploaded.append
    world.publish(whole_review(FOUND))
    assert uploaded == []


# What a review asks for


def gated(**gates: Any) -> Any:
    return replace(TERMS, gates=Gates(**gates))


@pytest.mark.parametrize(
    ("reviews", "found", "event"),
    [
        ((), (FOUND,), ReviewEvent.REQUEST_CHANGES),
        ((reviewed(1, ReviewState.CHANGES_REQUESTED),), (FOUND,), ReviewEvent.REQUEST_CHANGES),
        ((), (replace(SECOND, severity=Severity.LOW),), ReviewEvent.COMMENT),
    ],
)
def test_changes_are_requested_because_of_what_is_new(
    reviews: tuple[PostedReview, ...], found: tuple[Finding, ...], event: ReviewEvent
) -> None:
    world = World(said(reviews=reviews), gated(request_changes_on=Severity.HIGH))
    world.publish(whole_review(*found))
    assert f"review {event} 1" in world.told


@pytest.mark.parametrize(
    ("reviews", "asked"),
    [
        ((), True),
        ((reviewed(1, ReviewState.CHANGES_REQUESTED),), False),
        ((reviewed(1, ReviewState.DISMISSED),), False),
        ((reviewed(1, ReviewState.APPROVED),), True),
        ((reviewed(1, ReviewState.COMMENTED, HEAD),), False),
    ],
    ids=["never", "stands", "a person dismissed it", "approved before", "this head has a review"],
)
def test_changes_are_requested_once_because_of_what_stands(
    reviews: tuple[PostedReview, ...], asked: bool
) -> None:
    world = World(replace(raised_once(), reviews=reviews), gated(request_changes_on=Severity.HIGH))
    world.publish(whole_review(FOUND))
    assert ("review REQUEST_CHANGES 0" in world.told) == asked
    assert not any("review COMMENT" in line for line in world.told)


def test_a_new_finding_below_the_gate_asks_for_changes_no_second_time() -> None:
    talk = replace(raised_once(), reviews=(reviewed(1, ReviewState.CHANGES_REQUESTED),))
    world = World(talk, gated(request_changes_on=Severity.HIGH))
    world.publish(whole_review(FOUND, replace(SECOND, severity=Severity.LOW)))
    assert "review COMMENT 1" in world.told


@pytest.mark.parametrize(
    ("terms", "talk", "told"),
    [
        (gated(approve=True), said(), ["review APPROVE 0"]),
        (gated(approve=True), said(author="us"), []),
        (gated(approve=True), said(reviews=(reviewed(1, ReviewState.APPROVED, HEAD),)), []),
        (gated(), said(), []),
        (replace(gated(approve=True), own_review=False), said(), []),
    ],
    ids=["approved", "one's own", "approved already", "not asked for", "a report"],
)
def test_only_a_whole_review_of_ones_own_approves(terms: Any, talk: Conversation, told: list[str]) -> None:
    world = World(talk, terms)
    world.publish(whole_review())
    assert [line for line in world.told if line.startswith("review")] == told


# Remembering


def test_double_summaries_become_one() -> None:
    older = tuple(Comment(number, f"{SUMMARY_MARKER}\nOlder.") for number in (5, 6, 7))
    world = World(said(comments=(*older, Comment(8, "Something else of ours."))))
    world.publish(whole_review(FOUND))
    assert world.told[-3:] == ["save 7", "delete 5", "delete 6"]


@pytest.mark.parametrize("errors", [{"save": AWAY}, {"delete": AWAY}])
def test_a_summary_that_cannot_be_written_costs_a_note(errors: dict[str, GitHubError]) -> None:
    older = tuple(Comment(number, f"{SUMMARY_MARKER}\nOlder.") for number in (5, 6))
    world = World(said(comments=older), errors=errors)
    published = world.publish(whole_review(FOUND))
    assert any("could not be written" in note for note in published.view.posted.notes)
    assert where(published) == {FOUND.title: Destination.INLINE}


def test_a_report_of_another_job_lets_no_later_run_skip_code() -> None:
    talk = said(rewrites=0)
    keys = frozenset(hunk_keys(FILE))
    for own, hunks in ((True, keys), (False, frozenset[str]())):
        world = World(talk, replace(TERMS, own_review=own))
        world.publish(whole_review(FOUND, hunks=keys))
        state = latest_state([Comment(901, world.comments.bodies[901])], repository="o/r", number=7)
        assert state is not None
        assert state.hunks == hunks


def test_a_thread_that_a_person_dismissed_is_neither_repeated_nor_counted() -> None:
    dismissed: Thread = replace(POSTED, thumbs_down=("maintainer",))
    world = World(replace(raised_once(), threads=(dismissed,)), gated(fail_on=Severity.LOW))
    published = world.publish(whole_review(FOUND))
    assert world.told == ["check Reviewing", "conclude 100 success", "save 901"]
    assert len(published.view.dismissed) == 1
    assert published.view.verdict.exit_code is ExitCode.REVIEWED


def test_a_finding_that_stands_from_before_fails_the_run_like_a_new_one() -> None:
    world = World(raised_once(), gated(fail_on=Severity.HIGH))
    published = world.publish(whole_review(FOUND))
    assert published.view.verdict.exit_code is ExitCode.GATE
    assert "conclude 100 failure" in world.told


def test_a_suggestion_is_offered_only_where_it_fits_the_head() -> None:
    asked = replace(FOUND, suggestion="query = 'select ?'")
    for content, fits in (
        (b"import db\nquery = 'select ' + name\ndb.run(query)\nend\n", True),
        (b"?\n", False),
    ):
        world = World()
        world.files = {"a.py": content}
        world.publish(whole_review(asked))
        (rendered,) = world.reviews.rendered
        assert ("```suggestion" in rendered.comment(asked, Destination.INLINE)) == fits


PAUSE = Pause("octocat", "2026-01-02T03:04:05Z")


def paused(talk: Conversation) -> Conversation:
    """The conversation after the command `stop`."""
    state = latest_state(talk.comments, repository="o/r", number=7) or empty_state("o/r", 7)
    body, number = updated_summary(talk.comments, replace(state, paused=PAUSE))
    return replace(talk, comments=(Comment(number or 901, body),))


@pytest.mark.parametrize("before", [said(), raised_once()], ids=["first run", "later run"])
def test_automatic_run_posts_nothing_once_paused(before: Conversation) -> None:
    world = World(before)
    world.talks = [paused(before)]
    published = world.publish(whole_review(SECOND))
    assert world.told == ["check Reviewing", "conclude 100 success"]
    stale = published.view.posted.stale or ""
    assert stale.startswith("Automatic reviews of this pull request are paused, by octocat on 2026-01-02")
    assert stale.endswith("continues them. Nothing was posted.")
    assert published.unposted == ()


def test_run_asks_again_before_a_later_attempt_to_post() -> None:
    world = World()
    world.publish(whole_review(FOUND))
    (draft,) = world.reviews.rendered
    assert draft.reason_not_to_post() is None
    world.talks = [paused(said())]
    assert "are paused, by octocat" in (draft.reason_not_to_post() or "")


@pytest.mark.parametrize("before", [said(), raised_once()], ids=["first run", "later run"])
def test_requested_run_posts_and_keeps_the_pause(before: Conversation) -> None:
    world = World(paused(before), replace(TERMS, automatic=False))
    published = world.publish(whole_review(SECOND))
    assert world.told == ["check Reviewing", "review COMMENT 1", "conclude 100 success", "save 901"]
    assert published.view.posted.stale is None
    state = latest_state(world.after(published).comments, repository="o/r", number=7)
    assert state is not None
    assert state.paused == PAUSE


def test_pause_of_another_pull_request_has_no_effect() -> None:
    body, _ = updated_summary((), replace(empty_state("o/r", 8), paused=PAUSE))
    world = World(replace(said(), comments=(Comment(901, body),)))
    assert world.publish(whole_review(FOUND)).view.posted.stale is None

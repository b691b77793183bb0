"""What was said on a pull request is read whole, with its authors, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.domain.diff import Side
from hunkwise.domain.pull_request import CheckRun, Conversation, Reply, ReviewState, Thread
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.accounts import MAX_PERMISSIONS
from hunkwise.github.client import GitHub
from hunkwise.github.connection import MOST_PAGES
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import CheckRun as StoredCheck
from tests.fakes.github_state import Comment as StoredComment
from tests.fakes.github_state import Review as StoredReview
from tests.fakes.github_state import Thread as StoredThread
from tests.github.conftest import World

BOT = "github-actions[bot]"
NO_GRAPHQL = GraphqlRefusal(403)
SUMMARY = "<!-- hunkwise:summary v1 -->"


def comment_on(
    world: World, line: int | None, *, side: str = "RIGHT", token: str = "ghs_write"
) -> StoredThread:
    """A thread that a token began, on a line of src/a.py or on the file."""
    place: dict[str, Any] = {"subject_type": "file"} if line is None else {"line": line, "side": side}
    body = {"body": f"on {line}", "path": "src/a.py", "commit_id": world.head, **place}
    world.client(token).connection.post("/repos/octo/repo/pulls/1/comments", body)
    return world.fake.threads[-1]


def read(world: World, token: str = "ghs_write") -> Conversation:
    return world.client(token).conversation(1, world.head)


def only_thread(world: World, token: str = "ghs_write") -> Thread:
    (thread,) = read(world, token).threads
    return thread


def asked(world: World) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in world.fake.journal]


@pytest.fixture(params=["graphql", "rest"])
def way(request: pytest.FixtureRequest, world: World) -> str:
    """Both ways of reading; REST's is read with a person's token, because it does not know an app's."""
    if request.param == "rest":
        world.fake.graphql_refusal = NO_GRAPHQL
    return str(request.param)


def test_an_untouched_pull_request_takes_one_request(world: World) -> None:
    conversation = read(world)
    assert conversation == Conversation(
        state="open",
        head_sha=world.head,
        viewer="github-actions",
        author="octocat",
        rewrites=0,
    )
    assert asked(world) == [("POST", "/graphql")]


@pytest.mark.parametrize(("merged", "state"), [(False, "closed"), (True, "merged")])
def test_closed_is_told_from_merged(world: World, way: str, merged: bool, state: str) -> None:
    world.fake.close(1, merged=merged)
    assert read(world, "ghp_person").state == state


def test_the_head_is_the_one_of_now(world: World, way: str) -> None:
    world.fake.push(1, "main")
    assert read(world, "ghp_person").head_sha == world.base


def test_a_thread_tells_where_it_is_and_what_was_answered(world: World, way: str) -> None:
    stored = comment_on(world, 5, side="LEFT", token="ghp_person")
    world.fake.hub.associations["maintainer"] = "MEMBER"
    world.fake.reply(stored, "maintainer", "won't fix")
    world.fake.reply(stored, "mallory", "me too")
    world.fake.reply(stored, BOT, "beep")
    world.fake.reply(stored, "hubot", "Fixed.")
    thread = only_thread(world, "ghp_person")
    assert (thread.path, thread.line, thread.side) == ("src/a.py", 5, Side.LEFT)
    assert (thread.author, thread.body, thread.ours, thread.trusted) == ("hubot", "on 5", True, False)
    assert (thread.resolved, thread.outdated, thread.edited) == (False, False, False)
    assert thread.comment_id == stored.comments[0].id
    assert thread.id == (stored.id if way == "graphql" else "")
    assert thread.url.endswith(f"#discussion_r{thread.comment_id}")
    assert thread.replies == (
        Reply("maintainer", "won't fix", trusted=True),
        Reply("mallory", "me too"),
        Reply("github-actions", "beep", bot=True),
        Reply("hubot", "Fixed.", ours=True),
    )


def test_a_thread_on_several_lines_has_the_first_of_them(world: World, way: str) -> None:
    stored = comment_on(world, 6, token="ghp_person")
    stored.comments[0].shown_start = 5
    thread = only_thread(world, "ghp_person")
    assert (thread.start_line, thread.line) == (5, 6)
    stored.comments[0].shown_start = None
    assert only_thread(world, "ghp_person").start_line is None


def test_a_thread_on_the_file_has_no_line_and_is_current(world: World, way: str) -> None:
    comment_on(world, None, token="ghp_person")
    thread = only_thread(world, "ghp_person")
    assert (thread.line, thread.outdated) == (None, False)


def test_a_thread_whose_lines_are_gone_is_outdated(world: World, way: str) -> None:
    comment_on(world, 5, token="ghp_person")
    world.fake.push(1, "main")
    thread = only_thread(world, "ghp_person")
    assert (thread.start_line, thread.line, thread.outdated) == (None, None, True)


def test_who_resolved_a_thread_is_known(world: World) -> None:
    for resolver in ("maintainer", BOT, ""):
        world.fake.resolve(comment_on(world, 5), by=resolver)
    comment_on(world, 6)
    threads = read(world).threads
    assert [thread.resolved for thread in threads] == [True, True, True, False]
    assert [thread.resolved_by for thread in threads] == ["maintainer", "github-actions", "", ""]


def test_only_what_the_token_wrote_is_ours(world: World) -> None:
    ours, strangers = comment_on(world, 5), comment_on(world, 6)
    strangers.comments[0].author = "mallory"
    strangers.comments[0].body = ours.comments[0].body = (
        "<!-- hunkwise:finding v1 fp=0123456789abcdef W10= -->"
    )
    for author in (BOT, "mallory", "github-actions"):
        world.fake.say(1, author, SUMMARY)
        world.fake.reviews.append(StoredReview(900 + len(author), 1, author, "x", "COMMENTED", world.head))
    conversation = read(world)
    assert [thread.ours for thread in conversation.threads] == [True, False]
    assert [comment.id for comment in conversation.comments] == [world.fake.issue_comments[0].id]
    assert [review.id for review in conversation.reviews] == [900 + len(BOT)]


@pytest.mark.parametrize(("editor", "edited"), [("", False), (BOT, False), ("maintainer", True)])
def test_what_somebody_else_edited_is_told(world: World, editor: str, edited: bool) -> None:
    stored, summary = comment_on(world, 5), world.fake.say(1, BOT, SUMMARY)
    answer = world.fake.reply(stored, BOT, "x")
    for said in (stored.comments[0], answer, summary):
        world.fake.edit(said, "changed", by=editor)
    conversation = read(world)
    assert conversation.threads[0].edited is edited
    assert conversation.threads[0].replies[0].edited is edited
    assert conversation.comments[0].edited is edited


def test_a_reply_that_its_own_author_edited_is_his(world: World) -> None:
    world.fake.reply(comment_on(world, 5), "maintainer", "won't fix", edited=True)
    assert not only_thread(world).replies[0].edited


def test_what_is_pending_was_not_said(world: World) -> None:
    comments = [{"path": "src/a.py", "line": 5, "side": "RIGHT", "body": "probe"}]
    probe = {"commit_id": world.head, "body": "marker", "comments": comments}
    world.client().connection.post("/repos/octo/repo/pulls/1/reviews", probe)
    conversation = read(world)
    assert conversation.threads == ()
    assert [(review.state, review.body) for review in conversation.reviews] == [
        (ReviewState.PENDING, "marker")
    ]


def test_reviews_have_state_commit_and_address(world: World, way: str) -> None:
    for number, state in enumerate(ReviewState):
        world.fake.reviews.append(StoredReview(900 + number, 1, "hubot", f"r{number}", state, world.head))
    reviews = read(world, "ghp_person").reviews
    assert [review.state for review in reviews] == list(ReviewState)
    assert {review.commit_sha for review in reviews} == {world.head}
    assert reviews[0].id == 900
    assert reviews[0].url.endswith("#pullrequestreview-900")


def test_rewrites_count_force_pushes_and_changes_of_the_base(world: World) -> None:
    world.fake.push(1, "main")
    world.fake.push(1, "feature")
    assert read(world).rewrites == 1
    world.fake.retarget(1, "feature")
    assert read(world).rewrites == 2
    world.fake.hub.pulls[1].timeline.extend(["HEAD_REF_FORCE_PUSHED_EVENT"] * 200)
    assert read(world).rewrites == 202


def test_rewrites_are_unknown_to_rest(world: World) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    assert read(world).rewrites is None


def test_check_runs_are_ours_by_name_and_at_the_head(world: World, way: str) -> None:
    world.fake.check_runs.extend(
        [
            StoredCheck(72, "hunkwise", world.head, "in_progress", None, external_id="run 2"),
            StoredCheck(71, "hunkwise", world.head, "completed", "success", external_id="run 1"),
            StoredCheck(73, "tests", world.head, "completed", "failure"),
            StoredCheck(74, "hunkwise", world.base, "completed", "failure"),
        ]
    )
    assert read(world).check_runs == (
        CheckRun(71, "completed", "success", "run 1"),
        CheckRun(72, "in_progress", "", "run 2"),
    )


def test_check_runs_of_another_head_than_asked_for_are_left_out(world: World) -> None:
    world.fake.check_runs.append(StoredCheck(71, "hunkwise", world.head, "completed", "success"))
    assert world.client().conversation(1, world.base).check_runs == ()


@pytest.mark.parametrize("token", ["ghs_blind", "ghp_blind"])
def test_a_token_that_may_not_read_checks_still_reads_the_rest(world: World, way: str, token: str) -> None:
    world.fake.tokens[token] = "write:pulls,none:checks"
    world.fake.check_runs.append(StoredCheck(71, "hunkwise", world.head, "completed", "success"))
    comment_on(world, 5)
    conversation = read(world, token)
    assert conversation.check_runs == ()
    assert len(conversation.threads) == 1


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("none", False),
        ("read", False),
        ("triage", False),
        ("write", True),
        ("maintain", True),
        ("admin", True),
        ("releaser/write", True),
        ("admin-in-name/read", False),
    ],
)
def test_write_access_is_what_github_says_now(world: World, role: str, may: bool) -> None:
    stored = comment_on(world, 5)
    world.fake.hub.associations["ann"] = "NONE" if may else "MEMBER"
    world.fake.hub.permissions["ann"] = role
    world.fake.reply(stored, "ann", "by design")
    assert read(world).writers == ({"ann"} if may else frozenset())


def test_each_person_is_asked_for_once_and_few_of_them(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stored = comment_on(world, 5)
    world.fake.hub.associations["maintainer"] = "MEMBER"
    strangers = [f"stranger{number}" for number in range(MAX_PERMISSIONS + 3)]
    for login in strangers:
        world.fake.reply(stored, login, "by design")
    world.fake.reply(stored, "maintainer", "by design")
    github = world.client()
    for _ in range(2):
        assert github.conversation(1, world.head).writers == {"maintainer"}
    permissions = [path.split("/")[-2] for _, path in asked(world) if path.endswith("/permission")]
    assert permissions == ["maintainer", *strangers[: MAX_PERMISSIONS - 1]]
    assert caplog.text.count("write access is unknown: 4 (") == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403},
        {"status": 404},
        {"status": 500, "times": 9},
        {"status": 502, "times": 9},
        {"status": 200, "html": True, "times": 9},
    ],
)
def test_a_permission_that_cannot_be_read_makes_nobody_a_writer(
    world: World, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    stored = comment_on(world, 5)
    world.fake.hub.permissions["admin"] = "admin"
    world.fake.react(stored.comments[0], "admin")
    world.fake.fault("GET", "/permission", **fault)
    github = world.client()
    for _ in range(2):
        assert github.conversation(1, world.head).writers == frozenset()
    assert caplog.text.count("write access is unknown: 1 (") == 1


def test_lists_are_read_to_their_end_and_only_those_that_have_more(world: World) -> None:
    first = comment_on(world, 5)
    hub = world.fake.hub
    for number in range(250):
        copy = StoredComment(**{**vars(first.comments[0]), "id": 5_000 + number, "reactions": []})
        hub.threads.append(StoredThread(f"T{number}", 1, [copy]))
    for _ in range(150):
        world.fake.say(1, BOT, "x")
    hub.reviews.append(StoredReview(900, 1, BOT, "x", "COMMENTED", world.head))
    conversation = read(world)
    assert [thread.comment_id for thread in conversation.threads[1:]] == list(range(5_000, 5_250))
    assert (len(conversation.comments), len(conversation.reviews)) == (150, 1)
    queries = [request.json["variables"] for request in world.fake.journal if request.path == "/graphql"]
    wanted = [
        (query["reviewThreads"], query["comments"], query["reviews"], query["once"]) for query in queries
    ]
    assert wanted == [(True, True, True, True), (True, True, False, False), (True, False, False, False)]


def test_a_list_without_end_is_an_error_and_not_half_a_conversation(world: World) -> None:
    world.fake.hub.reviews.extend(
        StoredReview(number, 1, BOT, "", "COMMENTED", world.head) for number in range(1, 3_002)
    )
    with pytest.raises(GitHubError, match="more than 3,000 reviews: too many to be read") as failed:
        read(world)
    assert (failed.value.kind, len(asked(world))) == (GitHubErrorKind.UNAVAILABLE, MOST_PAGES)


def test_rests_lists_are_read_to_their_end_too(world: World) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    for _ in range(250):
        world.fake.say(1, "hubot", "x")
    assert len(read(world, "ghp_person").comments) == 250
    world.fake.hub.reviews.extend(
        StoredReview(number, 1, "hubot", "", "COMMENTED", world.head) for number in range(1, 3_002)
    )
    with pytest.raises(GitHubError, match="more than 3,000 reviews"):
        read(world, "ghp_person")


def test_a_long_thread_keeps_its_first_and_its_latest_words(world: World) -> None:
    stored = comment_on(world, 5)
    for number in range(80):
        world.fake.reply(stored, "mallory", f"reply {number}")
    thread = only_thread(world)
    assert thread.body == "on 5"
    assert [reply.body for reply in thread.replies] == [f"reply {number}" for number in range(30, 80)]


@pytest.mark.parametrize(
    "refusal",
    [
        GraphqlRefusal(403),
        GraphqlRefusal(404),
        GraphqlRefusal(502),
        GraphqlRefusal(errors=({"type": "FORBIDDEN", "message": "Resource not accessible by integration"},)),
        GraphqlRefusal(errors=({"type": "NOT_FOUND", "message": "x"},)),
        GraphqlRefusal(errors=({"message": "Field 'x' doesn't exist on type 'Y'"},)),
        GraphqlRefusal(errors=({"message": "Something went wrong while executing your query."},)),
    ],
)
def test_where_graphql_is_refused_rest_is_asked(world: World, refusal: GraphqlRefusal) -> None:
    comment_on(world, 5, token="ghp_person")
    summary = world.fake.say(1, "hubot", SUMMARY)
    world.fake.graphql_refusal = refusal
    conversation = read(world, "ghp_person")
    assert (conversation.viewer, conversation.state) == ("hubot", "open")
    assert [thread.ours for thread in conversation.threads] == [True]
    assert [comment.id for comment in conversation.comments] == [summary.id]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 502, "times": 4},
        {"disconnect": True, "times": 4},
        {"truncate": True, "times": 4},
        {"html": True, "status": 200, "times": 4},
        {"status": 200, "body": {}, "times": 4},
        {"status": 200, "body": {"data": {"viewer": {"login": "x"}, "repository": None}}},
        {"status": 200, "body": {"data": {"repository": {"pullRequest": {}}}}},
        {"redirect": "http://evil.example/graphql", "times": 4},
    ],
)
def test_where_the_query_fails_for_good_rest_is_asked_and_we_know_ourselves(
    world: World, fault: dict[str, Any]
) -> None:
    comment_on(world, 5)
    world.fake.fault("POST", "/graphql", asking="reviewThreads", **fault)
    conversation = read(world)
    assert conversation.viewer == "github-actions"
    assert [thread.ours for thread in conversation.threads] == [True]


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (GraphqlRefusal(401), GitHubErrorKind.AUTHENTICATION),
        (GraphqlRefusal(errors=({"type": "RATE_LIMITED", "message": "x"},)), GitHubErrorKind.RATE_LIMIT),
    ],
)
def test_what_rest_would_refuse_too_is_an_error(
    world: World, refusal: GraphqlRefusal, kind: GitHubErrorKind
) -> None:
    world.clock.left = 5.0
    world.fake.graphql_refusal = refusal
    with pytest.raises(GitHubError) as failed:
        read(world)
    assert failed.value.kind is kind
    assert asked(world) == [("POST", "/graphql")]


def test_an_app_that_cannot_learn_who_it_is_calls_nothing_its_own(world: World) -> None:
    comment_on(world, 5)
    world.fake.say(1, BOT, SUMMARY)
    world.fake.graphql_refusal = NO_GRAPHQL
    conversation = read(world)
    assert conversation.viewer == ""
    assert [thread.ours for thread in conversation.threads] == [False]
    assert conversation.comments == ()


def test_a_person_is_not_taken_for_the_app_of_that_name(world: World) -> None:
    comment_on(world, 5).comments[0].author = "github-actions"
    world.fake.fault("POST", "/graphql", asking="reviewThreads", status=403)
    assert not only_thread(world).ours


def test_replies_stay_together_when_their_first_comment_is_gone_from_rest(world: World) -> None:
    stored = comment_on(world, 5, token="ghp_person")
    world.fake.reply(stored, "mallory", "first")
    world.fake.reply(stored, "hubot", "second")
    world.fake.comments.remove(stored.comments[0])
    world.fake.graphql_refusal = NO_GRAPHQL
    thread = only_thread(world, "ghp_person")
    assert (thread.author, thread.ours) == ("mallory", False)
    assert thread.replies == (Reply("hubot", "second", ours=True),)


REST_READS = [
    r"/pulls/1$",
    r"/user$",
    r"/pulls/1/comments$",
    r"/issues/1/comments$",
    r"/pulls/1/reviews$",
    r"/check-runs$",
]


@pytest.mark.parametrize("path", REST_READS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 502, "times": 9}, GitHubErrorKind.UNAVAILABLE),
        ({"truncate": True, "times": 9}, GitHubErrorKind.UNAVAILABLE),
        ({"status": 200, "html": True, "times": 9}, GitHubErrorKind.UNAVAILABLE),
        ({"status": 200, "body": [7], "times": 9}, GitHubErrorKind.UNAVAILABLE),
        ({"status": 429, "headers": {"retry-after": "9999"}}, GitHubErrorKind.RATE_LIMIT),
    ],
)
def test_what_rest_cannot_read_is_never_half_a_conversation(
    world: World, path: str, fault: dict[str, Any], kind: GitHubErrorKind
) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    world.fake.fault("GET", path, **fault)
    with pytest.raises(GitHubError) as failed:
        read(world, "ghp_person")
    assert failed.value.kind is kind


@pytest.mark.parametrize("path", REST_READS)
@pytest.mark.parametrize("status", [403, 404])
def test_a_part_that_rest_refuses_is_an_error_unless_it_can_be_spared(
    world: World, path: str, status: int
) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    world.fake.fault("GET", path, status=status)
    spared = {r"/user$": "viewer", r"/check-runs$": "check_runs"}
    if path in spared:
        assert not getattr(read(world, "ghp_person"), spared[path])
        return
    with pytest.raises(GitHubError, match="/1"):
        read(world, "ghp_person")


def test_check_runs_without_their_numbers_are_read_by_rest(world: World) -> None:
    world.fake.check_runs.append(StoredCheck(71, "hunkwise", world.head, "completed", "success"))
    nameless = {"databaseId": None, "status": "COMPLETED"}
    suites = {"nodes": [{"checkRuns": {"nodes": [nameless]}}]}
    commit = {"commit": {"oid": world.head, "checkSuites": suites}}
    world.fake.fault("POST", "/graphql", status=200, body=data(commits={"nodes": [commit]}))
    assert read(world).check_runs == (CheckRun(71, "completed", "success"),)
    assert len(asked(world)) == 2


@pytest.mark.parametrize(
    ("fault", "known"),
    [
        ({"status": 403, "times": 9}, False),
        ({"status": 502, "times": 99}, None),
        ({"status": 429, "headers": {"retry-after": "9999"}}, None),
    ],
)
def test_an_app_asks_graphql_alone_who_it_is(world: World, fault: dict[str, Any], known: bool | None) -> None:
    world.fake.fault("POST", "/graphql", asking="reviewThreads", status=403)
    world.fake.fault("POST", "/graphql", **fault)
    if known is None:
        with pytest.raises(GitHubError):
            read(world)
    else:
        assert read(world).viewer == ""


def data(**given: object) -> dict[str, Any]:
    """GraphQL's answer for a pull request of which the given fields are told."""
    nothing = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    pull = {
        "state": "OPEN",
        "headRefOid": "0" * 40,
        "reviewThreads": nothing,
        "comments": nothing,
        "reviews": nothing,
    }
    return {"data": {"viewer": {"login": "me"}, "repository": {"pullRequest": {**pull, **given}}}}


def comments(*said: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": list(said), "pageInfo": {"hasNextPage": False, "endCursor": None}}


SAID = {"fullDatabaseId": "1", "body": "x", "url": "u", "viewerDidAuthor": True, "state": "SUBMITTED"}


def answered(world: World, body: dict[str, Any]) -> Conversation:
    """The conversation that GraphQL's answer makes; REST refuses to be asked instead."""
    world.fake.fault("POST", "/graphql", status=200, body=body)
    world.fake.fault("GET", "", status=403, times=9)
    return read(world)


def test_accounts_that_are_gone_are_ghosts(world: World) -> None:
    conversation = answered(
        world, data(author=None, comments=comments({**SAID, "author": None, "editor": None}))
    )
    assert conversation.author == "ghost"
    assert conversation.comments[0].edited is False


def test_a_comment_of_a_ghost_that_somebody_edited_is_edited(world: World) -> None:
    conversation = answered(world, data(comments=comments({**SAID, "editor": {"login": "m"}})))
    assert conversation.comments[0].edited


def test_what_could_not_be_told_beside_the_rest_is_left_open(world: World) -> None:
    node = {
        "id": "T",
        "path": "a",
        "isResolved": True,
        "resolvedBy": None,
        "opening": {"nodes": [{**SAID, "reactions": None}]},
        "latest": {"nodes": []},
    }
    said = data(reviewThreads=comments(node), timelineItems=None, commits={"nodes": [None]})
    path = ["repository", "pullRequest", "timelineItems"]
    said["errors"] = [{"type": "FORBIDDEN", "message": "no", "path": path}]
    conversation = answered(world, said)
    assert (conversation.rewrites, conversation.check_runs) == (None, ())
    (thread,) = conversation.threads
    assert (thread.resolved, thread.resolved_by, thread.thumbs_down) == (True, "", ())


@pytest.mark.parametrize("count", [None, 150])
def test_more_rewrites_than_are_listed_are_counted(world: World, count: int | None) -> None:
    events = {"nodes": [{"__typename": "BaseRefChangedEvent"}] * 100, "totalCount": count}
    assert answered(world, data(timelineItems=events)).rewrites == count


def test_a_thread_without_any_comment_is_none(world: World) -> None:
    empty = {"id": "T", "path": "a", "opening": {"nodes": []}, "latest": {"nodes": [SAID]}}
    assert answered(world, data(reviewThreads=comments(empty))).threads == ()


def test_a_review_of_a_new_state_is_a_comment(world: World) -> None:
    conversation = answered(world, data(reviews=comments({**SAID, "state": "SPARKLING"})))
    assert conversation.reviews[0].state is ReviewState.COMMENTED


@pytest.mark.parametrize(
    "broken",
    [
        {"reviewThreads": None},
        {"comments": None},
        {"reviews": {"nodes": None, "pageInfo": {}}},
        {"comments": {"nodes": [None], "pageInfo": {}}},
        {"comments": comments({**SAID, "body": None})},
        {"comments": comments({**SAID, "fullDatabaseId": None})},
        {"comments": comments({**SAID, "fullDatabaseId": "9" * 400})},
        {"comments": comments({**SAID, "fullDatabaseId": "one"})},
        {"reviewThreads": comments({"id": "T", "path": "a"})},
        {"reviews": {"nodes": [], "pageInfo": {"hasNextPage": True}}},
        {"state": None},
        {"headRefOid": 7},
    ],
)
def test_a_hole_where_words_belong_is_no_conversation(world: World, broken: dict[str, Any]) -> None:
    with pytest.raises(GitHubError) as failed:
        answered(world, data(**broken))
    assert failed.value.kind is GitHubErrorKind.FORBIDDEN  # REST's, which was asked instead
    assert ("GET", "/repos/octo/repo/pulls/1") in asked(world)


def test_only_a_full_sha_is_asked_for(world: World) -> None:
    with pytest.raises(GitHubError, match="is no commit's SHA"):
        world.client().conversation(1, "main")


def test_a_server_under_a_path_is_asked_there(world: World) -> None:
    client: GitHub = world.client(url=f"{world.url}/api/v3/")
    assert client.conversation(1, world.head).viewer == "github-actions"

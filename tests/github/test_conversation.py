"""The conversation of a pull request by GraphQL and REST: complete with authors, or an error."""

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
    """Starts a thread with a token, on a line of src/a.py or on the file."""
    place: dict[str, Any] = {"subject_type": "file"} if line is None else {"line": line, "side": side}
    body = {"body": f"on {line}", "path": "src/a.py", "commit_id": world.head, **place}
    world.client(token).connection.post("/repos/octo/repo/pulls/1/comments", body)
    return world.fake.threads[-1]


def read(world: World, token: str = "ghs_write") -> Conversation:
    return world.client(token).conversation(1, world.head)


def only_thread(world: World, token: str = "ghs_write") -> Thread:
    (thread,) = read(world, token).threads
    return thread


def sent_requests(world: World) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in world.fake.journal]


@pytest.fixture(params=["graphql", "rest"])
def api(request: pytest.FixtureRequest, world: World) -> str:
    """Both APIs; REST is read with a user's token, because it does not report an app's account."""
    if request.param == "rest":
        world.fake.graphql_refusal = NO_GRAPHQL
    return str(request.param)


def test_pull_request_without_conversation_takes_one_request(world: World) -> None:
    conversation = read(world)
    assert conversation == Conversation(
        state="open",
        head_sha=world.head,
        viewer="github-actions",
        author="octocat",
        rewrites=0,
    )
    assert sent_requests(world) == [("POST", "/graphql")]


@pytest.mark.parametrize(("merged", "state"), [(False, "closed"), (True, "merged")])
def test_closed_and_merged_are_distinguished(world: World, api: str, merged: bool, state: str) -> None:
    world.fake.close(1, merged=merged)
    assert read(world, "ghp_person").state == state


def test_head_is_the_current_one(world: World, api: str) -> None:
    world.fake.push(1, "main")
    assert read(world, "ghp_person").head_sha == world.base


def test_thread_has_location_and_replies(world: World, api: str) -> None:
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
    assert thread.id == (stored.id if api == "graphql" else "")
    assert thread.url.endswith(f"#discussion_r{thread.comment_id}")
    assert thread.replies == (
        Reply("maintainer", "won't fix", trusted=True),
        Reply("mallory", "me too"),
        Reply("github-actions", "beep", bot=True),
        Reply("hubot", "Fixed.", ours=True),
    )


def test_thread_on_several_lines_has_the_first_line(world: World, api: str) -> None:
    stored = comment_on(world, 6, token="ghp_person")
    stored.comments[0].shown_start = 5
    thread = only_thread(world, "ghp_person")
    assert (thread.start_line, thread.line) == (5, 6)
    stored.comments[0].shown_start = None
    assert only_thread(world, "ghp_person").start_line is None


def test_thread_on_the_file_has_no_line_and_is_current(world: World, api: str) -> None:
    comment_on(world, None, token="ghp_person")
    thread = only_thread(world, "ghp_person")
    assert (thread.line, thread.outdated) == (None, False)


def test_thread_on_removed_lines_is_outdated(world: World, api: str) -> None:
    comment_on(world, 5, token="ghp_person")
    world.fake.push(1, "main")
    thread = only_thread(world, "ghp_person")
    assert (thread.start_line, thread.line, thread.outdated) == (None, None, True)


def test_thread_has_user_who_resolved_it(world: World) -> None:
    for resolver in ("maintainer", BOT, ""):
        world.fake.resolve(comment_on(world, 5), by=resolver)
    comment_on(world, 6)
    threads = read(world).threads
    assert [thread.resolved for thread in threads] == [True, True, True, False]
    assert [thread.resolved_by for thread in threads] == ["maintainer", "github-actions", "", ""]


def test_only_comments_of_the_token_are_ours(world: World) -> None:
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
def test_edit_by_another_user_is_reported(world: World, editor: str, edited: bool) -> None:
    stored, summary = comment_on(world, 5), world.fake.say(1, BOT, SUMMARY)
    answer = world.fake.reply(stored, BOT, "x")
    for comment in (stored.comments[0], answer, summary):
        world.fake.edit(comment, "changed", by=editor)
    conversation = read(world)
    assert conversation.threads[0].edited is edited
    assert conversation.threads[0].replies[0].edited is edited
    assert conversation.comments[0].edited is edited


def test_reply_edited_by_its_author_is_not_edited(world: World) -> None:
    world.fake.reply(comment_on(world, 5), "maintainer", "won't fix", edited=True)
    assert not only_thread(world).replies[0].edited


def test_pending_comments_are_omitted(world: World) -> None:
    comments = [{"path": "src/a.py", "line": 5, "side": "RIGHT", "body": "probe"}]
    probe = {"commit_id": world.head, "body": "marker", "comments": comments}
    world.client().connection.post("/repos/octo/repo/pulls/1/reviews", probe)
    conversation = read(world)
    assert conversation.threads == ()
    assert [(review.state, review.body) for review in conversation.reviews] == [
        (ReviewState.PENDING, "marker")
    ]


def test_reviews_have_state_commit_and_address(world: World, api: str) -> None:
    for number, state in enumerate(ReviewState):
        world.fake.reviews.append(StoredReview(900 + number, 1, "hubot", f"r{number}", state, world.head))
    reviews = read(world, "ghp_person").reviews
    assert [review.state for review in reviews] == list(ReviewState)
    assert {review.commit_sha for review in reviews} == {world.head}
    assert reviews[0].id == 900
    assert reviews[0].url.endswith("#pullrequestreview-900")


def test_rewrites_count_force_pushes_and_base_changes(world: World) -> None:
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


def test_check_runs_are_ours_by_name_at_the_head(world: World, api: str) -> None:
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


def test_check_runs_of_another_head_are_omitted(world: World) -> None:
    world.fake.check_runs.append(StoredCheck(71, "hunkwise", world.head, "completed", "success"))
    assert world.client().conversation(1, world.base).check_runs == ()


@pytest.mark.parametrize("token", ["ghs_blind", "ghp_blind"])
def test_conversation_is_read_without_permission_for_checks(world: World, api: str, token: str) -> None:
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
def test_write_access_is_the_current_permission(world: World, role: str, may: bool) -> None:
    stored = comment_on(world, 5)
    world.fake.hub.associations["ann"] = "NONE" if may else "MEMBER"
    world.fake.hub.permissions["ann"] = role
    world.fake.reply(stored, "ann", "by design")
    assert read(world).writers == ({"ann"} if may else frozenset())


def test_permissions_are_read_once_per_user_up_to_a_limit(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stored = comment_on(world, 5)
    world.fake.hub.associations["maintainer"] = "MEMBER"
    users = [f"stranger{number}" for number in range(MAX_PERMISSIONS + 3)]
    for login in users:
        world.fake.reply(stored, login, "by design")
    world.fake.reply(stored, "maintainer", "by design")
    github = world.client()
    for _ in range(2):
        assert github.conversation(1, world.head).writers == {"maintainer"}
    permissions = [path.split("/")[-2] for _, path in sent_requests(world) if path.endswith("/permission")]
    # The newest replies decide, so their authors come first.
    assert permissions == ["maintainer", *users[:-MAX_PERMISSIONS:-1]]
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
def test_unreadable_permission_means_no_write_access(
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


def test_further_pages_are_read_only_for_lists_that_have_them(world: World) -> None:
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


def test_endless_list_is_an_error(world: World) -> None:
    world.fake.hub.reviews.extend(
        StoredReview(number, 1, BOT, "", "COMMENTED", world.head) for number in range(1, 3_002)
    )
    with pytest.raises(GitHubError, match="more than 3,000 reviews: too many to be read") as failed:
        read(world)
    assert (failed.value.kind, len(sent_requests(world))) == (GitHubErrorKind.UNAVAILABLE, MOST_PAGES)


def test_all_pages_of_rest_lists_are_read(world: World) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    for _ in range(250):
        world.fake.say(1, "hubot", "x")
    assert len(read(world, "ghp_person").comments) == 250
    world.fake.hub.reviews.extend(
        StoredReview(number, 1, "hubot", "", "COMMENTED", world.head) for number in range(1, 3_002)
    )
    with pytest.raises(GitHubError, match="more than 3,000 reviews"):
        read(world, "ghp_person")


def test_long_thread_has_first_and_latest_comments(world: World) -> None:
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
def test_rest_is_used_if_graphql_is_refused(world: World, refusal: GraphqlRefusal) -> None:
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
def test_rest_is_used_with_known_account_if_the_query_fails(world: World, fault: dict[str, Any]) -> None:
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
def test_error_that_applies_to_rest_is_not_retried(
    world: World, refusal: GraphqlRefusal, kind: GitHubErrorKind
) -> None:
    world.clock.left = 5.0
    world.fake.graphql_refusal = refusal
    with pytest.raises(GitHubError) as failed:
        read(world)
    assert failed.value.kind is kind
    assert sent_requests(world) == [("POST", "/graphql")]


def test_no_comment_is_ours_without_known_account(world: World) -> None:
    comment_on(world, 5)
    world.fake.say(1, BOT, SUMMARY)
    world.fake.graphql_refusal = NO_GRAPHQL
    conversation = read(world)
    assert conversation.viewer == ""
    assert [thread.ours for thread in conversation.threads] == [False]
    assert conversation.comments == ()


def test_user_with_the_name_of_the_app_is_distinguished(world: World) -> None:
    comment_on(world, 5).comments[0].author = "github-actions"
    world.fake.fault("POST", "/graphql", asking="reviewThreads", status=403)
    assert not only_thread(world).ours


def test_replies_to_a_deleted_comment_are_one_thread(world: World) -> None:
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
def test_failed_part_of_rest_is_an_error(
    world: World, path: str, fault: dict[str, Any], kind: GitHubErrorKind
) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    world.fake.fault("GET", path, **fault)
    with pytest.raises(GitHubError) as failed:
        read(world, "ghp_person")
    assert failed.value.kind is kind


@pytest.mark.parametrize("path", REST_READS)
@pytest.mark.parametrize("status", [403, 404])
def test_refused_part_of_rest_is_an_error_unless_optional(world: World, path: str, status: int) -> None:
    world.fake.graphql_refusal = NO_GRAPHQL
    world.fake.fault("GET", path, status=status)
    spared = {r"/user$": "viewer", r"/check-runs$": "check_runs"}
    if path in spared:
        assert not getattr(read(world, "ghp_person"), spared[path])
        return
    with pytest.raises(GitHubError, match="/1"):
        read(world, "ghp_person")


def test_check_runs_without_ids_are_read_by_rest(world: World) -> None:
    world.fake.check_runs.append(StoredCheck(71, "hunkwise", world.head, "completed", "success"))
    nameless = {"databaseId": None, "status": "COMPLETED"}
    suites = {"nodes": [{"checkRuns": {"nodes": [nameless]}}]}
    commit = {"commit": {"oid": world.head, "checkSuites": suites}}
    world.fake.fault("POST", "/graphql", status=200, body=data(commits={"nodes": [commit]}))
    assert read(world).check_runs == (CheckRun(71, "completed", "success"),)
    assert len(sent_requests(world)) == 2


@pytest.mark.parametrize(
    ("fault", "known"),
    [
        ({"status": 403, "times": 9}, False),
        ({"status": 502, "times": 99}, None),
        ({"status": 429, "headers": {"retry-after": "9999"}}, None),
    ],
)
def test_app_reads_its_account_by_graphql(world: World, fault: dict[str, Any], known: bool | None) -> None:
    world.fake.fault("POST", "/graphql", asking="reviewThreads", status=403)
    world.fake.fault("POST", "/graphql", **fault)
    if known is None:
        with pytest.raises(GitHubError):
            read(world)
    else:
        assert read(world).viewer == ""


def data(**fields: object) -> dict[str, Any]:
    """Returns the GraphQL response for a pull request with these fields."""
    empty = {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    pull = {
        "state": "OPEN",
        "headRefOid": "0" * 40,
        "reviewThreads": empty,
        "comments": empty,
        "reviews": empty,
    }
    return {"data": {"viewer": {"login": "me"}, "repository": {"pullRequest": {**pull, **fields}}}}


def comments(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": False, "endCursor": None}}


COMMENT = {"fullDatabaseId": "1", "body": "x", "url": "u", "viewerDidAuthor": True, "state": "SUBMITTED"}


def read_response(world: World, body: dict[str, Any]) -> Conversation:
    """Reads the conversation from a GraphQL response; REST requests are refused."""
    world.fake.fault("POST", "/graphql", status=200, body=body)
    world.fake.fault("GET", "", status=403, times=9)
    return read(world)


def test_deleted_accounts_are_ghosts(world: World) -> None:
    conversation = read_response(
        world, data(author=None, comments=comments({**COMMENT, "author": None, "editor": None}))
    )
    assert conversation.author == "ghost"
    assert conversation.comments[0].edited is False


def test_edited_comment_of_a_deleted_account_is_edited(world: World) -> None:
    conversation = read_response(world, data(comments=comments({**COMMENT, "editor": {"login": "m"}})))
    assert conversation.comments[0].edited


def test_missing_optional_fields_are_unknown(world: World) -> None:
    node = {
        "id": "T",
        "path": "a",
        "isResolved": True,
        "resolvedBy": None,
        "opening": {"nodes": [{**COMMENT, "reactions": None}]},
        "latest": {"nodes": []},
    }
    response = data(reviewThreads=comments(node), timelineItems=None, commits={"nodes": [None]})
    path = ["repository", "pullRequest", "timelineItems"]
    response["errors"] = [{"type": "FORBIDDEN", "message": "no", "path": path}]
    conversation = read_response(world, response)
    assert (conversation.rewrites, conversation.check_runs) == (None, ())
    (thread,) = conversation.threads
    assert (thread.resolved, thread.resolved_by, thread.thumbs_down) == (True, "", ())


@pytest.mark.parametrize("count", [None, 150])
def test_rewrites_above_the_listed_ones_are_counted(world: World, count: int | None) -> None:
    events = {"nodes": [{"__typename": "BaseRefChangedEvent"}] * 100, "totalCount": count}
    assert read_response(world, data(timelineItems=events)).rewrites == count


def test_thread_without_comments_is_omitted(world: World) -> None:
    empty = {"id": "T", "path": "a", "opening": {"nodes": []}, "latest": {"nodes": [COMMENT]}}
    assert read_response(world, data(reviewThreads=comments(empty))).threads == ()


def test_review_of_unknown_state_is_a_comment(world: World) -> None:
    conversation = read_response(world, data(reviews=comments({**COMMENT, "state": "SPARKLING"})))
    assert conversation.reviews[0].state is ReviewState.COMMENTED


@pytest.mark.parametrize(
    "broken",
    [
        {"reviewThreads": None},
        {"comments": None},
        {"reviews": {"nodes": None, "pageInfo": {}}},
        {"comments": {"nodes": [None], "pageInfo": {}}},
        {"comments": comments({**COMMENT, "body": None})},
        {"comments": comments({**COMMENT, "fullDatabaseId": None})},
        {"comments": comments({**COMMENT, "fullDatabaseId": "9" * 400})},
        {"comments": comments({**COMMENT, "fullDatabaseId": "one"})},
        {"reviewThreads": comments({"id": "T", "path": "a"})},
        {"reviews": {"nodes": [], "pageInfo": {"hasNextPage": True}}},
        {"state": None},
        {"headRefOid": 7},
    ],
)
def test_null_in_the_response_is_an_error(world: World, broken: dict[str, Any]) -> None:
    with pytest.raises(GitHubError) as failed:
        read_response(world, data(**broken))
    assert failed.value.kind is GitHubErrorKind.FORBIDDEN  # of the REST fallback
    assert ("GET", "/repos/octo/repo/pulls/1") in sent_requests(world)


def test_only_a_full_sha_is_requested(world: World) -> None:
    with pytest.raises(GitHubError, match="is no commit's SHA"):
        world.client().conversation(1, "main")


def test_path_of_the_server_url_is_used(world: World) -> None:
    client: GitHub = world.client(url=f"{world.url}/api/v3/")
    assert client.conversation(1, world.head).viewer == "github-actions"

"""A command is read as it is now, and answered once: by a reaction, by a reply, in its thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hunkwise.domain.diff import Side
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.command_comments import CommandComment, CommandComments
from hunkwise.tracking.markers import reply_marker
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_reviews import create_comment
from tests.fakes.github_state import BOT, EDITED, POSTED, Comment, Issue, IssueComment, Thread
from tests.github.conftest import SECRET, World

COMMAND = "/hunkwise ask Why?"
LATER = "2026-02-03T04:05:06Z"
LOST: list[dict[str, Any]] = [
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"disconnect": True},
    {"truncate": True},
]


def comments(world: World, token: str = "ghs_write", number: int = 1) -> CommandComments:
    return CommandComments(world.writer(token).at(number))


def add_thread(world: World, author: str = BOT, **place: Any) -> Thread:
    given = {"path": "src/a.py", "body": "A fault.", "commit_id": world.head}
    create_comment(world.fake.hub, world.fake.hub.pulls[1], author, given | (place or {"line": 5}))
    return world.fake.threads[-1]


def in_conversation(world: World) -> IssueComment:
    return world.fake.say(1, "octocat", COMMAND)


def in_thread(world: World) -> Comment:
    return world.fake.reply(add_thread(world), "octocat", COMMAND)


def read(world: World, comment: Comment | IssueComment) -> CommandComment:
    found = comments(world).read(comment.id, isinstance(comment, Comment))
    assert found is not None
    return found


def sent(world: World) -> list[str]:
    """Returns method and path of each request."""
    return [
        f"{request.method} {request.path.removeprefix('/repos/octo/repo')}" for request in world.fake.journal
    ]


def bodies(world: World, thread: bool) -> list[str]:
    """Returns our replies."""
    kept: list[Comment | IssueComment] = [*(world.fake.comments if thread else world.fake.issue_comments)]
    return [one.body for one in kept if one.author == BOT and "hunkwise:reply" in one.body]


PLACES = pytest.mark.parametrize("place", [in_conversation, in_thread])


def test_reads_comment_in_conversation_in_one_request(world: World) -> None:
    stored = in_conversation(world)
    assert read(world, stored) == CommandComment(
        id=stored.id,
        body=COMMAND,
        login="octocat",
        is_person=True,
        created_at=POSTED,
        edited=False,
        url=f"{world.url}/octo/repo/pull/1#issuecomment-{stored.id}",
    )
    assert sent(world) == [f"GET /issues/comments/{stored.id}"]


def test_reads_comment_in_thread_with_its_place(world: World) -> None:
    stored = in_thread(world)
    assert read(world, stored) == CommandComment(
        id=stored.id,
        body=COMMAND,
        login="octocat",
        is_person=True,
        created_at=POSTED,
        edited=False,
        url=f"{world.url}/octo/repo/pull/1#discussion_r{stored.id}",
        thread_comment_id=world.fake.threads[0].comments[0].id,
        path="src/a.py",
        line=5,
    )
    # Publishing the review updated the comment, so that only GraphQL knows that nobody edited it.
    assert sent(world) == [f"GET /pulls/comments/{stored.id}", "POST /graphql"]


@pytest.mark.parametrize(
    ("given", "line", "side"),
    [
        ({"line": 5, "side": "LEFT"}, 5, Side.LEFT),
        ({"line": 6, "start_line": 5}, 6, Side.RIGHT),
        ({"subject_type": "file"}, None, Side.RIGHT),
    ],
)
def test_first_comment_of_thread_can_be_command(
    world: World, given: dict[str, Any], line: int | None, side: Side
) -> None:
    (first,) = add_thread(world, "octocat", **given).comments
    comment = read(world, first)
    assert (comment.thread_comment_id, comment.line, comment.side) == (first.id, line, side)


def test_place_of_outdated_thread_has_no_line(world: World) -> None:
    stored = in_thread(world)
    stored.shown_line = None
    comment = read(world, stored)
    assert (comment.path, comment.line) == ("src/a.py", None)


@PLACES
def test_deleted_comment_is_none(world: World, place: Any) -> None:
    stored = place(world)
    world.fake.delete(stored)
    assert comments(world).read(stored.id, isinstance(stored, Comment)) is None


@PLACES
def test_comment_of_another_pull_request_is_none(world: World, place: Any) -> None:
    stored = place(world)
    world.fake.add_pull_request(11, base_sha=world.base, head_sha=world.head)
    assert comments(world, number=11).read(stored.id, isinstance(stored, Comment)) is None


@PLACES
def test_id_of_other_kind_of_comment_is_none(world: World, place: Any) -> None:
    stored = place(world)
    assert comments(world).read(stored.id, not isinstance(stored, Comment)) is None


@PLACES
def test_answer_about_another_comment_is_error(world: World, place: Any) -> None:
    stored = place(world)
    world.fake.fault("GET", f"comments/{stored.id}$", status=200, body={"id": stored.id + 1})
    with pytest.raises(GitHubError, match="it is another comment"):
        read(world, stored)


def test_comment_on_issue_is_read(world: World) -> None:
    world.fake.issues[7] = Issue(7, "Audit", BOT)
    stored = world.fake.say(7, "octocat", COMMAND)
    comment = comments(world, number=7).read(stored.id, in_thread=False)
    assert comment is not None
    assert comment.url == f"{world.url}/octo/repo/issues/7#issuecomment-{stored.id}"


@PLACES
@pytest.mark.parametrize("by", ["octocat", "maintainer"])
def test_edited_comment_is_recognized(world: World, place: Any, by: str) -> None:
    stored = place(world)
    world.fake.edit(stored, "/hunkwise review", by=by)
    comment = read(world, stored)
    assert (comment.body, comment.edited) == ("/hunkwise review", True)


@PLACES
def test_update_without_edit_is_no_edit(world: World, place: Any) -> None:
    stored = place(world)
    stored.updated_at = EDITED
    assert not read(world, stored).edited


@PLACES
@pytest.mark.parametrize("status", [403, 404, 422])
def test_comment_counts_as_edited_if_github_does_not_say(world: World, place: Any, status: int) -> None:
    stored = place(world)
    stored.updated_at = EDITED
    world.fake.graphql_refusal = GraphqlRefusal(status=status)
    assert read(world, stored).edited


@pytest.mark.parametrize("body", [{"data": {"node": None}}, {"data": {"node": {}}}])
def test_answer_without_comment_proves_nothing(world: World, body: dict[str, Any]) -> None:
    stored = in_thread(world)
    world.fake.fault("POST", "/graphql", status=200, body=body, times=9)
    with pytest.raises(GitHubError) as caught:
        read(world, stored)
    assert caught.value.kind is GitHubErrorKind.UNAVAILABLE


@pytest.mark.parametrize(
    ("login", "via_app", "is_person"),
    [
        ("octocat", False, True),
        ("octocat", True, False),
        ("evil[bot]", False, False),
        (BOT, False, False),
        ("ghost", False, False),
    ],
)
def test_only_people_count_as_people(world: World, login: str, via_app: bool, is_person: bool) -> None:
    stored = world.fake.say(1, login, COMMAND)
    stored.via_app = via_app
    comment = read(world, stored)
    assert (comment.login, comment.is_person) == (login, is_person)


@pytest.mark.parametrize("user", [None, {"login": "octo", "type": "Organization"}, {"login": "octocat"}])
@PLACES
def test_author_who_is_no_user_is_no_person(world: World, place: Any, user: dict[str, str] | None) -> None:
    stored = place(world)
    url = f"{world.url}/repos/octo/repo"
    shown = {
        "id": stored.id,
        "node_id": "x",
        "user": user,
        "created_at": POSTED,
        "updated_at": POSTED,
        "path": "src/a.py",
        "issue_url": f"{url}/issues/1",
        "pull_request_url": f"{url}/pulls/1",
    }
    world.fake.fault("GET", f"/comments/{stored.id}$", status=200, body=shown)
    comment = read(world, stored)
    assert (comment.is_person, comment.body) == (False, "")
    assert comment.login == (user["login"] if user else "ghost")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("none", False),
        ("read", False),
        ("triage", False),
        ("write", True),
        ("maintain", True),
        ("admin", True),
        ("admin of audits/read", False),
        ("releaser/write", True),
    ],
)
def test_write_access_is_read_live(world: World, role: str, allowed: bool) -> None:
    world.fake.hub.associations["ann"] = "MEMBER"
    world.fake.hub.permissions["ann"] = role
    reader = comments(world, "ghs_read")
    assert reader.may_write("ann") is allowed
    world.fake.hub.permissions["ann"] = "read"
    assert not reader.may_write("ann")
    assert sent(world) == ["GET /collaborators/ann/permission"] * 2


def test_unknown_user_may_not_write(world: World) -> None:
    world.fake.fault("GET", "/permission", status=404)
    assert not comments(world).may_write("ann")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 403}, GitHubErrorKind.FORBIDDEN),
        ({"status": 500}, GitHubErrorKind.UNAVAILABLE),
        ({"status": 200, "body": {}}, GitHubErrorKind.UNAVAILABLE),
        ({"status": 200, "body": {"permission": True}}, GitHubErrorKind.UNAVAILABLE),
        ({"disconnect": True}, GitHubErrorKind.UNAVAILABLE),
    ],
)
def test_unknown_permission_is_error(world: World, fault: dict[str, Any], kind: GitHubErrorKind) -> None:
    world.fake.hub.permissions["ann"] = "admin"
    world.fake.fault("GET", "/permission", times=9, **fault)
    with pytest.raises(GitHubError) as caught:
        comments(world).may_write("ann")
    assert caught.value.kind is kind


@pytest.mark.parametrize("login", ["", "../../../../user", "a?b=c", "a/b"])
def test_login_cannot_change_the_request(world: World, login: str) -> None:
    world.fake.fault("GET", "", status=404)
    assert not comments(world).may_write(login)
    (path,) = sent(world)
    assert path.startswith("GET /collaborators/")
    assert path.endswith("/permission")
    assert world.fake.journal[0].query == {}


@PLACES
def test_reaction_is_added_once(world: World, place: Any) -> None:
    stored = place(world)
    command, comment = comments(world), read(world, stored)
    world.fake.journal.clear()
    command.react(comment, "eyes")
    command.react(comment, "eyes")
    command.react(comment, "rocket")
    assert [(one.login, one.content) for one in stored.reactions] == [(BOT, "eyes"), (BOT, "rocket")]
    assert [request.status for request in world.fake.journal] == [201, 200, 201]


@PLACES
@pytest.mark.parametrize("stored_first", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_reaction_whose_answer_is_lost_is_added_once(
    world: World, place: Any, fault: dict[str, Any], stored_first: bool
) -> None:
    stored = place(world)
    comment = read(world, stored)
    world.fake.fault("POST", "/reactions$", commit_then_fail=stored_first, **fault)
    comments(world).react(comment, "rocket")
    assert [one.content for one in stored.reactions] == ["rocket"]
    assert world.fake.faults.left == 0


@PLACES
@pytest.mark.parametrize("token", ["ghs_write", "ghp_person"])
def test_reply_is_posted_with_marker(world: World, place: Any, token: str) -> None:
    comment = read(world, place(world))
    command = comments(world, token)
    assert not command.own_reply(comment)
    reply = command.reply(comment, "Because.")
    thread = bool(comment.thread_comment_id)
    kept: list[Any] = world.fake.comments if thread else world.fake.issue_comments
    assert kept[-1].body == reply.body == f"Because.\n\n<!-- hunkwise:reply v1 to={comment.id} -->"
    assert (reply.id, kept[-1].number) == (kept[-1].id, 1)
    assert reply.url.endswith(f"{'discussion_r' if thread else 'issuecomment-'}{reply.id}")
    if thread:
        assert [one.id for one in world.fake.threads[0].comments][1:] == [comment.id, reply.id]
    assert comments(world, token).own_reply(comment)


@PLACES
def test_whole_answer_takes_few_requests(world: World, place: Any) -> None:
    command = comments(world)
    stored = place(world)
    comment = command.read(stored.id, isinstance(stored, Comment))
    assert comment is not None
    assert not command.may_write(comment.login)
    command.react(comment, "eyes")
    assert not command.own_reply(comment)
    command.reply(comment, "Because.")
    command.react(comment, "rocket")
    # The reaction's answer names our account, which takes two requests otherwise.
    assert len(sent(world)) == (8 if comment.thread_comment_id else 7)
    assert "GET /user" not in sent(world)


def test_reply_on_issue_is_posted(world: World) -> None:
    world.fake.issues[7] = Issue(7, "Audit", BOT)
    stored = world.fake.say(7, "octocat", COMMAND)
    command = comments(world, number=7)
    comment = command.read(stored.id, in_thread=False)
    assert comment is not None
    command.reply(comment, "Done.")
    assert (world.fake.issue_comments[-1].number, command.own_reply(comment)) == (7, True)


@PLACES
def test_only_our_reply_to_that_command_counts(world: World, place: Any) -> None:
    comment = read(world, place(world))
    marker = reply_marker(comment.id)
    others = [
        ("mallory", f"No.\n\n{marker}"),
        ("github-actions", f"A person with our name.\n\n{marker}"),
        (BOT, f"{marker}\n\nAbout something else."),
        (BOT, f"Not a line of its own: {marker}"),
        (BOT, f"To a longer id.\n\n{reply_marker(comment.id * 10)}"),
        (BOT, "Without a marker."),
    ]
    for author, body in others:
        if comment.thread_comment_id:
            world.fake.reply(world.fake.threads[0], author, body)
        else:
            world.fake.say(1, author, body)
    command = comments(world)
    assert not command.own_reply(comment)
    command.reply(comment, "Because.")
    assert command.own_reply(comment)


@PLACES
def test_only_replies_since_the_command_are_read(world: World, place: Any) -> None:
    for number in range(250):
        world.fake.say(1, BOT, f"Earlier {number}.")
    world.fake.hub.time = LATER
    comment = read(world, place(world))
    command = comments(world)
    command.react(comment, "eyes")
    world.fake.journal.clear()
    command.reply(comment, "Because.")
    assert command.own_reply(comment)
    assert [request.query.get("since") for request in world.fake.journal] == [None, LATER, LATER]


@PLACES
def test_two_commands_have_two_replies(world: World, place: Any) -> None:
    first, second = read(world, place(world)), read(world, place(world))
    command = comments(world)
    command.reply(first, "First.")
    assert not command.own_reply(second)
    command.reply(second, "Second.")
    assert len(bodies(world, bool(first.thread_comment_id))) == 2


@PLACES
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_reply_whose_answer_is_lost_is_posted_once(
    world: World, place: Any, fault: dict[str, Any], stored: bool
) -> None:
    comment = read(world, place(world))
    world.fake.fault("POST", "/(replies|1/comments)$", commit_then_fail=stored, **fault)
    reply = comments(world).reply(comment, "Because.")
    assert bodies(world, bool(comment.thread_comment_id)) == [reply.body]
    assert world.fake.faults.left == 0


@PLACES
def test_of_simultaneous_replies_the_first_stays(world: World, place: Any) -> None:
    comment = read(world, place(world))
    path = "/replies$" if comment.thread_comment_id else "/1/comments$"
    both = threading.Barrier(2)
    world.fake.when("POST", path, lambda: both.wait(10) and None, after=True, times=2)
    runs = [threading.Thread(target=comments(world).reply, args=(comment, f"Run {n}.")) for n in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    (kept,) = bodies(world, bool(comment.thread_comment_id))
    deleted = [request.path for request in world.fake.journal if request.method == "DELETE"]
    assert len(deleted) == 1
    assert kept.startswith("Run ")


@PLACES
def test_reply_after_that_of_another_run_is_deleted(world: World, place: Any) -> None:
    comment = read(world, place(world))
    first = comments(world).reply(comment, "First.")
    assert comments(world).reply(comment, "Second.") == first
    assert bodies(world, bool(comment.thread_comment_id)) == [first.body]


def test_comment_that_is_not_our_reply_is_not_deleted(world: World) -> None:
    comment = read(world, in_conversation(world))
    comments(world).reply(comment, "First.")
    other = world.fake.say(1, "octocat", "Thanks.")
    shown = {"id": other.id, "html_url": f"{world.url}/x", "body": ""}
    world.fake.fault("POST", "/1/comments$", status=200, body=shown)
    comments(world).reply(comment, "Second.")
    assert other in world.fake.issue_comments


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_reply_counts_if_others_cannot_be_looked_for(
    world: World, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    comment = read(world, in_conversation(world))
    comments(world).reply(comment, "First.")
    world.fake.fault(verb, "/comments", status=403, times=9)
    assert comments(world).reply(comment, "Second.").body.startswith("Second.")
    assert "whether another run replied" in caplog.text


@PLACES
@pytest.mark.parametrize(("act", "text"), [("react", "eyes"), ("reply", "Because.")])
def test_locked_conversation_has_its_own_error(world: World, place: Any, act: str, text: str) -> None:
    comment = read(world, place(world))
    world.fake.lock(1)
    with pytest.raises(GitHubError) as caught:
        getattr(comments(world), act)(comment, text)
    assert caught.value.kind is GitHubErrorKind.LOCKED
    assert "Unlock the conversation" in caught.value.hint
    assert len(world.fake.writes) == 1


@PLACES
def test_read_only_token_reads_and_cannot_write(world: World, place: Any) -> None:
    stored = place(world)
    command = comments(world, "ghs_read")
    comment = command.read(stored.id, isinstance(stored, Comment))
    assert comment is not None
    assert not command.own_reply(comment)
    for act in (
        lambda: command.react(comment, "eyes"),
        lambda: command.reply(comment, "Because."),
        lambda: command.resolve("PRRT_1"),
    ):
        with pytest.raises(GitHubError) as caught:
            act()
        assert caught.value.kind is GitHubErrorKind.FORBIDDEN


@PLACES
def test_secret_in_reply_is_withheld(world: World, place: Any) -> None:
    comment = read(world, place(world))
    with pytest.raises(GitHubError, match="secrets"):
        comments(world).reply(comment, f"It is {SECRET}.")
    assert world.fake.writes == []


def test_reply_to_deleted_command_is_error(world: World) -> None:
    (first,) = add_thread(world, "octocat").comments
    comment = read(world, first)
    world.fake.delete(first)
    with pytest.raises(GitHubError) as caught:
        comments(world).reply(comment, "Because.")
    assert caught.value.kind is GitHubErrorKind.NOT_FOUND


@pytest.mark.parametrize("fault", [None, {"status": 502, "commit_then_fail": True}, {"disconnect": True}])
@pytest.mark.parametrize("before", [False, True])
def test_thread_is_resolved_and_reopened(world: World, before: bool, fault: dict[str, Any] | None) -> None:
    thread = add_thread(world)
    thread.resolved = before
    for resolved in (True, False):
        if fault:
            world.fake.fault("POST", "/graphql", **fault)
        act = comments(world).resolve if resolved else comments(world).unresolve
        act(thread.id)
        assert thread.resolved is resolved
    assert len(world.fake.writes) == (4 if fault else 2)


@pytest.mark.parametrize("mutation", ["resolveReviewThread", "unresolveReviewThread"])
def test_missing_permission_for_threads_is_named(world: World, mutation: str) -> None:
    thread = add_thread(world)
    thread.resolved = mutation == "unresolveReviewThread"
    world.fake.refused_mutations.add(mutation)
    with pytest.raises(GitHubError) as caught:
        (comments(world).unresolve if thread.resolved else comments(world).resolve)(thread.id)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN
    assert "contents: write" in caught.value.hint
    assert thread.resolved is (mutation == "unresolveReviewThread")


def test_unknown_thread_is_error(world: World) -> None:
    with pytest.raises(GitHubError) as caught:
        comments(world).resolve("PRRT_gone")
    assert caught.value.kind is GitHubErrorKind.NOT_FOUND


def test_thread_that_stays_open_is_error(world: World) -> None:
    thread = add_thread(world)
    shown = {"data": {"resolveReviewThread": {"thread": {"isResolved": False}}}}
    world.fake.fault("POST", "/graphql", status=200, body=shown)
    with pytest.raises(GitHubError, match="had no effect"):
        comments(world).resolve(thread.id)

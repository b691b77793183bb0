"""Who may give commands, and where: nothing is read, spent or posted for anybody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.audits import Audits, source
from tests.end_to_end.commands import (
    MAINTAINER,
    answer_call,
    command,
    event,
    open_thread,
    reactions,
    replies,
    reply,
    run,
    step_for,
    write,
)
from tests.end_to_end.step import READ_TOKEN
from tests.end_to_end.world import World
from tests.fakes.github_state import Issue, IssueComment
from tests.fakes.model_script import turns

ASK = "/hunkwise ask Why?"
CONFIG = ".github/hunkwise.yml"


def open_change(world: World, **given: Any) -> None:
    world.change(script=turns([answer_call()]), **given)


def is_untouched(world: World) -> bool:
    """Returns whether nothing was written, except for reactions, and no model was asked."""
    writes = [one.path for one in world.github.writes if not one.path.endswith("/reactions")]
    return (writes, world.model.requests) == ([], [])


@pytest.mark.parametrize("in_thread", [False, True], ids=["pull request", "thread"])
@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("none", False),
        ("read", False),
        ("triage", False),
        ("admin of docs/read", False),
        ("write", True),
        ("maintain", True),
        ("admin", True),
        ("deputy/maintain", True),
    ],
)
def test_live_permission_decides(world: World, role: str, may: bool, in_thread: bool) -> None:
    open_change(world)
    # The association of the event says nothing.
    world.github.hub.permissions["someone"] = role
    place: Any = open_thread(world, "octocat", "Look.") if in_thread else 1
    comment, result = command(world, ASK, by="someone", member=not may, on=place)
    if may:
        assert (reactions(comment), len(replies(world, comment))) == (["eyes", "rocket"], 1)
        return
    assert (reactions(comment), is_untouched(world)) == (["confused"], True)
    assert result.commands("notice") == ["someone has no write access: the command is not carried out."]
    reads = [one.path.removeprefix("/repos/octo/repo/") for one in world.github.journal if not one.is_write]
    # The pull request is read for its author, whom the configuration may allow more.
    allowed = ("issues/comments/", "pulls/comments/", "collaborators/", "/graphql")
    assert [path for path in reads if not path.startswith(allowed)] == ["pulls/1"]


def test_unknown_person_may_nothing(world: World) -> None:
    open_change(world)
    world.github.fault("GET", "/permission$", status=404, times=9)
    comment, _ = command(world, ASK)
    assert (reactions(comment), is_untouched(world)) == (["confused"], True)


def test_unreadable_permission_ends_the_run_and_does_nothing(world: World) -> None:
    open_change(world)
    world.github.fault("GET", "/permission$", status=500, times=99)
    comment, result = command(world, ASK, code=None)
    assert result.code not in (0, 1)
    assert (reactions(comment), is_untouched(world)) == ([], True)


@pytest.mark.parametrize(
    ("words", "line", "may"),
    [
        ("[explain, help]", "help", True),
        ("[explain, help]", "ask Why?", False),
        ("[ask]", "ask Why?", True),
        ("[]", "help", False),
    ],
)
def test_configuration_of_the_base_allows_words_to_the_author(
    world: World, words: str, line: str, may: bool
) -> None:
    allowed, all_words = (
        "version: 1\ncommands: {author: %s}\n",
        "[review, ask, explain, suggest, help, config]",
    )
    base = {"app.py": "1\n", CONFIG: allowed % words}
    world.change(
        base, {"app.py": "2\n", CONFIG: allowed % all_words}, author="octocat", script=turns([answer_call()])
    )
    comment, _ = command(world, f"/hunkwise {line}", by="octocat")
    assert reactions(comment) == (["eyes", "rocket"] if may else ["confused"])
    assert is_untouched(world) is not may
    other, _ = command(world, f"/hunkwise {line}", by="reader")
    assert (reactions(other), replies(world, other)) == (["confused"], [])


def test_author_may_not_stop_or_dismiss_by_any_configuration(world: World) -> None:
    config = {CONFIG: "version: 1\ncommands: {author: [dismiss]}\n", "app.py": "1\n"}
    world.change(config, {"app.py": "2\n"}, author="octocat")
    comment, _ = command(world, "/hunkwise dismiss 0123456", by="octocat", code=2)
    assert is_untouched(world)
    assert "eyes" not in reactions(comment)


@pytest.mark.parametrize("in_thread", [False, True], ids=["pull request", "thread"])
@pytest.mark.parametrize("who", ["some[bot]", "github-actions[bot]", "ghost"])
def test_bots_and_ghosts_may_nothing(world: World, who: str, in_thread: bool) -> None:
    open_change(world)
    place: Any = open_thread(world, "octocat", "Look.") if in_thread else 1
    comment, _ = command(world, ASK, by=who, member=True, on=place)
    assert (reactions(comment), is_untouched(world)) == ([], True)
    # What the event says of the account does not count.
    user = {"login": MAINTAINER, "id": 7, "type": "User"}
    run(world, comment, payload=event(world, comment, user=user))
    assert (reactions(comment), is_untouched(world)) == ([], True)


def test_app_with_token_of_a_person_may_nothing(world: World) -> None:
    open_change(world)
    comment = write(world, ASK)
    assert isinstance(comment, IssueComment)
    comment.via_app = True
    run(world, comment)
    assert (reactions(comment), is_untouched(world)) == ([], True)


def test_deleted_user_may_nothing(world: World) -> None:
    open_change(world)
    comment = write(world, ASK)
    run(world, comment, payload=event(world, comment, user=None))
    assert (world.github.journal, is_untouched(world)) == ([], True)


@pytest.mark.parametrize("in_thread", [False, True], ids=["pull request", "thread"])
def test_edited_comment_is_refused(world: World, in_thread: bool) -> None:
    open_change(world)
    place: Any = open_thread(world, "octocat", "Look.") if in_thread else 1
    comment = write(world, "Hello.", on=place)
    world.github.edit(comment, ASK, by="reader")
    run(world, comment)
    assert reactions(comment) == ["eyes", "confused"]
    assert reply(world, comment) == "The comment was edited. Please write the command in a new comment."
    assert world.model.requests == []


def test_event_of_an_edit_starts_nothing(world: World) -> None:
    open_change(world)
    comment = write(world, ASK)
    run(world, comment, payload=event(world, comment, action="edited"))
    assert world.github.journal == []


@pytest.mark.parametrize(
    "now", ["", "Never mind.", "> /hunkwise ask Why?"], ids=["deleted", "prose", "quoted"]
)
def test_comment_that_has_no_command_any_more_is_left(world: World, now: str) -> None:
    open_change(world)
    comment = write(world, ASK)
    step = step_for(world, comment)
    if now:
        world.github.edit(comment, now, by=MAINTAINER)
    else:
        world.github.delete(comment)
    result = world.record(step.run(), code=0)
    assert result.commands("notice") == ["The comment was deleted, or has no command any more."]
    assert (reactions(comment), is_untouched(world)) == ([], True)


def test_comment_of_another_pull_request_is_not_taken(world: World) -> None:
    open_change(world)
    world.github.add_pull_request(2, base_sha="main", head_sha="feature")
    comment = write(world, ASK, on=2)
    payload = event(world, comment)
    payload["issue"]["number"] = 1
    run(world, comment, payload=payload)
    assert (reactions(comment), is_untouched(world)) == ([], True)


def test_locked_conversation_ends_with_notice_before_a_model_is_asked(world: World) -> None:
    open_change(world)
    comment = write(world, ASK)
    world.github.lock(1)
    result = run(world, comment)
    assert result.commands("notice") == ["The conversation is locked: no reply can be posted."]
    assert (reactions(comment), replies(world), world.model.requests) == ([], [], [])


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize(
    ("line", "answered"),
    [
        ("help", True),
        ("config", True),
        ("ask Why?", True),
        ("review", False),
        ("stop", False),
        ("dismiss 0123456", False),
    ],
)
def test_closed_pull_request_is_only_talked_about(
    world: World, line: str, answered: bool, merged: bool
) -> None:
    open_change(world)
    world.github.close(1, merged=merged)
    comment, _ = command(world, f"/hunkwise {line}")
    assert reactions(comment) == ["eyes", "rocket" if answered else "confused"]
    refusal = "This pull request is closed: only help, config, ask and explain are answered."
    assert (reply(world, comment) == refusal) is not answered
    assert (world.github.reviews, world.github.check_runs, world.summary_comment) == ([], [], "")


def test_thread_of_a_fork_ends_with_notice_and_comment_on_pull_request_is_answered(world: World) -> None:
    open_change(world, fork=True)
    thread = open_thread(world, "octocat", "Look.")
    comment, result = command(world, ASK, on=thread, inputs={"github-token": READ_TOKEN})
    assert result.commands("notice") == [
        "GitHub gives a read-only token to a thread of a pull request from a fork: write the command as a comment on"
        " the pull request."
    ]
    assert (world.github.journal, reactions(comment)) == ([], [])
    comment, _ = command(world, ASK)
    assert reactions(comment) == ["eyes", "rocket"]
    assert len(replies(world, comment)) == 1


def test_read_only_token_fails_before_a_model_is_asked(world: World) -> None:
    open_change(world)
    comment, result = command(world, ASK, inputs={"github-token": READ_TOKEN}, code=None)
    assert result.code not in (0, 1)
    assert (reactions(comment), replies(world), world.model.requests) == ([], [], [])


@pytest.mark.parametrize("line", ["help", "dismiss 0123456", "ask Why?", "what"])
def test_commands_on_an_issue_without_audit_are_refused(world: World, line: str) -> None:
    open_change(world)
    world.github.issues[7] = Issue(7, "A bug", "octocat")
    comment, _ = command(world, f"/hunkwise {line}", on=7)
    assert reactions(comment) == ["eyes", "confused"]
    assert reply(world, comment).startswith("On an issue only `/hunkwise dismiss ID`")
    assert world.model.requests == []


def test_dismiss_and_reopen_on_the_issue_of_an_audit(world: World) -> None:
    audits = Audits(world, {"src/part01.py": source("part01", fault="value = eval(text)")})
    audits.plant("src/part01.py")
    audits.run()
    (entry,) = audits.state.entries
    number, prefix = audits.issue.number, entry.fingerprint[:7]
    refused, _ = command(world, f"/hunkwise dismiss {prefix}", by="reader", on=number)
    assert (reactions(refused), audits.statuses()) == (["confused"], {"src/part01.py": "open"})

    comment, _ = command(world, f"/hunkwise dismiss {prefix} It is a test.", on=number)
    assert reactions(comment) == ["eyes", "rocket"]
    assert reply(world, comment) == f"Dismissed by `maintainer`. {entry.record.title}"
    assert audits.statuses() == {"src/part01.py": "dismissed"}
    assert "- [x]" in audits.issue.body
    audits.run()
    assert audits.statuses() == {"src/part01.py": "dismissed"}

    comment, _ = command(world, f"/hunkwise reopen {prefix}", on=number)
    assert reactions(comment) == ["eyes", "rocket"]
    audits.run()
    assert audits.statuses() == {"src/part01.py": "open"}
    assert "- [x]" not in audits.issue.body

    comment, _ = command(world, "/hunkwise dismiss 0000000", on=number)
    assert reply(world, comment) == "No finding has an id that begins with `0000000`."

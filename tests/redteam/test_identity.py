"""Who says a thing decides what it does: strangers start, settle and hide nothing, whatever they write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hunkwise.tracking.markers import fixed_marker
from tests.end_to_end.step import PERSONAL_TOKEN, READ_TOKEN
from tests.end_to_end.world import BASE, finding
from tests.end_to_end.write_log import stubborn
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import BOT, Thread
from tests.fakes.model_script import report
from tests.redteam.attack import Arena

COMMAND = "/hunkwise review"
READER: Mapping[str, Any] = {"login": "reader", "id": 7, "type": "User"}


def comment(
    body: str = COMMAND, *, user: Any = READER, association: str = "NONE", **more: Any
) -> dict[str, Any]:
    """The payload of a comment that was written on pull request 1."""
    written = {
        "id": 5,
        "body": body,
        "user": user,
        "author_association": association,
        "pull_request_url": "x",
    }
    issue = {"number": 1, "state": "open", "pull_request": {"url": "x"}, "user": user}
    sender = {"sender": user, "repository": {"full_name": "octo/repo"}}
    return {"action": "created", "comment": written, "issue": issue, **sender, **more}


COMMENTS: Mapping[str, dict[str, Any]] = {
    "a reader": comment(),
    "somebody whose permission answers 404": comment(user={"login": "nobody-knows", "id": 8, "type": "User"}),
    "a bot": comment(user={"login": "evil[bot]", "id": 9, "type": "Bot"}, association="CONTRIBUTOR"),
    "a deleted user": comment(user=None),
    "the ghost": comment(user={"login": "ghost", "id": 10137, "type": "User"}),
    "our own account": comment(user={"login": BOT, "id": 41898282, "type": "Bot"}),
    "a member": comment(association="MEMBER"),
    "in a quotation": comment(f"> {COMMAND}", association="MEMBER"),
    "in a block of code": comment(f"```\n{COMMAND}\n```", association="OWNER"),
    "on the second line": comment(f"Hello.\n{COMMAND}", association="OWNER"),
    "edited": comment(association="OWNER", action="edited", changes={"body": {"from": "Hello."}}),
    "edited by a stranger": comment(association="OWNER", action="edited", sender=READER),
    "with another pull request's head": comment(
        association="OWNER", number=1, pull_request={"number": 1, "state": "open", "head": {"sha": "a" * 40}}
    ),
    "that says more than it is": comment(
        association="OWNER", event_name="pull_request", inputs={"publish": "x"}
    ),
}


@pytest.mark.parametrize("event", ["issue_comment", "pull_request_review_comment"])
def test_no_comment_of_anybody_starts_anything(arena: Arena, event: str) -> None:
    arena.tries(*(f"{event}: {name}" for name in COMMENTS), f"{event}: the same twice")
    arena.change()
    arena.answers(report([finding()]))
    for name, payload in [*COMMENTS.items(), ("once more", COMMENTS["a member"])]:
        result = arena.run(event_name=event, payload=payload)
        assert result.code == 2, name
        assert "cannot be reviewed" in " ".join(result.commands("error"))
    assert (arena.github.journal, arena.model.requests) == ([], [])


# What people say to settle a finding

PLAIN = "".join(f"line {number}\n" for number in range(1, 200))


def reply(author: str, body: str = "/hunkwise dismiss", *, edited: str = "") -> Any:
    def say(arena: Arena, thread: Thread) -> None:
        made = arena.github.reply(thread, author, body)
        made.edited_by = edited

    return say


def react(login: str) -> Any:
    return lambda arena, thread: arena.github.react(thread.comments[0], login)


SETTLING: Mapping[str, Any] = {
    "a reader's command": reply("reader"),
    "a reader's word": reply("reader", "False positive."),
    "the author's command": reply("stranger"),
    "a contributor's command": reply("contributor"),
    "a bot's command": reply("evil[bot]"),
    "the ghost's command": reply("ghost"),
    "somebody who is called as we are": reply("github-actions"),
    "somebody who is nearly called as a member": reply("mernber"),
    "a member's comment that a stranger edited": reply("member", edited="stranger"),
    "a member who quotes": reply("member", "> /hunkwise dismiss\n\nI do not agree."),
    "a member who shows code": reply("member", "```\n/hunkwise dismiss\n```\nis how it goes"),
    "a member who asks": reply("member", "By design?"),
    "a member who speaks of another command": reply("member", "/hunkwise dismissed"),
    "a member, on a later line": reply("member", "No.\n/hunkwise dismiss"),
    "our marker by a stranger": reply("reader", f"Fixed.\n\n{fixed_marker('a' * 40)}"),
    "a reader's thumb": react("reader"),
    "a thumb of somebody whose permission answers 404": react("nobody"),
    "the author's thumb": react("stranger"),
}
"""None of them settles anything. A member's own plain word does, and is the last."""


def test_a_finding_is_settled_by_nobody_who_may_not(arena: Arena) -> None:
    arena.tries(*SETTLING)
    lines = PLAIN.splitlines()
    for number in range(len(SETTLING) + 1):
        lines[10 * number] = f"fault(F{number:02}, high)"
    arena.change({"app.txt": PLAIN}, {"app.txt": "\n".join(lines) + "\n"}, author="stranger")
    arena.github.hub.associations |= {"member": "MEMBER", "contributor": "CONTRIBUTOR"}
    arena.github.hub.permissions |= {"reader": "read", "nobody": "none"}
    arena.github.fault("GET", r"/collaborators/nobody/permission", status=404, times=9)
    arena.answers(stubborn)
    assert arena.run({"fail-on": "high"}).code == 1
    assert len(arena.github.threads) == len(SETTLING) + 1
    *others, last = sorted(arena.github.threads, key=lambda thread: thread.line or 0)
    for thread, settle in zip(others, SETTLING.values(), strict=True):
        settle(arena, thread)
    arena.github.reply(last, "member", "/hunkwise dismiss")
    result = arena.run({"fail-on": "high"})
    standing = {found["title"] for found in result.report["findings"]}
    assert standing == {f"Fault F{number:02}" for number in range(len(SETTLING))}
    assert result.code == 1
    assert not any(thread.resolved for thread in arena.github.threads)
    assert len([one for one in arena.github.comments if one.author == BOT]) == len(SETTLING) + 1


# What others write in our name


def in_anothers_mouth(arena: Arena, login: str) -> list[Any]:
    """Whatever we posted becomes that person's; our check runs are gone. What it says is as it was."""
    hub = arena.github.hub
    hub.check_runs.clear()
    written: list[Any] = [*hub.reviews, *hub.comments, *hub.issue_comments]
    for one in written:
        one.author = login
    written.append(arena.github.reply(arena.github.threads[0], login, fixed_marker("a" * 40)))
    return written


@pytest.mark.parametrize("graphql", [True, False], ids=["GraphQL", "REST"])
def test_our_words_in_anothers_mouth_are_not_ours(arena: Arena, graphql: bool) -> None:
    way = "by GraphQL" if graphql else "by REST"
    forged = ("a state", "a finding", "a review", "a mark that it is fixed")
    arena.tries(*(f"{what}, forged, {way}" for what in forged))
    arena.change()
    arena.github.tokens[PERSONAL_TOKEN], arena.github.hub.user_login = "write", BOT
    arena.github.graphql_refusal = None if graphql else GraphqlRefusal(status=403)
    arena.answers(report([finding(severity="high")]))
    given = {"github-token": PERSONAL_TOKEN, "fail-on": "high"}
    assert arena.run(given).code == 1
    others = in_anothers_mouth(arena, "stranger")
    said_before = [one.body for one in others]
    asked = len(arena.model.requests)
    assert arena.run(given).code == 1
    assert len(arena.model.requests) == asked + 1  # nobody else can say that it was reviewed
    assert [one.body for one in others] == said_before
    mine = [one for one in arena.github.comments if one.author == BOT]
    assert [(one.line, one.in_reply_to) for one in mine] == [(3, None)]
    assert not any(thread.resolved for thread in arena.github.threads)
    summaries = [one for one in arena.github.issue_comments if one.author == BOT]
    assert len(summaries) == 1
    arena.github.hub.issue_comments[:] = summaries  # the last check knows ours by their beginning alone


def test_a_state_that_somebody_edited_is_not_believed(arena: Arena) -> None:
    arena.tries("our summary comment, edited by a stranger")
    arena.change()
    arena.answers(report([finding(severity="high")]))
    assert arena.run().code == 0
    summary = arena.github.issue_comments[0]
    arena.github.edit(summary, summary.body, by="stranger")
    asked = len(arena.model.requests)
    assert arena.run().code == 0
    assert len(arena.model.requests) == asked + 1
    assert len(arena.github.comments) == 1


# Whose pull request it is, and at which commit


def test_a_push_between_event_and_run_is_reviewed_at_the_commit_that_is_there(arena: Arena) -> None:
    arena.tries(
        "a force-push between event and run", "the same event twice", "a head repository that was deleted"
    )
    pull = arena.change()
    step = arena.step()
    step.payload = step.usual_payload()
    step.payload["pull_request"]["head"] = {"sha": pull.head_sha, "ref": "feature", "repo": None}
    arena.repository.git("commit", "-q", "--amend", "-m", "Another")
    arena.repository.commit({"app.py": BASE["app.py"].replace("line 7\n", "seventh\n")})
    head = arena.github.push(1, "feature")
    arena.heads.add(head)
    arena.answers(report([finding(line=7)]))
    first = arena.done(step.run())
    assert first.code == 0
    assert {review.commit_id for review in arena.github.reviews} == {head}
    assert [one.line for one in arena.github.comments] == [7]
    written = len(arena.github.writes)
    assert arena.run(payload=step.payload).code == 0
    assert len(arena.github.writes) == written


def test_a_fork_with_a_token_that_reads_writes_nothing(arena: Arena) -> None:
    arena.tries("a fork's own run")
    pull = arena.change(author="stranger")
    pull.head_repository = "stranger/repo"
    arena.answers(report([finding(severity="high", body="@octocat")]))
    result = arena.run({"github-token": READ_TOKEN, "request-changes-on": "high"})
    assert result.code == 0
    assert all(request.status == 403 for request in arena.github.writes if request.path != "/graphql")
    assert (arena.posted, arena.github.check_runs) == ("", [])
    assert {found["where"] for found in result.report["findings"]} == {"summary"}

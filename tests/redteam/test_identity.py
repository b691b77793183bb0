"""Attacks by accounts without write access: they start, dismiss and hide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hunkwise.tracking.markers import fixed_marker
from tests.end_to_end.step import PERSONAL_TOKEN, READ_TOKEN
from tests.end_to_end.world import BASE, finding
from tests.end_to_end.write_log import report_faults
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import BOT, Thread
from tests.fakes.model_script import report
from tests.redteam.attack import AttackWorld

COMMAND = "/hunkwise review"
READER: Mapping[str, Any] = {"login": "reader", "id": 7, "type": "User"}


def comment(
    body: str = COMMAND, *, user: Any = READER, association: str = "NONE", **more: Any
) -> dict[str, Any]:
    """Returns the payload of a comment on pull request 1."""
    written = {
        "id": 5,
        "body": body,
        "user": user,
        "author_association": association,
        "pull_request_url": "x",
    }
    issue = {"number": 1, "state": "open", "pull_request": {"url": "x"}, "user": user}
    pull = {"number": 1, "state": "open", "head": {"sha": "a" * 40, "repo": None}}
    sender = {"sender": user, "repository": {"full_name": "octo/repo"}}
    return {"action": "created", "comment": written, "issue": issue, "pull_request": pull, **sender, **more}


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
        association="OWNER",
        number=1,
        pull_request={
            "number": 1,
            "state": "open",
            "head": {"sha": "b" * 40, "repo": {"full_name": "o/other"}},
        },
    ),
    "that says more than it is": comment(
        association="OWNER", event_name="pull_request", inputs={"publish": "x"}
    ),
}


@pytest.mark.parametrize("event", ["issue_comment", "pull_request_review_comment"])
def test_comments_start_nothing(world: AttackWorld, event: str) -> None:
    world.record_attacks(*(f"{event}: {name}" for name in COMMENTS), f"{event}: the same twice")
    world.change(script=report([finding()]))
    for name, payload in [*COMMENTS.items(), ("once more", COMMENTS["a member"])]:
        result = world.run(event_name=event, payload=payload)
        assert (result.code, result.error_text) == (0, ""), name
    assert (world.github.journal, world.model.requests) == ([], [])


PLAIN = "".join(f"line {number}\n" for number in range(1, 300))


def reply(author: str, body: str = "/hunkwise dismiss", *, edited: str = "") -> Any:
    def post(world: AttackWorld, thread: Thread) -> None:
        world.github.reply(thread, author, body).edited_by = edited

    return post


def react(login: str) -> Any:
    return lambda world, thread: world.github.react(thread.comments[0], login)


NO_DISMISSALS: Mapping[str, Any] = {
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
    "a member who has lost write access": reply("former"),
    "a member's thumb who has lost write access": react("former"),
    "a collaborator with triage": reply("triager"),
    "a role named admin that extends read": reply("auditor"),
    "a member whose permission answers 500": reply("unknown"),
}
"""None of them dismisses the finding. Only the command of a member with write access does, which comes last."""


def test_only_people_with_write_access_dismiss_findings(world: AttackWorld) -> None:
    world.record_attacks(*NO_DISMISSALS)
    lines = PLAIN.splitlines()
    for number in range(len(NO_DISMISSALS) + 1):
        lines[10 * number] = f"fault(F{number:02}, high)"
    world.change({"app.txt": PLAIN}, {"app.txt": "\n".join(lines) + "\n"}, author="stranger")
    world.github.hub.associations |= {"member": "MEMBER", "contributor": "CONTRIBUTOR"}
    world.github.hub.associations |= dict.fromkeys(("former", "triager", "auditor", "unknown"), "MEMBER")
    world.github.hub.permissions |= {"reader": "read", "nobody": "none", "former": "read"}
    world.github.hub.permissions |= {"triager": "triage", "auditor": "admin of audits/read"}
    world.github.fault("GET", r"/collaborators/nobody/permission", status=404, times=9)
    world.github.fault("GET", r"/collaborators/unknown/permission", status=500, times=9)
    world.answer_with(report_faults)
    assert world.run({"fail-on": "high"}).code == 1
    assert not [request for request in world.github.journal if request.path.endswith("/permission")]
    assert len(world.github.threads) == len(NO_DISMISSALS) + 1
    *others, last = sorted(world.github.threads, key=lambda thread: thread.line or 0)
    for thread, dismiss in zip(others, NO_DISMISSALS.values(), strict=True):
        dismiss(world, thread)
    world.github.reply(last, "member", "/hunkwise dismiss")
    result = world.run({"fail-on": "high"})
    open_findings = {found["title"] for found in result.report["findings"]}
    assert open_findings == {f"Fault F{number:02}" for number in range(len(NO_DISMISSALS))}
    assert result.code == 1
    assert result.log.count("write access is unknown: 2 (") == 1
    assert not any(thread.resolved for thread in world.github.threads)
    assert len([one for one in world.github.comments if one.author == BOT]) == len(NO_DISMISSALS) + 1


def give_posts_to(world: AttackWorld, login: str) -> list[Any]:
    """Makes another account the author of all that we posted, and removes our check runs."""
    hub = world.github.hub
    hub.check_runs.clear()
    written: list[Any] = [*hub.reviews, *hub.comments, *hub.issue_comments]
    for one in written:
        one.author = login
    written.append(world.github.reply(world.github.threads[0], login, fixed_marker("a" * 40)))
    return written


@pytest.mark.parametrize("graphql", [True, False], ids=["GraphQL", "REST"])
def test_ignores_our_markers_by_other_accounts(world: AttackWorld, graphql: bool) -> None:
    way = "by GraphQL" if graphql else "by REST"
    forged = ("a state", "a finding", "a review", "a mark that it is fixed")
    world.record_attacks(*(f"{what}, forged, {way}" for what in forged))
    world.change()
    world.github.tokens[PERSONAL_TOKEN], world.github.hub.user_login = "write", BOT
    world.github.graphql_refusal = None if graphql else GraphqlRefusal(status=403)
    world.answer_with(report([finding(severity="high")]))
    given = {"github-token": PERSONAL_TOKEN, "fail-on": "high"}
    assert world.run(given).code == 1
    others = give_posts_to(world, "stranger")
    before = [one.body for one in others]
    asked = len(world.model.requests)
    assert world.run(given).code == 1
    assert len(world.model.requests) == asked + 1  # another account's state is ignored
    assert [one.body for one in others] == before
    mine = [one for one in world.github.comments if one.author == BOT]
    assert [(one.line, one.in_reply_to) for one in mine] == [(3, None)]
    assert not any(thread.resolved for thread in world.github.threads)
    summaries = [one for one in world.github.issue_comments if one.author == BOT]
    assert len(summaries) == 1
    world.github.hub.issue_comments[:] = summaries  # the final check finds ours by their first line


def test_ignores_edited_state(world: AttackWorld) -> None:
    world.record_attacks("our summary comment, edited by a stranger")
    world.change(script=report([finding(severity="high")]))
    assert world.run().code == 0
    summary = world.github.issue_comments[0]
    world.github.edit(summary, summary.body, by="stranger")
    asked = len(world.model.requests)
    assert world.run().code == 0
    assert len(world.model.requests) == asked + 1
    assert len(world.github.comments) == 1


def test_reviews_current_head_after_push(world: AttackWorld) -> None:
    world.record_attacks(
        "a force-push between event and run", "the same event twice", "a head repository that was deleted"
    )
    pull = world.change()
    step = world.step()
    step.payload = step.opened_payload()
    step.payload["pull_request"]["head"] = {"sha": pull.head_sha, "ref": "feature", "repo": None}
    world.repository.git("commit", "-q", "--amend", "-m", "Another")
    world.repository.commit({"app.py": BASE["app.py"].replace("line 7\n", "seventh\n")})
    head = world.github.push(1, "feature")
    world.heads.add(head)
    world.answer_with(report([finding(line=7)]))
    world.record(step.run(), code=0)
    assert {review.commit_id for review in world.github.reviews} == {head}
    assert [one.line for one in world.github.comments] == [7]
    written = len(world.github.writes)
    assert world.run(payload=step.payload).code == 0
    assert len(world.github.writes) == written


def test_read_only_token_of_fork_writes_nothing(world: AttackWorld) -> None:
    world.record_attacks("a fork's own run")
    pull = world.change(author="stranger")
    pull.head_repository = "stranger/repo"
    world.answer_with(report([finding(severity="high", body="@octocat")]))
    result = world.run({"github-token": READ_TOKEN, "request-changes-on": "high"}, code=0)
    assert all(request.status == 403 for request in world.github.writes if request.path != "/graphql")
    assert (world.posted, world.github.check_runs) == ("", [])
    assert {found["where"] for found in result.report["findings"]} == {"summary"}

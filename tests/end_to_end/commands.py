"""Commands in comments, as the steps that their events start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hunkwise.prompts.report_answer import REPORT as ANSWER_TOOL
from tests.end_to_end.step import Result, Step
from tests.end_to_end.world import World
from tests.fakes.github_reviews import create_comment
from tests.fakes.github_state import BOT, Comment, IssueComment, Thread
from tests.fakes.model_script import Answer, ToolCall

MAINTAINER = "maintainer"
AnyComment = Comment | IssueComment


def answer_call(text: str = "It is **wrong** at app.py:3.", **more: Any) -> Answer:
    """Returns one call of the tool that answers."""
    return Answer(tool_calls=(ToolCall(ANSWER_TOOL, {"text": text, "done": True, **more}),))


def write(
    world: World, body: str, *, by: str = MAINTAINER, on: Thread | int = 1, member: bool | None = None
) -> AnyComment:
    """Writes a comment in a thread, or on the pull request or issue with that number.

    `member`: whether its author has write access; by default only MAINTAINER has.
    """
    if member if member is not None else by == MAINTAINER:
        world.github.hub.associations[by] = "MEMBER"
    if isinstance(on, Thread):
        return world.github.reply(on, by, body)
    return world.github.say(on, by, body)


def open_thread(world: World, author: str, body: str, line: int = 3, **place: Any) -> Thread:
    """Opens a review thread of a person on a line of app.py."""
    pull = world.github.hub.pulls[1]
    given = {"path": "app.py", "body": body, "commit_id": pull.head_sha, "line": line, **place}
    create_comment(world.github.hub, pull, author, given)
    return world.github.threads[-1]


def event(world: World, comment: AnyComment, *, user: Any = "author", **changes: Any) -> dict[str, Any]:
    """Returns the payload of the event that GitHub sends for a new comment; `user` replaces its author."""
    kind = "Bot" if comment.author.endswith("[bot]") else "User"
    if user == "author":
        user = {"login": comment.author, "id": 7, "type": kind}
    given = {
        "id": comment.id,
        "body": comment.body,
        "user": user,
        "author_association": world.github.hub.association(comment.author),
    }
    whole = {"action": "created", "comment": given, "sender": user}
    pull = world.github.hub.pulls.get(comment.number)
    if isinstance(comment, Comment):
        assert pull is not None
        repo = {"full_name": pull.head_repository or world.github.hub.repository}
        head = {"sha": pull.head_sha, "ref": "feature", "repo": repo}
        whole["pull_request"] = {"number": pull.number, "state": pull.state, "head": head}
    else:
        link = {"pull_request": {"url": "https://example.com"}} if pull else {}
        whole["issue"] = {"number": comment.number, "state": "open", **link}
    return {**whole, "repository": {"full_name": world.github.hub.repository}, **changes}


def step_for(
    world: World,
    comment: AnyComment,
    inputs: Mapping[str, str] | None = None,
    *,
    payload: Mapping[str, Any] | None = None,
    **given: Any,
) -> Step:
    """Returns the step that the comment starts."""
    name = "pull_request_review_comment" if isinstance(comment, Comment) else "issue_comment"
    return world.step(inputs, event_name=name, payload=payload or event(world, comment), **given)


def run(
    world: World,
    comment: AnyComment,
    inputs: Mapping[str, str] | None = None,
    *,
    code: int | None = 0,
    **given: Any,
) -> Result:
    """Runs the step that the comment starts, and checks its exit code."""
    return world.record(step_for(world, comment, inputs, **given).run(), code=code)


def command(world: World, body: str, *, code: int | None = 0, **given: Any) -> tuple[AnyComment, Result]:
    """Writes a comment with a command and runs its step; returns the comment and the result."""
    where = {name: given.pop(name) for name in ("by", "on", "member") if name in given}
    comment = write(world, body, **where)
    return comment, run(world, comment, code=code, **given)


def replies(world: World, comment: AnyComment | None = None) -> list[str]:
    """Returns our replies to a comment, or to all; without their markers."""
    return _replies([*world.github.issue_comments, *world.github.comments], comment)


def _replies(posts: Iterable[AnyComment], comment: AnyComment | None) -> list[str]:
    marker = f"<!-- hunkwise:reply v1 to={comment.id} -->" if comment else "<!-- hunkwise:reply v1 to="
    found = [one.body for one in posts if one.author == BOT and marker in one.body]
    return [body[: body.index("<!-- hunkwise:reply")].strip() for body in found]


def reply(world: World, comment: AnyComment) -> str:
    """Returns our only reply to a comment where it was written."""
    posts: Sequence[AnyComment] = world.github.comments
    if isinstance(comment, IssueComment):
        posts = world.github.issue_comments
    (body,) = _replies(posts, comment)
    return body


def reactions(comment: AnyComment) -> list[str]:
    """Returns our reactions to a comment."""
    return [one.content for one in comment.reactions if one.login == BOT]

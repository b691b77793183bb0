"""There is one summary comment, whatever becomes of the answers to it."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.comments import SummaryComments
from tests.fakes.github_state import IssueComment
from tests.github.conftest import SECRET, World

BOT = "github-actions[bot]"
BODY = "<!-- hunkwise:summary v1 -->\n\nNothing found.\n\n<!-- hunkwise:state v1 abcd -->"
LOST: list[dict[str, Any]] = [
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"status": 200, "body": {"id": 1, "html_url": "javascript:alert(1)"}},
    {"disconnect": True},
    {"truncate": True},
]


def comments(world: World, token: str = "ghs_write") -> SummaryComments:
    return SummaryComments(world.writer(token))


def add_comment(world: World, body: str, author: str = BOT) -> IssueComment:
    comment = IssueComment(world.fake.hub.next_id(), 1, author, body)
    world.fake.issue_comments.append(comment)
    return comment


def test_the_summary_is_written_and_then_edited(world: World) -> None:
    writer = comments(world)
    url = writer.save(BODY, None).url
    (stored,) = world.fake.issue_comments
    assert (stored.body, url.endswith(f"#issuecomment-{stored.id}")) == (BODY, True)
    assert writer.save("Another.", stored.id).url == url
    assert [comment.body for comment in world.fake.issue_comments] == ["Another."]
    assert [request.method for request in world.fake.journal] == ["POST", "PATCH"]


def test_a_summary_that_somebody_deleted_is_written_anew(world: World) -> None:
    comments(world).save(BODY, 4711)
    assert [comment.body for comment in world.fake.issue_comments] == [BODY]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_a_summary_whose_answer_is_lost_is_there_once(
    world: World, fault: dict[str, Any], known: bool, stored: bool
) -> None:
    earlier = add_comment(world, BODY.replace("abcd", "1234"))
    add_comment(world, BODY, "mallory")
    world.fake.fault("*", "/issues/", commit_then_fail=stored, **fault)
    url = comments(world).save(BODY, earlier.id if known else None).url
    ours = [comment for comment in world.fake.issue_comments if comment.author == BOT]
    assert [comment.body for comment in ours] == ([BODY] if known else [earlier.body, BODY])
    assert url.endswith(f"#issuecomment-{ours[-1].id}")


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, GitHubErrorKind.AUTHENTICATION),
        (403, GitHubErrorKind.FORBIDDEN),
        (422, GitHubErrorKind.INVALID),
        (429, GitHubErrorKind.RATE_LIMIT),
        (502, GitHubErrorKind.UNAVAILABLE),
    ],
)
def test_a_summary_that_cannot_be_written_says_why(
    world: World, known: bool, status: int, kind: GitHubErrorKind
) -> None:
    earlier = add_comment(world, "Earlier.")
    world.clock.left = 0.0
    world.fake.fault("*", "/issues/(comments/|1/comments$)", status=status, times=9)
    with pytest.raises(GitHubError) as caught:
        comments(world).save(BODY, earlier.id if known else None)
    assert caught.value.kind is kind
    assert [comment.body for comment in world.fake.issue_comments] == ["Earlier."]


def test_a_token_that_only_reads_writes_no_summary(world: World) -> None:
    with pytest.raises(GitHubError) as caught:
        comments(world, "ghs_read").save(BODY, None)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN


def test_a_secret_does_not_leave(world: World) -> None:
    with pytest.raises(GitHubError, match="secrets"):
        comments(world).save(f"It is {SECRET}.", None)
    assert world.fake.journal == []


@pytest.mark.parametrize("fault", [None, {"status": 502, "commit_then_fail": True}, {"disconnect": True}])
def test_a_comment_is_deleted(world: World, fault: dict[str, Any] | None) -> None:
    comment = add_comment(world, BODY)
    if fault:
        world.fake.fault("DELETE", "/issues/comments/", **fault)
    comments(world).delete(comment.id)
    assert world.fake.issue_comments == []


def test_a_comment_that_cannot_be_deleted_is_an_error(world: World) -> None:
    comment = add_comment(world, BODY)
    with pytest.raises(GitHubError) as caught:
        comments(world, "ghs_read").delete(comment.id)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN

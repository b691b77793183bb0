"""The summary comment exists once, also after lost responses."""

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


def test_summary_is_created_and_then_edited(world: World) -> None:
    writer = comments(world)
    url = writer.save(BODY, None).url
    (stored,) = world.fake.issue_comments
    assert (stored.body, url.endswith(f"#issuecomment-{stored.id}")) == (BODY, True)
    assert writer.save("Another.", stored.id).url == url
    assert [comment.body for comment in world.fake.issue_comments] == ["Another."]
    assert [request.method for request in world.fake.journal] == ["POST", "PATCH"]


def test_deleted_summary_is_created_again(world: World) -> None:
    comments(world).save(BODY, 4711)
    assert [comment.body for comment in world.fake.issue_comments] == [BODY]


@pytest.mark.parametrize("known", [False, True])
def test_rate_limit_as_422_is_waited_for(world: World, known: bool) -> None:
    earlier = add_comment(world, "Earlier.") if known else None
    body = {"message": "Validation Failed", "errors": ["was submitted too quickly after a previous comment"]}
    world.fake.fault("*", "/issues/", status=422, body=body)
    comments(world).save(BODY, earlier.id if earlier else None)
    assert [comment.body for comment in world.fake.issue_comments] == [BODY]
    assert world.clock.slept == [60.0]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_summary_exists_once_after_a_lost_response(
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
def test_failed_summary_is_an_error_with_reason(
    world: World, known: bool, status: int, kind: GitHubErrorKind
) -> None:
    earlier = add_comment(world, "Earlier.")
    world.clock.left = 0.0
    world.fake.fault("*", "/issues/(comments/|1/comments$)", status=status, times=9)
    with pytest.raises(GitHubError) as caught:
        comments(world).save(BODY, earlier.id if known else None)
    assert caught.value.kind is kind
    assert [comment.body for comment in world.fake.issue_comments] == ["Earlier."]


def test_read_only_token_is_an_error(world: World) -> None:
    with pytest.raises(GitHubError) as caught:
        comments(world, "ghs_read").save(BODY, None)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN


def test_summary_with_a_secret_is_not_sent(world: World) -> None:
    with pytest.raises(GitHubError, match="secrets"):
        comments(world).save(f"It is {SECRET}.", None)
    assert world.fake.journal == []


@pytest.mark.parametrize("fault", [None, {"status": 502, "commit_then_fail": True}, {"disconnect": True}])
def test_comment_is_deleted(world: World, fault: dict[str, Any] | None) -> None:
    comment = add_comment(world, BODY)
    if fault:
        world.fake.fault("DELETE", "/issues/comments/", **fault)
    comments(world).delete(comment.id)
    assert world.fake.issue_comments == []


def test_failed_deletion_is_an_error(world: World) -> None:
    comment = add_comment(world, BODY)
    with pytest.raises(GitHubError) as caught:
        comments(world, "ghs_read").delete(comment.id)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN

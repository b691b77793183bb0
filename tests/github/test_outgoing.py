"""What leaves is searched for secrets wherever it holds text, and is never sent twice blindly."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.writer import Writer
from hunkwise.redaction import SecretScan
from tests.github.conftest import World

SECRET = "a-secret-of-ours"


def outgoing(world: World) -> Writer:
    return Writer(world.client(), SecretScan([SECRET]), sleep=world.clock.sleep)


class Sends:
    """Fails as told, and then gives a number."""

    def __init__(self, *kinds: GitHubErrorKind) -> None:
        self.kinds = list(kinds)
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        if self.kinds:
            raise GitHubError(self.kinds.pop(0), f"Failure {self.count}.")
        return 7


@pytest.mark.parametrize(
    "body",
    [
        {"body": SECRET},
        {"comments": [{"body": SECRET}]},
        {"comments": ({"body": f"x{SECRET}x"},)},
        {"output": {"annotations": [{"message": SECRET}]}},
    ],
)
@pytest.mark.parametrize("verb", ["post", "patch", "put", "mutation"])
def test_a_secret_is_found_at_any_depth(world: World, verb: str, body: dict[str, Any]) -> None:
    door = outgoing(world)

    def mutate(document: str, variables: dict[str, Any]) -> object:
        return door.mutation(document, variables, writes=1)

    send: Any = {"post": door.post, "patch": door.patch, "put": door.put, "mutation": mutate}[verb]
    with pytest.raises(GitHubError) as caught:
        send("pulls/1/reviews", body)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN
    assert caught.value.hint
    assert (world.fake.journal, door.sent) == ([], 0)


def test_what_was_tried_is_counted(world: World) -> None:
    door = outgoing(world)
    door.post("pulls/1/reviews", {"body": "Hello.", "event": "COMMENT"})
    with pytest.raises(GitHubError):
        door.delete("pulls/1/reviews/1")
    assert door.sent == 2


@pytest.mark.parametrize(
    "kind", [kind for kind in GitHubErrorKind if kind is not GitHubErrorKind.UNAVAILABLE]
)
def test_a_refusal_is_final(world: World, kind: GitHubErrorKind) -> None:
    send = Sends(kind)
    with pytest.raises(GitHubError):
        outgoing(world).surely(send)
    assert send.count == 1


def test_what_is_not_found_stored_is_sent_again(world: World) -> None:
    send = Sends(GitHubErrorKind.UNAVAILABLE, GitHubErrorKind.UNAVAILABLE)
    assert outgoing(world).surely(send) == 7
    assert (send.count, world.clock.slept) == (3, [1.0, 2.0])


def test_what_is_found_stored_is_not_sent_again(world: World) -> None:
    send = Sends(GitHubErrorKind.UNAVAILABLE)
    assert outgoing(world).surely(send, lambda: 8) == 8
    assert send.count == 1


def test_what_is_stored_at_the_third_time_is_found_too(world: World) -> None:
    send = Sends(*[GitHubErrorKind.UNAVAILABLE] * 3)
    found = iter([None, None, 9])
    assert outgoing(world).surely(send, lambda: next(found)) == 9


def test_where_nothing_can_be_seen_nothing_is_sent_again(world: World) -> None:
    send, look = Sends(GitHubErrorKind.UNAVAILABLE), Sends(GitHubErrorKind.RATE_LIMIT)
    with pytest.raises(GitHubError, match="Failure 1") as caught:
        outgoing(world).surely(send, look)
    assert (send.count, caught.value.kind) == (1, GitHubErrorKind.UNAVAILABLE)

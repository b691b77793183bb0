"""Writes: secrets are found in any text, and a retry requires a check."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from tests.github.conftest import SECRET, World


class FailingSend:
    """Fails with the given kinds in order, and then returns a number."""

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
def test_secret_is_found_at_any_depth(world: World, verb: str, body: dict[str, Any]) -> None:
    door = world.writer()

    def mutate(document: str, variables: dict[str, Any]) -> object:
        return door.mutation(document, variables, writes=1)

    send: Any = {"post": door.post, "patch": door.patch, "put": door.put, "mutation": mutate}[verb]
    with pytest.raises(GitHubError) as caught:
        send("pulls/1/reviews", body)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN
    assert caught.value.hint
    assert world.fake.journal == []


@pytest.mark.parametrize(
    "kind", [kind for kind in GitHubErrorKind if kind is not GitHubErrorKind.UNAVAILABLE]
)
def test_refusal_is_final(world: World, kind: GitHubErrorKind) -> None:
    send = FailingSend(kind)
    with pytest.raises(GitHubError):
        world.writer().surely(send)
    assert send.count == 1


def test_write_that_was_not_stored_is_retried(world: World) -> None:
    send = FailingSend(GitHubErrorKind.UNAVAILABLE, GitHubErrorKind.UNAVAILABLE)
    assert world.writer().surely(send) == 7
    assert (send.count, world.clock.slept) == (3, [1.0, 2.0])


def test_stored_write_is_not_retried(world: World) -> None:
    send = FailingSend(GitHubErrorKind.UNAVAILABLE)
    assert world.writer().surely(send, lambda: 8) == 8
    assert send.count == 1


def test_write_stored_at_the_third_attempt_is_found(world: World) -> None:
    send = FailingSend(*[GitHubErrorKind.UNAVAILABLE] * 3)
    found = iter([None, None, 9])
    assert world.writer().surely(send, lambda: next(found)) == 9


def test_no_retry_if_stored_writes_cannot_be_read(world: World) -> None:
    send, look = FailingSend(GitHubErrorKind.UNAVAILABLE), FailingSend(GitHubErrorKind.RATE_LIMIT)
    with pytest.raises(GitHubError, match="Failure 1") as caught:
        world.writer().surely(send, look)
    assert (send.count, caught.value.kind) == (1, GitHubErrorKind.UNAVAILABLE)

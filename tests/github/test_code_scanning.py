"""Uploading SARIF to code scanning, and errors with hints."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.checks import CodeScanning
from tests.github.conftest import World

SARIF = '{"version": "2.1.0", "runs": []}'
REF = "refs/pull/1/head"


def upload(world: World, text: str = SARIF, token: str = "ghs_write") -> str:
    return CodeScanning(world.writer(token)).upload(text, world.head, REF)


def test_sarif_is_uploaded(world: World) -> None:
    upload_id = upload(world)
    (stored,) = world.fake.sarifs
    assert stored.id == upload_id
    assert (stored.commit_sha, stored.ref, stored.text) == (world.head, REF, SARIF)
    assert stored.tool_name == "hunkwise"


@pytest.mark.parametrize("token", ["ghs_read", "ghs_pulls"])
def test_error_names_missing_permission(world: World, token: str) -> None:
    world.fake.tokens["ghs_pulls"] = "write:pulls"
    with pytest.raises(GitHubError) as caught:
        upload(world, token=token)
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN
    assert "security-events: write" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, GitHubErrorKind.AUTHENTICATION),
        (404, GitHubErrorKind.NOT_FOUND),
        (422, GitHubErrorKind.INVALID),
        (429, GitHubErrorKind.RATE_LIMIT),
        (503, GitHubErrorKind.UNAVAILABLE),
    ],
)
def test_rejected_upload_is_an_error_with_reason(world: World, status: int, kind: GitHubErrorKind) -> None:
    world.clock.left = 0.0
    world.fake.fault("POST", "/sarifs", status=status, times=3)
    with pytest.raises(GitHubError) as caught:
        upload(world)
    assert caught.value.kind is kind
    assert ("security-events" in caught.value.hint) == (status == 404)


@pytest.mark.parametrize(
    "fault",
    [{"status": 502}, {"status": 200, "html": True}, {"status": 200, "body": {}}, {"disconnect": True}],
)
def test_upload_is_retried_after_a_lost_response(world: World, fault: dict[str, Any]) -> None:
    world.fake.fault("POST", "/sarifs", commit_then_fail=True, **fault)
    upload_id = upload(world)
    assert [stored.id for stored in world.fake.sarifs][-1] == upload_id
    assert {stored.text for stored in world.fake.sarifs} == {SARIF}


def test_sarif_above_github_limit_is_not_sent(world: World) -> None:
    text = random.Random(1).randbytes(12 * 1024 * 1024).hex()
    with pytest.raises(GitHubError, match="too large") as caught:
        upload(world, text)
    assert caught.value.hint
    assert world.fake.journal == []


def test_compressed_secret_is_not_sent(world: World) -> None:
    with pytest.raises(GitHubError, match="secrets"):
        upload(world, '{"message": "a-secret-of-ours"}')
    assert world.fake.journal == []

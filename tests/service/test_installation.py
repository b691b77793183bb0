"""The GitHub App: its tokens, its repositories, and the webhooks that it missed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.client import GitHub
from hunkwise.service.installation import PERMISSIONS, AuditTarget, HookDelivery, Installations
from tests.fakes.github_app import APP_ID, INSTALLATION, AppDelivery
from tests.service.app_world import AppWorld, app_world

REVIEW = PERMISSIONS["review"]
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[AppWorld]:
    with app_world(tmp_path, getattr(request, "param", "")) as world:
        yield world


@pytest.mark.parametrize("world", ["", "/api/v3"], indirect=True, ids=["github.com", "Enterprise Server"])
def test_a_token_is_for_one_repository_and_has_the_permissions_of_its_job(world: AppWorld) -> None:
    text = world.installations.token(INSTALLATION, "octo/first", REVIEW)
    token = world.app.token(text)
    assert token is not None
    assert (token.repositories, token.permissions) == (("octo/first",), REVIEW)
    for name, may_read in (("octo/first", True), ("octo/second", False)):
        with closing(GitHub(text, world.url, name, deadline=lambda: 5.0)) as github:
            if may_read:
                assert github.connection.get(f"/repos/{name}").text("full_name") == name
            else:
                with pytest.raises(GitHubError) as error:
                    github.connection.get(f"/repos/{name}")
                assert error.value.kind is GitHubErrorKind.AUTHENTICATION


def test_two_jobs_never_have_the_same_token(world: AppWorld) -> None:
    installations = world.installations
    assert len({installations.token(INSTALLATION, "octo/first", REVIEW) for _ in range(3)}) == 3


def test_each_refusal_says_what_the_operator_can_do(world: AppWorld) -> None:
    installations, app = world.installations, world.app
    wrong = Installations(replace(world.settings, app_id=APP_ID + 1))
    app.installations = {INSTALLATION: ["octo/first"], 78: ["octo/second"]}
    app.suspended.add(78)

    def refusal(asks: Installations, installation: int, name: str, **permissions: str) -> tuple[str, str]:
        with pytest.raises(GitHubError) as error:
            asks.token(installation, name, permissions or REVIEW)
        return error.value.kind.value, error.value.hint

    found = [
        refusal(wrong, INSTALLATION, "octo/first"),
        refusal(installations, 99, "octo/first"),
        refusal(installations, 78, "octo/second"),
        refusal(installations, INSTALLATION, "octo/second"),
        refusal(installations, INSTALLATION, "octo/first", secrets="read"),
    ]
    assert [kind for kind, _ in found] == ["authentication", "not found", "forbidden", "invalid", "invalid"]
    assert "HUNKWISE_APP_KEY_FILE" in found[0][1]
    assert "uninstalled" in found[1][1]
    assert "suspended" in found[2][1]
    assert "permissions" in found[3][1]
    assert found[4][1] == found[3][1]
    assert not any("github-token" in hint or "GITHUB_TOKEN" in hint for _, hint in found)


def test_the_commits_of_a_pull_request_and_of_the_default_branch_are_found(world: AppWorld) -> None:
    git, installations = world.git["octo/first"], world.installations
    base = git.git("rev-parse", "main")
    git.branch("feature")
    head = git.commit({"a.py": "1\n"})
    git.git("checkout", "-q", "main")
    world.app.repositories["octo/first"].add_pull_request(3, base_sha="main", head_sha="feature")
    token = installations.token(INSTALLATION, "octo/first", REVIEW)
    assert installations.shas("octo/first", 3, token) == (base, head)
    assert installations.shas("octo/first", 0, token) == (base,)


def test_repositories_with_the_key_audit_are_audited(world: AppWorld) -> None:
    first, second = world.git.values()
    sha = first.commit({".github/hunkwise.yml": "version: 1\naudit: {max-model-calls: 5}\n"})
    second.commit({".github/hunkwise.yml": "version: 1\nsummary: full\n"})
    target = AuditTarget(INSTALLATION, "octo/first", sha)
    assert world.installations.audit_targets(INSTALLATION) == [target]
    second.commit({".github/hunkwise.yml": "version: 1\naudits: {}\n"})
    assert world.installations.audit_targets(INSTALLATION) == [target]
    second.commit({".github/hunkwise.yml": "version: 1\naudit: {}\n"})
    assert len(world.installations.audit_targets(INSTALLATION)) == 2
    for skipped in (world.app.archived, world.app.forks):
        skipped.add("octo/second")
        assert world.installations.audit_targets(INSTALLATION) == [target]
        skipped.clear()
    assert {frozenset(token.permissions.items()) for token in world.app.tokens} == {
        frozenset({("contents", "read")}),
    }
    assert world.installations.installations() == [INSTALLATION]
    world.app.suspended.add(INSTALLATION)
    assert world.installations.installations() == []


def test_a_repository_that_cannot_be_read_is_not_audited_but_an_outage_ends_the_look(
    world: AppWorld, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = world.git.values()
    first.commit({".github/hunkwise.yml": "version: 9\n"})
    sha = second.commit({".github/hunkwise.yml": "version: 1\naudit: {}\n"})
    targets = [AuditTarget(INSTALLATION, "octo/second", sha)]
    assert world.installations.audit_targets(INSTALLATION) == targets
    assert "Whether octo/first is to be audited is unknown" in caplog.text
    world.app.repositories["octo/first"].fault(
        "GET", "/contents/", status=403, headers={"retry-after": "600"}
    )
    with pytest.raises(GitHubError) as error:
        world.installations.audit_targets(INSTALLATION)
    assert error.value.kind is GitHubErrorKind.RATE_LIMIT


def test_deliveries_are_read_page_by_page_until_the_time_of_the_last_look(world: AppWorld) -> None:
    world.app.deliveries = [
        AppDelivery(
            1_000 - minute,
            f"guid-{minute}",
            (NOW - timedelta(minutes=minute)).isoformat(timespec="seconds").replace("+00:00", "Z"),
            502 if minute % 2 else 202,
        )
        for minute in range(350)
    ]
    asks = world.installations
    found = asks.deliveries(NOW - timedelta(minutes=150))
    assert len(found) == 150
    assert found[:2] == [
        HookDelivery(1_000, "guid-0", NOW, ok=True),
        HookDelivery(999, "guid-1", NOW - timedelta(minutes=1), ok=False),
    ]
    assert len(world.app.journal) == 2, "the third page is older"
    assert len(asks.deliveries(NOW - timedelta(days=3))) == 350
    asks.redeliver(found[1].id)
    assert world.app.redelivered == [999]


def test_missing_permissions_and_events_of_the_app_are_named(world: AppWorld) -> None:
    assert world.installations.faults() == []
    world.app.permissions = {
        "metadata": "read",
        "contents": "read",
        "pull_requests": "read",
        "issues": "write",
    }
    world.app.events = ("pull_request", "issue_comment")
    own_model = Installations(replace(world.settings, copilot_token="github_pat_x"))
    assert own_model.faults() == [
        'The App lacks the permission "pull_requests: write".',
        'The App lacks the permission "checks: write".',
        'The App lacks the permission "merge_queues: read".',
        'The App does not subscribe to the event "merge_group".',
        'The App does not subscribe to the event "pull_request_review_comment".',
    ]
    assert 'The App lacks the permission "copilot_requests: write".' in world.installations.faults()

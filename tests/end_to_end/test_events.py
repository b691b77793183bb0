"""Which events, pull requests and runs are reviewed, and what a run says that reviews nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.step import GITHUB_TOKEN, READ_TOKEN, Result
from tests.end_to_end.test_settings import DISPATCH
from tests.end_to_end.world import BASE, HEAD, World, finding, report_call
from tests.fakes.model_script import Fault, always, report, turns

NO_REVIEW = {"conclusion": "success", "findings": "0"}
DEPENDABOT = {"environ": {"GITHUB_ACTOR": "dependabot[bot]"}}


def event(world: World, action: str) -> dict[str, Any]:
    """Returns the event of an action on pull request 1, as it is now."""
    pull = world.github.hub.pulls[1]
    head = {"sha": pull.head_sha, "ref": "feature", "repo": {"full_name": "octo/repo"}}
    base = {"sha": pull.base_sha, "ref": "main", "repo": {"full_name": "octo/repo"}}
    return {
        "action": action,
        "pull_request": {"number": 1, "state": "open", "head": head, "base": base},
        "repository": {"full_name": "octo/repo"},
    }


def assert_nothing_was_done(world: World, result: Result, *words: str) -> None:
    (notice,) = result.commands("notice")
    for word in words:
        assert word in notice
        assert word in result.summary.replace("`#1`", "#1")
    assert (result.outputs, result.report) == (NO_REVIEW, None)
    assert (world.model.requests, world.github.writes, world.github.check_runs) == ([], [], [])


def test_draft_is_reviewed_when_it_is_ready_or_a_person_asks(world: World) -> None:
    world.change(script=turns([report_call(finding())]), draft=True)
    assert_nothing_was_done(world, world.run(code=0), "Pull request #1", "`automatic.drafts`")
    assert world.run({"pull-request": "1"}, code=0, **DISPATCH).outputs["findings"] == "1"
    world.push({"app.py": HEAD["app.py"].replace("line 10\n", "ten\n")})
    world.github.hub.pulls[1].draft = False
    ready = world.run(payload=event(world, "ready_for_review"), code=0)
    assert (len(world.model.requests), ready.commands("notice")) == (2, [])


def test_label_decides_and_its_event_reviews(world: World) -> None:
    """The configuration is the base's: the head's own cannot skip anything."""
    config = "version: 1\nautomatic:\n  labels: {only: [review]}\n"
    forged = {".github/hunkwise.yml": "version: 1\nautomatic: {skip-titles: ['*']}\n", **HEAD}
    world.change({".github/hunkwise.yml": config, **BASE}, forged)
    assert_nothing_was_done(world, world.run(code=0), "`automatic.labels.only`")
    world.github.hub.pulls[1].labels = ("Review",)
    world.run(payload=event(world, "labeled"), code=0)
    assert world.model.requests


def test_event_without_new_code_reviews_only_a_head_that_was_not_reviewed(world: World) -> None:
    """The run of a push may have been cancelled by the run of an edited title."""
    world.change(script=turns([report_call(finding())]))
    assert world.run(payload=event(world, "edited"), code=0).outputs["findings"] == "1"
    asked, written, read = (
        len(world.model.requests),
        len(world.github.writes),
        len(world.github.journal),
    )
    again = world.run(payload=event(world, "labeled"), code=0)
    assert again.outputs["findings"] == "1"
    assert (len(world.model.requests), len(world.github.writes)) == (asked, written)
    # The pull request, its files, its conversation, and the files of the base.
    assert len(world.github.journal) - read == 4


def test_dispatch_on_a_closed_pull_request_asks_nothing(world: World) -> None:
    world.change().state = "closed"
    result = world.run({"pull-request": "1"}, code=0, **DISPATCH)
    assert_nothing_was_done(world, result, "Pull request #1 is closed: nothing is reviewed.")


def test_dry_run_on_a_closed_pull_request_reviews_it(world: World) -> None:
    world.change(script=report([finding()])).state = "closed"
    result = world.run({"pull-request": "1", "dry-run": "true"}, code=0, **DISPATCH)
    assert (result.outputs["findings"], world.github.writes) == ("1", [])


def merge_group(world: World, branch: str = f"main/pr-1-{'a' * 40}") -> dict[str, Any]:
    group = {
        "head_ref": f"refs/heads/gh-readonly-queue/{branch}",
        "head_sha": world.github.hub.pulls[1].base_sha,
    }
    payload = {"action": "checks_requested", "merge_group": group, "repository": {"full_name": "octo/repo"}}
    return {"event_name": "merge_group", "payload": payload}


def test_merge_queue_gets_the_conclusion_of_the_review(world: World) -> None:
    world.change(script=report([finding()]))
    world.run({"fail-on": "low"}, code=1)
    asked = len(world.model.requests)
    result = world.run(code=0, **merge_group(world))
    (notice,) = result.commands("notice")
    assert "the conclusion of #1 is repeated (failure)" in notice
    assert (result.outputs, len(world.model.requests)) == (NO_REVIEW, asked)
    pull = world.github.hub.pulls[1]
    assert [(run.name, run.head_sha, run.conclusion) for run in world.github.check_runs] == [
        ("hunkwise", pull.head_sha, "failure"),
        ("hunkwise", pull.base_sha, "failure"),
    ]


@pytest.mark.parametrize(("token", "group"), [(READ_TOKEN, None), (GITHUB_TOKEN, "e" * 40)])
def test_merge_queue_is_not_held_up_by_a_check_run_that_github_refuses(
    world: World, token: str, group: str | None
) -> None:
    world.change(script=report([]))
    world.run(code=0)
    writes, event = len(world.github.writes), merge_group(world)
    event["payload"]["merge_group"]["head_sha"] = group or world.github.hub.pulls[1].base_sha
    result = world.run({"github-token": token}, code=0, **event)
    (warning,) = result.commands("warning")
    assert "The check run of #1 is not repeated. GitHub" in warning
    assert (len(world.github.check_runs), result.outputs) == (1, NO_REVIEW)
    assert len(world.github.writes) == writes + 1, "it was tried once"


def test_merge_queue_is_not_held_up(world: World) -> None:
    world.change(script=report([]))
    assert_nothing_was_done(world, world.run(code=0, **merge_group(world)), "#1 has no completed check run")
    world.run(code=0)
    for inputs, event, why in (
        ({"dry-run": "true"}, merge_group(world), "with `dry-run` no check run"),
        ({}, merge_group(world, "feature"), "names no pull request"),
    ):
        (notice,) = world.run(inputs, code=0, **event).commands("notice")
        assert why in notice
    assert len(world.github.check_runs) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_dependabot_without_secrets_ends_green(world: World, status: int) -> None:
    world.change(script=always(Fault(status)), author="dependabot[bot]")
    result = world.run(code=0, **DEPENDABOT)
    (notice,) = result.commands("notice")
    assert "no Actions secrets. The model provider answered" in notice
    assert "`automatic.skip-authors`" in notice
    assert (result.outputs, world.posted) == (NO_REVIEW, "")
    assert [run.conclusion for run in world.github.check_runs] == ["neutral"]


def test_dependabot_with_a_token_is_reviewed_and_a_person_sees_the_refusal(world: World) -> None:
    world.change(author="dependabot[bot]")
    world.answer_with(report([finding()]))
    assert world.run(code=0, **DEPENDABOT).outputs["findings"] == "1"
    world.push({"app.py": "pushed\n"})
    world.answer_with(always(Fault(401)))
    assert "provider-api-key" in world.run(code=3).error_text

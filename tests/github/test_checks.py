"""Check runs: progress, conclusion, and annotations without duplicates."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.domain.review import CheckOutput, Conclusion
from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.checks import CheckRuns
from hunkwise.publish.annotations import Annotation, Level
from tests.github.conftest import SECRET, World

BEGUN = CheckOutput("Reviewing", "0 of 3 parts.")
ANNOTATING = CheckOutput("Reviewing", "The findings are annotated.")
LOST: list[dict[str, Any]] = [
    {"status": 502},
    {"status": 200, "html": True},
    {"status": 200, "body": {}},
    {"disconnect": True},
    {"truncate": True},
]


def notes(count: int, message: str = "Why.") -> list[Annotation]:
    return [Annotation("src/a.py", n, n, Level.WARNING, f"Number {n}", message) for n in range(1, count + 1)]


def checks(world: World, token: str = "ghs_write") -> CheckRuns:
    return CheckRuns(world.writer(token))


def start(world: World, writer: CheckRuns, external_id: str = "4711.c0ffee") -> int:
    return writer.start(world.head, external_id, BEGUN)


def conclude(writer: CheckRuns, check_id: int, count: int = 0, message: str = "Why.") -> int:
    accepted = writer.annotate(check_id, ANNOTATING, notes(count, message))
    writer.complete(check_id, Conclusion.NEUTRAL, CheckOutput("2 findings", "What stands.", "All of it."))
    return accepted


def test_check_run_is_created_updated_and_completed(world: World) -> None:
    writer = checks(world)
    check_id = writer.start(world.head, "4711.c0ffee", BEGUN, "https://ci.example.org/1")
    (run,) = world.fake.check_runs
    assert (run.id, run.name, run.head_sha, run.status) == (check_id, "hunkwise", world.head, "in_progress")
    assert (run.external_id, run.details_url) == ("4711.c0ffee", "https://ci.example.org/1")
    writer.progress(check_id, CheckOutput("Reviewing", "1 of 3 parts."))
    assert run.status == "in_progress"
    assert conclude(writer, check_id, 2) == 2
    assert (run.status, run.conclusion) == ("completed", "neutral")
    assert run.output == {"title": "2 findings", "summary": "What stands.", "text": "All of it."}
    assert [summary for _, summary in run.outputs] == [
        "0 of 3 parts.", "1 of 3 parts.", ANNOTATING.summary, "What stands.",
    ]  # fmt: skip
    assert run.annotations[0] == {
        "path": "src/a.py",
        "start_line": 1,
        "end_line": 1,
        "annotation_level": "warning",
        "title": "Number 1",
        "message": "Why.",
    }


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 2), (50, 2), (51, 3), (100, 3), (120, 4)])
def test_annotations_are_sent_fifty_per_request(world: World, count: int, requests: int) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    world.fake.journal.clear()
    assert conclude(writer, check_id, count) == count
    assert len(world.fake.journal) == requests
    (run,) = world.fake.check_runs
    assert [note["start_line"] for note in run.annotations] == list(range(1, count + 1))
    assert run.conclusion == "neutral"


@pytest.mark.parametrize("address", ["", "https://ci.example.org/1"])
def test_check_run_links_to_workflow_run_if_known(world: World, address: str) -> None:
    checks(world).start(world.head, "4711.c0ffee", BEGUN, address)
    (run,) = world.fake.check_runs
    assert (run.status, run.external_id, run.details_url or "") == ("in_progress", "4711.c0ffee", address)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
def test_check_run_is_created_once(world: World, fault: dict[str, Any], stored: bool) -> None:
    writer = checks(world)
    start(world, writer, "another run")
    world.fake.fault("POST", "/check-runs", commit_then_fail=stored, **fault)
    check_id = start(world, writer)
    assert [run.external_id for run in world.fake.check_runs] == ["another run", "4711.c0ffee"]
    assert check_id == world.fake.check_runs[1].id


@pytest.mark.parametrize("status", [403, 404, 422])
def test_check_run_is_not_created_again_if_it_cannot_be_read(world: World, status: int) -> None:
    world.fake.fault("POST", "/check-runs", commit_then_fail=True, status=502)
    world.fake.fault("GET", "/check-runs", times=9, status=status)
    with pytest.raises(GitHubError):
        start(world, checks(world))
    assert [run.external_id for run in world.fake.check_runs] == ["4711.c0ffee"]


def test_check_run_is_created_with_its_conclusion(world: World) -> None:
    writer = checks(world)
    world.fake.fault("POST", "/check-runs", commit_then_fail=True, status=502)
    url = "https://github.com/o/r/pull/7"
    writer.create_completed(world.head, "4711.c0ffee", BEGUN, url, Conclusion.NEUTRAL)
    (run,) = world.fake.check_runs
    assert (run.status, run.conclusion, run.details_url) == ("completed", "neutral", url)
    assert [(one.id, one.conclusion, one.external_id) for one in writer.at(world.head)] == [
        (run.id, "neutral", "4711.c0ffee")
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, GitHubErrorKind.AUTHENTICATION),
        (403, GitHubErrorKind.FORBIDDEN),
        (404, GitHubErrorKind.NOT_FOUND),
        (422, GitHubErrorKind.INVALID),
        (429, GitHubErrorKind.RATE_LIMIT),
    ],
)
def test_failed_creation_is_an_error_with_reason(world: World, status: int, kind: GitHubErrorKind) -> None:
    world.clock.left = 0.0
    world.fake.fault("POST", "/check-runs", status=status)
    with pytest.raises(GitHubError) as caught:
        start(world, checks(world))
    assert caught.value.kind is kind


@pytest.mark.parametrize("token", ["ghs_read", "ghp_person", "ghs_pulls"])
def test_missing_permission_for_check_runs_is_an_error(world: World, token: str) -> None:
    world.fake.tokens["ghs_pulls"] = "write:pulls"
    with pytest.raises(GitHubError) as caught:
        start(world, checks(world, token))
    assert caught.value.kind is GitHubErrorKind.FORBIDDEN


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 502])
def test_progress_stops_after_a_failure_and_conclusion_is_sent(world: World, status: int) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    left, world.clock.left = world.clock.left, 0.0
    world.fake.fault("PATCH", "/check-runs", status=status)
    writer.progress(check_id, CheckOutput("Reviewing", "1 of 3 parts."))
    writer.progress(check_id, CheckOutput("Reviewing", "2 of 3 parts."))
    assert len(world.fake.writes) == 2
    world.clock.left = left
    assert conclude(writer, check_id, 1) == 1


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("good", [0, 1, 2])
def test_annotations_are_stored_once_after_a_lost_response(
    world: World, good: int, fault: dict[str, Any], stored: bool
) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    last = f"Number {(1, 51, 101)[good]}\\b"
    world.fake.fault("PATCH", "/check-runs", commit_then_fail=stored, asking=last, **fault)
    assert conclude(writer, check_id, 120) == 120
    (run,) = world.fake.check_runs
    assert [note["start_line"] for note in run.annotations] == list(range(1, 121))
    assert run.conclusion == "neutral"


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 404}, {"status": 422}, {"status": 429}])
@pytest.mark.parametrize(("good", "accepted"), [(0, 0), (1, 50), (2, 100)])
def test_rejected_batch_ends_annotations_and_conclusion_is_sent(
    world: World, good: int, accepted: int, fault: dict[str, Any]
) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    world.clock.left = 0.0
    world.fake.fault("PATCH", "/check-runs", asking=f"Number {(1, 51, 101)[good]}\\b", **fault)
    assert conclude(writer, check_id, 120) == accepted
    (run,) = world.fake.check_runs
    assert (len(run.annotations), run.status, run.conclusion) == (accepted, "completed", "neutral")


@pytest.mark.parametrize("count", [7, None])
def test_no_retry_if_stored_annotations_cannot_be_read(world: World, count: int | None) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    world.fake.fault("PATCH", "/check-runs", status=502, asking="Number 51")
    unclear = {"id": 1, "output": {"annotations_count": count}}
    world.fake.fault("GET", "/check-runs/", status=403 if count is None else 200, body=unclear)
    assert conclude(writer, check_id, 120) == 50
    (run,) = world.fake.check_runs
    assert (len(run.annotations), run.conclusion) == (50, "neutral")


def test_failed_conclusion_is_an_error(world: World) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    world.fake.fault("PATCH", "/check-runs", status=502, times=3)
    with pytest.raises(GitHubError, match="502"):
        conclude(writer, check_id)
    assert world.fake.check_runs[0].status == "in_progress"


def test_conclusion_is_retried_after_a_lost_response(world: World) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    world.fake.fault("PATCH", "/check-runs", status=502, commit_then_fail=True)
    assert conclude(writer, check_id) == 0
    assert world.fake.check_runs[0].conclusion == "neutral"


@pytest.mark.parametrize("letter", ["x", "ü", "😀"])
def test_too_long_texts_are_cut_visibly(world: World, letter: str) -> None:
    writer = checks(world)
    check_id = writer.start(world.head, "1", CheckOutput(letter * 300, letter * 70_000))
    writer.complete(check_id, Conclusion.NEUTRAL, CheckOutput("T", letter * 70_000, letter * 70_000))
    (run,) = world.fake.check_runs
    assert len(run.outputs[0][0]) == 255
    for text in (run.output["summary"], run.output["text"], run.outputs[0][1]):
        assert 65_528 < len(text.encode()) <= 65_535
        assert text.endswith("…")


def test_annotation_with_a_secret_is_not_sent(world: World) -> None:
    writer = checks(world)
    check_id = start(world, writer)
    assert conclude(writer, check_id, 3, f"It is {SECRET}.") == 0
    (run,) = world.fake.check_runs
    assert (run.annotations, run.conclusion) == ([], "neutral")

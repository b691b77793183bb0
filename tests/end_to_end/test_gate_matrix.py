"""Checks conclusion, review state and check run from push to push."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.end_to_end.destinations import assert_conclusions_agree
from tests.end_to_end.step import Result
from tests.end_to_end.world import Files, World
from tests.end_to_end.write_log import list_writes, report_faults

CLEAN = "".join(f"line {number}\n" for number in range(1, 31))
APPROVE = {".github/hunkwise.yml": "version: 1\napprove: true\n"}


def with_line(line: str) -> dict[str, str | bytes | None]:
    """Returns the file with that line as its ninth."""
    return {"app.py": CLEAN.replace("line 9\n", f"{line}\n")}


class ReviewedPull:
    """A pull request from push to push, reviewed with the same inputs."""

    def __init__(self, world: World, base: Mapping[str, str] | None = None, **inputs: str) -> None:
        self.world = world
        self.inputs = {name.replace("_", "-"): value for name, value in inputs.items()}
        self._base = {"app.py": CLEAN, **(base or {})}
        world.answer_with(report_faults)

    def open(self, head: Files, author: str = "octocat", *, code: int = 0) -> Result:
        self.world.change(self._base, head, author=author)
        return self.run(code=code)

    def push(self, files: Files, *, code: int = 0) -> Result:
        self.world.push(files)
        return self.run(code=code)

    def run(self, *, code: int = 0) -> Result:
        seen = len(self.world.github.journal)
        result = self.world.run(self.inputs, code=code)
        self.writes = list_writes(self.world.github.journal[seen:])
        assert_conclusions_agree(self.world.github, result)
        return result

    @property
    def reviews(self) -> list[str]:
        return [review.state for review in self.world.github.reviews]


def test_approves_clean_change_once_and_dismisses_approval_after_finding(world: World) -> None:
    pull = ReviewedPull(world, APPROVE)
    pull.open(with_line("fine"))
    assert pull.reviews == ["APPROVED"]
    pull.run()
    assert pull.writes == []
    pull.push(with_line("fault(New, low)"))
    assert pull.reviews == ["DISMISSED", "COMMENTED"]
    pull.push(with_line("fine again"))
    assert pull.reviews == ["DISMISSED", "COMMENTED", "APPROVED"]
    assert world.github.threads[0].resolved


@pytest.mark.parametrize(
    ("base", "head"),
    [
        (APPROVE, {**with_line("fault(Small, low)"), "package-lock.json": "{}\n"}),
        ({}, {**with_line("fine"), **APPROVE}),
    ],
    ids=["a finding below min-severity and a lock file", "at the head alone"],
)
def test_does_not_approve_with_hidden_finding_or_setting_of_head(
    world: World, base: dict[str, str], head: dict[str, str | bytes | None]
) -> None:
    """Which runs may approve is in tests/publish/test_conclusion.py and tests/flows/test_publication.py."""
    pull = ReviewedPull(world, base, min_severity="high")
    pull.open(head)
    assert pull.reviews == []
    assert len(world.github.issue_comments) == 1


def test_requests_changes_once_and_dismisses_request_after_fix(world: World) -> None:
    pull = ReviewedPull(world, request_changes_on="high")
    pull.open(with_line("fault(Bad, high)"))
    assert pull.reviews == ["CHANGES_REQUESTED"]
    pull.run()
    assert pull.writes == []
    pull.push({**with_line("fault(Bad, high)"), "more.py": "fault(Small, low)\n"})
    assert pull.reviews == ["CHANGES_REQUESTED", "COMMENTED"]
    pull.push(with_line("fixed"))
    assert pull.reviews == ["DISMISSED", "COMMENTED"]


def test_repeats_dismissed_request_for_new_finding_only(world: World) -> None:
    pull = ReviewedPull(world, request_changes_on="high")
    pull.open(with_line("fault(Bad, high)"))
    world.github.reviews[0].state = "DISMISSED"
    pull.push({"more.py": "fine\n"})
    assert pull.reviews == ["DISMISSED"]
    pull.push({"more.py": "fault(Worse, critical)\n"})
    assert pull.reviews == ["DISMISSED", "CHANGES_REQUESTED"]


def test_finding_fails_each_run_until_maintainer_dismisses_it(world: World) -> None:
    pull = ReviewedPull(world, fail_on="high")
    pull.open(with_line("fault(Bad, high)"), code=1)
    pull.push({"more.py": "fine\n"}, code=1)
    assert pull.writes == [
        "check run: in_progress",
        "check run: failure",
        "summary again: 1 open finding, nothing new (1 high)",
    ]
    pull.run(code=1)
    assert pull.writes == []
    world.github.hub.associations["maintainer"] = "MEMBER"
    world.github.reply(world.github.threads[0], "maintainer", "/hunkwise dismiss it is a test")
    dismissed = pull.run()
    assert dismissed.outputs["findings"] == "0"
    assert "1 dismissed" in dismissed.summary
    assert len(world.github.comments) == 2


@pytest.mark.parametrize("by", ["stranger", "maintainer"])
def test_resolved_thread_dismisses_finding_only_by_maintainer(world: World, by: str) -> None:
    pull = ReviewedPull(world, fail_on="high", request_changes_on="high")
    world.github.hub.associations["maintainer"] = "MEMBER"
    pull.open(with_line("fault(Bad, high)"), author="stranger", code=1)
    world.github.resolve(world.github.threads[0], by=by)
    result = pull.run(code=1 if by == "stranger" else 0)
    assert result.outputs["findings"] == ("1" if by == "stranger" else "0")
    assert pull.reviews == ["CHANGES_REQUESTED" if by == "stranger" else "DISMISSED"]
    assert len(world.github.comments) == 1


def test_author_without_write_access_cannot_dismiss(world: World) -> None:
    pull = ReviewedPull(world, fail_on="high")
    pull.open(with_line("fault(Bad, high)"), author="stranger", code=1)
    thread = world.github.threads[0]
    world.github.react(thread.comments[0], "stranger")
    world.github.reply(thread, "stranger", "/hunkwise dismiss")
    pull.run(code=1)
    assert pull.writes == []

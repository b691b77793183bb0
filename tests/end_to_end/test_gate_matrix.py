"""What a run concludes and asks for, from push to push: exit code, review, check run and words agree in each cell."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.end_to_end.places import assert_agreement
from tests.end_to_end.step import Result
from tests.end_to_end.world import World
from tests.end_to_end.write_log import story, stubborn

CLEAN = "".join(f"line {number}\n" for number in range(1, 31))
APPROVE = {".github/hunkwise.yml": "version: 1\napprove: true\n"}


def code(line: str) -> dict[str, str | bytes | None]:
    """The head's file, with that line as its ninth."""
    return {"app.py": CLEAN.replace("line 9\n", f"{line}\n")}


class Life:
    """A pull request from push to push, under the same inputs."""

    def __init__(self, world: World, base: Mapping[str, str] | None = None, **inputs: str) -> None:
        self.world = world
        self.inputs = {name.replace("_", "-"): value for name, value in inputs.items()}
        self._base = {"app.py": CLEAN, **(base or {})}
        world.answers(stubborn)

    def opened(self, head: Mapping[str, str | bytes | None], **given: str) -> Result:
        self.world.change(self._base, head, **given)
        return self.run()

    def pushed(self, files: Mapping[str, str | bytes | None]) -> Result:
        self.world.repository.commit(files)
        self.world.github.push(1, "feature")
        return self.run()

    def run(self) -> Result:
        seen = len(self.world.github.journal)
        result = self.world.run(self.inputs)
        self.told = story(self.world.github.journal[seen:])
        assert_agreement(self.world, result)
        return result

    @property
    def reviews(self) -> list[str]:
        return [review.state for review in self.world.github.reviews]


def test_a_whole_review_without_findings_approves_once_and_takes_it_back_when_there_is_one(
    world: World,
) -> None:
    life = Life(world, APPROVE)
    assert life.opened(code("fine")).code == 0
    assert life.reviews == ["APPROVED"]
    assert life.run().code == 0
    assert life.told == []
    assert life.pushed(code("fault(New, low)")).code == 0
    assert life.reviews == ["DISMISSED", "COMMENTED"]
    assert life.pushed(code("fine again")).code == 0
    assert life.reviews == ["DISMISSED", "COMMENTED", "APPROVED"]
    assert world.github.threads[0].resolved


@pytest.mark.parametrize(
    ("base", "head"),
    [
        (APPROVE, {**code("fault(Small, low)"), "package-lock.json": "{}\n"}),
        ({}, {**code("fine"), **APPROVE}),
    ],
    ids=["a finding below min-severity and a lock file", "at the head alone"],
)
def test_nothing_less_than_a_whole_review_without_findings_approves(
    world: World, base: dict[str, str], head: dict[str, str | bytes | None]
) -> None:
    """Which runs may approve is in tests/publish/test_conclusion.py and tests/flows/test_publication.py."""
    life = Life(world, base, min_severity="high")
    assert life.opened(head).code == 0
    assert life.reviews == []
    assert len(world.github.issue_comments) == 1


def test_a_request_for_changes_is_made_once_and_taken_back_when_it_is_fixed(world: World) -> None:
    life = Life(world, request_changes_on="high")
    assert life.opened(code("fault(Bad, high)")).code == 0
    assert life.reviews == ["CHANGES_REQUESTED"]
    assert life.run().code == 0
    assert life.told == []
    assert life.pushed({**code("fault(Bad, high)"), "more.py": "fault(Small, low)\n"}).code == 0
    assert life.reviews == ["CHANGES_REQUESTED", "COMMENTED"]
    assert life.pushed(code("mended")).code == 0
    assert life.reviews == ["DISMISSED", "COMMENTED"]


def test_a_request_that_a_person_dismissed_is_not_repeated_because_of_the_same(world: World) -> None:
    life = Life(world, request_changes_on="high")
    life.opened(code("fault(Bad, high)"))
    world.github.reviews[0].state = "DISMISSED"
    life.pushed({"more.py": "fine\n"})
    assert life.reviews == ["DISMISSED"]
    life.pushed({"more.py": "fault(Worse, critical)\n"})
    assert life.reviews == ["DISMISSED", "CHANGES_REQUESTED"]


def test_a_finding_that_stands_fails_each_run_until_a_maintainer_dismisses_it(world: World) -> None:
    life = Life(world, fail_on="high")
    assert life.opened(code("fault(Bad, high)")).code == 1
    assert life.pushed({"more.py": "fine\n"}).code == 1
    assert life.told == [
        "check run: in_progress",
        "check run: failure",
        "summary again: 1 finding, none of them new",
    ]
    assert life.run().code == 1
    assert life.told == []
    world.github.hub.associations["maintainer"] = "MEMBER"
    world.github.reply(world.github.threads[0], "maintainer", "/hunkwise dismiss it is a test")
    dismissed = life.run()
    assert (dismissed.code, dismissed.outputs["findings"]) == (0, "0")
    assert "1 dismissed" in dismissed.summary
    assert len(world.github.comments) == 2


@pytest.mark.parametrize("by", ["stranger", "maintainer"])
def test_the_author_of_a_fork_may_resolve_but_not_dismiss(world: World, by: str) -> None:
    life = Life(world, fail_on="high", request_changes_on="high")
    world.github.hub.associations["maintainer"] = "MEMBER"
    life.opened(code("fault(Bad, high)"), author="stranger")
    world.github.resolve(world.github.threads[0], by=by)
    result = life.run()
    assert result.code == (1 if by == "stranger" else 0)
    assert result.outputs["findings"] == ("1" if by == "stranger" else "0")
    assert life.reviews == ["CHANGES_REQUESTED" if by == "stranger" else "DISMISSED"]
    assert len(world.github.comments) == 1


def test_a_stranger_dismisses_nothing(world: World) -> None:
    life = Life(world, fail_on="high")
    life.opened(code("fault(Bad, high)"), author="stranger")
    thread = world.github.threads[0]
    world.github.react(thread.comments[0], "stranger")
    world.github.reply(thread, "stranger", "/hunkwise dismiss")
    assert life.run().code == 1
    assert life.told == []

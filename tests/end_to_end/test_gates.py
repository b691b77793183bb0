"""What a run may fail for, what it may spend, and how much it may say."""

from __future__ import annotations

import pytest

from tests.end_to_end.test_model_faults import by_file
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import Answer, always, report

LEVELS = ("low", "medium", "high", "critical")
LINES = (3, 4, 30, 29)
EVERY = [
    finding(line=line, severity=severity, title=f"A {severity} one")
    for line, severity in zip(LINES, LEVELS, strict=True)
]


@pytest.mark.parametrize(
    ("inputs", "code", "findings"),
    [
        ({"fail-on": "critical"}, 1, 4),
        ({"fail-on": "high", "min-severity": "high"}, 1, 2),
        ({"fail-on": "none", "min-severity": "critical"}, 0, 1),
    ],
)
def test_findings_fail_the_run_from_fail_on_and_are_told_from_min_severity(
    world: World, inputs: dict[str, str], code: int, findings: int
) -> None:
    world.change()
    world.answers(report(EVERY))
    result = world.run(inputs)
    assert result.code == code
    assert result.outputs["findings"] == str(findings)
    assert result.outputs["highest-severity"] == "critical"
    assert result.report["dropped"] == 4 - findings
    assert len(world.github.comments) == findings
    assert ("fail-on" in " ".join(result.commands("error"))) == (code == 1)


def test_a_gate_is_not_reached_by_what_is_below_it(world: World) -> None:
    world.change()
    world.answers(report(EVERY[:2]))
    result = world.run({"fail-on": "high", "request-changes-on": "high", "min-coverage": "100"})
    assert result.code == 0
    assert [review.state for review in world.github.reviews] == ["COMMENTED"]


@pytest.mark.parametrize(
    ("author", "state"), [("octocat", "CHANGES_REQUESTED"), ("github-actions[bot]", "COMMENTED")]
)
def test_changes_are_requested_but_never_on_ones_own_pull_request(
    world: World, author: str, state: str
) -> None:
    world.change(author=author)
    world.answers(report(EVERY))
    result = world.run({"request-changes-on": "high"})
    assert result.code == 0
    assert [review.state for review in world.github.reviews] == [state]
    assert len(world.github.comments) == 4
    own = any("takes no request for changes from this account" in note for note in result.report["notes"])
    assert own == (state == "COMMENTED")


def test_coverage_below_its_gate_fails_the_run(world: World) -> None:
    world.parts(["quiet.py", "loud.py"])
    world.answers(by_file({"quiet.py": Answer(text="Fine."), "loud.py": report()}))
    result = world.run({"min-coverage": "51"})
    assert result.code == 1
    assert "min-coverage is 51 %" in " ".join(result.commands("error"))
    assert "nothing found in the part that was reviewed" in world.summary_comment
    assert world.github.reviews == []


def test_more_findings_than_comments_are_allowed_go_into_the_body(world: World) -> None:
    world.change()
    world.answers(report(EVERY))
    result = world.run({"max-comments": "1"})
    assert result.code == 0
    (comment,) = world.github.comments
    assert "A critical one" in comment.body
    for severity in LEVELS[:3]:
        assert f"A {severity} one" in world.github.reviews[0].body


def test_a_dry_run_does_everything_but_post(world: World) -> None:
    world.change()
    world.answers(report(EVERY))
    result = world.run({"dry-run": "true", "fail-on": "critical"})
    assert result.code == 1
    assert world.github.writes == []
    assert "A critical one" in result.summary
    assert any("Dry run" in note for note in result.report["notes"])
    assert result.outputs["review-url"] == ""


@pytest.mark.parametrize("inputs", [{"max-model-calls": "2"}, {"max-tokens": "200"}])
def test_a_budget_that_runs_out_leaves_the_rest_named(world: World, inputs: dict[str, str]) -> None:
    names = [f"part{number}.py" for number in range(6)]
    world.parts(names)
    parallel = ".github/hunkwise.yml"
    world.repository.git("checkout", "-q", "main")
    world.repository.commit({parallel: "version: 1\nchunk-size: 4000\nparallel: 1\n"})
    world.open()
    world.answers(by_file({name: report([finding(name, 2)]) for name in names}))
    result = world.run(inputs)
    assert result.code == 4
    assert len(world.model.requests) == 2
    assert result.outputs["model-calls"] == "2"
    assert result.outputs["coverage"] == "33"
    assert len(world.github.comments) == 2
    left = [file["path"] for file in result.report["coverage"]["files"] if file["reason"]]
    assert len(left) == 4
    for name in left:
        assert name in world.summary_comment
    assert "the budget ran out" in result.summary
    assert next(iter(inputs)) in " ".join(result.commands("warning"))


def test_a_deadline_ends_a_model_that_hangs(world: World) -> None:
    world.parts(["slow.py", "quick.py"])
    world.answers(by_file({"slow.py": Answer(delay=200), "quick.py": report([finding("quick.py", 2)])}))
    partial = world.run({"deadline": "0.15"})
    assert partial.code == 4
    reasons = {file["path"]: file["reason"] for file in partial.report["coverage"]["files"]}
    assert reasons == {"slow.py": "the deadline was reached", "quick.py": None}
    assert "`deadline`" in " ".join(partial.commands("warning"))
    assert [comment.path for comment in world.github.comments] == ["quick.py"]


def test_a_deadline_without_any_answer_makes_no_review(world: World) -> None:
    world.change()
    world.answers(always(Answer(delay=200)))
    result = world.run({"deadline": "0.15"})
    assert result.code == 3
    assert "`deadline`" in " ".join(result.commands("error"))


def test_a_change_with_nothing_to_review_is_not_commented_on(world: World) -> None:
    world.change(base={"package-lock.json": "{}\n"}, head={"package-lock.json": '{"a": 1}\n'})
    result = world.run()
    assert result.code == 0
    assert world.posted == ""
    assert [run.conclusion for run in world.github.check_runs] == ["success"]
    assert world.model.requests == []
    assert "so nothing was posted" in result.summary
    assert "lock file" in result.summary

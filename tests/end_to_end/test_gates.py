"""Checks gates, budgets and limits on what is posted."""

from __future__ import annotations

import pytest

from tests.end_to_end.prompts import by_file
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
def test_fail_on_and_min_severity(world: World, inputs: dict[str, str], code: int, findings: int) -> None:
    world.change(script=report(EVERY))
    result = world.run(inputs, code=code)
    assert result.outputs["findings"] == str(findings)
    assert result.outputs["highest-severity"] == "critical"
    assert result.report["dropped"] == 4 - findings
    assert len(world.github.comments) == findings
    assert ("fail-on" in result.error_text) == (code == 1)


def test_findings_below_min_confidence_are_listed_and_reach_no_gate(world: World) -> None:
    sure = finding(line=3, severity="low", title="A sure one", confidence=0.6)
    guessed = finding(line=4, severity="critical", title="A guessed one", confidence=0.5)
    world.change(script=report([sure, guessed]))
    result = world.run({"fail-on": "critical"}, code=0)
    assert [one["title"] for one in result.report["findings"]] == ["A sure one"]
    assert [(one["title"], one["kind"], one["reason"]) for one in result.report["suppressed"]] == [
        ("A guessed one", "low-confidence", "Below `min-confidence` (55 %)")
    ]
    assert len(world.github.comments) == 1
    for text in (result.summary, world.github.issue_comments[0].body):
        assert "min-confidence</code> (55 %): 1 finding" in text
        assert "A guessed one (50 %)" in text


def test_findings_below_gates_do_not_fail_run(world: World) -> None:
    world.change(script=report(EVERY[:2]))
    world.run({"fail-on": "high", "request-changes-on": "high", "min-coverage": "100"}, code=0)
    assert [review.state for review in world.github.reviews] == ["COMMENTED"]


@pytest.mark.parametrize(
    ("author", "state"), [("octocat", "CHANGES_REQUESTED"), ("github-actions[bot]", "COMMENTED")]
)
def test_requests_changes_except_on_own_pull_request(world: World, author: str, state: str) -> None:
    world.change(author=author, script=report(EVERY))
    result = world.run({"request-changes-on": "high"}, code=0)
    assert [review.state for review in world.github.reviews] == [state]
    assert len(world.github.comments) == 4
    own = any("takes no request for changes from this account" in note for note in result.report["notes"])
    assert own == (state == "COMMENTED")


def test_low_coverage_fails_run(world: World) -> None:
    world.change_parts(
        ["quiet.py", "loud.py"], script=by_file({"quiet.py": Answer(text="Fine."), "loud.py": report()})
    )
    result = world.run({"min-coverage": "51"}, code=1)
    assert "(min-coverage: 51)" in result.error_text
    assert "no findings in the part that was reviewed" in world.summary_comment
    assert result.log.count("Reviewed 1 of 2 parts of the change.") == 1
    assert "⚠️ **Model error**: The model did not call the tool" in world.summary_comment
    assert "Not reviewed because of it: quiet.py." in world.summary_comment
    assert world.github.reviews == []


def test_findings_over_max_comments_go_into_body(world: World) -> None:
    world.change(script=report(EVERY))
    world.run({"max-comments": "1"}, code=0)
    (comment,) = world.github.comments
    assert "A critical one" in comment.body
    for severity in LEVELS[:3]:
        assert f"A {severity} one" in world.github.reviews[0].body


def test_dry_run_posts_nothing(world: World) -> None:
    world.change(script=report(EVERY))
    result = world.run({"dry-run": "true", "fail-on": "critical"}, code=1)
    assert world.github.writes == []
    assert "A critical one" in result.summary
    assert any("Dry run" in note for note in result.report["notes"])
    assert result.outputs["review-url"] == ""


@pytest.mark.parametrize("inputs", [{"max-model-calls": "2"}, {"max-tokens": "200"}])
def test_lists_files_not_reviewed_after_budget_is_used_up(world: World, inputs: dict[str, str]) -> None:
    names = [f"part{number}.py" for number in range(6)]
    world.change_parts(names)
    parallel = ".github/hunkwise.yml"
    world.repository.git("checkout", "-q", "main")
    world.repository.commit({parallel: "version: 1\nchunk-size: 4000\nparallel: 1\n"})
    world.open()
    world.answer_with(by_file({name: report([finding(name, 2)]) for name in names}))
    result = world.run(inputs, code=4)
    assert len(world.model.requests) == 2
    assert result.outputs["model-calls"] == "2"
    assert result.outputs["coverage"] == "33"
    assert len(world.github.comments) == 2
    left = [file["path"] for file in result.report["coverage"]["files"] if file["reason"]]
    assert len(left) == 4
    for name in left:
        assert name in world.summary_comment
    assert "the budget ran out" in result.summary
    assert next(iter(inputs)) in result.warning_text


def test_deadline_ends_hanging_model_and_posts_findings(world: World) -> None:
    world.change_parts(
        ["slow.py", "quick.py"],
        script=by_file({"slow.py": Answer(delay=200), "quick.py": report([finding("quick.py", 2)])}),
    )
    partial = world.run({"deadline": "0.15"}, code=4)
    reasons = partial.reasons
    assert reasons == {"slow.py": "the deadline was reached", "quick.py": None}
    assert "`deadline`" in partial.warning_text
    assert [comment.path for comment in world.github.comments] == ["quick.py"]


def test_deadline_without_answer_fails_run(world: World) -> None:
    world.change(script=always(Answer(delay=200)))
    result = world.run({"deadline": "0.15"}, code=3)
    assert "`deadline`" in result.error_text


def test_change_of_skipped_files_posts_nothing(world: World) -> None:
    world.change(base={"package-lock.json": "{}\n"}, head={"package-lock.json": '{"a": 1}\n'})
    result = world.run(code=0)
    assert world.posted == ""
    assert [run.conclusion for run in world.github.check_runs] == ["success"]
    assert world.model.requests == []
    assert "nothing to review: every changed file is skipped" in result.summary
    assert "so nothing was posted" in result.summary
    assert "package-lock.json" in result.summary
    assert "lock file" in result.summary

"""On which rung of the ladder each finding of a run stands, by what GitHub and the runner were given."""

from __future__ import annotations

from tests.end_to_end.step import Result
from tests.end_to_end.world import World, finding, said
from tests.fakes.model_script import turns

LINE = finding(line=3, title="Fault on a line", severity="high")
FILE = finding(line=900, title="Fault in the file")
BODY = finding("other.py", 1, title="Fault elsewhere", severity="low")


def three_places(world: World) -> None:
    """Pull request 1, of which the model says three things: one for each kind of place."""
    world.change()
    world.answers(turns([said(LINE, FILE, BODY), said()]))


def standing(world: World, title: str) -> list[str]:
    """The rungs on GitHub that hold a finding, each as often as it does."""
    mark = f"**{title}**"
    comments = [thread.comments[0] for thread in world.github.threads]
    found = ["file" if one.subject_type == "file" else "inline" for one in comments if mark in one.body]
    found += ["body" for review in world.github.reviews for _ in range(review.body.count(f" · {title}\n"))]
    annotations = [note for run in world.github.check_runs for note in run.annotations]
    return found + ["annotation" for note in annotations if note["title"].partition(": ")[2] == title]


def where(world: World, result: Result) -> dict[str, str]:
    """The rung of each finding, as the report says it and as it is: nothing is elsewhere, and nothing twice."""
    rungs = {found["title"]: found["where"] for found in result.report["findings"]}
    for title, rung in rungs.items():
        below = rung in ("summary", "report")
        assert standing(world, title) == ([] if below else [rung]), title
        assert title in result.summary, title
    assert_agreement(world, result)
    return rungs


def places(world: World, result: Result) -> str:
    """`inline file body`: the rungs of the three findings."""
    rungs = where(world, result)
    return " ".join(rungs[str(one["title"])] for one in (LINE, FILE, BODY))


def assert_agreement(world: World, result: Result) -> None:
    """Check run, summary comment, outputs and warnings say the same of how it ended."""
    conclusion = {0: "success", 1: "failure", 4: "neutral"}[result.code]
    assert result.outputs["conclusion"] == result.report["conclusion"] == conclusion
    checks = [run for run in world.github.check_runs if run.status == "completed"]
    assert [run.conclusion for run in checks[-1:]] in ([], [conclusion])
    count = len(result.report["findings"])
    said_so = f"### hunkwise: {count} finding" if count else "### hunkwise: no"
    assert said_so in result.summary
    texts = [comment.body for comment in world.github.issue_comments]
    assert all(said_so in text for text in texts)
    assert len(texts) <= 1
    assert [review for review in world.github.reviews if review.state == "PENDING"] == []
    below = [
        found for found in result.report["findings"] if found["where"] in ("annotation", "summary", "report")
    ]
    if below and result.code == 0:
        assert "could not be posted on the change itself" in " ".join(result.commands("warning"))

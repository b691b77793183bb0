"""Checks where findings are posted: on lines of either side, on several lines, on the file, in the body."""

from __future__ import annotations

import pytest

from tests.end_to_end.world import World, finding, report_call
from tests.fakes.model_script import report, turns


def test_posts_on_either_side_on_several_lines_and_with_suggestions(world: World) -> None:
    world.change(
        script=report(
            [
                finding(line=20, side="LEFT", title="Removed too much"),
                finding(line=4, start_line=3, title="Two lines", suggestion="line(3)\nadded_line"),
                finding(line=30, title="No change", suggestion="thirty"),
            ],
            summary="Lines change.",
        )
    )
    result = world.run(code=0)
    by_title = {comment.body.split("**")[3]: comment for comment in world.github.comments}
    removed, two, same = (by_title[title] for title in ("Removed too much", "Two lines", "No change"))
    assert (removed.line, removed.side, removed.start_line) == (20, "LEFT", None)
    assert (two.start_line, two.line, two.side) == (3, 4, "RIGHT")
    assert "```suggestion\nline(3)\nadded_line\n```" in two.body
    assert "```suggestion" not in same.body
    assert "Lines change." in world.summary_comment
    assert {found["where"] for found in result.report["findings"]} == {"inline"}


def test_model_corrects_line_outside_of_the_diff(world: World) -> None:
    far, near = (report_call(finding(line=line, title="Far off")) for line in (900, 4))
    world.change(script=turns([far, near]))
    result = world.run(code=0)
    assert [(comment.line, comment.subject_type) for comment in world.github.comments] == [(4, "line")]
    (answer,) = world.model.requests[1].tool_results
    assert "line 900 of app.py is not in the diff" in answer
    assert "3–4" in answer
    assert len(world.model.requests) == 2
    assert len(result.report["findings"]) == 1


@pytest.mark.parametrize("repeats", [True, False], ids=["repeats it", "omits it"])
def test_finding_that_model_does_not_correct_is_on_file_or_in_body(world: World, repeats: bool) -> None:
    answer = report_call(
        finding(line=900, title="Somewhere here"), finding("other.py", 1, title="In another file"), finding()
    )
    world.change(script=turns([answer] if repeats else [answer, report_call()]))
    result = world.run(code=0)
    assert len(world.model.requests) == 2
    kinds = {comment.subject_type: comment for comment in world.github.comments}
    assert "Somewhere here" in kinds["file"].body
    assert kinds["line"].line == 3
    assert "In another file" in world.github.reviews[0].body
    levels = {found["title"]: found["where"] for found in result.report["findings"]}
    assert levels == {"Somewhere here": "file", "In another file": "body", "Fault at app.py:3": "inline"}
    assert ("Somewhere here" in result.journal) == repeats
    assert result.outputs["coverage"] == "100"


def test_keeps_readable_parts_of_malformed_finding(world: World) -> None:
    odd = {"path": "app.py", "line": "three", "severity": "apocalyptic", "title": "Odd", "body": "x"}
    world.change(script=turns([report_call(finding(), odd), report_call()]))
    world.run(code=0)
    kinds = {comment.subject_type: comment for comment in world.github.comments}
    assert kinds["line"].line == 3
    assert "Odd" in kinds["file"].body
    (answer,) = world.model.requests[1].tool_results
    assert "severity" in answer
    assert "line" in answer

"""Where findings end: on lines of either side, on several lines, on the file, in the body."""

from __future__ import annotations

from tests.end_to_end.world import World, finding, said
from tests.fakes.model_script import report, turns


def test_findings_stand_on_either_side_on_several_lines_and_with_suggestions(world: World) -> None:
    world.change()
    world.answers(
        report(
            [
                finding(line=20, side="LEFT", title="Removed too much"),
                finding(line=4, start_line=3, title="Two lines", suggestion="third line\nadded line"),
                finding(line=30, title="No change", suggestion="thirty"),
            ],
            summary="Lines change.",
        )
    )
    result = world.run()
    assert result.code == 0
    by_title = {comment.body.split("**")[3]: comment for comment in world.github.comments}
    removed, two, same = (by_title[title] for title in ("Removed too much", "Two lines", "No change"))
    assert (removed.line, removed.side, removed.start_line) == (20, "LEFT", None)
    assert (two.start_line, two.line, two.side) == (3, 4, "RIGHT")
    assert "```suggestion\nthird line\nadded line\n```" in two.body
    assert "```suggestion" not in same.body
    assert "Lines change." in world.summary_comment
    assert {found["where"] for found in result.report["findings"]} == {"inline"}


def test_a_line_outside_of_the_diff_is_mended_when_the_model_is_told(world: World) -> None:
    world.change()
    world.answers(turns([said(finding(line=900, title="Far off")), said(finding(line=4, title="Far off"))]))
    result = world.run()
    assert result.code == 0
    assert [(comment.line, comment.subject_type) for comment in world.github.comments] == [(4, "line")]
    (told,) = world.model.requests[1].tool_results
    assert "line 900 of app.py is not in the diff" in told
    assert "3–4" in told
    assert len(world.model.requests) == 2
    assert len(result.report["findings"]) == 1


def test_what_the_model_does_not_mend_is_kept_on_the_file_or_in_the_body(world: World) -> None:
    world.change()
    answer = said(
        finding(line=900, title="Somewhere here"), finding("other.py", 1, title="In another file"), finding()
    )
    world.answers(turns([answer]))
    result = world.run()
    assert result.code == 0
    assert len(world.model.requests) == 2
    kinds = {comment.subject_type: comment for comment in world.github.comments}
    assert "Somewhere here" in kinds["file"].body
    assert kinds["line"].line == 3
    assert "In another file" in world.github.reviews[0].body
    where = {found["title"]: found["where"] for found in result.report["findings"]}
    assert where == {"Somewhere here": "file", "In another file": "body", "Fault at app.py:3": "inline"}
    assert [line for line in result.journal.splitlines() if "Somewhere here" in line] != []


def test_a_finding_of_a_senseless_shape_is_told_back_and_what_is_readable_is_kept(world: World) -> None:
    world.change()
    senseless = {"path": "app.py", "line": "three", "severity": "apocalyptic", "title": "Odd", "body": "x"}
    world.answers(turns([said(finding(), senseless), said()]))
    result = world.run()
    assert result.code == 0
    kinds = {comment.subject_type: comment for comment in world.github.comments}
    assert kinds["line"].line == 3
    assert "Odd" in kinds["file"].body
    (told,) = world.model.requests[1].tool_results
    assert "severity" in told
    assert "line" in told


def test_a_model_that_leaves_out_what_it_was_told_has_reviewed_all_the_same(world: World) -> None:
    world.change()
    world.answers(report([finding(), finding(line=900, title="Somewhere here")]))
    result = world.run()
    assert result.code == 0
    assert result.outputs["coverage"] == "100"
    assert {found["where"] for found in result.report["findings"]} == {"inline", "file"}

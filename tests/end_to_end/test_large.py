"""Reviews large pull requests with few requests, and counts what is not reviewed."""

from __future__ import annotations

import pytest

from tests.end_to_end.prompts import paths_in
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import report


def small_files(count: int, lines: int = 3) -> dict[str, str | bytes | None]:
    """Returns small new files, in folders of a hundred."""
    body = "".join(f"value_{line} = {line}\n" for line in range(lines))
    return {f"pkg{n // 100:02}/mod{n:04}.py": body for n in range(count)}


@pytest.mark.parametrize(("count", "requests"), [(60, 11), (1_200, 23)])
def test_covers_large_pull_request_with_few_requests(world: World, count: int, requests: int) -> None:
    """Without a checkout: two of the requests read the base, and AGENTS.md in the changed folders."""
    world.change({"README": "x\n"}, small_files(count))
    last = f"pkg{(count - 1) // 100:02}/mod{count - 1:04}.py"
    world.answer_with(report([finding("pkg00/mod0000.py", 2), finding(last, 3)]))
    result = world.run(code=0)
    assert result.outputs["coverage"] == "100"
    assert result.report["coverage"]["complete"]
    assert result.report["coverage"]["reviewed_lines"] == 3 * count
    assert {comment.path for comment in world.github.comments} == {"pkg00/mod0000.py", last}
    assert len(world.github.journal) <= requests
    shown = [path for request in world.model.requests for path in paths_in(request)]
    assert sorted(shown) == sorted(small_files(count))


def test_checkout_is_read_where_github_cannot_make_the_diff(world: World) -> None:
    world.change(script=report([finding()]))
    message = "There was a problem generating this diff: not_available"
    world.github.fault("GET", "/pulls/1/files$", status=422, body={"message": message}, times=2)
    without = world.run(code=3)
    assert message in without.error_text
    assert "fetch-depth: 0" in without.error_text
    result = world.run(workspace=world.repository.path, code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert any(message in note for note in result.report["notes"])


def test_files_beyond_githubs_list_need_a_checkout(world: World) -> None:
    count = 3_050
    world.change({"README": "x\n"}, small_files(count, lines=1))
    without = world.run(code=4)
    assert without.outputs["coverage"] == "99"
    assert without.report["coverage"]["unlisted_files"] == 50
    assert "GitHub did not list 50 of them." in without.summary
    assert "GitHub did not list 50 of them." in world.summary_comment
    assert "50 files" in without.warning_text
    gated = world.run({"min-coverage": "100"}, workspace=world.repository.path, code=0)
    assert gated.outputs["coverage"] == "100"
    assert gated.report["coverage"]["reviewed_lines"] == count

"""Large pull requests: everything is covered with few requests, or what is not is counted."""

from __future__ import annotations

import pytest

from tests.end_to_end.prompts import paths_in
from tests.end_to_end.world import World, finding
from tests.fakes.model_script import report


def many(count: int, lines: int = 3) -> dict[str, str | bytes | None]:
    """Small new files, in folders of a hundred."""
    body = "".join(f"value_{line} = {line}\n" for line in range(lines))
    return {f"pkg{n // 100:02}/mod{n:04}.py": body for n in range(count)}


@pytest.mark.parametrize(("count", "requests"), [(60, 10), (1_200, 22)])
def test_a_large_pull_request_is_covered_whole_with_few_requests(
    world: World, count: int, requests: int
) -> None:
    """Nothing is checked out: two of the requests read the base, and AGENTS.md in the folders of the change."""
    world.change({"README": "x\n"}, many(count))
    last = f"pkg{(count - 1) // 100:02}/mod{count - 1:04}.py"
    world.answers(report([finding("pkg00/mod0000.py", 2), finding(last, 3)]))
    result = world.run()
    assert result.code == 0
    assert result.outputs["coverage"] == "100"
    assert result.report["coverage"]["complete"]
    assert result.report["coverage"]["reviewed_lines"] == 3 * count
    assert {comment.path for comment in world.github.comments} == {"pkg00/mod0000.py", last}
    assert len(world.github.journal) <= requests
    shown = [path for request in world.model.requests for path in paths_in(request)]
    assert sorted(shown) == sorted(many(count))


def test_files_beyond_githubs_list_come_from_the_checkout_or_are_counted_as_not_reviewed(
    world: World,
) -> None:
    count = 3_050
    world.change({"README": "x\n"}, many(count, lines=1))
    without = world.run()
    assert without.code == 4
    assert without.outputs["coverage"] == "99"
    assert without.report["coverage"]["unlisted_files"] == 50
    assert "50 more files" in without.summary
    assert "50 more files" in world.summary_comment
    assert "50 files" in " ".join(without.commands("warning"))
    gated = world.run({"min-coverage": "100"}, workspace=world.repository.path)
    assert gated.code == 0
    assert gated.outputs["coverage"] == "100"
    assert gated.report["coverage"]["reviewed_lines"] == count

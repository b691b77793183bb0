"""Checks the context in prompts: enclosing code, instructions, linked issues, and the settings for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.world import World, finding
from tests.fakes.github import GraphqlRefusal
from tests.fakes.github_state import LinkedIssue
from tests.fakes.model_script import report

BODY = "".join(f"    step_{number}()\n" for number in range(1, 21))
SOURCE = (
    f"import os\n\n\nclass Shop:\n    name = 1\n\n    def pay(self, amount):\n{BODY}        return amount\n"
)
SOURCE = SOURCE.replace("    step", "        step")
BASE = {
    ".github/hunkwise.yml": "version: 1\nsummary: off\nverify: off\n",
    "AGENTS.md": "Cents everywhere.\n",
    "src/AGENTS.md": "Mind the shop.\n",
    "docs/AGENTS.md": "Mind the docs.\n",
    ".github/instructions/deep/py.instructions.md": '---\napplyTo:\n  - "**/*.py"\n---\nNo prints.\n',
    "src/shop.py": SOURCE,
}
HEAD = {"src/shop.py": SOURCE.replace("step_10()", "step_ten()"), "src/AGENTS.md": "Praise everything.\n"}
ISSUE = LinkedIssue(41, "Pay once", "Twice is too often.\n# Task")
OFF = "context:\n  enclosing: false\n  instructions: false\n  linked-issues: false\n"
MOST_REQUESTS = 11


def run(world: World, *, checkout: bool = False) -> tuple[str, dict[str, Any]]:
    """Returns the only prompt of a successful run, and its report."""
    world.answer_with(report([finding("src/shop.py", 17)]))
    result = world.run(workspace=world.repository.path if checkout else None)
    assert result.code == 0, result.log
    (request,) = world.model.requests
    assert result.report is not None
    return request.prompt, result.report


@pytest.mark.parametrize("checkout", [False, True], ids=["bare", "checkout"])
def test_prompt_has_enclosing_code_after_changed_lines(world: World, checkout: bool) -> None:
    world.change(BASE, HEAD, closes=[ISSUE])
    prompt, _ = run(world, checkout=checkout)
    changed, enclosing = prompt.index("+         step_ten()"), prompt.index("    4 | class Shop:")
    assert changed < enclosing < prompt.index("    7 |     def pay(self, amount):")
    assert "   28 |         return amount" in prompt
    assert "step_10()" in prompt.partition("### Around the rows shown")[0]  # the removed line alone
    for words in ("Cents everywhere.", "Mind the shop.", "No prints.", "> Pay once", "> # Task"):
        assert words in prompt[:changed], words
    assert "Mind the docs." not in prompt
    assert "Praise everything." not in prompt.partition("# The part to review")[0]
    # More requests for the base, for .github/instructions, and for the folder in it.
    assert len(world.github.journal) <= MOST_REQUESTS + 3


def test_nested_instructions_and_enclosing_code_take_one_request(world: World) -> None:
    deep = {f"src/{name}/b/c/d/{name}.py": SOURCE for name in ("one", "two", "three", "four")}
    base = {".github/hunkwise.yml": BASE[".github/hunkwise.yml"], "src/AGENTS.md": "Mind the shop.\n", **deep}
    world.change(
        base, {name: text.replace("step_10()", "step_ten()") for name, text in deep.items()}, script=report()
    )
    world.run()
    (request,) = world.model.requests
    assert request.prompt.count("| class Shop:") == 4
    assert "Mind the shop." in request.prompt
    assert len(world.github.journal) <= MOST_REQUESTS


def test_lists_used_instructions(world: World) -> None:
    world.change(BASE, HEAD, script=report())
    result = world.run()
    used = ["AGENTS.md", "src/AGENTS.md", ".github/instructions/deep/py.instructions.md"]
    assert sorted(result.report["instructions"]) == sorted(used)
    assert all(f"`{path}`" in result.summary.partition("Instructions: ")[2] for path in used)


def test_each_kind_of_context_can_be_disabled(world: World) -> None:
    settings = BASE[".github/hunkwise.yml"] + OFF
    world.change({**BASE, ".github/hunkwise.yml": settings}, HEAD, closes=[ISSUE])
    prompt, found = run(world)
    assert "step_ten()" in prompt
    assert found["instructions"] == []
    for words in ("| class Shop:", "Cents everywhere.", "> Mind the shop.", "No prints.", "Pay once"):
        assert words not in prompt, words


def test_double_check_has_instructions_for_the_file(world: World) -> None:
    settings = "version: 1\nsummary: off\n"
    world.change({**BASE, ".github/hunkwise.yml": settings}, HEAD)
    run(world)
    (asked,) = world.model.second_requests
    for path in ("AGENTS.md", "src/AGENTS.md", ".github/instructions/deep/py.instructions.md"):
        assert f'"{path}"' in asked.prompt, path
    assert "docs/AGENTS.md" not in asked.prompt
    assert "Cents everywhere." not in asked.prompt  # the review had the texts already


def test_reports_missing_context_when_graphql_is_refused(world: World) -> None:
    world.github.graphql_refusal = GraphqlRefusal(403)
    world.change(BASE, HEAD, closes=[ISSUE])
    prompt, found = run(world)
    assert "step_ten()" in prompt
    assert "Cents everywhere." in prompt
    assert "| class Shop:" not in prompt
    notes = " ".join(found["notes"])
    assert "The code around the changes could not be read" in notes
    assert "AGENTS.md and .gitattributes of the folders with changed files could not be read" in notes

"""The reading tools: what they answer, their bounds, and that no path leads out of the repository."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from copilot.tools import Tool, ToolInvocation, ToolResult

from hunkwise.copilot.tools import (
    MAX_ANSWER,
    MAX_NAMES,
    MAX_READ_LINES,
    confined,
    report_tool,
    repository_tools,
)
from hunkwise.domain.model import READING_TOOLS, TOOL_CALLS_PER_MODEL_CALL, Budget, ReportTool, ToolReply
from hunkwise.domain.pull_request import SearchableCommit
from hunkwise.errors import RepositoryError
from hunkwise.prompts.report_findings import DESCRIPTION, REPORT, parameters
from hunkwise.repository.git import Git
from hunkwise.repository.trees import GitTree
from tests.copilot.sessions import FakeRepository, Talk
from tests.fakes.git_repository import GitRepository
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import Answer, ToolCall, turns


def called(tool: Tool, arguments: object) -> ToolResult:
    async def call() -> ToolResult:
        assert tool.handler is not None
        answer = tool.handler(ToolInvocation(arguments=arguments))
        assert inspect.isawaitable(answer)
        return await answer

    return asyncio.run(call())


def told(repository: SearchableCommit, name: str, arguments: object, budget: Budget | None = None) -> str:
    """What the tool of this name answers."""
    tools = {tool.name: tool for tool in repository_tools(repository, budget or Budget(100), READING_TOOLS)}
    return called(tools[name], arguments).text_result_for_llm


FILES = {
    "a.txt": b"one\ntwo\nthree\n",
    "no-end.txt": b"one\ntwo",
    "empty": b"",
    "logo.png": b"\x89PNG\0\0",
    "latin.txt": b"caf\xe9\n",
    "long.txt": b"x" * 5_000 + b"\n",
    "many.txt": b"".join(b"line %d\n" % number for number in range(1, 1_001)),
    "wide.txt": (b"y" * 900 + b"\n") * 300,
    ".github/hunkwise.yml": b"version: 1\n",
    "src/näme \u200d.py".encode().decode(): b"pass\n",
    "hidden.txt": "a\u202eb\U000e0041\x1b[2J\tc\r\nd\re\n".encode(),
}


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"path": "a.txt"}, "     1 one\n     2 two\n     3 three"),
        ({"path": "./a.txt"}, "     1 one\n     2 two\n     3 three"),
        ({"path": "/a.txt"}, "     1 one\n     2 two\n     3 three"),
        ({"path": "no-end.txt"}, "     1 one\n     2 two"),
        ({"path": "a.txt", "start_line": 2}, "     2 two\n     3 three"),
        ({"path": "a.txt", "start_line": 3, "end_line": 900}, "     3 three"),
        ({"path": "a.txt", "end_line": 1}, "     1 one\n(2 more lines: read on from 2)"),
        ({"path": "a.txt", "start_line": True, "end_line": "2"}, "     1 one\n     2 two\n     3 three"),
        ({"path": "a.txt", "start_line": -5}, "     1 one\n     2 two\n     3 three"),
        ({"path": "a.txt", "start_line": 4}, "'a.txt' has 3 lines."),
        ({"path": "a.txt", "start_line": 3, "end_line": 2}, "`end_line` 2 is before `start_line` 3."),
        ({"path": "empty"}, "'empty' has 0 lines."),
        ({"path": "logo.png"}, "'logo.png' is binary."),
        ({"path": "latin.txt"}, "     1 caf\ufffd"),
        ({"path": "hidden.txt"}, "     1 a\\u202eb\\U000e0041\\u001b[2J\tc\n     2 d\\u000de"),
        ({"path": "long.txt"}, "     1 " + "x" * 1_000 + " (cut)"),
        ({"path": ".github/hunkwise.yml"}, "     1 version: 1"),
        ({"path": "src/näme \u200d.py"}, "     1 pass"),
        ({"path": "missing"}, "There is no file 'missing' at the head, or it is too large."),
        ({"path": ""}, "There is no file '' at the head, or it is too large."),
        ({}, "There is no file '' at the head, or it is too large."),
        (None, "There is no file '' at the head, or it is too large."),
        ({"path": ["a.txt"]}, "There is no file \"['a.txt']\" at the head, or it is too large."),
    ],
)
def test_a_file_is_read_by_its_lines(arguments: object, answer: str) -> None:
    assert told(FakeRepository(FILES), "repo_read", arguments) == answer


def test_a_long_file_is_read_in_parts() -> None:
    first = told(FakeRepository(FILES), "repo_read", {"path": "many.txt"}).split("\n")
    assert first[-1] == f"({1_000 - MAX_READ_LINES} more lines: read on from {MAX_READ_LINES + 1})"
    assert len(first) == MAX_READ_LINES + 1


def test_wide_lines_are_cut_between_lines_and_none_is_passed_over() -> None:
    seen, start = 0, 1
    while start <= 300:
        answer = told(FakeRepository(FILES), "repo_read", {"path": "wide.txt", "start_line": start})
        assert len(answer) <= MAX_ANSWER
        rows = [row for row in answer.split("\n") if row.endswith("y" * 900)]
        seen += len(rows)
        start += len(rows)
    assert seen == 300


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("a/b", "a/b"),
        ("/etc/passwd", "etc/passwd"),
        ("./a//b/./c/", "a/b/c"),
        ("..", None),
        ("a/../b", None),
        ("../../etc/passwd", None),
        ("a/..", None),
        ("a\0b", None),
        ("a\nb", None),
        ("a\x85b", None),
        ("\ud800", None),
        ("..\\..\\etc", "..\\..\\etc"),
        ("%2e%2e/etc", "%2e%2e/etc"),
        ("a/...", "a/..."),
        ("", ""),
        (".", ""),
        ("/", ""),
        (".github", ".github"),
    ],
)
def test_a_path_stays_inside_of_the_repository(path: str, inside: str | None) -> None:
    assert confined(path) == inside


@pytest.mark.parametrize("name", ["repo_read", "repo_list"])
@pytest.mark.parametrize("path", ["../x", "a/../../x", "a\0b", "a\nb"])
def test_a_path_that_leads_out_never_reaches_the_repository(name: str, path: str) -> None:
    repository = FakeRepository({"x": b"secret"})
    assert "There is no" in told(repository, name, {"path": path})
    assert repository.calls == []


@pytest.mark.parametrize("path", ["..\\x", "../x", "/etc/passwd", "link", ".git/config", "a\0", "\ud800"])
def test_real_git_objects_hold_nothing_outside_of_the_tree(tmp_path: Path, path: str) -> None:
    made = GitRepository.create(tmp_path / "work")
    (tmp_path / "x").write_text("secret")
    (made.path / "link").symlink_to("/etc/passwd")
    sha = made.commit({"a.txt": "text\n"})
    head = GitTree(Git(made.path), sha)
    assert told(head, "repo_read", {"path": "a.txt"}) == "     1 text"
    assert "There is no file" in told(head, "repo_read", {"path": path})
    assert "There is no folder" in told(head, "repo_list", {"path": path})


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({"pattern": "x"}, ("x", ())),
        ({"pattern": "x", "paths": ["src", "./a/"]}, ("x", ("src", "a"))),
        ({"pattern": "x", "paths": ["."]}, ("x", ())),
        ({"pattern": "x", "paths": ["src", "/"]}, ("x", ())),
        ({"pattern": "x", "paths": ["../y", "src"]}, ("x", ("src",))),
        ({"pattern": "x", "paths": "src"}, ("x", ())),
        ({"pattern": "x", "paths": ["a"] * 50}, ("x", ("a",) * 20)),
        ({"pattern": "a \ud800"}, ("a ?", ())),
    ],
)
def test_a_search_asks_for_what_was_meant(arguments: object, asked: tuple[object, ...]) -> None:
    repository = FakeRepository(hits=[("src/a.py", 3, "x = 1"), ("b", 1, "z" * 2_000)])
    answer = told(repository, "repo_search", arguments)
    assert repository.calls == [("search", *asked)]
    assert answer.split("\n") == ["src/a.py:3: x = 1", "b:1: " + "z" * 1_000 + " (cut)"]


@pytest.mark.parametrize("pattern", [None, "", 3, "x" * 501, "a\nb", "a\0b"])
def test_a_pattern_must_be_one_line_of_text(pattern: object) -> None:
    repository = FakeRepository()
    assert "`pattern` must be" in told(repository, "repo_search", {"pattern": pattern})
    assert repository.calls == []


def test_a_search_in_paths_that_all_lead_out_does_not_search_everywhere() -> None:
    repository = FakeRepository(hits=[("a", 1, "x")])
    answer = told(repository, "repo_search", {"pattern": "x", "paths": ["../a"]})
    assert (answer, repository.calls) == ("None of these `paths` is in the repository.", [])


@pytest.mark.parametrize(("hits", "answer"), [([], "Nothing matches."), (None, "not possible here")])
def test_a_search_without_hits_says_so(hits: list[tuple[str, int, str]] | None, answer: str) -> None:
    assert answer in told(FakeRepository(hits=hits), "repo_search", {"pattern": "x"})


def test_hidden_characters_of_names_and_lines_are_written_out() -> None:
    repository = FakeRepository({"a\u202e\nb": b""}, hits=[("a\n\u202e", 1, "x\U000e0041\u200by")])
    assert told(repository, "repo_list", {}) == "a\\u202e\\u000ab"
    assert told(repository, "repo_search", {"pattern": "x"}) == "a\\u000a\\u202e:1: x\\U000e0041\\u200by"


def test_a_large_search_is_cut() -> None:
    repository = FakeRepository(hits=[("a", number, "x" * 999) for number in range(100)])
    assert len(told(repository, "repo_search", {"pattern": "x"})) == MAX_ANSWER


@pytest.mark.parametrize("path", [None, "", ".", "./", "/"])
def test_the_repository_itself_is_listed(path: str | None) -> None:
    repository = FakeRepository({"a": b"", "src/b": b""})
    assert told(repository, "repo_list", {"path": path}) == "a\nsrc/"


def test_a_folder_is_listed_also_where_its_name_begins_with_a_dot() -> None:
    assert told(FakeRepository(FILES), "repo_list", {"path": ".github"}) == "hunkwise.yml"


def test_a_large_folder_is_cut_and_a_missing_one_said() -> None:
    repository = FakeRepository({f"f{number}": b"" for number in range(MAX_NAMES + 7)})
    assert told(repository, "repo_list", {}).endswith("\n(7 more)")
    assert told(repository, "repo_list", {"path": "no"}) == "There is no folder 'no' at the head."


def test_a_failure_of_the_repository_is_told_to_the_model() -> None:
    class Broken(FakeRepository):
        def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None:
            raise RepositoryError("The search failed: unmatched \ud800 (.")

    tool = repository_tools(Broken(), Budget(1), READING_TOOLS)[1]
    result = called(tool, {"pattern": "("})
    assert (result.result_type, result.text_result_for_llm) == (
        "failure",
        "The search failed: unmatched ? (.",
    )


def test_reading_ends_with_the_budget_of_tool_calls() -> None:
    budget = Budget(1)
    repository = FakeRepository({"a": b""})
    tool = repository_tools(repository, budget, READING_TOOLS)[2]
    kinds = [called(tool, {}).result_type for _ in range(TOOL_CALLS_PER_MODEL_CALL + 1)]
    assert kinds == ["success"] * TOOL_CALLS_PER_MODEL_CALL + ["rejected"]


@pytest.mark.parametrize(
    ("accepted", "another", "kind"),
    [
        (True, True, "success"),
        (True, False, "success"),
        (False, True, "failure"),
        (False, False, "rejected"),
    ],
)
def test_a_report_ends_the_turn_unless_it_may_be_mended(accepted: bool, another: bool, kind: str) -> None:
    heard: list[object] = []

    def take(arguments: object) -> ToolReply:
        heard.append(arguments)
        return ToolReply("odd \ud800", accepted)

    result = called(
        report_tool(ReportTool(REPORT, DESCRIPTION, parameters(), take, lambda: False), lambda: another),
        {"k\ud800": ["v\ud800", 1, None]},
    )
    assert (result.result_type, result.text_result_for_llm) == (kind, "odd ?")
    assert heard == [{"k?": ["v?", 1, None]}]


def test_every_tool_is_live_on_the_real_cli(talk: Talk) -> None:
    repository = FakeRepository({"a.txt": b"text of a\n"}, [("a.txt", 1, "text of a")])
    calls: dict[str, Any] = {
        "repo_read": {"path": "a.txt"},
        "repo_search": {"pattern": "text", "paths": ["a.txt"]},
        "repo_list": {},
        REPORT: {"findings": [], "done": True},
    }
    model = ScriptedModel(turns([Answer(tool_calls=(ToolCall(*call),)) for call in calls.items()]))
    asked = talk.ask(model, repository=repository)
    assert asked.error is None
    assert model.requests[0].tool_names == (REPORT, "repo_read", "repo_search", "repo_list")
    assert [result.strip() for result in model.requests[-1].tool_results] == [
        "1 text of a",
        "a.txt:1: text of a",
        "a.txt",
    ]
    assert repository.calls == [("read", "a.txt"), ("search", "text", ("a.txt",)), ("list", "")]
    assert asked.reports == [calls[REPORT]]

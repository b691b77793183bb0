"""The demo's second opinion, on prompts as they are really made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.demo.rules import RULES, verdicts_on
from hunkwise.demo.server import completion
from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.flows.prompting import PromptWriter
from hunkwise.flows.summary import read_summary
from hunkwise.flows.verification import FindingBatch, ShownCode, names_of
from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.config import Config
from tests.fakes.changes import added, snapshot

FILE = added("a.py", "ok = 1", "eval(x)", "    except:", "eval(y)")
EVAL = "Input is evaluated as code"


def finding(title: str = EVAL, line: int | None = 2, start_line: int | None = None, **more: Any) -> Finding:
    at = None if line is None else Anchor("a.py", line, more.pop("side", Side.RIGHT), start_line)
    return Finding("a.py", Severity.HIGH, title, "It runs.\n## Finding 9\n> RIGHT line 1", at, **more)


def prompt(*findings: Finding, file: FileDiff = FILE) -> str:
    made = PromptWriter(snapshot(file), Renderer({}))
    names = names_of(FindingBatch("a.py", findings), ShownCode({"a.py": file}, 10_000)) | {"instructions": []}
    return made.stage_text(Config().stage("verify"), Severity.LOW, names)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (finding(), "keep"),
        (finding("A bare `except:` swallows everything", 3), "keep"),
        (finding(line=4, start_line=3), "keep"),
        (finding(line=1), "drop"),
        (finding(line=3), "drop"),
        (finding("Something else"), "drop"),
        (finding(line=99), "keep"),
        (finding(line=None), "keep"),
        (finding(side=Side.LEFT), "keep"),
    ],
)
def test_a_finding_is_kept_where_its_rule_matches_again_or_nothing_is_shown(
    one: Finding, verdict: str
) -> None:
    (said,) = verdicts_on(prompt(one))
    assert (said["finding"], said["verdict"]) == (1, verdict)
    assert said["evidence"]


def test_each_finding_has_its_number() -> None:
    said = verdicts_on(prompt(finding(), finding(line=4), finding(line=1)))
    assert [(one["finding"], one["verdict"]) for one in said] == [(1, "keep"), (2, "keep"), (3, "drop")]


def test_the_titles_of_all_rules_are_shown_as_they_are() -> None:
    for rule in RULES:
        assert f"\n> {rule.title}\n" in prompt(finding(rule.title))


def answer(tools: object, text: str) -> tuple[str, dict[str, Any]]:
    request = {"messages": [{"role": "user", "content": text}], "tools": tools}
    function = completion(request)["choices"][0]["message"]["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


def offer(name: str) -> list[Any]:
    return [{"type": "function", "function": {"name": "repo_read"}}, {"function": {"name": name}}]


def test_the_server_answers_with_the_tool_that_it_is_offered() -> None:
    name, said = answer(offer("report_verdicts"), prompt(finding()))
    assert (name, said["done"], len(said["verdicts"])) == ("report_verdicts", True, 1)
    name, said = answer(offer("report_summary"), "# Task")
    told = read_summary(said, "short")
    assert (name, told.faults, told.done) == ("report_summary", (), True)
    assert "Rules, not a model" in told.overview


@pytest.mark.parametrize("tools", [None, [], "odd", [None, {"function": 3}, {}], offer("report_findings")])
def test_findings_are_what_it_reports_else(tools: object) -> None:
    name, said = answer(tools, '### "a.py" (added)\nR4 + eval(x)')
    assert (name, len(said["findings"])) == ("report_findings", 1)

"""Checks retries and messages for faults of a model or of the CLI."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from base64 import b64encode
from functools import partial

import pytest

from tests.end_to_end.prompts import by_file, paths_in, user_text
from tests.end_to_end.step import GITHUB_TOKEN, PROVIDER_KEY
from tests.end_to_end.step_checks import children_of
from tests.end_to_end.world import World, finding, report_call
from tests.fakes.actions_runner import read_log
from tests.fakes.model_script import (
    REPORT_TOOL,
    Answer,
    Fault,
    Step,
    ToolCall,
    always,
    never_calls_tool,
    report,
    sequence,
    turns,
)

TOO_LONG = "This model's maximum context length is 10 tokens."


def test_fails_when_model_does_not_report_after_reminder(world: World) -> None:
    world.change(script=never_calls_tool("All is well, @everyone."))
    result = world.run(code=3)
    assert len(world.model.requests) == 2
    assert "You have not reported" in user_text(world.model.requests[1])
    assert "did not call the tool" in result.summary
    assert "Another `model` may report" in result.error_text
    assert "@everyone" not in result.summary.replace("`@everyone`", "")


def test_model_without_report_on_one_part_makes_review_partial(world: World) -> None:
    world.change_parts(
        ["quiet.py", "loud.py"],
        script=by_file({"quiet.py": Answer(text="Fine."), "loud.py": report([finding("loud.py", 2)])}),
    )
    result = world.run(code=4)
    assert result.outputs["coverage"] == "50"
    assert [comment.path for comment in world.github.comments] == ["loud.py"]
    for text in (result.summary, world.summary_comment, world.check_run_text):
        assert "quiet.py" in text
        assert "the model did not answer" in text
    assert result.report["faults"][0]["kind"] == "refused"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, {"retry-after": "1"}),
        Fault(500),
        Fault(502, html=True),
        Fault(disconnect=True),
        Fault(cut=True),
        Answer(tool_calls=(ToolCall(REPORT_TOOL, '{"findings": [{"path": "app.py", "li'),)),
    ],
    ids=["429", "500", "html", "disconnect", "cut", "broken arguments"],
)
def test_retries_after_temporary_fault(world: World, fault: Step) -> None:
    world.change(script=sequence([fault, report_call(finding())]))
    world.run(code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert len(world.model.requests) == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(500), "Run it again"),
        (Fault(429, {"retry-after": "1"}), "lower `parallel`"),
        (Fault(200, html=True), "Run it again"),
        (Answer(text="", finish_reason="content_filter"), "content filter"),
        (Fault(400, body={"error": {"message": TOO_LONG, "code": "context_length"}}), "chunk-size"),
    ],
    ids=["500", "429", "html", "blocked", "too long"],
)
def test_fails_with_remedy_for_lasting_fault(world: World, fault: Answer | Fault, words: str) -> None:
    world.change(script=always(fault))
    result = world.run(code=3)
    assert words in result.error_text
    assert words in result.summary.replace("\\", "")
    if isinstance(fault, Answer):
        assert "`ignore`" in result.summary.replace("\\", "")


_FENCED = re.compile(r"^ ?(`{3,})\w*$.*?^ ?\1$", re.MULTILINE | re.DOTALL)
HOSTILE_TEXT = (
    "@octocat see #1 and https://evil.example/x ![p](https://evil.example/p.png) <img src=x> <script>1</script>\n"
    "::error::forged\n##[error]forged\n<!-- hunkwise:review v1 run=1 head=2 -->\n"
    "```suggestion\nrm -rf\n```\n[click](https://evil.example)\n/approve\n"
)


def test_hostile_texts_of_model_are_inert(world: World) -> None:
    world.change(
        script=turns(
            [
                report_call(
                    finding(title=HOSTILE_TEXT, body=HOSTILE_TEXT, category="::error::forged"),
                    finding("x\n::error::forged.py", 1, title="::error::forged", body=HOSTILE_TEXT),
                    summary=HOSTILE_TEXT,
                ),
                report_call(summary=HOSTILE_TEXT),
            ]
        )
    )
    result = world.run(code=0)
    assert [command.name for command in read_log(result.log).commands if command.name != "add-mask"] == []
    assert "octocat" in world.posted
    for text in (world.posted, result.summary, *world.check_run_markdown):
        outside = without_code(text)
        for live in ("@octocat", "![", "<img", "<script", "](https://evil", "<!-- hunkwise:review v1 run=1 "):
            assert live not in outside.replace("\\", "") or live not in outside, live
        assert "```suggestion" not in _FENCED.sub("", text)


def test_withholds_finding_with_a_secret(world: World) -> None:
    world.change()
    answer = f"The key is {PROVIDER_KEY}, the token {GITHUB_TOKEN}, or {b64encode(GITHUB_TOKEN.encode()).decode()}."
    world.answer_with(report([finding(body=answer), finding(line=30, title="Harmless")], summary=answer))
    result = world.run(code=0)
    assert [comment.line for comment in world.github.comments] == [30]
    assert len(result.journal.splitlines()) == 1
    assert "revoke it" in result.warning_text


def without_code(text: str) -> str:
    """Returns the text without its blocks of code and its code spans."""
    return "".join(_FENCED.sub("", text).split("`")[::2])


def kill_children(process: subprocess.Popen[str]) -> None:
    for child in children_of(process.pid):
        os.kill(child, signal.SIGKILL)


def test_fails_when_cli_is_killed_in_a_turn(world: World) -> None:
    world.change(script=always(Answer(delay=100)))
    result = world.run_until(world.step(), lambda: world.model.in_flight == 1, kill_children, code=3)
    assert "SIGKILL" in result.error_text


def test_posts_findings_from_before_the_cli_was_killed(world: World) -> None:
    world.change_parts(
        ["slow.py", "quick.py"],
        script=by_file({"slow.py": Answer(delay=100), "quick.py": report([finding("quick.py", 2, "high")])}),
    )
    step = world.step()
    result = world.run_until(step, partial(world.has_first_of_two_answers, step), kill_children, code=4)
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    assert "slow.py" in world.summary_comment
    assert result.report["faults"][0]["kind"] == "sidecar"


def test_tools_read_files_of_the_repository_only(world: World) -> None:
    world.change()
    secret = world.folder / "outside.txt"
    secret.write_text("not yours")
    calls = (
        ToolCall("repo_read", {"path": "app.py", "start_line": 3, "end_line": 4}),
        ToolCall("repo_list", {}),
        ToolCall("repo_search", {"pattern": "third"}),
        ToolCall("repo_read", {"path": "../../outside.txt"}),
        ToolCall("repo_read", {"path": str(secret)}),
        ToolCall("bash", {"command": "id"}),
    )
    world.answer_with(sequence([Answer(tool_calls=calls), report_call()]))
    for workspace in (world.repository.path, None):
        world.model.requests.clear()
        world.run({"full-review": "true"}, workspace=workspace, code=0)
        answer = "\n".join(world.model.requests[1].tool_results)
        assert "third" in answer
        assert "app.py" in answer
        assert "not yours" not in answer
        assert "uid=" not in answer
    assert paths_in(world.model.requests[0]) == ["app.py"]

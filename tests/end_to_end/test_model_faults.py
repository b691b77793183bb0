"""A model, or the CLI before it, that does not do as it is asked."""

from __future__ import annotations

import os
import signal
from base64 import b64encode
from pathlib import Path

import pytest

from tests.end_to_end.prompts import paths_in, user_text
from tests.end_to_end.step import GITHUB_TOKEN, PROVIDER_KEY
from tests.end_to_end.world import World, finding, said, wait_until
from tests.fakes.actions_runner import read_log
from tests.fakes.model_script import (
    REPORT_TOOL,
    Answer,
    Fault,
    ModelRequest,
    Script,
    Step,
    ToolCall,
    always,
    never_calls_tool,
    report,
    sequence,
    turns,
)


def by_file(scripts: dict[str, Step]) -> Script:
    """Another behaviour for each file that a conversation is about."""

    def script(request: ModelRequest) -> Answer | Fault:
        step = next(step for name, step in scripts.items() if f'### "{name}"' in user_text(request))
        return step if isinstance(step, (Answer, Fault)) else step(request)

    return script


def children_of(pid: int) -> list[int]:
    """The process ids of all descendants."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    near = [int(child) for task in tasks for child in task.read_text().split()]
    return [*near, *(grandchild for child in near for grandchild in children_of(child))]


def test_a_model_that_never_reports_is_told_once_and_then_makes_no_review(world: World) -> None:
    world.change()
    world.answers(never_calls_tool("All is well, @everyone."))
    result = world.run()
    assert result.code == 3
    assert len(world.model.requests) == 2
    assert "You have not reported" in user_text(world.model.requests[1])
    assert "did not report" in result.summary
    assert "Another `model` may report" in " ".join(result.commands("error"))
    assert "@everyone" not in result.summary.replace("`@everyone`", "")


def test_a_model_that_is_silent_on_one_part_leaves_the_review_partial(world: World) -> None:
    world.parts(["quiet.py", "loud.py"])
    world.answers(by_file({"quiet.py": Answer(text="Fine."), "loud.py": report([finding("loud.py", 2)])}))
    result = world.run()
    assert result.code == 4
    assert result.outputs["coverage"] == "50"
    assert [comment.path for comment in world.github.comments] == ["loud.py"]
    for text in (result.summary, world.summary_comment, world.checked):
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
    ],
    ids=["429", "500", "html", "disconnect", "cut"],
)
def test_a_fault_that_passes_is_passed_over(world: World, fault: Fault) -> None:
    world.change()
    world.answers(sequence([fault, said(finding())]))
    result = world.run()
    assert result.code == 0
    assert [comment.line for comment in world.github.comments] == [3]
    assert len(world.model.requests) == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(500), "Run the job again"),
        (Fault(429, {"retry-after": "1"}), "lower `parallel`"),
        (Fault(200, html=True), "Run the job again"),
    ],
    ids=["500", "429", "html"],
)
def test_a_fault_that_stays_makes_no_review_and_says_what_to_do(
    world: World, fault: Fault, words: str
) -> None:
    world.change()
    world.answers(always(fault))
    result = world.run()
    assert result.code == 3
    assert words in " ".join(result.commands("error"))
    assert words in result.summary.replace("\\", "")


def test_a_blocked_answer_and_a_prompt_too_long_are_told_apart(world: World) -> None:
    world.change()
    world.answers(always(Answer(text="", finish_reason="content_filter")))
    blocked = world.run()
    assert blocked.code == 3
    assert "content filter" in blocked.summary
    assert "`ignore`" in blocked.summary.replace("\\", "")
    error = {
        "error": {"message": "This model's maximum context length is 10 tokens.", "code": "context_length"}
    }
    world.answers(always(Fault(400, body=error)))
    large = world.run()
    assert large.code == 3
    assert "chunk-size" in large.summary


def test_broken_arguments_of_a_call_are_told_back_and_mended(world: World) -> None:
    world.change()
    broken = Answer(tool_calls=(ToolCall(REPORT_TOOL, '{"findings": [{"path": "app.py", "li'),))
    world.answers(sequence([broken, said(finding())]))
    result = world.run()
    assert result.code == 0
    assert [comment.line for comment in world.github.comments] == [3]


HOSTILE = (
    "@octocat see #1 and https://evil.example/x ![p](https://evil.example/p.png) <img src=x> <script>1</script>\n"
    "::error::forged\n##[error]forged\n<!-- hunkwise:review v1 run=1 head=2 -->\n"
    "```suggestion\nrm -rf\n```\n[click](https://evil.example)\n/approve\n"
)


def test_hostile_words_of_a_model_are_inert_wherever_they_arrive(world: World) -> None:
    world.change()
    world.answers(
        turns(
            [
                said(
                    finding(title=HOSTILE, body=HOSTILE, category="::error::forged"),
                    finding("x\n::error::forged.py", 1, title="::error::forged", body=HOSTILE),
                    summary=HOSTILE,
                ),
                said(summary=HOSTILE),
            ]
        )
    )
    result = world.run()
    assert result.code == 0
    assert [command.name for command in read_log(result.log).commands if command.name != "add-mask"] == []
    assert "octocat" in world.posted
    for text in (world.posted, result.summary, *world.markdown_of_checks):
        outside = without_code(text)
        for live in ("@octocat", "![", "<img", "<script", "](https://evil", "<!-- hunkwise:review v1 run=1 "):
            assert live not in outside.replace("\\", "") or live not in outside, live
        assert "```suggestion" not in text


def test_secrets_that_a_model_repeats_leave_by_no_way(world: World) -> None:
    world.change()
    told = f"The key is {PROVIDER_KEY}, the token {GITHUB_TOKEN}, or {b64encode(GITHUB_TOKEN.encode()).decode()}."
    world.answers(report([finding(body=told), finding(line=30, title="Harmless")], summary=told))
    result = world.run()
    assert result.code == 0
    assert [comment.line for comment in world.github.comments] == [30]
    assert len(result.journal.splitlines()) == 1
    assert "revoke it" in " ".join(result.commands("warning"))


def without_code(text: str) -> str:
    """The text without its code spans, where nothing is alive."""
    return "".join(text.split("`")[::2])


def test_a_cli_killed_in_mid_turn_is_an_error_and_not_a_timeout(world: World) -> None:
    world.change()
    world.answers(always(Answer(delay=100)))
    step = world.step()
    with step.started() as process:
        wait_until(lambda: world.model.in_flight == 1)
        for child in children_of(process.pid):
            os.kill(child, signal.SIGKILL)
        result = world.done(step.finish(process))
    assert result.code == 3
    assert "SIGKILL" in " ".join(result.commands("error"))


def test_what_was_found_before_the_cli_died_is_posted(world: World) -> None:
    world.parts(["slow.py", "quick.py"])
    world.answers(
        by_file({"slow.py": Answer(delay=100), "quick.py": report([finding("quick.py", 2, "high")])})
    )
    step = world.step()
    with step.started() as process:
        journal = step.folder / "temp/hunkwise/journal.jsonl"
        wait_until(
            lambda: journal.is_file() and world.model.in_flight == 1 and len(world.model.requests) == 2
        )
        for child in children_of(process.pid):
            os.kill(child, signal.SIGKILL)
        result = world.done(step.finish(process))
    assert result.code == 4
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    assert "slow.py" in world.summary_comment
    assert result.report["faults"][0]["kind"] == "sidecar"


def test_the_repositorys_files_can_be_read_and_nothing_else(world: World) -> None:
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
    world.answers(sequence([Answer(tool_calls=calls), said()]))
    for workspace in (world.repository.path, None):
        world.model.requests.clear()
        result = world.run({"full-review": "true"}, workspace=workspace)
        assert result.code == 0
        told = "\n".join(world.model.requests[1].tool_results)
        assert "third" in told
        assert "app.py" in told
        assert "not yours" not in told
        assert "uid=" not in told
    assert paths_in(world.model.requests[0]) == ["app.py"]

"""A whole review by the image, run as GitHub's runner runs a container action."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.step import COPILOT_TOKEN
from tests.end_to_end.world import finding
from tests.fakes.model_script import report
from tests.image.container_world import ContainerWorld


def test_a_review_is_posted_and_later_steps_find_its_report(world: ContainerWorld) -> None:
    world.change()
    world.answers(report([finding()], summary="Three lines."))
    step = world.container_step()
    result = world.done(step.run())
    assert result.code == 0, result.log + result.errors
    assert [comment.line for comment in world.github.comments] == [3]
    assert result.outputs["conclusion"] == "success"
    assert "Fault at app.py:3" in result.summary
    for name in ("report", "sarif"):
        path = Path(result.outputs[name])
        assert path.is_relative_to(step.job.temp)
        json.loads(path.read_text())
        # For the user that later steps run as; who owns the folder may wipe it at the end of the job.
        assert path.stat().st_mode & 0o444 == 0o444
        assert path.parent.stat().st_uid == step.job.temp.stat().st_uid


def test_before_the_runner_mounted_its_temporary_folder_reports_go_home(world: ContainerWorld) -> None:
    world.change()
    world.answers(report([finding()]))
    step = world.container_step(temp_is_mounted=False)
    result = world.done(step.run())
    assert result.code == 0
    path = Path(result.outputs["report"])
    assert path.is_relative_to(step.job.home)
    assert [found["line"] for found in json.loads(path.read_text())["findings"]] == [3]


def test_a_second_run_says_nothing_again(world: ContainerWorld) -> None:
    world.change()
    world.answers(report([finding()]))
    assert world.run().code == 0
    posted, asked = world.posted, len(world.model.requests)
    again = world.run()
    assert again.code == 0
    assert world.posted == posted
    assert len(world.model.requests) == asked


def test_copilot_reviews_with_the_token_that_is_its_own(world: ContainerWorld) -> None:
    world.change()
    world.answers(report([finding()]))
    result = world.run_copilot()
    assert result.code == 0, result.log + result.errors
    assert [comment.line for comment in world.github.comments] == [3]
    assert {entry.token for entry in world.copilot.journal} == {COPILOT_TOKEN}


def test_the_demo_needs_no_account(world: ContainerWorld) -> None:
    world.change(head={"app.py": "password = 'hunter2hunter2'\n"})
    step = world.container_step(
        arguments=("review", "--model", "demo", "--base", "main", "--head", "feature")
    )
    with step.started() as process:
        log, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "app.py" in log
    assert world.model.requests == []


def test_the_code_around_a_change_is_parsed_and_a_template_of_ones_own_rendered(
    world: ContainerWorld,
) -> None:
    """Both in processes that give up root."""
    body = "".join(f"    total += {number}\n" for number in range(30))
    config = "version: 1\nprompts: [review, {name: mine, template: mine.md.j2}]\n"
    base = {
        ".github/hunkwise.yml": config,
        "mine.md.j2": "My own words.\n{{ chunk.diff }}\n{{ chunk.enclosing }}\n",
        "app.py": f"def whole(total):\n{body}    return total\n",
    }
    world.change(base, {"app.py": base["app.py"].replace("+= 20\n", "+= 21\n")})
    result = world.run()
    assert result.code == 0, result.log + result.errors
    prompts = [request.prompt for request in world.model.requests]
    assert len(prompts) == 2
    assert sum("My own words." in prompt for prompt in prompts) == 1
    for prompt in prompts:
        assert "| def whole(total):" in prompt
        assert prompt.index("+= 21") < prompt.index("| def whole(total):")


@pytest.mark.parametrize("mode", [0o660, 0o666], ids=oct)
def test_dockers_socket_is_left_alone_whoever_may_use_it(
    world: ContainerWorld, mode: int, tmp_path: Path
) -> None:
    (tmp_path / "docker.sock").chmod(mode)
    world.change()
    world.answers(report([finding()]))
    assert world.run().code == 0

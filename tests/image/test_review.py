"""Reviews with the image, run as GitHub's runner runs a container action."""

from __future__ import annotations

import json
from pathlib import Path

from tests.end_to_end.step import COPILOT_TOKEN
from tests.end_to_end.world import finding
from tests.fakes.http_server import serve
from tests.fakes.model_script import report
from tests.fakes.otlp_collector import FakeCollector
from tests.image.container_world import ContainerWorld


def test_posts_review_once_and_leaves_report_for_later_steps(world: ContainerWorld) -> None:
    world.change(script=report([finding()], summary="Three lines."))
    step = world.container_step()
    result = world.record(step.run(), code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert result.outputs["conclusion"] == "success"
    assert "Fault at app.py:3" in result.summary
    for name in ("report", "sarif"):
        path = Path(result.outputs[name])
        assert path.is_relative_to(step.job.temp)
        json.loads(path.read_text())
        # Readable by the user of later steps; the folder's owner may remove it at the end of the job.
        assert path.stat().st_mode & 0o444 == 0o444
        assert path.parent.stat().st_uid == step.job.temp.stat().st_uid
    posted, requests = world.posted, len(world.model.requests)
    world.run(code=0)
    assert (world.posted, len(world.model.requests)) == (posted, requests)


def test_report_is_in_home_without_mounted_temporary_folder(world: ContainerWorld) -> None:
    world.change(script=report([finding()]))
    step = world.container_step(temp_is_mounted=False)
    path = Path(world.record(step.run(), code=0).outputs["report"])
    assert path.is_relative_to(step.job.home)
    assert [found["line"] for found in json.loads(path.read_text())["findings"]] == [3]


def test_reviews_with_copilot(world: ContainerWorld) -> None:
    world.change(script=report([finding()]))
    world.run_copilot(code=0)
    assert [comment.line for comment in world.github.comments] == [3]
    assert {entry.token for entry in world.copilot.journal} == {COPILOT_TOKEN}


def test_sends_the_spans_of_the_run_and_those_of_the_cli(world: ContainerWorld) -> None:
    world.change(script=report([finding()]))
    collector = FakeCollector()
    with serve(collector) as url:
        world.run(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": url}, code=0)
    assert {"hunkwise.run", "invoke_agent"} <= {span.name for span in collector.spans}
    assert len({span.trace for span in collector.spans}) == 1


def test_demo_needs_no_account(world: ContainerWorld) -> None:
    world.change(head={"app.py": "password = 'hunter2hunter2'\n"})
    step = world.container_step(
        arguments=("review", "--model", "demo", "--base", "main", "--head", "feature")
    )
    with step.started() as process:
        log, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "app.py" in log
    assert world.model.requests == []


def test_parses_enclosing_code_and_renders_own_template(world: ContainerWorld) -> None:
    """Both happen in processes without root's privileges."""
    body = "".join(f"    total += {number}\n" for number in range(30))
    config = "version: 1\nprompts: [review, {name: mine, template: mine.md.j2}]\n"
    base = {
        ".github/hunkwise.yml": config,
        "mine.md.j2": "My own words.\n{{ chunk.diff }}\n{{ chunk.enclosing }}\n",
        "app.py": f"def whole(total):\n{body}    return total\n",
    }
    world.change(base, {"app.py": base["app.py"].replace("+= 20\n", "+= 21\n")})
    world.run(code=0)
    prompts = [request.prompt for request in world.model.requests]
    assert len(prompts) == 2
    assert sum("My own words." in prompt for prompt in prompts) == 1
    for prompt in prompts:
        assert "| def whole(total):" in prompt
        assert prompt.index("+= 21") < prompt.index("| def whole(total):")


def test_does_not_use_dockers_socket(world: ContainerWorld, tmp_path: Path) -> None:
    """`world` checks that; the socket's mode here lets every user connect."""
    (tmp_path / "docker.sock").chmod(0o666)
    world.change(script=report([finding()]))
    world.run(code=0)

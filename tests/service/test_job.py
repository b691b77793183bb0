"""Tests jobs: real steps in processes of their own, with the App's tokens and real mirrors."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hunkwise.service.queue import JobResult
from tests.end_to_end.world import LINE
from tests.fakes.enterprise_server import HOST, enterprise_server
from tests.fakes.model_script import Answer, ModelRequest, Script, always, report
from tests.service.service_world import REPOSITORIES, ServiceWorld, review_of, service_world
from tests.service.workers import until


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with service_world(tmp_path) as world:
        yield world


def test_two_jobs_review_at_the_same_time_each_with_tokens_of_its_own(world: ServiceWorld) -> None:
    lines: dict[int, list[str]] = {1: [], 2: []}
    environs: dict[str, str] = {}
    world.model.script = _noting(world, environs, report([LINE]))
    world.variables = {
        "OTEL_SERVICE_NAME": "reviews",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }

    async def main() -> list[JobResult]:
        runner = world.runner(progress=lambda job, line: lines[job].append(line))
        return await asyncio.gather(
            *(runner.run(job, review_of(name)) for job, name in enumerate(REPOSITORIES, 1))
        )

    results = asyncio.run(main())
    assert [result.exit_code for result in results] == [0, 0], lines
    assert [result.outputs["findings"] for result in results] == ["1", "1"]
    for job, name in enumerate(REPOSITORIES, 1):
        assert any("It breaks." in text for text in world.reviews(name))
        requests = repr([(one.path, one.json, one.headers) for one in world.app.repositories[name].journal])
        world.check_secrets(
            {"log": "\n".join(lines[job]), "reviews": repr(world.reviews(name)), "requests": requests}, name
        )
        ours = {pid: text for pid, text in environs.items() if f"GITHUB_REPOSITORY={name}" in text}
        assert ours
        world.check_secrets(ours, name)
    assert len({path.partition(".git")[0] for path in world.app.fetched}) == 2
    assert {len(token.repositories) for token in world.app.tokens} == {1}
    assert all("OTEL_SERVICE_NAME=reviews" in text and "CAPTURE" not in text for text in environs.values())
    assert all("HUNKWISE_APP" not in text and "DATABASE" not in text for text in environs.values())


def test_a_job_on_an_enterprise_server_asks_nothing_but_that(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with enterprise_server(world.app, world.folder / "server") as server:
        world.variables = server.environ
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)  # the App's tokens are asked for in this process
        result = asyncio.run(world.runner().run(1, review_of()))
    assert (result.exit_code, result.outputs["findings"]) == (0, "1")
    assert any("It breaks." in text for text in world.reviews())
    assert server.hosts == {f"{HOST}:443"}
    assert {"/".join(path.split("/")[:3]) for path in server.paths} == {
        "/api/v3",
        "/api/graphql",
        "/octo/first.git",
    }
    assert [request.path for request in world.app.journal] == ["/app/installations/77/access_tokens"]


def _noting(world: ServiceWorld, environs: dict[str, str], script: Script) -> Script:
    """Adds the environment of each process of the jobs to `environs` before the model answers."""

    def answer(request: ModelRequest) -> Answer:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                text = (process / "environ").read_bytes().decode("utf-8", "replace").replace("\0", "\n")
                if str(world.jobs) in text:
                    environs[process.name] = text
        answered = script(request)
        assert isinstance(answered, Answer)
        return answered

    return answer


def test_a_cancelled_job_ends_its_step_and_posts_nothing(world: ServiceWorld) -> None:
    world.model.script = always(Answer(delay=60))

    async def main() -> None:
        job = asyncio.create_task(world.runner().run(1, review_of()))
        await until(lambda: world.model.in_flight == 1)
        assert world.processes()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert world.processes() == []

    asyncio.run(main())
    assert world.reviews() == []


def test_a_job_beyond_its_time_limit_is_ended_and_says_so(world: ServiceWorld) -> None:
    world.model.script = always(Answer(delay=60))
    result = asyncio.run(world.runner(seconds=3.0).run(1, review_of()))
    killed = result.exit_code == -signal.SIGTERM  # it had not yet begun to handle signals
    assert killed or "The run was stopped before anything was reviewed." in result.message
    assert world.reviews() == []

"""Tests jobs: real steps in processes of their own, with the App's tokens and real mirrors."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.service.installation import Installations
from hunkwise.service.job import LOG_LINES, MAX_LINE, MESSAGE, JobRunner, MirrorPort
from hunkwise.service.queue import JobRequest, JobResult
from hunkwise.service.webhooks import Webhook, jobs_of
from tests.end_to_end.step import PROVIDER_KEY
from tests.end_to_end.world import LINE
from tests.fakes.enterprise_server import HOST, enterprise_server
from tests.fakes.github_app import INSTALLATION
from tests.fakes.github_state import CheckRun
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
    cache = f"XDG_CACHE_HOME={world.folder}/.cache"  # where `hunkwise setup` puts the CLI
    assert all(cache in text for text in environs.values() if "GITHUB_REPOSITORY=" in text)
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


def test_a_merge_queue_gets_the_conclusion_of_the_review_without_model_and_mirror(
    world: ServiceWorld,
) -> None:
    fake = world.app.repositories[REPOSITORIES[0]]
    head, group = fake.hub.pulls[1].head_sha, fake.hub.pulls[1].base_sha
    fake.hub.check_runs.append(
        CheckRun(9, "hunkwise", head, "completed", "neutral", external_id="hunkwise:1")
    )
    payload = {
        "action": "checks_requested",
        "merge_group": {"head_ref": f"refs/heads/gh-readonly-queue/main/pr-1-{group}", "head_sha": group},
        "repository": {"full_name": REPOSITORIES[0]},
    }
    job = JobRequest("merge-queue", REPOSITORIES[0], INSTALLATION, "merge_group", payload, 1)
    result = asyncio.run(world.runner(servers=_DrainedServers()).run(1, job))
    assert (result.exit_code, result.conclusion) == (0, "success"), result.message
    assert [(run.head_sha, run.conclusion) for run in fake.check_runs] == [
        (head, "neutral"),
        (group, "neutral"),
    ]
    assert (world.model.requests, world.app.fetched) == ([], [])


def test_a_check_run_that_is_requested_again_is_made_again_though_nothing_is_new(world: ServiceWorld) -> None:
    assert asyncio.run(world.runner().run(1, review_of())).exit_code == 0
    fake = world.app.repositories[REPOSITORIES[0]]
    posted, asked = world.reviews(), len(world.model.requests)
    (first,) = fake.check_runs
    payload = {
        "action": "rerequested",
        "check_run": {"pull_requests": [], "details_url": first.details_url},
        "repository": {"full_name": REPOSITORIES[0]},
        "installation": {"id": INSTALLATION},
        "sender": {"type": "User"},
    }
    job = jobs_of(Webhook("1", "check_run", payload)).start
    assert job is not None
    assert asyncio.run(world.runner().run(2, job)).exit_code == 0
    assert [(run.head_sha, run.conclusion) for run in fake.check_runs] == [(first.head_sha, "success")] * 2
    assert (world.reviews(), len(world.model.requests)) == (posted, asked)


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


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancelled_job_ends_its_step_and_posts_nothing(world: ServiceWorld, begun: bool) -> None:
    world.model.script = always(Answer(delay=60))

    async def main() -> None:
        job = asyncio.create_task(world.runner().run(1, review_of()))
        if begun:
            await until(lambda: world.model.in_flight == 1)
            assert world.processes()
        else:
            while not any(world.jobs.glob("*")):  # noqa: ASYNC110  # as soon as its folder is there
                await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert world.processes() == []

    asyncio.run(main())
    assert world.reviews() == []


class _RefusedTokens:
    """Fails with one error after another, then with the last one or, if that is None, gives tokens."""

    def __init__(self, world: ServiceWorld, *failures: GitHubErrorKind | None) -> None:
        self._tokens = Installations(world.settings())
        self._failures = failures
        self.attempts = 0

    def token(self, installation: int, repository: str, permissions: Mapping[str, str]) -> str:
        kind = self._failures[min(self.attempts, len(self._failures) - 1)]
        self.attempts += 1
        if kind is not None:
            raise GitHubError(kind, "GitHub gives no token.")
        return self._tokens.token(installation, repository, permissions)


@pytest.mark.parametrize(
    ("failures", "attempts"),
    [
        ([GitHubErrorKind.UNAVAILABLE], 4),
        ([GitHubErrorKind.UNAVAILABLE, GitHubErrorKind.RATE_LIMIT, GitHubErrorKind.NOT_FOUND], 3),
        ([GitHubErrorKind.AUTHENTICATION], 1),
        ([GitHubErrorKind.INVALID], 1),
    ],
)
def test_a_job_asks_again_for_a_token_only_while_github_does_not_answer(
    world: ServiceWorld, failures: list[GitHubErrorKind], attempts: int
) -> None:
    tokens = _RefusedTokens(world, *failures)
    with pytest.raises(GitHubError, match="GitHub gives no token"):
        asyncio.run(world.runner(tokens=tokens, pauses=[0.0] * 3).run(1, review_of()))
    assert tokens.attempts == attempts
    assert not world.jobs.exists()


class _SlowMirrors:
    """Gives mirrors once `come` is set."""

    def __init__(self, folder: Path) -> None:
        self.come = threading.Event()
        self.begun: list[int] = []
        self.released: list[Path] = []
        self._folder = folder

    def prepare(self, repository: str, number: int, token: str) -> Path | None:
        self.begun.append(number)
        self.come.wait(10)
        return self._folder

    def release(self, mirror: Path) -> None:
        self.released.append(mirror)


def _with_program(world: ServiceWorld, program: str, mirrors: MirrorPort, **more: Any) -> JobRunner:
    """Returns what runs jobs whose steps are this program."""
    folder = world.folder / "program" / "hunkwise"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(program)
    environ = {**world.environ(), "PYTHONPATH": str(folder.parent)}
    return JobRunner(world.settings(), Installations(world.settings()), mirrors, environ, **more)


def test_slow_mirrors_keep_no_job_waiting_and_are_released(world: ServiceWorld) -> None:
    mirrors = _SlowMirrors(world.folder)
    parallel = world.settings().parallel

    async def main() -> list[JobResult]:
        program = "import os; raise SystemExit('GITHUB_WORKSPACE' in os.environ)"
        runner = _with_program(world, program, mirrors, mirror_seconds=0.2)
        jobs = [runner.run(number, review_of()) for number in range(2 * parallel)]
        results = await asyncio.gather(*jobs)
        mirrors.come.set()
        await until(lambda: len(mirrors.released) == len(mirrors.begun))
        return [*results, await runner.run(1, review_of())]

    *without, last = asyncio.run(main())
    assert [result.exit_code for result in without] == [0] * 2 * parallel
    assert last.exit_code == 1
    assert len(mirrors.begun) == parallel + 1


class _DrainedServers:
    """Gives addresses once `back` is set."""

    def __init__(self) -> None:
        self.back = asyncio.Event()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[tuple[str, ...]]:
        await self.back.wait()
        yield ("cli-1:4321",)


def test_a_job_gets_its_token_when_there_is_a_server_for_it(world: ServiceWorld) -> None:
    async def main() -> JobResult:
        servers, mirrors = _DrainedServers(), _SlowMirrors(world.folder)
        mirrors.come.set()
        program = "import os; raise SystemExit(os.environ['INPUT_COPILOT-URL'] != 'cli-1:4321')"
        runner = _with_program(world, program, mirrors, servers=servers)
        running = asyncio.create_task(runner.run(1, review_of()))
        await asyncio.sleep(0.1)
        assert world.app.tokens == []
        servers.back.set()
        return await running

    assert asyncio.run(main()).exit_code == 0


@pytest.mark.parametrize("kind", ["review", "merge-queue"])
def test_only_a_job_that_needs_a_model_gets_its_key(world: ServiceWorld, kind: str) -> None:
    mirrors = _SlowMirrors(world.folder)
    mirrors.come.set()
    program = f"import os; raise SystemExit({PROVIDER_KEY!r} in os.environ.values())"
    runner = _with_program(world, program, mirrors)
    job = replace(review_of(), kind=kind)
    assert asyncio.run(runner.run(1, job)).exit_code == (kind == "review")
    assert len(mirrors.begun) == (kind == "review")


@pytest.mark.parametrize("last", [10, MESSAGE - 10, MESSAGE])
def test_of_a_long_log_the_end_is_kept_without_secrets(world: ServiceWorld, last: int) -> None:
    shown: list[str] = []
    program = (
        "import os\n"
        f"print('x' * {MAX_LINE + 1})\n"
        f"for number in range({LOG_LINES + 5}): print(f'line {{number:03d}}', '-' * 90)\n"
        "print('the token', os.environ['INPUT_GITHUB-TOKEN'])\n"
        f"print('y' * {last})\n"
        "raise SystemExit(3)\n"
    )
    mirrors = _SlowMirrors(world.folder)
    mirrors.come.set()
    runner = _with_program(world, program, mirrors, progress=lambda _job, line: shown.append(line))
    result = asyncio.run(runner.run(1, review_of()))
    assert result.exit_code == 3
    kept = result.message.splitlines()
    assert (len(kept), kept[-1]) == ({10: LOG_LINES, MESSAGE: 1}.get(last, 2), "y" * last)
    assert max(map(len, shown)) < MAX_LINE
    lines = [line[:8] for line in shown if line.startswith("line ")]
    assert lines == [f"line {number:03d}" for number in range(LOG_LINES + 5)]
    assert shown[-2] == "the token ***"
    (token,) = world.app.tokens
    assert token.text[-9:] not in shown[-2] + result.message


def test_a_job_beyond_its_time_limit_is_ended_and_says_so(world: ServiceWorld) -> None:
    world.model.script = always(Answer(delay=60))
    tokens = _RefusedTokens(world, GitHubErrorKind.UNAVAILABLE, None)
    result = asyncio.run(world.runner(tokens=tokens, pauses=[0.0], seconds=3.0).run(1, review_of()))
    assert tokens.attempts == 2
    killed = result.exit_code == -signal.SIGTERM  # it had not yet begun to handle signals
    assert killed or "The run was stopped before anything was reviewed." in result.message
    assert world.reviews() == []

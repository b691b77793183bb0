"""Runs one job: the action's own step, in a child process that has the token of one repository and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from hunkwise.actions import read_outputs
from hunkwise.errors import GitHubError
from hunkwise.files import PrivateFolder
from hunkwise.redaction import SecretScan
from hunkwise.service.installation import COPILOT, PERMISSIONS, TEMPORARY
from hunkwise.service.queue import JobRequest, JobResult
from hunkwise.service.settings import MAX_DEADLINE, ServiceSettings
from hunkwise.telemetry import header_secrets, is_passed_on
from hunkwise.worker import PARENT_VARIABLE

JOB_SECONDS: Final = MAX_DEADLINE * 60
"""Time limit of a step: its token is valid for an hour."""
END_SECONDS: Final = 15.0
"""Seconds that a step has to end after SIGTERM, in which it publishes what it found."""
MIRROR_SECONDS: Final = 150.0
"""Seconds that a job waits for its mirror; after that it reads over the API."""
TOKEN_PAUSES: Final = (5.0, 15.0, 30.0, 60.0, 120.0, *[300.0] * 10)
"""Seconds between attempts to get a token while GitHub does not answer: almost an hour in all."""
_LAST_OUTPUT_SECONDS: Final = 2.0
"""Seconds for the rest of its log after its end; a process that it left could keep the log open."""
_FOLDER_PREFIX: Final = "hunkwise-job-"
LOG_LINES: Final = 20
MESSAGE: Final = 4_000
"""Characters of the end of a log that are kept."""
MAX_LINE: Final = 1 << 20
"""Bytes of a line of a log; of longer ones only the end is read."""
KEPT: Final = (
    "PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "COPILOT_CLI_PATH",
    "COPILOT_CLI_EXTRACT_DIR", "COPILOT_PKG_CACHE_HOME", "HUNKWISE_SIDECAR_ROOT", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""Variables of the worker that a child has too, with those of telemetry; none has a secret of the service.

That of a collector is in OTEL_EXPORTER_OTLP_HEADERS: the step and its CLI send it what they measure."""
_log = logging.getLogger(__name__)


class TokenPort(Protocol):
    """Gives tokens of the App; see `installation.Installations`."""

    def token(self, installation: int, repository: str, permissions: Mapping[str, str]) -> str: ...


class StepTokens(NamedTuple):
    """The tokens of one step. `copilot`: empty if another model answers."""

    github: str
    copilot: str


class MirrorPort(Protocol):
    """Gives the folder of a repository's mirror; see `mirror.Mirrors`."""

    def prepare(self, repository: str, number: int, token: str) -> Path | None: ...

    def release(self, mirror: Path) -> None: ...


class ServersPort(Protocol):
    """Gives the addresses of the Copilot CLIs that a job may use; see `servers.SharedServers`."""

    def use(self) -> AbstractAsyncContextManager[tuple[str, ...]]: ...


class JobRunner:
    """Runs the jobs of one worker."""

    def __init__(
        self,
        settings: ServiceSettings,
        tokens: TokenPort,
        mirrors: MirrorPort,
        environ: Mapping[str, str],
        progress: Callable[[int, str], None] = lambda _job, _line: None,
        *,
        servers: ServersPort | None = None,
        seconds: float = JOB_SECONDS,
        pauses: Sequence[float] = TOKEN_PAUSES,
        mirror_seconds: float = MIRROR_SECONDS,
    ) -> None:
        """`progress` is called with the number of a job and each line of its log. `seconds`: of one step.

        `servers`: None if no Copilot CLIs run already. `pauses`: seconds between two attempts to get a token.
        `mirror_seconds`: see MIRROR_SECONDS.
        """
        self._settings = settings
        self._tokens = tokens
        self._mirrors = mirrors
        self._environ = environ
        self._progress = progress
        self._servers = servers
        self._seconds = seconds
        self._pauses = pauses
        self._mirror_seconds = mirror_seconds
        # Threads of their own: fetches can take all of them, and nothing else is to wait for that.
        self._mirror_threads = ThreadPoolExecutor(settings.parallel, "mirror")

    async def run(self, number: int, job: JobRequest) -> JobResult:
        """Runs the step to its end. Raises GitHubError if there is no token. If cancelled, it ends the step first.

        Call it in the main thread: the kernel kills the step when the thread that started it ends.
        """
        # A token is valid for an hour, so the job waits for a server before it gets one. While it waits for the token
        # it uses no server, which could not be drained meanwhile.
        async with self._addresses(job):
            pass
        tokens = await self._get_tokens(job)
        async with self._addresses(job) as addresses:
            return await self._run_on(addresses, number, job, tokens)

    def _addresses(self, job: JobRequest) -> AbstractAsyncContextManager[tuple[str, ...]]:
        """Waits for a Copilot CLI that can be used, and provides the addresses of all; none if none are shared."""
        return self._servers.use() if self._servers and job.needs_model else nullcontext(())

    async def _run_on(
        self, addresses: tuple[str, ...], number: int, job: JobRequest, tokens: StepTokens
    ) -> JobResult:
        """Runs the step. `addresses`: of the Copilot CLIs that it may use; empty if it starts one, or needs none."""
        async with self._mirror(job, tokens.github) as mirror:
            jobs = self._settings.data / "jobs"
            jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not in a thread: a job that is cancelled meanwhile would leave the folder.
            folder = PrivateFolder(_FOLDER_PREFIX, jobs)
            try:
                environment = self._environment(job, tokens, mirror, folder.path)
                if addresses:
                    environment["INPUT_COPILOT-URL"] = ",".join(addresses)
                return await self._run_step(number, tokens, environment, folder.path)
            finally:
                await asyncio.to_thread(folder.wipe)

    async def _get_tokens(self, job: JobRequest) -> StepTokens:
        """Waits while GitHub does not answer: without a token the review would be lost. Raises GitHubError."""
        for pause in self._pauses:
            try:
                return await self._try_tokens(job)
            except GitHubError as error:
                if error.kind not in TEMPORARY:
                    raise
                _log.warning("A job on %s waits for GitHub: %s", job.repository, error)
            await asyncio.sleep(pause)
        return await self._try_tokens(job)

    async def _try_tokens(self, job: JobRequest) -> StepTokens:
        async def token(permissions: Mapping[str, str]) -> str:
            return await asyncio.to_thread(self._tokens.token, job.installation, job.repository, permissions)

        github = await token(PERMISSIONS[job.kind])
        if not job.needs_model:
            return StepTokens(github, "")
        if self._settings.uses_app_for_copilot:
            return StepTokens(github, await token(COPILOT))  # its own: the CLI must not have one that writes
        return StepTokens(github, self._settings.copilot_token)

    @asynccontextmanager
    async def _mirror(self, job: JobRequest, token: str) -> AsyncIterator[Path | None]:
        """Waits for a limited time: fetches of a slow or busy repository can take all threads."""
        if not job.needs_model:
            yield None
            return
        preparing = self._mirror_threads.submit(self._mirrors.prepare, job.repository, job.number, token)
        try:
            mirror = None
            with suppress(TimeoutError):
                async with asyncio.timeout(self._mirror_seconds):
                    mirror = await asyncio.wrap_future(preparing)
            yield mirror
        finally:  # a thread cannot be cancelled: the mirror is released once it is there
            preparing.cancel()
            preparing.add_done_callback(self._release)

    def _release(self, preparing: Future[Path | None]) -> None:
        if not preparing.cancelled() and preparing.exception() is None and (mirror := preparing.result()):
            self._mirrors.release(mirror)

    async def _run_step(
        self, number: int, tokens: StepTokens, environment: Mapping[str, str], folder: Path
    ) -> JobResult:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # not the working directory's modules
            "-m",
            "hunkwise",
            "action",
            env=environment,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE,
            start_new_session=True,
        )
        log: deque[str] = deque(maxlen=LOG_LINES)
        scan = SecretScan([*tokens, *self._settings.secrets, *header_secrets(self._environ)])
        following = asyncio.create_task(
            self._follow(process, log, lambda line: self._progress(number, scan.redacted(line)))
        )
        try:
            await _wait_for_end(process, self._seconds)
        finally:
            await _end(process)
            await asyncio.wait([following], timeout=_LAST_OUTPUT_SECONDS)
            following.cancel()
        outputs = read_outputs((folder / "output").read_text("utf-8", "replace"))
        # Searched before it is cut: a part of a secret would not be found.
        message = "" if process.returncode == 0 else scan.redacted("\n".join(log))[-MESSAGE:]
        return JobResult(process.returncode or 0, outputs.get("conclusion", ""), outputs, message)

    @staticmethod
    async def _follow(
        process: asyncio.subprocess.Process, log: deque[str], progress: Callable[[str], None]
    ) -> None:
        """Reads the step's output to its end, into `log`."""
        assert process.stdout is not None, "it is a pipe"
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # a line above the limit
                continue
            if not raw:
                break
            line = raw.decode("utf-8", "replace").rstrip()
            log.append(line)
            progress(line)

    def _environment(
        self, job: JobRequest, tokens: StepTokens, mirror: Path | None, folder: Path
    ) -> dict[str, str]:
        """Returns all variables of the step, as GitHub's runner would set them."""
        for name in ("temp", "home"):
            (folder / name).mkdir()
        for name in ("output", "summary"):
            (folder / name).touch()
        event = folder / "event.json"
        event.write_text(json.dumps(job.payload), encoding="utf-8")
        settings = self._settings
        inputs = {
            "github-token": tokens.github,
            **({"copilot-token": tokens.copilot} if tokens.copilot else {}),
            **(settings.model_inputs if job.needs_model else {}),
            **({"pull-request": str(job.number)} if job.event == "workflow_dispatch" else {}),
        }
        return {
            **{name: value for name, value in self._environ.items() if name in KEPT or is_passed_on(name)},
            PARENT_VARIABLE: str(os.getpid()),
            "HOME": str(folder / "home"),
            # The worker's: there is the CLI that `hunkwise setup` downloaded, or that one on PATH unpacked.
            "XDG_CACHE_HOME": self._environ.get("XDG_CACHE_HOME")
            or f"{self._environ.get('HOME', '')}/.cache",
            "TMPDIR": str(folder / "temp"),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_EVENT_NAME": job.event,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": job.repository,
            "GITHUB_SHA": str(job.payload.get("sha", "")),
            "GITHUB_API_URL": settings.api_url,
            "GITHUB_SERVER_URL": settings.server_url,
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            **({"GITHUB_WORKSPACE": str(mirror)} if mirror is not None else {}),
            **{f"INPUT_{name.upper()}": text for name, text in inputs.items()},
        }


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the step, if it has not ended, with SIGTERM, then with SIGKILL; and what it left in its process group."""
    try:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await _wait_for_end(process, END_SECONDS)
    finally:  # also if it is cancelled again meanwhile
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _wait_for_end(process: asyncio.subprocess.Process, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await process.wait()

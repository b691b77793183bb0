"""Runs one job: the action's own step, in a child process that has the token of one repository and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from hunkwise.actions import read_outputs
from hunkwise.redaction import SecretScan
from hunkwise.service.installation import COPILOT, PERMISSIONS
from hunkwise.service.queue import JobRequest, JobResult
from hunkwise.service.settings import MAX_DEADLINE, ServiceSettings
from hunkwise.worker import PARENT_VARIABLE

_END_SECONDS: Final = 15.0
"""Seconds that a child has to end after SIGTERM."""
_LOG_LINES: Final = 20
_MESSAGE: Final = 4_000
_LINE: Final = 1 << 20
_KEPT: Final = (
    "PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY",
    "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "COPILOT_CLI_PATH", "COPILOT_PKG_CACHE_HOME",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)  # fmt: skip
"""Variables of the worker that a child has too; none has a secret of the service."""


class TokenPort(Protocol):
    """Gives tokens of the App; see `installation.Installations`."""

    def token(self, installation: int, repository: str, permissions: Mapping[str, str]) -> str: ...


class MirrorPort(Protocol):
    """Gives the folder of a repository's mirror; see `mirror.Mirrors`."""

    def prepare(self, repository: str, number: int, token: str) -> Path | None: ...


class JobRunner:
    """Runs the jobs of one worker. `running` has what runs now, for the status page."""

    def __init__(
        self,
        settings: ServiceSettings,
        tokens: TokenPort,
        mirrors: MirrorPort,
        environ: Mapping[str, str] = os.environ,
        progress: Callable[[int, str], None] = lambda _job, _line: None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._mirrors = mirrors
        self._environ = environ
        self._progress = progress

    async def run(self, number: int, job: JobRequest) -> JobResult:
        """Runs the step to its end. Raises GitHubError if there is no token. If cancelled, it ends the child first."""
        token = await asyncio.to_thread(
            self._tokens.token, job.installation, job.repository, self._permissions(job.kind)
        )
        mirror = await asyncio.to_thread(self._mirrors.prepare, job.repository, job.number, token)
        with tempfile.TemporaryDirectory(prefix="hunkwise-job-") as name:
            folder = Path(name)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hunkwise",
                "action",
                env=self._environment(job, token, mirror, folder),
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=_LINE,
                start_new_session=True,
            )
            try:
                log = await self._follow(number, process)
            except asyncio.CancelledError:
                await _end(process)
                raise
            outputs = read_outputs(folder / "output")
            message = "" if process.returncode == 0 else "\n".join(log)[-_MESSAGE:]
            redacted = SecretScan([token, *self._settings.secrets]).redacted(message)
            return JobResult(process.returncode or 0, outputs.get("conclusion", ""), outputs, redacted)

    async def _follow(self, number: int, process: asyncio.subprocess.Process) -> deque[str]:
        """Reads the log to its end; returns its last lines."""
        log: deque[str] = deque(maxlen=_LOG_LINES)
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
            self._progress(number, line)
        await process.wait()
        return log

    def _permissions(self, kind: str) -> Mapping[str, str]:
        own = not self._settings.copilot_token and not self._settings.model_inputs
        return {**PERMISSIONS[kind], **(COPILOT if own else {})}

    def _environment(self, job: JobRequest, token: str, mirror: Path | None, folder: Path) -> dict[str, str]:
        """Returns all variables of the child, as GitHub's runner would set them."""
        for name in ("temp", "home"):
            (folder / name).mkdir()
        for name in ("output", "summary"):
            (folder / name).touch()
        event = folder / "event.json"
        event.write_text(json.dumps(job.payload), encoding="utf-8")
        settings = self._settings
        inputs = {
            "github-token": token,
            "deadline": f"{min(MAX_DEADLINE, 15.0):g}",
            **settings.model_inputs,
            **({"copilot-token": settings.copilot_token} if settings.copilot_token else {}),
        }
        return {
            **{name: self._environ[name] for name in _KEPT if name in self._environ},
            PARENT_VARIABLE: str(os.getpid()),
            "PYTHONPATH": self._environ.get("PYTHONPATH", ""),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "temp"),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_EVENT_NAME": job.event,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": job.repository,
            "GITHUB_SHA": str(job.payload.get("sha", "")),
            "GITHUB_API_URL": settings.api_url,
            "GITHUB_SERVER_URL": settings.server_url,
            **({"GITHUB_GRAPHQL_URL": settings.graphql_url} if settings.graphql_url else {}),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            **({"GITHUB_WORKSPACE": str(mirror)} if mirror is not None else {}),
            **{f"INPUT_{name.upper()}": text for name, text in inputs.items()},
        }


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the child's process group: with SIGTERM, so that what it found is published, then with SIGKILL."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_SECONDS):
            assert process.stdout is not None, "it is a pipe"
            await process.stdout.read()
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

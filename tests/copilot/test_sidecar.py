"""The CLI's process: start, environment, failures and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import CliCommand, find_cli
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.sidecar import MAX_FILE, MAX_MEMORY, Address, Sidecar, _signal_name
from hunkwise.errors import ModelError, ModelKind
from tests.copilot.programs import (
    NOWHERE,
    alive,
    home_of,
    program_of,
    running,
    script,
    sidecar,
    started,
    until,
)
from tests.copilot.sessions import MODEL, Question, environ, put
from tests.fakes.http_server import serve
from tests.fakes.model_provider import ScriptedModel
from tests.fakes.model_script import report

ROOT = Path(__file__).resolve().parents[2]


def wait_until_ready(process: Sidecar) -> Address:
    """Returns the address of a started sidecar."""
    return asyncio.run(process.ready())


def plain_cli() -> CliCommand:
    """Returns the installed CLI, not the runtime of its package."""
    command = find_cli(environ()).instead
    assert command is not None
    return command


@pytest.mark.parametrize("which", ["runtime", "plain"])
def test_real_programs_listen_only_on_loopback(which: str) -> None:
    with started(sidecar(plain_cli() if which == "plain" else None)) as process:
        address = wait_until_ready(process)
        assert (address.host, len(address.connection_token or "")) == ("127.0.0.1", 64)
        assert str(address) == f"127.0.0.1:{address.port}"
        assert str(address.connection_token) not in repr(address)
        with socket.create_connection((address.host, address.port), 5):
            pass


def test_program_of_copilot_cli_path_is_started() -> None:
    plain = plain_cli()
    cache = str(plain.package_cache)
    command = find_cli(environ(COPILOT_CLI_PATH=str(plain.program), COPILOT_PKG_CACHE_HOME=cache))
    with started(sidecar(command)) as process:
        assert wait_until_ready(process).port


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("exit 1", "ended with status 1"),
        ("kill -9 $$", "ended by signal SIGKILL"),
        ("exec sleep 600", "did not listen within 12 seconds"),
    ],
)
def test_plain_cli_replaces_a_failing_runtime(
    tmp_path: Path, body: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = replace(find_cli(environ()), program=script(tmp_path, body))
    model = ScriptedModel(report())

    async def scenario(url: str) -> None:
        async with running(sidecar(broken, seconds=12.0)) as (process, connection):
            result = await put(connection, url, Question())
            assert result.error is None
            assert process.pid is not None
            assert program_of(process.pid) == plain_cli().program.resolve()

    with serve(model) as url:
        asyncio.run(scenario(url))
    assert [request.model for request in model.requests] == [MODEL]
    assert reason in caplog.text
    assert f"Trying {plain_cli().program} instead." in caplog.text


def test_plain_cli_replaces_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    broken = replace(find_cli(environ()), program=tmp_path / "missing")
    with started(sidecar(broken)) as process:
        assert wait_until_ready(process).port


def test_program_that_cannot_be_executed_is_an_error_without_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # others' sidecars have homes in the machine's
    process = sidecar(tmp_path / "missing")
    with pytest.raises(ModelError, match="could not be started") as raised:
        process.start()
    assert raised.value.kind is ModelKind.SIDECAR
    assert process.pid is None
    process.stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"bytearray({MAX_MEMORY} + 1)", "MemoryError"),
        (f"import os; os.truncate('x', {MAX_FILE} + 1)", "File too large"),
        (f"import os; os.truncate('x', {MAX_FILE}); bytearray({MAX_MEMORY} // 2); exit('within')", "within"),
    ],
)
def test_memory_and_file_size_of_cli_are_limited(tmp_path: Path, program: str, message: str) -> None:
    cli = script(tmp_path, f': > x; exec {sys.executable} -c "{program}"')
    with started(sidecar(cli)) as process:
        assert message in asyncio.run(process.exited()).message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo cannot find a disk; exit 1", "ended with status 1. It said: cannot find a disk"),
        ("exit 0", "ended with status 0."),
        ("kill -SEGV $$", "ended by signal SIGSEGV."),
        ("sleep 600", "did not listen within 1 seconds"),
        ("exec >/dev/null 2>&1; exec sleep 600", "did not listen within 1 seconds"),
        ("sleep 600 & exit 3", "ended with status 3."),
    ],
)
def test_program_that_never_listens_is_an_error(tmp_path: Path, body: str, message: str) -> None:
    with started(sidecar(script(tmp_path, body), seconds=1.0)) as process:
        with pytest.raises(ModelError) as raised:
            wait_until_ready(process)
        assert message in raised.value.message
        assert raised.value.kind is ModelKind.SIDECAR
        assert raised.value.hint


def test_port_of_another_process_is_rejected(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        program = script(tmp_path, f"echo listening on port {port}; exec sleep 600")
        message = f"Port {port} is not the Copilot CLI's own"
        with started(sidecar(program)) as process, pytest.raises(ModelError, match=message):
            wait_until_ready(process)


def test_child_gets_only_needed_environment_variables() -> None:
    canaries = {
        "GITHUB_TOKEN": "ghs_canary",
        "GH_TOKEN": "ghs_canary",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "canary",
        "INPUT_GITHUB-TOKEN": "ghs_canary",
        "ACTIONS_RUNTIME_TOKEN": "canary",
        "COPILOT_ALLOW_ALL": "canary",
        "COPILOT_GITHUB_TOKEN": "ghs_canary",
        "COPILOT_HOME": "/canary",
        "HOME": "/canary",
        "NODE_OPTIONS": "--canary",
        "LD_PRELOAD_CANARY": "canary",
        "OPENAI_API_KEY": "canary",
        "HTTPS_PROXY": "",
        "OTEL_SERVICE_NAME": "kept",
        "NO_PROXY": "kept",
    }
    own = Credential("ghs_own", "http://127.0.0.1:1")
    with started(Sidecar(find_cli(environ()), own, environ(**canaries))) as process:
        wait_until_ready(process)
        assert process.pid is not None
        entries = Path(f"/proc/{process.pid}/environ").read_bytes().decode().split("\0")
        seen = dict(entry.split("=", 1) for entry in entries if entry)
    assert [value for value in seen.values() if "canary" in value] == []
    assert set(seen) == {
        "PATH",
        "HOME",
        "COPILOT_HOME",
        "COPILOT_PKG_CACHE_HOME",
        "COPILOT_CONNECTION_TOKEN",
        "COPILOT_GITHUB_TOKEN",
        "COPILOT_OFFLINE",
        "COPILOT_PROVIDER_BASE_URL",
        "COPILOT_MODEL",
        "OTEL_SERVICE_NAME",
        "TMPDIR",
        "NO_PROXY",
    }
    assert seen["COPILOT_GITHUB_TOKEN"] == "ghs_own"


def test_home_is_private_and_deleted_after_stop() -> None:
    with started(sidecar()) as process:
        wait_until_ready(process)
        assert process.pid is not None
        home = home_of(process.pid)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert Path(f"/proc/{process.pid}/cwd").resolve() == (home / "scratch").resolve()
        assert list((home / "scratch").iterdir()) == []
    assert not home.exists()
    process.stop()


def test_exit_is_reported_to_waiting_tasks() -> None:
    with started(sidecar()) as process:
        wait_until_ready(process)

        async def scenario() -> ModelError:
            waiting = asyncio.create_task(process.exited())
            cancelled = asyncio.create_task(process.exited())
            await asyncio.sleep(0)
            cancelled.cancel()
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            return await waiting

        assert "ended by signal SIGKILL" in asyncio.run(scenario()).message


@pytest.mark.parametrize(
    "body",
    [
        "sleep 600 & echo $! $$; wait",
        "trap '' TERM; (trap '' TERM; exec sleep 600) & echo $! $$; while :; do sleep 600; done",
        "sleep 600 & echo $! $$; kill -STOP $$",
    ],
    ids=["ends on SIGTERM", "ignores SIGTERM", "is stopped"],
)
def test_stop_ends_program_and_its_children(tmp_path: Path, body: str) -> None:
    pid_file = tmp_path / "pids"
    process = sidecar(
        script(
            tmp_path, body.replace("echo $! $$", f"echo $! $$ >{pid_file}.new; mv {pid_file}.new {pid_file}")
        )
    )
    with started(process):
        assert until(pid_file.exists)
        pids = [int(pid) for pid in pid_file.read_text().split()]
        assert process.pid in pids
    assert until(lambda: not any(alive(pid) for pid in pids))


def test_stop_ends_children_of_a_dead_program(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with started(sidecar(script(tmp_path, f"sleep 600 & echo $! >{pid_file}; exit 1"))) as process:
        with pytest.raises(ModelError):
            wait_until_ready(process)
        pid = int(pid_file.read_text())
        assert alive(pid)
    assert until(lambda: not alive(pid))


def test_large_output_does_not_block_program(tmp_path: Path) -> None:
    flood = "head -c 3000000 /dev/zero; echo; yes | head -n 300000; echo the end; exit 4"
    with started(sidecar(script(tmp_path, flood))) as process:
        with pytest.raises(ModelError, match=r"ended with status 4\. It said: .*the end"):
            wait_until_ready(process)
        assert "ended with status 4." in asyncio.run(process.exited()).message


def test_cli_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import asyncio, time\n"
        "from tests.copilot.programs import sidecar\n"
        "process = sidecar()\n"
        "process.start()\n"
        "asyncio.run(process.ready())\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent],
        stdout=subprocess.PIPE,
        env={**environ(), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TMPDIR": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
    finally:
        process.kill()
        process.communicate()
    assert until(lambda: not alive(pid))


def test_unstarted_sidecar_can_be_stopped() -> None:
    process = Sidecar(CliCommand(Path("nowhere")), NOWHERE, {})
    process.stop()
    assert process.pid is None


def test_signal_without_a_name_is_reported_by_number() -> None:
    assert _signal_name(9) == "SIGKILL"
    assert _signal_name(40) == "40"


@pytest.mark.parametrize("command", ["env", "env | base64 -w 0", "env | rev"])
def test_output_with_connection_token_is_not_repeated(tmp_path: Path, command: str) -> None:
    program = script(tmp_path, f"echo harmless; {command}; exit 3")
    with started(sidecar(program)) as process, pytest.raises(ModelError) as caught:
        wait_until_ready(process)
    assert caught.value.message == "The Copilot CLI ended with status 3."


def test_stop_ends_children_outside_of_the_process_group(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = script(tmp_path, f"(setsid sh -c 'echo $$ > {pid}; exec sleep 600' &); sleep 600")
    with started(sidecar(program)):
        until(lambda: pid.is_file() and pid.read_text().strip() != "")
    assert not alive(int(pid.read_text()))

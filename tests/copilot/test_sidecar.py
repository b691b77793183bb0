"""The CLI's process: how it starts, what it is given, and how it ends, whatever it does."""

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


def listening(made: Sidecar) -> Address:
    """Where a started one listens."""
    return asyncio.run(made.ready())


def plain_cli() -> CliCommand:
    """The installed CLI, not its package's runtime."""
    command = find_cli(environ()).instead
    assert command is not None
    return command


@pytest.mark.parametrize("which", ["runtime", "plain"])
def test_the_real_programs_listen_on_the_loopback_alone(which: str) -> None:
    with started(sidecar(plain_cli() if which == "plain" else None)) as made:
        address = listening(made)
        assert (address.host, len(address.connection_token or "")) == ("127.0.0.1", 64)
        assert str(address) == f"127.0.0.1:{address.port}"
        assert str(address.connection_token) not in repr(address)
        with socket.create_connection((address.host, address.port), 5):
            pass


def test_a_program_that_is_named_is_started() -> None:
    named = plain_cli()
    cache = str(named.package_cache)
    command = find_cli(environ(COPILOT_CLI_PATH=str(named.program), COPILOT_PKG_CACHE_HOME=cache))
    with started(sidecar(command)) as made:
        assert listening(made).port


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("exit 1", "ended with status 1"),
        ("kill -9 $$", "ended by signal SIGKILL"),
        ("exec sleep 600", "did not listen within 12 seconds"),
    ],
)
def test_where_the_runtime_breaks_the_plain_cli_is_started_and_answers(
    tmp_path: Path, body: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = replace(find_cli(environ()), program=script(tmp_path, body))
    model = ScriptedModel(report())

    async def story(url: str) -> None:
        async with running(sidecar(broken, seconds=12.0)) as (made, connection):
            asked = await put(connection, url, Question())
            assert asked.error is None
            assert made.pid is not None
            assert program_of(made.pid) == plain_cli().program

    with serve(model) as url:
        asyncio.run(story(url))
    assert [request.model for request in model.requests] == [MODEL]
    assert reason in caplog.text
    assert f"Trying {plain_cli().program} instead." in caplog.text


def test_a_program_that_cannot_be_executed_gives_way_to_the_plain_cli(tmp_path: Path) -> None:
    broken = replace(find_cli(environ()), program=tmp_path / "missing")
    with started(sidecar(broken)) as made:
        assert listening(made).port


def test_a_program_that_cannot_be_executed_is_an_error_without_another(tmp_path: Path) -> None:
    homes = set(Path(tempfile.gettempdir()).glob("hunkwise-sidecar-*"))
    made = sidecar(tmp_path / "missing")
    with pytest.raises(ModelError, match="could not be started") as raised:
        made.start()
    assert raised.value.kind is ModelKind.SIDECAR
    assert made.pid is None
    made.stop()
    assert set(Path(tempfile.gettempdir()).glob("hunkwise-sidecar-*")) <= homes


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"bytearray({MAX_MEMORY} + 1)", "MemoryError"),
        (f"import os; os.truncate('x', {MAX_FILE} + 1)", "File too large"),
        (f"import os; os.truncate('x', {MAX_FILE}); bytearray({MAX_MEMORY} // 2); exit('within')", "within"),
    ],
)
def test_a_cli_can_neither_allocate_nor_write_without_bounds(
    tmp_path: Path, program: str, words: str
) -> None:
    cli = script(tmp_path, f': > x; exec {sys.executable} -c "{program}"')
    with started(sidecar(cli)) as made:
        assert words in asyncio.run(made.exited()).message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo cannot find a disk; exit 1", "ended with status 1. It said: cannot find a disk"),
        ("exit 0", "ended with status 0."),
        ("kill -SEGV $$", "ended by signal SIGSEGV."),
        ("sleep 600", "did not listen within 1 seconds"),
        ("exec >/dev/null 2>&1; exec sleep 600", "did not listen within 1 seconds"),
        ("sleep 600 & exit 3", "ended with status 3."),
    ],
)
def test_a_program_that_never_listens_is_an_error(tmp_path: Path, body: str, words: str) -> None:
    with started(sidecar(script(tmp_path, body), seconds=1.0)) as made:
        with pytest.raises(ModelError) as raised:
            listening(made)
        assert words in raised.value.message
        assert raised.value.kind is ModelKind.SIDECAR
        assert raised.value.hint


def test_a_port_that_another_process_listens_on_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        program = script(tmp_path, f"echo listening on port {port}; exec sleep 600")
        words = f"Port {port} is not the Copilot CLI's own"
        with started(sidecar(program)) as made, pytest.raises(ModelError, match=words):
            listening(made)


def test_the_child_gets_nothing_of_our_environment_but_what_it_needs() -> None:
    canaries = {
        "GITHUB_TOKEN": "ghs_canary",
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
    with started(Sidecar(find_cli(environ()), own, environ(**canaries))) as made:
        listening(made)
        assert made.pid is not None
        entries = Path(f"/proc/{made.pid}/environ").read_bytes().decode().split("\0")
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


def test_the_home_is_private_and_wiped_after_the_stop() -> None:
    with started(sidecar()) as made:
        listening(made)
        assert made.pid is not None
        home = home_of(made.pid)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert Path(f"/proc/{made.pid}/cwd").resolve() == (home / "scratch").resolve()
        assert list((home / "scratch").iterdir()) == []
    assert not home.exists()
    made.stop()


def test_the_end_is_told_to_whoever_waits_for_it() -> None:
    with started(sidecar()) as made:
        listening(made)

        async def story() -> ModelError:
            waiting = asyncio.create_task(made.exited())
            forgotten = asyncio.create_task(made.exited())
            await asyncio.sleep(0)
            forgotten.cancel()
            assert made.pid is not None
            os.kill(made.pid, signal.SIGKILL)
            return await waiting

        assert "ended by signal SIGKILL" in asyncio.run(story()).message


@pytest.mark.parametrize(
    "body",
    [
        "sleep 600 & echo $! $$; wait",
        "trap '' TERM; (trap '' TERM; exec sleep 600) & echo $! $$; while :; do sleep 600; done",
        "sleep 600 & echo $! $$; kill -STOP $$",
    ],
    ids=["heeds SIGTERM", "ignores SIGTERM", "is stopped"],
)
def test_the_program_and_its_children_end_with_the_stop(tmp_path: Path, body: str) -> None:
    told = tmp_path / "pids"
    made = sidecar(
        script(tmp_path, body.replace("echo $! $$", f"echo $! $$ >{told}.new; mv {told}.new {told}"))
    )
    with started(made):
        assert until(told.exists)
        pids = [int(pid) for pid in told.read_text().split()]
        assert made.pid in pids
    assert until(lambda: not any(alive(pid) for pid in pids))


def test_a_child_of_a_dead_program_ends_with_the_stop_too(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with started(sidecar(script(tmp_path, f"sleep 600 & echo $! >{told}; exit 1"))) as made:
        with pytest.raises(ModelError):
            listening(made)
        pid = int(told.read_text())
        assert alive(pid)
    assert until(lambda: not alive(pid))


def test_a_flood_of_output_does_not_stop_the_program(tmp_path: Path) -> None:
    flood = "head -c 3000000 /dev/zero; echo; yes | head -n 300000; echo the end; exit 4"
    with started(sidecar(script(tmp_path, flood))) as made:
        with pytest.raises(ModelError, match=r"ended with status 4\. It said: .*the end"):
            listening(made)
        assert "ended with status 4." in asyncio.run(made.exited()).message


def test_the_kernel_ends_the_cli_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import asyncio, time\n"
        "from tests.copilot.programs import sidecar\n"
        "made = sidecar()\n"
        "made.start()\n"
        "asyncio.run(made.ready())\n"
        "print(made.pid, flush=True)\n"
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


def test_a_sidecar_that_was_not_started_can_be_stopped() -> None:
    made = Sidecar(CliCommand(Path("nowhere")), NOWHERE, {})
    made.stop()
    assert made.pid is None


def test_a_signal_without_a_name_is_said_by_its_number() -> None:
    assert _signal_name(9) == "SIGKILL"
    assert _signal_name(40) == "40"


@pytest.mark.parametrize("told", ["env", "env | base64 -w 0", "env | rev"])
def test_last_words_that_tell_the_connection_token_are_not_repeated(tmp_path: Path, told: str) -> None:
    program = script(tmp_path, f"echo harmless; {told}; exit 3")
    with started(sidecar(program)) as made, pytest.raises(ModelError) as caught:
        listening(made)
    assert caught.value.message == "The Copilot CLI ended with status 3."


def test_a_child_that_left_the_programs_group_ends_with_the_stop_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = script(tmp_path, f"(setsid sh -c 'echo $$ > {pid}; exec sleep 600' &); sleep 600")
    with started(sidecar(program)):
        until(lambda: pid.is_file() and pid.read_text().strip() != "")
    assert not alive(int(pid.read_text()))

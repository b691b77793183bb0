"""Group "process and host": other processes of the machine, a hijacked sidecar, and how a run is stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import find_cli
from hunkwise.files import PrivateFolder
from tests.end_to_end.github_snapshot import snapshot
from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PROVIDER_KEY, Result, Step
from tests.end_to_end.step_checks import children_of, listening_ports, processes_of
from tests.end_to_end.world import HEAD, finding, report_call, wait_until
from tests.end_to_end.write_log import report_faults
from tests.fakes.model_script import Answer, Fault, ModelRequest, always, report, turns
from tests.redteam.attack import AttackWorld
from tests.redteam.checks import FORGED
from tests.redteam.counts import ATTACK
from tests.redteam.fake_clis import python_command, replace_cli
from tests.redteam.loopback import Sockets, run_without_network, watch_sockets
from tests.redteam.parallel import Act, run_in_parallel

COMMAND = f"::error::{FORGED}"
NEVER = Answer(delay=100)


def check_failed(result: Result, *words: str) -> None:
    """Checks that no review was made, and that log and summary have the words."""
    assert result.code == 3, result.log
    for word in words:
        assert word in result.error_text, result.log
        assert word in result.summary.replace("\\", ""), result.summary


def check_reviewed(world: AttackWorld, result: Result) -> None:
    """Checks for a normal review."""
    assert result.code == 0, (result.log, result.errors)
    assert [comment.line for comment in world.github.comments] == [3]


def frame(*messages: object) -> bytes:
    """Returns JSON-RPC messages as the CLI reads them."""
    texts = [json.dumps(message).encode() for message in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(text), text) for text in texts)


def call(method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": method, "method": method, "params": params}


ROGUE_MESSAGES: dict[str, bytes] = {
    "no token": frame(call("connect")),
    "an empty token": frame(call("connect", token="")),
    "a wrong token": frame(call("connect", token="0" * 64)),
    "a token that is no text": frame(call("connect", token={"$ne": None})),
    "calls before any token": frame(
        call("session.list"),
        call("session.create", availableTools=["bash"]),
        call("session.send", sessionId="1", prompt="id"),
        call("status.get"),
        call("auth.getStatus"),
        call("models.list"),
        call("session.shell.exec", command="id"),
    ),
    "garbage": bytes(range(256)) * 40,
    "a request of HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n",
    "a length of petabytes": b"Content-Length: 9999999999999999\r\n\r\n{",
    "a length below nothing": b"Content-Length: -1\r\n\r\n{}",
    "half a message": frame(call("connect"))[:20],
    "two hundred thousand brackets": b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
}


@contextmanager
def rogue_clients(port: int) -> Iterator[dict[str, socket.socket]]:
    """Connects a client for each message, and a hundred that send nothing."""
    clients = {name: socket.create_connection(("127.0.0.1", port), 10) for name in ROGUE_MESSAGES}
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(100)]
    try:
        for name, client in clients.items():
            with suppress(OSError):  # it was disconnected
                client.sendall(ROGUE_MESSAGES[name])
        yield clients
    finally:
        for client in (*clients.values(), *idle):
            client.close()


def receive(client: socket.socket) -> bytes:
    """Returns what has arrived so far, or arrives soon."""
    client.settimeout(0.3)
    whole = b""
    with suppress(OSError):
        while more := client.recv(65_536):
            whole += more
    return whole


def test_clients_without_token_get_no_answer(world: AttackWorld) -> None:
    world.record_attacks(*ROGUE_MESSAGES, "a hundred idle connections")
    world.change()
    go = threading.Event()

    def answer(_request: ModelRequest) -> Answer:
        go.wait(60)
        return report_call(finding())

    world.answer_with(turns([answer, report_call()]))
    step = world.step()
    with step.started() as process:
        wait_until(lambda: world.model.in_flight == 1)
        (port,) = [port for child in children_of(process.pid) for port in listening_ports(child)]
        with rogue_clients(port) as clients:
            answers = {name: receive(client) for name, client in clients.items()}
            go.set()
            result = world.record(step.finish(process))
    check_reviewed(world, result)
    for name, answer_given in answers.items():
        replies = [json.loads(part) for part in re.findall(rb"\{\"jsonrpc.*?\}\}", answer_given)]
        assert all("result" not in reply for reply in replies), (name, answer_given)
        assert b"app.py" not in answer_given, name
    refusal = b"AUTHENTICATION_FAILED"
    assert all(refusal in answers[name] for name in ("no token", "an empty token", "a wrong token"))
    assert answers["calls before any token"].count(b"AUTHENTICATION_REQUIRED") == 7


class Listener:
    """A server on another port; `heard` has all that was sent there."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Listener:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with client:
                    client.settimeout(5)
                    self.heard.append(client.recv(65_536))


@pytest.mark.parametrize(
    "announced",
    ["listening on port {port}", "listening on port 99999"],
    ids=["a rogue listener's", "no port"],
)
def test_sends_token_only_to_the_sidecars_own_port(world: AttackWorld, announced: str) -> None:
    world.record_attacks(announced)
    world.change()
    with Listener() as listener:
        line = f"CLI server {announced.format(port=listener.port)}"
        result = world.run_copilot(environ=replace_cli(world, f"echo '{line}'; exec sleep 60", then=False))
        assert listener.heard == []
    check_failed(result, "not the Copilot CLI's own")


LAST_OUTPUTS = {
    "its environment": "env",
    "its environment in Base64": "env | base64 -w 0",
    "workflow commands": f"printf '{COMMAND}\\n\\033]0;x\\007\\033[2J\\r{COMMAND}\\f##[error]{FORGED}\\n@everyone'",
}


@pytest.mark.parametrize("output", LAST_OUTPUTS)
def test_output_of_ending_sidecar_is_inert_and_without_secrets(world: AttackWorld, output: str) -> None:
    world.record_attacks(f"its last output is {output}")
    world.change()
    result = world.run_copilot(environ=replace_cli(world, f"{LAST_OUTPUTS[output]}; exit 1", then=False))
    check_failed(result, "ended with status 1")
    assert "@everyone" not in result.summary.replace("`@everyone`", "")


DEEP = """
import os, socket
os.chdir(os.environ["HOME"])
os.mkfifo("pipe")
socket.socket(socket.AF_UNIX).bind("socket")
for _ in range(1_500):
    os.mkdir("d")
    os.chdir("d")
"""


MAKER = """
import itertools, os, sys, time
end = time.monotonic() + 120
for number in itertools.count():
    os.makedirs(f'{sys.argv[1]}/made/{number % 500}', exist_ok=True)
    if time.monotonic() > end: break
"""


def hostile_home(world: AttackWorld) -> str:
    """Returns commands of a hijacked CLI that leave files in its home, and processes."""
    outside = world.repository.path
    return "\n".join(
        [
            python_command(DEEP),
            f'ln -s {outside} "$HOME/link"; ln -s / "$HOME/root"; ln -s {world.canary_file} "$HOME/file"',
            'mkdir "$HOME/locked"; touch "$HOME/locked/x"; chmod 0 "$HOME/locked"',
            "sleep 600 &",
            "setsid sleep 600 &",
            '(cd / && setsid sh -c "sleep 600 & sleep 600" &)',
            *[f'(cd / && setsid env -i {sys.executable} -c "{MAKER}" "$HOME" </dev/null &)'] * 2,
        ]
    )


def test_removes_everything_of_hijacked_sidecar(world: AttackWorld) -> None:
    world.record_attacks("folders 1,500 deep", "links out of the home", "a folder without permissions")
    world.record_attacks("a child in the group", "a child in a session of its own", "an orphan elsewhere")
    world.record_attacks("orphans without environment that go on making folders")
    world.change(script=report([finding()]))
    environ = replace_cli(world, hostile_home(world))
    step = world.step(environ=environ, workspace=world.repository.path, process=True)
    check_reviewed(world, world.record(step.run()))
    assert processes_of(step.temporary) == []
    # On a slow disk the next run deletes the rest of the folders; no process creates new ones.
    PrivateFolder("hunkwise-sidecar-", step.temporary).wipe(60)
    assert world.canary_file.is_file()


def test_writes_outputs_before_it_waits_for_hostile_sidecar(world: AttackWorld) -> None:
    world.record_attacks("a CLI that does not end when it is asked to")
    world.change(script=report([finding()]))
    real, seen = find_cli(os.environ).program, world.folder / "seen"
    waits = f"""
        trap 'cp {world.folder}/step*/output {seen}; kill $cli' TERM
        {real} "$@" & cli=$!
        while :; do wait; done
    """
    environ = replace_cli(world, waits, then=False)
    check_reviewed(world, world.run(environ=environ, workspace=world.repository.path))
    assert "conclusion" in seen.read_text()


FLOOD = f"head -c 20000000 /dev/zero; (yes '{COMMAND}' | head -c 20000000) &"


def test_large_output_does_not_stop_the_run(world: AttackWorld) -> None:
    world.record_attacks(
        "twenty megabytes without a line feed", "twenty megabytes of commands during the run"
    )
    world.change(script=report([finding()]))
    check_reviewed(world, world.run(environ=replace_cli(world, FLOOD)))


def test_read_only_home_is_an_error(world: AttackWorld) -> None:
    world.record_attacks("a COPILOT_HOME that is read-only")
    world.change()
    # File modes do not restrict root.
    spoiled = 'rm -rf "$COPILOT_HOME"; ln -s /proc/self "$COPILOT_HOME"'
    check_failed(world.run(environ=replace_cli(world, spoiled)), "Run it again")


ECHO = f"Incorrect key {PROVIDER_KEY}.\n{COMMAND}\r{COMMAND}\u2028{COMMAND}\n@everyone <img src=x> ##[error]{FORGED}"
ECHOED = b64encode(f"key={PROVIDER_KEY}".encode()).decode()


@pytest.mark.parametrize("status", [400, 401])
def test_redacts_key_in_error_of_provider(world: AttackWorld, status: int) -> None:
    world.record_attacks(
        f"the key in a {status}", f"commands and mentions in a {status}", f"an encoded key in a {status}"
    )
    world.change()
    for words in (ECHO, f"{ECHO} {ECHOED} {PROVIDER_KEY[::-1]}"):
        world.answer_with(always(Fault(status, body={"error": {"message": words, "code": words}})))
        result = world.run()
        check_failed(result)
        for text in (result.summary, *world.check_run_markdown):
            assert "@everyone" not in text.replace("`@everyone`", "")
            assert "<img" not in text.replace("\\<img", "").replace("`<img", "")


def trap_variables(world: AttackWorld) -> dict[str, str]:
    """Returns variables that make other programs run a trap."""
    names = (
        "BASH_ENV BROWSER EDITOR ENV GIT_ASKPASS GIT_EDITOR GIT_EXTERNAL_DIFF GIT_PAGER GIT_PROXY_COMMAND "
        "GIT_SEQUENCE_EDITOR GIT_SSH GIT_SSH_COMMAND GIT_TEXTCONV LESSOPEN PAGER PYTHONSTARTUP SSH_ASKPASS VISUAL"
    ).split()
    configured = {
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "core.sshCommand",
        "uploadpack.packObjectsHook",
    }
    run = {name: str(world.trap_program(name)) for name in names}
    for place, name in enumerate(sorted(configured)):
        run |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": str(world.trap_program(name))}
    script = world.folder / "trap.js"
    script.write_text(f"require('child_process').execSync({json.dumps(world.trap_command('node'))})\n")
    return {
        **run,
        "GIT_CONFIG_COUNT": str(len(configured)),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{world.trap_program('parameters')}'",
        "NODE_OPTIONS": f"--require {script}",
        "PERL5OPT": "-Mnothing",
    }


def misleading_variables(world: AttackWorld) -> dict[str, str]:
    """Returns variables that name other objects, homes, models and servers."""
    return {
        "GIT_DIR": str(world.folder / "nowhere"),
        "GIT_WORK_TREE": "/",
        "GIT_OBJECT_DIRECTORY": str(world.folder / "nowhere"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/",
        "GIT_INDEX_FILE": "/dev/null",
        "COPILOT_HOME": str(world.folder / "other-home"),
        "COPILOT_MODEL": "another-model",
        "COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:1/v1",
        "COPILOT_CONNECTION_TOKEN": "0" * 64,
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "XDG_CONFIG_HOME": str(world.folder / "other-home"),
    }


def test_ignores_variables_of_the_job(world: AttackWorld) -> None:
    world.record_attacks("variables that run something", "variables that lead elsewhere")
    world.change(script=report([finding()]))
    here = world.repository.path
    result = world.run(
        workspace=here, cwd=here, environ={**trap_variables(world), **misleading_variables(world)}
    )
    check_reviewed(world, result)
    assert {request.model for request in world.model.requests} == {"scripted-model"}
    assert not (world.folder / "other-home").exists()


def plant_homes(world: AttackWorld, step: Step) -> list[Path]:
    """Creates files and links with the names of sidecars' homes."""
    step.temporary.mkdir(parents=True)
    link, full = (step.temporary / f"hunkwise-sidecar-{name}" for name in ("link", "full"))
    link.symlink_to(world.repository.path)
    full.mkdir()
    (full / "workspace").symlink_to(world.repository.path)
    (full / "canary").symlink_to(world.canary_file)
    (step.temporary / "hunkwise-sidecar-file").write_text("x")
    return [link, step.temporary / "hunkwise-sidecar-file"]


def test_links_named_like_homes_are_not_followed(world: AttackWorld) -> None:
    world.record_attacks("a link called as a home", "a home with links in it", "a file called as a home")
    world.change(script=report([finding()]))
    step = world.step(workspace=world.repository.path, process=True)
    left = plant_homes(world, step)
    check_reviewed(world, world.record(step.run()))
    assert world.canary_file.is_file()
    for path in left:
        path.unlink()


DEBUGGED = {
    "ACTIONS_STEP_DEBUG": "true",
    "ACTIONS_RUNNER_DEBUG": "true",
    "RUNNER_DEBUG": "1",
    "DEBUG": "*",
    "NODE_DEBUG": "http,net",
    "GIT_TRACE": "1",
    "GIT_TRACE_CURL": "1",
}


def test_debug_log_has_neither_prompt_nor_answer(world: AttackWorld) -> None:
    world.record_attacks("a debugged step")
    world.change(
        head={**HEAD, "new.py": "value = 'canary of the diff'\n"},
        script=report([finding(body="canary of the body")]),
    )
    result = world.run(environ=DEBUGGED)
    check_reviewed(world, result)
    for secret in ("canary of the diff", "canary of the body", "report_findings"):
        assert secret not in result.log + result.errors


@pytest.mark.parametrize("who", ["a provider", "Copilot"])
def test_connects_to_loopback_only(world: AttackWorld, who: str) -> None:
    world.record_attacks(f"a whole review by {who} in a network without a way out")
    world.change(script=turns([Answer(tool_calls=report_call(finding()).tool_calls, delay=1), report_call()]))
    done: list[tuple[Result, Sockets]] = []

    def work() -> None:
        world.serve_in_this_network()
        step = world.copilot_step() if who == "Copilot" else world.step()
        with step.started() as process, watch_sockets(process.pid) as sockets:
            done.append((world.record(step.finish(process)), sockets))

    attempts = run_without_network(work)
    ((result, sockets),) = done
    check_reviewed(world, result)
    assert (sockets.remote_addresses, sockets.looks > 0) == (set(), True)
    assert not attempts


def act_in_turn(world: AttackWorld, act: Callable[[subprocess.Popen[str]], object], **inputs: str) -> Result:
    """Runs a step and acts on it while its second prompt is not answered."""
    world.change_parts(["slow.py", "quick.py"])

    def answer(request: ModelRequest) -> Answer | Fault:
        return NEVER if '### "slow.py"' in request.prompt else found(request)

    found = report([finding("quick.py", 2)])
    world.answer_with(answer)
    step = world.step(inputs)
    with step.started() as process:
        journal = step.folder / "temp/hunkwise/journal.jsonl"
        wait_until(lambda: journal.is_file() and len(world.model.requests) == 2)
        act(process)
        return world.record(step.finish(process))


def check_partial(world: AttackWorld, result: Result, reason: str) -> None:
    """Checks that the first finding was posted, and that the other file is listed with the reason."""
    assert result.code == 4, (result.log, result.errors)
    assert [comment.path for comment in world.github.comments] == ["quick.py"]
    reasons = result.reasons
    assert (reasons["quick.py"], reason in str(reasons["slow.py"])) == (None, True), reasons
    assert "slow.py" in world.summary_comment


def signal_sidecar(number: signal.Signals) -> Callable[[subprocess.Popen[str]], None]:
    def send(process: subprocess.Popen[str]) -> None:
        for child in children_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    return send


def stop_sidecar_and_cancel(process: subprocess.Popen[str]) -> None:
    """Stops the sidecar, then cancels the job."""
    signal_sidecar(signal.SIGSTOP)(process)
    process.send_signal(signal.SIGTERM)


def cancel_like_runner(process: subprocess.Popen[str]) -> None:
    """Sends SIGINT, and SIGTERM 7.5 s later, while GitHub takes longer to store the review."""
    process.send_signal(signal.SIGINT)
    time.sleep(7.5)
    process.send_signal(signal.SIGTERM)


def cancel(world: AttackWorld) -> None:
    world.github.fault("POST", "/reviews$", delay=8)
    check_partial(world, act_in_turn(world, cancel_like_runner), "interrupted")


def send_many_signals(world: AttackWorld) -> None:
    """Sends both signals repeatedly from the start, that is during the imports."""
    world.change(script=always(NEVER))
    step = world.step()
    with step.started() as process:
        wait_until(lambda: any(step.temporary.glob("*hunkwise-sidecar-*")), pause=0)
        for turn in range(40):
            process.send_signal((signal.SIGTERM, signal.SIGINT)[turn % 2])
            time.sleep(0.02)
        result = world.record(step.finish(process))
    check_failed(result, "stopped")


def run_without_listening_sidecar(world: AttackWorld) -> None:
    world.change()
    check_failed(world.run(environ=replace_cli(world, "exec sleep 600", then=False)), "did not listen")


def run_without_answer(world: AttackWorld) -> None:
    world.deadline = 0.2
    world.change(script=always(NEVER))
    check_failed(world.run(), "deadline")


def fail_always(fault: Fault, *words: str) -> Act:
    """Returns an act with a model that always fails in this way."""

    def act(world: AttackWorld) -> None:
        world.change(script=always(fault))
        check_failed(world.run(), *words)

    return act


def run_two_at_once(world: AttackWorld) -> None:
    """Runs two steps of the same job and attempt, as after a re-run that GitHub delivered twice."""
    lines = {"app.py": HEAD["app.py"].replace("added", "fault(A)")}
    world.change(head=lines, script=report_faults)
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(world.step().run) for _ in range(2)]
        assert [world.record(one.result()).code for one in results] == [0, 0]
    assert snapshot(world).comments == (("app.py", 4, "Fault A"),)


WAITING_ACTS: Mapping[str, Act] = {
    "the sidecar is stopped by SIGSTOP": lambda world: check_partial(
        world, act_in_turn(world, signal_sidecar(signal.SIGSTOP)), "did not answer"
    ),
    "SIGINT and then SIGTERM while the review is posted": cancel,
    "SIGSTOP to the sidecar and SIGTERM to us": lambda world: check_partial(
        world, act_in_turn(world, stop_sidecar_and_cancel), "interrupted"
    ),
    "the sidecar is killed in mid-turn": lambda world: check_partial(
        world, act_in_turn(world, signal_sidecar(signal.SIGKILL)), "did not answer"
    ),
    "forty signals from the start on": send_many_signals,
}
SLOW_ACTS: Mapping[str, Act] = {
    "the sidecar never listens": run_without_listening_sidecar,
    "the model never answers": run_without_answer,
    "two runs on one pull request": run_two_at_once,
    "the model answers 429": fail_always(
        Fault(429, {"retry-after": "1"}, body={"error": {"message": ECHO}}), "429"
    ),
    "the model answers 500": fail_always(Fault(500, body={"error": {"message": ECHO}})),
    "the model answers HTML": fail_always(Fault(200, html=True)),
    "the model hangs up": fail_always(Fault(disconnect=True)),
}


@pytest.mark.parametrize(
    "acts",
    [
        pytest.param(WAITING_ACTS, id="stopped"),
        # Each change tries them in process: end_to_end/test_model_faults, test_limits, test_races.
        pytest.param(SLOW_ACTS, id="slow", marks=pytest.mark.nightly),
    ],
)
def test_ends_when_stopped_or_waiting(
    tmp_path: Path, request: pytest.FixtureRequest, acts: Mapping[str, Act]
) -> None:
    count = request.node.user_properties.append
    run_in_parallel(acts, tmp_path, lambda attack: count((ATTACK, attack)))


def test_sidecar_has_no_github_token(world: AttackWorld) -> None:
    world.record_attacks("the token that writes, looked for in the sidecar's environment and files")
    world.change(script=turns([Answer(delay=2), report_call()]))
    step = world.copilot_step()
    with step.started() as process:
        wait_until(lambda: world.copilot.model.in_flight == 1)
        for child in children_of(process.pid):
            environ = Path(f"/proc/{child}/environ").read_bytes()
            assert (COPILOT_TOKEN.encode() in environ, GITHUB_TOKEN.encode() in environ) == (True, False)
            assert not any(secret.encode() in environ for secret in ("canary", PROVIDER_KEY))
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            assert COPILOT_TOKEN.encode() not in command
            assert re.search(rb"[0-9a-f]{64}", command) is None
        world.record(step.finish(process))

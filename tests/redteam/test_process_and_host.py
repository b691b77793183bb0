"""Group "Process and host": what else runs on the machine, what the sidecar may turn into, and how a run is stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.end_to_end.github_snapshot import snapshot
from tests.end_to_end.step import COPILOT_TOKEN, GITHUB_TOKEN, PROVIDER_KEY, Result, Step
from tests.end_to_end.test_model_faults import children_of
from tests.end_to_end.world import HEAD, finding, said, wait_until
from tests.end_to_end.write_log import stubborn
from tests.fakes.model_script import Answer, Fault, ModelRequest, always, report, turns
from tests.redteam.attack import Arena
from tests.redteam.checks import FORGED
from tests.redteam.counts import ATTACK
from tests.redteam.fake_clis import cli, ports_of, python
from tests.redteam.loopback import Sockets, alone, watched
from tests.redteam.parallel import Act, side_by_side

COMMAND = f"::error::{FORGED}"
NEVER = Answer(delay=100)


def said_why(result: Result, *words: str) -> None:
    """No review was made, and log and summary say why in these words."""
    assert result.code == 3, result.log
    for word in words:
        assert word in " ".join(result.commands("error")), result.log
        assert word in result.summary.replace("\\", ""), result.summary


def reviewed(arena: Arena, result: Result) -> None:
    """As if nothing had happened."""
    assert result.code == 0, (result.log, result.errors)
    assert [comment.line for comment in arena.github.comments] == [3]


# Who else is on the machine


def framed(*messages: object) -> bytes:
    """JSON-RPC as the CLI takes it."""
    texts = [json.dumps(message).encode() for message in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(text), text) for text in texts)


def call(method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": method, "method": method, "params": params}


ROGUES: dict[str, bytes] = {
    "no token": framed(call("connect")),
    "an empty token": framed(call("connect", token="")),
    "a wrong token": framed(call("connect", token="0" * 64)),
    "a token that is no text": framed(call("connect", token={"$ne": None})),
    "calls before any token": framed(
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
    "half a message": framed(call("connect"))[:20],
    "two hundred thousand brackets": b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
}


@contextmanager
def rogues(port: int) -> Iterator[dict[str, socket.socket]]:
    """Clients of all those kinds, and a hundred that say nothing."""
    clients = {name: socket.create_connection(("127.0.0.1", port), 10) for name in ROGUES}
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(100)]
    try:
        for name, client in clients.items():
            with suppress(OSError):  # it was thrown out before it had said all
                client.sendall(ROGUES[name])
        yield clients
    finally:
        for client in (*clients.values(), *idle):
            client.close()


def heard(client: socket.socket) -> bytes:
    """All that has come so far, or comes soon."""
    client.settimeout(0.3)
    whole = b""
    with suppress(OSError):
        while more := client.recv(65_536):
            whole += more
    return whole


def test_a_rogue_client_on_the_sidecars_port_is_told_nothing_and_disturbs_nobody(arena: Arena) -> None:
    arena.tries(*ROGUES, "a hundred idle connections")
    arena.change()
    go = threading.Event()

    def answer(_request: ModelRequest) -> Answer:
        go.wait(60)
        return said(finding())

    arena.answers(turns([answer, said()]))
    step = arena.step()
    with step.started() as process:
        wait_until(lambda: arena.model.in_flight == 1)
        (port,) = [port for child in children_of(process.pid) for port in ports_of(child)]
        with rogues(port) as clients:
            told = {name: heard(client) for name, client in clients.items()}
            go.set()
            result = arena.done(step.finish(process))
    reviewed(arena, result)
    for name, answer_given in told.items():
        replies = [json.loads(part) for part in re.findall(rb"\{\"jsonrpc.*?\}\}", answer_given)]
        assert all("result" not in reply for reply in replies), (name, answer_given)
        assert b"app.py" not in answer_given, name
    refusal = b"AUTHENTICATION_FAILED"
    assert all(refusal in told[name] for name in ("no token", "an empty token", "a wrong token"))
    assert told["calls before any token"].count(b"AUTHENTICATION_REQUIRED") == 7


class Listener:
    """Waits on a port that is not its own to serve; `heard` is all that was sent there."""

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
def test_a_port_that_is_not_the_sidecars_own_gets_no_token(arena: Arena, announced: str) -> None:
    arena.tries(announced)
    arena.change()
    with Listener() as listener:
        line = f"CLI server {announced.format(port=listener.port)}"
        result = arena.run_copilot(environ=cli(arena, f"echo '{line}'; exec sleep 60", then=False))
        assert listener.heard == []
    said_why(result, "not the Copilot CLI's own")


# What the sidecar may turn into

TELLS = {
    "its environment": "env",
    "its environment in Base64": "env | base64 -w 0",
    "workflow commands": f"printf '{COMMAND}\\n\\033]0;x\\007\\033[2J\\r{COMMAND}\\f##[error]{FORGED}\\n@everyone'",
}


@pytest.mark.parametrize("told", TELLS)
def test_the_last_words_of_a_dying_sidecar_tell_no_secret_and_command_nothing(
    arena: Arena, told: str
) -> None:
    arena.tries(f"its last words are {told}")
    arena.change()
    result = arena.run_copilot(environ=cli(arena, f"{TELLS[told]}; exit 1", then=False))
    said_why(result, "ended with status 1")
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


def hostile_home(arena: Arena) -> str:
    """What a CLI that was taken over may leave in its home, and behind it."""
    outside = arena.repository.path
    return "\n".join(
        [
            python(DEEP),
            f'ln -s {outside} "$HOME/link"; ln -s / "$HOME/root"; ln -s {arena.canary_file} "$HOME/file"',
            'mkdir "$HOME/locked"; touch "$HOME/locked/x"; chmod 0 "$HOME/locked"',
            "sleep 600 &",
            "setsid sleep 600 &",
            '(cd / && setsid sh -c "sleep 600 & sleep 600" &)',
        ]
    )


def test_nothing_is_left_of_a_sidecar_that_was_taken_over(arena: Arena) -> None:
    arena.tries("folders 1,500 deep", "links out of the home", "a folder without permissions")
    arena.tries("a child in the group", "a child in a session of its own", "an orphan elsewhere")
    arena.change()
    arena.answers(report([finding()]))
    reviewed(arena, arena.run(environ=cli(arena, hostile_home(arena)), workspace=arena.repository.path))
    assert arena.canary_file.is_file()


FLOOD = f"head -c 20000000 /dev/zero; (yes '{COMMAND}' | head -c 20000000) &"


def test_a_flood_of_output_stops_nobody_and_commands_nothing(arena: Arena) -> None:
    arena.tries("twenty megabytes without a line feed", "twenty megabytes of commands during the run")
    arena.change()
    arena.answers(report([finding()]))
    reviewed(arena, arena.run(environ=cli(arena, FLOOD)))


def test_a_home_that_nothing_can_be_written_to_is_an_error_with_a_remedy(arena: Arena) -> None:
    arena.tries("a COPILOT_HOME that is read-only")
    arena.change()
    # For root no folder is read-only by its mode.
    spoiled = 'rm -rf "$COPILOT_HOME"; ln -s /proc/self "$COPILOT_HOME"'
    said_why(arena.run(environ=cli(arena, spoiled)), "Run the job again")


# What a model's server may answer

ECHO = f"Incorrect key {PROVIDER_KEY}.\n{COMMAND}\r{COMMAND}\u2028{COMMAND}\n@everyone <img src=x> ##[error]{FORGED}"
ECHOED = b64encode(f"key={PROVIDER_KEY}".encode()).decode()


@pytest.mark.parametrize("status", [400, 401])
def test_an_error_that_repeats_the_key_tells_it_to_nobody(arena: Arena, status: int) -> None:
    arena.tries(
        f"the key in a {status}", f"commands and mentions in a {status}", f"an encoded key in a {status}"
    )
    arena.change()
    for words in (ECHO, f"{ECHO} {ECHOED} {PROVIDER_KEY[::-1]}"):
        arena.answers(always(Fault(status, body={"error": {"message": words, "code": words}})))
        result = arena.run()
        said_why(result)
        for text in (result.summary, *arena.markdown_of_checks):
            assert "@everyone" not in text.replace("`@everyone`", "")
            assert "<img" not in text.replace("\\<img", "").replace("`<img", "")


# The job's environment, debugging, and what lies about


def traps(arena: Arena) -> dict[str, str]:
    """Variables that make other programs run something, each with its own trap."""
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
    run = {name: str(arena.program(name)) for name in names}
    for place, name in enumerate(sorted(configured)):
        run |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": str(arena.program(name))}
    script = arena.folder / "trap.js"
    script.write_text(f"require('child_process').execSync({json.dumps(arena.trap('node'))})\n")
    return {
        **run,
        "GIT_CONFIG_COUNT": str(len(configured)),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor'='{arena.program('parameters')}'",
        "NODE_OPTIONS": f"--require {script}",
        "PERL5OPT": "-Mnothing",
    }


def led_astray(arena: Arena) -> dict[str, str]:
    """Variables that name other objects, homes, models and servers than the step's own."""
    return {
        "GIT_DIR": str(arena.folder / "nowhere"),
        "GIT_WORK_TREE": "/",
        "GIT_OBJECT_DIRECTORY": str(arena.folder / "nowhere"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/",
        "GIT_INDEX_FILE": "/dev/null",
        "COPILOT_HOME": str(arena.folder / "foreign"),
        "COPILOT_MODEL": "another-model",
        "COPILOT_PROVIDER_BASE_URL": "http://127.0.0.1:1/v1",
        "COPILOT_CONNECTION_TOKEN": "0" * 64,
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "XDG_CONFIG_HOME": str(arena.folder / "foreign"),
    }


def test_the_environment_of_the_job_runs_nothing_and_leads_nowhere_else(arena: Arena) -> None:
    arena.tries("variables that run something", "variables that lead elsewhere")
    arena.change()
    arena.answers(report([finding()]))
    here = arena.repository.path
    result = arena.run(workspace=here, cwd=here, environ={**traps(arena), **led_astray(arena)})
    reviewed(arena, result)
    assert {request.model for request in arena.model.requests} == {"scripted-model"}
    assert not (arena.folder / "foreign").exists()


def planted(arena: Arena, step: Step) -> list[Path]:
    """Homes that are none, in the folder where homes are made."""
    step.temporary.mkdir(parents=True)
    link, full = (step.temporary / f"hunkwise-sidecar-{name}" for name in ("link", "full"))
    link.symlink_to(arena.repository.path)
    full.mkdir()
    (full / "workspace").symlink_to(arena.repository.path)
    (full / "canary").symlink_to(arena.canary_file)
    (step.temporary / "hunkwise-sidecar-file").write_text("x")
    return [link, step.temporary / "hunkwise-sidecar-file"]


def test_what_was_planted_among_the_homes_leads_out_of_none(arena: Arena) -> None:
    arena.tries("a link called as a home", "a home with links in it", "a file called as a home")
    arena.change()
    arena.answers(report([finding()]))
    step = arena.step(workspace=arena.repository.path, process=True)
    left = planted(arena, step)
    reviewed(arena, arena.done(step.run()))
    assert arena.canary_file.is_file()
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


def test_debugging_tells_neither_what_was_asked_nor_what_was_answered(arena: Arena) -> None:
    arena.tries("a debugged step")
    arena.change(head={**HEAD, "new.py": "value = 'canary of the diff'\n"})
    arena.answers(report([finding(body="canary of the body")]))
    result = arena.run(environ=DEBUGGED)
    reviewed(arena, result)
    for secret in ("canary of the diff", "canary of the body", "report_findings"):
        assert secret not in result.log + result.errors


# No connection but to loopback


@pytest.mark.parametrize("who", ["a provider", "Copilot"])
def test_nothing_looks_for_a_way_beyond_the_loopback(arena: Arena, who: str) -> None:
    arena.tries(f"a whole review by {who} in a network without a way out")
    arena.change()
    arena.answers(turns([Answer(tool_calls=said(finding()).tool_calls, delay=1), said()]))
    done: list[tuple[Result, Sockets]] = []

    def work() -> None:
        arena.serves_again()
        step = arena.copilot_step() if who == "Copilot" else arena.step()
        with step.started() as process, watched(process.pid) as sockets:
            done.append((arena.done(step.finish(process)), sockets))

    looked = alone(work)
    ((result, sockets),) = done
    reviewed(arena, result)
    assert (sockets.strangers, sockets.looks > 0) == (set(), True)
    assert not looked


# How a run is stopped, and what never comes


def in_mid_turn(arena: Arena, act: Callable[[subprocess.Popen[str]], object], **inputs: str) -> Result:
    """What becomes of a run whose second question is never answered, and to which something is done meanwhile."""
    arena.parts(["slow.py", "quick.py"])

    def answer(request: ModelRequest) -> Answer | Fault:
        return NEVER if '### "slow.py"' in request.prompt else found(request)

    found = report([finding("quick.py", 2)])
    arena.answers(answer)
    step = arena.step(inputs)
    with step.started() as process:
        journal = step.folder / "temp/hunkwise/journal.jsonl"
        wait_until(lambda: journal.is_file() and len(arena.model.requests) == 2)
        act(process)
        return arena.done(step.finish(process))


def kept(arena: Arena, result: Result, reason: str) -> None:
    """What was found stands on the pull request, and what was not read is named with its reason."""
    assert result.code == 4, (result.log, result.errors)
    assert [comment.path for comment in arena.github.comments] == ["quick.py"]
    reasons = {file["path"]: file["reason"] for file in result.report["coverage"]["files"]}
    assert (reasons["quick.py"], reason in reasons["slow.py"]) == (None, True), reasons
    assert "slow.py" in arena.summary_comment


def to_the_sidecar(number: signal.Signals) -> Callable[[subprocess.Popen[str]], None]:
    def send(process: subprocess.Popen[str]) -> None:
        for child in children_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    return send


def stopped_and_cancelled(process: subprocess.Popen[str]) -> None:
    """A sidecar that heeds nothing any more, and then the job is cancelled."""
    to_the_sidecar(signal.SIGSTOP)(process)
    process.send_signal(signal.SIGTERM)


def as_the_runner_cancels(process: subprocess.Popen[str]) -> None:
    """SIGINT, and SIGTERM seven and a half seconds later; while GitHub takes longer than that over the review."""
    process.send_signal(signal.SIGINT)
    time.sleep(7.5)
    process.send_signal(signal.SIGTERM)


def cancelled(arena: Arena) -> None:
    arena.github.fault("POST", "/reviews$", delay=8)
    kept(arena, in_mid_turn(arena, as_the_runner_cancels), "interrupted")


def bombarded(arena: Arena) -> None:
    """Signals of both kinds from the first moment on, which is in the midst of the imports."""
    arena.change()
    arena.answers(always(NEVER))
    step = arena.step()
    with step.started() as process:
        wait_until(lambda: any(step.temporary.glob("*hunkwise-sidecar-*")), pause=0)
        for turn in range(40):
            process.send_signal((signal.SIGTERM, signal.SIGINT)[turn % 2])
            time.sleep(0.02)
        result = arena.done(step.finish(process))
    said_why(result, "stopped")


def never_listening(arena: Arena) -> None:
    arena.change()
    said_why(arena.run(environ=cli(arena, "exec sleep 600", then=False)), "did not listen")


def never_answered(arena: Arena) -> None:
    arena.deadline = 0.2
    arena.change()
    arena.answers(always(NEVER))
    said_why(arena.run(), "deadline")


def faulty(fault: Fault, *words: str) -> Act:
    """A model whose every answer is that."""

    def act(arena: Arena) -> None:
        arena.change()
        arena.answers(always(fault))
        said_why(arena.run(), *words)

    return act


def two_at_once(arena: Arena) -> None:
    """Both of the same job and attempt, as after a re-run that GitHub delivered twice."""
    lines = {"app.py": HEAD["app.py"].replace("added", "fault(A)")}
    arena.change(head=lines)
    arena.answers(stubborn)
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(arena.step().run) for _ in range(2)]
        assert [arena.done(one.result()).code for one in results] == [0, 0]
    assert snapshot(arena).comments == (("app.py", 4, "Fault A"),)


WAITING: Mapping[str, Act] = {
    "the sidecar is stopped by SIGSTOP": lambda arena: kept(
        arena, in_mid_turn(arena, to_the_sidecar(signal.SIGSTOP)), "did not answer"
    ),
    "the sidecar never listens": never_listening,
    "the model never answers": never_answered,
    "SIGINT and then SIGTERM while the review is posted": cancelled,
    "SIGSTOP to the sidecar and SIGTERM to us": lambda arena: kept(
        arena, in_mid_turn(arena, stopped_and_cancelled), "interrupted"
    ),
    "the sidecar is killed in mid-turn": lambda arena: kept(
        arena, in_mid_turn(arena, to_the_sidecar(signal.SIGKILL)), "did not answer"
    ),
    "forty signals from the start on": bombarded,
    "two runs on one pull request": two_at_once,
    "the model answers 429": faulty(
        Fault(429, {"retry-after": "1"}, body={"error": {"message": ECHO}}), "429"
    ),
    "the model answers 500": faulty(Fault(500, body={"error": {"message": ECHO}})),
    "the model answers HTML": faulty(Fault(200, html=True)),
    "the model hangs up": faulty(Fault(disconnect=True)),
}


def test_whatever_does_not_come_and_whoever_is_stopped_the_run_ends_in_good_order(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    side_by_side(WAITING, tmp_path, lambda attack: request.node.user_properties.append((ATTACK, attack)))


def test_the_copilot_token_and_the_github_token_are_never_in_one_process(arena: Arena) -> None:
    arena.tries("the token that writes, looked for in the sidecar's environment and files")
    arena.change()
    arena.answers(turns([Answer(delay=2), said()]))
    step = arena.copilot_step()
    with step.started() as process:
        wait_until(lambda: arena.copilot.model.in_flight == 1)
        for child in children_of(process.pid):
            environ = Path(f"/proc/{child}/environ").read_bytes()
            assert (COPILOT_TOKEN.encode() in environ, GITHUB_TOKEN.encode() in environ) == (True, False)
            assert not any(secret.encode() in environ for secret in ("canary", PROVIDER_KEY))
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            assert COPILOT_TOKEN.encode() not in command
            assert re.search(rb"[0-9a-f]{64}", command) is None
        arena.done(step.finish(process))

"""Checks of provider, CLI and Copilot; the provider is checked by one free request without the key."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hunkwise.copilot.find_cli import CLI_VERSION, SDK_VERSION, CliCommand, find_cli
from hunkwise.copilot.sidecar import Address
from hunkwise.doctor.checks import Check, CheckState
from hunkwise.doctor.copilot import (
    NOWHERE,
    CliStatus,
    CopilotQuestion,
    copilot_checks,
    program_checks,
    provider_checks,
    try_own,
    try_running,
)
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.inputs import Provider
from tests.copilot.json_rpc_server import json_rpc_server
from tests.copilot.programs import script
from tests.copilot.sessions import environ

KEY = "key-Canary"


@contextmanager
def serve_bytes(raw: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Yields the URL of a server that sends these bytes to its first client, and the client's bytes."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                received.append(client.recv(65_536))
                client.sendall(raw)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", received
        thread.join(10)


def checks(url: str, key: str | None = KEY, **environ: str) -> list[Check]:
    return list(provider_checks(Provider("openai", url, key), "my-model", environ))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("200 OK", CheckState.OK),
        ("401 Unauthorized", CheckState.OK),
        ("404 Not Found", CheckState.OK),
        ("307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/", CheckState.OK),
        ("502 Bad Gateway", CheckState.WARNING),
    ],
)
def test_any_http_response_of_the_provider_is_accepted(status: str, state: CheckState) -> None:
    with serve_bytes(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as (url, received):
        reached, key, model = checks(url)
    assert (reached.state, key.state, model.state) == (state, CheckState.UNCHECKED, CheckState.UNCHECKED)
    assert received[0].startswith(b"HEAD /v1 HTTP/1.1")
    assert KEY.encode() not in received[0]


@pytest.mark.parametrize("raw", [b"", b"\0\1\2 no HTTP\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_response_that_is_not_http_is_a_fault(raw: bytes) -> None:
    with serve_bytes(raw) as (url, _):
        reached, *_ = checks(url)
    assert (reached.state, reached.name) == (CheckState.FAULT, "Provider")


def test_unverifiable_certificate_is_a_fault() -> None:
    with serve_bytes(b"HTTP/1.1 200 OK\r\n\r\n") as (url, _):
        reached, *_ = checks(url.replace("http:", "https:"), NODE_EXTRA_CA_CERTS="/none")
    assert (reached.state, "certificate" in reached.said) == (CheckState.FAULT, True)


def test_refused_connection_is_a_fault_and_missing_key_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reached, key, _ = checks(f"http://127.0.0.1:{port}/v1", None)
    assert (reached.state, reached.said.startswith(f"http://127.0.0.1:{port} could")) == (
        CheckState.FAULT,
        True,
    )
    assert "is not set" in key.said
    missing, *_ = checks("http://no-such-host.invalid/v1")
    assert missing.state is CheckState.FAULT


def test_unreadable_certificate_file_is_a_fault(tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = tmp_path_factory.mktemp("ca") / "ca.pem"
    broken.write_text("no certificate")
    reached, *_ = checks("https://127.0.0.1:9/v1", NODE_EXTRA_CA_CERTS=str(broken))
    assert reached.state is CheckState.FAULT


ROOT = Path(__file__).resolve().parents[2]
SEEN = CliStatus("the CLI", CLI_VERSION, SDK_VERSION, seconds=0.5, models=("a", "b"))


def test_reported_sdk_version_is_the_pinned_one() -> None:
    pins = re.findall(r"^github-copilot-sdk==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.M)
    assert pins == [SDK_VERSION]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (SEEN, []),
        (replace(SEEN, seconds=None), []),
        (replace(SEEN, seconds=9.0), ["Start"]),
        (replace(SEEN, version="1.0.103"), ["Versions"]),
        (replace(SEEN, sdk="1.0.26"), ["Versions"]),
        (replace(SEEN, not_first="It ended."), ["Program"]),
        (replace(SEEN, unreachable=("cli-1:4321: It is gone.", "cli-2:4321: It is gone.")), ["Program"] * 2),
    ],
)
def test_unexpected_state_of_the_cli_is_a_warning(seen: CliStatus, expected: list[str]) -> None:
    found = list(program_checks(seen, CLI_VERSION, SDK_VERSION))
    assert [check.name for check in found if check.state is CheckState.WARNING] == expected
    assert all(check.remedy for check in found if check.state is CheckState.WARNING)


def test_servers_that_do_not_answer_are_named() -> None:
    status = {"ok": True, "protocolVersion": 3, "version": CLI_VERSION, "message": "", "timestamp": 0}
    with json_rpc_server(lambda _method: status) as port:
        addresses = [Address("127.0.0.1", 1), Address("127.0.0.1", port)]
        seen = try_running(addresses, CopilotQuestion(copilot=False))
        alone = try_running(addresses[1:], CopilotQuestion(copilot=False))
    assert (seen.program, seen.version) == ("1 of 2 that run already, at copilot-url", CLI_VERSION)
    assert seen.unreachable == ("127.0.0.1:1: The Copilot CLI could not be reached: Connection refused.",)
    assert (alone.program, alone.unreachable) == ("one that runs already, at copilot-url", ())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ModelKind.AUTHENTICATION, "not accepted"),
        (ModelKind.FORBIDDEN, "policy"),
        (ModelKind.PAYMENT, "nothing is left to spend"),
        (ModelKind.RATE_LIMIT, "rate limit"),
        (ModelKind.PROVIDER, "No."),
    ],
)
def test_authentication_and_policy_are_distinguished(kind: ModelKind, message: str) -> None:
    copilot, model = copilot_checks(replace(SEEN, refusal=ModelError(kind, "No.", "Do.")), "a")
    assert (copilot.state, copilot.remedy, model.state) == (CheckState.FAULT, "Do.", CheckState.UNCHECKED)
    assert message in copilot.said
    assert copilot.said.endswith("No.")
    assert (copilot.said == "No.") is (kind is ModelKind.PROVIDER)


def test_model_is_offered_or_not() -> None:
    missing = replace(SEEN, models=(), refusal=ModelError(ModelKind.UNAVAILABLE_MODEL, "No x.", "Do."))
    assert [check.state for check in copilot_checks(missing, "x")] == [CheckState.OK, CheckState.FAULT]
    assert [check.said for check in copilot_checks(SEEN, "a")][1] == "a, which Copilot offers"
    many = replace(SEEN, models=tuple(f"m{number}" for number in range(14)))
    listed, chosen = copilot_checks(many, None)
    assert listed.said.endswith("m11 and 2 more")
    assert chosen.said == "Copilot's choice"


NOTHING = CopilotQuestion(copilot=False)


def test_used_fallback_is_reported_with_reason(tmp_path: Path) -> None:
    broken = CliCommand(script(tmp_path, "exit 5"), instead=find_cli(environ()))
    seen = try_own(broken, NOWHERE, environ(), NOTHING)
    assert seen.not_first == "The Copilot CLI ended with status 5."
    assert (seen.program.endswith("copilot-runtime"), seen.listener) == (True, True)


def test_first_program_is_reported_if_none_listens(tmp_path: Path) -> None:
    second = CliCommand(script(tmp_path, "exit 6", "second"))
    with pytest.raises(ModelError, match="status 5"):
        try_own(CliCommand(script(tmp_path, "exit 5"), instead=second), NOWHERE, environ(), NOTHING)


def test_program_that_cannot_be_executed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(ModelError, match="could not be started"):
        try_own(CliCommand(tmp_path / "plain"), NOWHERE, environ(), NOTHING)

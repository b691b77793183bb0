"""A provider is reached by one request that costs nothing and carries no key."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hunkwise.doctor.checks import Check, CheckState
from hunkwise.doctor.copilot import provider_checks
from hunkwise.settings.inputs import Provider

KEY = "key-Canary"


@contextmanager
def answering(raw: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says these bytes to the first who comes, and keeps what that one said."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            way, _ = listener.accept()
            with way:
                heard.append(way.recv(65_536))
                way.sendall(raw)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", heard
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
def test_any_answer_of_the_provider_will_do(status: str, state: CheckState) -> None:
    with answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as (url, heard):
        reached, key, model = checks(url)
    assert (reached.state, key.state, model.state) == (state, CheckState.UNCHECKED, CheckState.UNCHECKED)
    assert heard[0].startswith(b"HEAD /v1 HTTP/1.1")
    assert KEY.encode() not in heard[0]


@pytest.mark.parametrize("raw", [b"", b"\0\1\2 no HTTP\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_a_fault(raw: bytes) -> None:
    with answering(raw) as (url, _):
        reached, *_ = checks(url)
    assert (reached.state, reached.name) == (CheckState.FAULT, "Provider")


def test_a_server_without_a_certificate_that_can_be_verified_is_a_fault() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (url, _):
        reached, *_ = checks(url.replace("http:", "https:"), NODE_EXTRA_CA_CERTS="/none")
    assert (reached.state, "certificate" in reached.said) == (CheckState.FAULT, True)


def test_nobody_there_is_a_fault_and_a_missing_key_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reached, key, _ = checks(f"http://127.0.0.1:{port}/v1", None)
    assert (reached.state, reached.said.startswith(f"http://127.0.0.1:{port} could")) == (
        CheckState.FAULT,
        True,
    )
    assert "is not set" in key.said
    gone, *_ = checks("http://no-such-host.invalid/v1")
    assert gone.state is CheckState.FAULT


def test_an_authority_that_cannot_be_read_is_a_fault(tmp_path_factory: pytest.TempPathFactory) -> None:
    broken = tmp_path_factory.mktemp("ca") / "ca.pem"
    broken.write_text("no certificate")
    reached, *_ = checks("https://127.0.0.1:9/v1", NODE_EXTRA_CA_CERTS=str(broken))
    assert reached.state is CheckState.FAULT

"""Checks that the sidecar resolves names and trusts the runner's certificates."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.world import finding
from tests.fakes.http_server import received
from tests.fakes.model_script import report
from tests.image.container_world import ContainerWorld

_SECONDS = 30


def certificate(folder: Path) -> tuple[Path, Path]:
    """Returns a self-signed certificate of `localhost`, and its key."""
    folder.mkdir(parents=True)
    path, key = folder / "own.crt", folder / "own.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split()
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", key, "-out", path], check=True, capture_output=True)
    return path, key


@contextmanager
def encrypted(url: str, path: Path, key: Path) -> Iterator[str]:
    """Serves the same server as `url` by https and by its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    port = urlsplit(url).port
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, context, port), daemon=True).start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:  # the block has ended
            return
        threading.Thread(target=_pass_on, args=(plain, context, port), daemon=True).start()


def _pass_on(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Forwards one request and its response. A client that does not trust the certificate disconnects."""
    plain.settimeout(_SECONDS)
    with suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
        request = b""
        while b"\r\n\r\n" not in request:
            request += received(client)
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += received(client)
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))
            while part := server.recv(65536):
                client.sendall(part)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
def test_connects_with_certificate_of_the_runner(world: ContainerWorld, tmp_path: Path, name: str) -> None:
    world.change(script=report([finding()]))
    path, key = certificate(tmp_path / "certificates")
    with encrypted(world.model_url, path, key) as url:
        inputs = {"provider-base-url": f"{url}/v1"}
        mount = ("-v", f"{path.parent}:/certificates:ro")
        result = world.run(inputs, environ={name: "/certificates/own.crt"}, options=mount)
    assert result.code == 0, result.log + result.errors
    assert [comment.line for comment in world.github.comments] == [3]


def test_fails_with_untrusted_certificate(world: ContainerWorld, tmp_path: Path) -> None:
    world.change()
    path, key = certificate(tmp_path / "certificates")
    with encrypted(world.model_url, path, key) as url:
        result = world.run({"provider-base-url": f"{url}/v1", "deadline": "0.2"})
    assert result.code == 3
    assert world.model.requests == []

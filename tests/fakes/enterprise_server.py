"""A GitHub server in a network of its own: a host name, TLS by an own authority, a proxy that reaches nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.fakes.http_server import received, serve

HOST = "ghes.corp.example"
SERVER = f"https://{HOST}"
GHE_COM = "octo.ghe.com"
"""Its API and its Copilot have hosts of their own."""


@dataclass
class EnterpriseServer:
    """The server's addresses, and what was asked of it and of others."""

    authority: Path
    """The certificate of its authority, PEM."""
    proxy: str
    """The address of the only way to it."""
    server_url: str
    api_url: str
    hosts: set[str] = field(default_factory=set)
    """`host:port` of all connections that the proxy was asked for."""
    paths: list[str] = field(default_factory=list)
    """The paths of all requests, with their prefixes."""

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a runner, or of the service, of this server."""
        return {
            "GITHUB_SERVER_URL": self.server_url,
            "GITHUB_API_URL": self.api_url,
            "HTTPS_PROXY": self.proxy,
            "HTTP_PROXY": self.proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "SSL_CERT_FILE": str(self.authority),
        }


@contextmanager
def enterprise_server(github: ASGIApp, folder: Path) -> Iterator[EnterpriseServer]:
    """Serves GitHub at `HOST`, over TLS, to those who trust its authority and ask its proxy."""
    with _served({HOST: github}, folder) as (proxy, hosts, paths):
        yield EnterpriseServer(folder / "authority.pem", proxy, SERVER, f"{SERVER}/api/v3", hosts, paths)


@contextmanager
def ghe_com(github: ASGIApp, copilot: ASGIApp, folder: Path) -> Iterator[EnterpriseServer]:
    """Does the same with the hosts of `GHE_COM`, which has a Copilot."""
    apps = {GHE_COM: github, f"api.{GHE_COM}": github, f"copilot-api.{GHE_COM}": copilot}
    with _served(apps, folder) as (proxy, hosts, paths):
        server_url, api_url = f"https://{GHE_COM}", f"https://api.{GHE_COM}"
        yield EnterpriseServer(folder / "authority.pem", proxy, server_url, api_url, hosts, paths)


@contextmanager
def _served(apps: Mapping[str, ASGIApp], folder: Path) -> Iterator[tuple[str, set[str], list[str]]]:
    """Yields the proxy's address, and what is recorded: hosts and paths. `apps`: by host name."""
    paths: list[str] = []

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await apps[dict(scope["headers"])[b"host"].decode()](scope, receive, send)

    certificates = create_certificates(folder, *apps)
    with (
        serve(recorded, tls=certificates) as url,
        proxy({f"{host}:443": urlsplit(url).port or 0 for host in apps}) as (address, hosts),
    ):
        yield address, hosts, paths


@contextmanager
def proxy(served: Mapping[str, int]) -> Iterator[tuple[str, set[str]]]:
    """Yields the address of a proxy, and the set of each `host:port` that it was asked for.

    `served`: those that it connects to, with their ports on this machine; it refuses all others.
    """
    hosts: set[str] = set()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, hosts, served), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", hosts


def create_certificates(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """Creates `authority.pem`, and the certificate and key of the hosts, whose paths it returns."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Authority", hosts[0])]

    def certificate(subject: x509.Name, own: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        builder = (
            x509.CertificateBuilder(names[0], subject, own.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, hosts)]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
            )
        )
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    contents = {
        "authority.pem": certificate(names[0], authority, ca=True),
        "server.pem": certificate(names[1], key, ca=False),
        "server.key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder / "server.pem", folder / "server.key"


def _accept(listener: socket.socket, hosts: set[str], served: Mapping[str, int]) -> None:
    with suppress(OSError):  # it was closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, hosts, served), daemon=True).start()


def _serve(client: socket.socket, hosts: set[str], served: Mapping[str, int]) -> None:
    with client, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            head += received(client)
        method, target = head.decode().split()[:2]
        hosts.add(target)
        if method != "CONNECT" or target not in served:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", served[target])) as upstream:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
            back.start()
            _pump(client, upstream)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)

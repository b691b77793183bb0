"""A small JSON-RPC server with the CLI's framing and the test's answers."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hunkwise.copilot.sidecar import Address

STATUS = {"ok": True, "protocolVersion": 3, "version": "1.0.102", "message": "", "timestamp": 0}


@dataclass
class FakeServer:
    """Answers the requests of a connection and of a health check, unless it is down."""

    address: Address = field(default_factory=lambda: Address("127.0.0.1", 1))
    down: bool = False
    methods: list[str] = field(default_factory=list)

    def answer(self, method: str) -> object:
        self.methods.append(method)
        if self.down:
            raise ConnectionAbortedError
        return STATUS


@contextmanager
def json_rpc_server(
    answer: Callable[[str], object], host: str = "127.0.0.1", *, size: int = 0
) -> Iterator[int]:
    """Yields the port. A response has at least `size` bytes.

    `answer` returns the result for a method, or raises ConnectionError, which closes the connection.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while header := self.rfile.readline():
                length = int(header.split(b":")[1])
                self.rfile.readline()
                request = json.loads(self.rfile.read(length))
                try:
                    result = answer(request["method"])
                except ConnectionError:
                    return
                response = {"jsonrpc": "2.0", "id": request["id"], "result": result}
                body = json.dumps(response).encode().rjust(size)
                self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

"""A JSON-RPC server of a few lines, framed as the CLI's, that answers what a test likes."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def json_rpc_server(
    answer: Callable[[str], object], host: str = "127.0.0.1", *, size: int = 0
) -> Iterator[int]:
    """The port; `answer` gives the result by the method's name. An answer has `size` bytes at least."""

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while header := self.rfile.readline():
                length = int(header.split(b":")[1])
                self.rfile.readline()
                asked = json.loads(self.rfile.read(length))
                said = {"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked["method"])}
                body = json.dumps(said).encode().rjust(size)
                self.wfile.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    with Server((host, 0), Talk) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

"""A listening Unix socket in the place of Docker's, to which nothing should connect."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SocketCanary:
    """Records the connections."""

    path: Path
    connections: list[str] = field(default_factory=list)


@contextmanager
def listening(path: Path, mode: int) -> Iterator[SocketCanary]:
    """Listens until the end of the block."""
    canary = SocketCanary(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen()
        thread = threading.Thread(target=_accept, args=(listener, canary), name="socket-canary", daemon=True)
        thread.start()
        try:
            yield canary
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _accept(listener: socket.socket, canary: SocketCanary) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the block has ended
            return
        canary.connections.append("connection")
        connection.close()

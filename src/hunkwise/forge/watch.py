"""What one request may take: seconds in all, from the connection to the last byte, and bytes of its answer.

The timeouts of sockets are for one read each: a server that sends a byte now and then keeps within all of them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from hunkwise.forge.errors import MAX_ANSWER

_PIECE = 64 * 1024


class CutError(Exception):
    """The request's time was over before it could even connect."""


class LargeError(Exception):
    """The answer has more than MAX_ANSWER bytes."""


class Watch:
    """Over one wire's connection. `late` says whether the last request was cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.late = False

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cuts the connection when the block has taken so long; whatever reads from it then fails at once."""
        with self._lock:
            self.late = False
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        with suppress(RuntimeError):  # no thread to be had: the timeouts of each read still hold
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """Ends what is being read or sent, from any thread."""
        with self._lock:
            self.late = True
            if self._socket is not None:
                with suppress(OSError):  # the other end was faster
                    self._socket.shutdown(socket.SHUT_RDWR)

    def allow(self) -> None:
        """Raises CutError where the time is over."""
        if self.late:
            raise CutError

    def over(self, made: socket.socket) -> socket.socket:
        """The same socket, from here on under watch; whichever was before is let go."""
        with self._lock:
            self._forget()
            # Encryption takes the socket itself away, and keeps what is behind it.
            self._socket = made.dup()
        if self.late:
            made.close()
            raise CutError
        return made

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watched(watch: Watch) -> HTTPAdapter:
    """An adapter that repeats nothing by itself, and whose connections are under that watch."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            watch.allow()
            return watch.over(super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            watch.allow()
            return watch.over(super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    pools = {"http": PlainPool, "https": SecurePool}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: object, **kwargs: object) -> None:
            super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they come
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: object, **kwargs: object) -> object:
            manager = super().proxy_manager_for(*args, **kwargs)  # type: ignore[arg-type]
            manager.pool_classes_by_scheme = pools
            return manager

    return Adapter(pool_connections=1, pool_maxsize=1, max_retries=0)


def read_whole(answer: requests.Response, most: int = MAX_ANSWER) -> None:
    """Reads the body, unpacked, as UTF-8 JSON is; nobody guesses at its encoding then. Raises LargeError."""
    body = bytearray()
    for piece in answer.iter_content(_PIECE):
        body += piece
        if len(body) > most:
            answer.close()
            raise LargeError
    answer._content = bytes(body)  # what `content` gives where it has been read
    answer.encoding = "utf-8"

"""Bounds the messages that the CLI may send: the SDK would hold one of any size in memory, several times over."""

from __future__ import annotations

import logging
import re
from typing import Final, Protocol

MAX_MESSAGE: Final = 48 * 1024 * 1024
"""Bytes of one message. What a model says of a prompt has some 20 KB; 30 MB of it still come as an answer."""
_HEADER = re.compile(rb"Content-Length:\s*(\d{1,18})\s*")
_HEADER_BYTES = 1_000
_PIECE = 64 * 1024

logger = logging.getLogger(__name__)


class Stream(Protocol):
    """A socket as a file without a buffer."""

    def readline(self, size: int = -1, /) -> bytes: ...

    def read(self, size: int = -1, /) -> bytes | None: ...


class BoundedMessages:
    """What the SDK reads in the socket's place: a message that is too large is passed over, and the log says so.

    What waits for that message ends by its own timeout.
    """

    def __init__(self, stream: Stream, max_message: int = MAX_MESSAGE) -> None:
        self._stream = stream
        self._max_message = max_message
        self.read_from = False
        """Whether anything was read through it."""

    def readline(self) -> bytes:
        """A header's line; empty where the connection ended."""
        self.read_from = True
        while True:
            line = self._stream.readline(_HEADER_BYTES)
            header = _HEADER.fullmatch(line)
            size = int(header[1]) if header else 0
            if size <= self._max_message:
                return line
            logger.warning("A message of the Copilot CLI was passed over: it has %s bytes.", f"{size:,}")
            self._stream.readline(_HEADER_BYTES)  # the empty line
            while size > 0:
                piece = self._stream.read(min(size, _PIECE))
                if not piece:
                    return b""
                size -= len(piece)

    def read(self, count: int) -> bytes | None:
        """Some of the message, as a socket gives it."""
        return self._stream.read(min(count, _PIECE))

"""The SDK's client with a bound on the messages it reads, and without the delays of TCP on what it sends and reads."""

from __future__ import annotations

import contextlib
import socket
from importlib.metadata import version
from typing import Any

from copilot import CopilotClient, RuntimeConnection

from hunkwise.copilot.command import SDK_VERSION
from hunkwise.copilot.framing import MAX_MESSAGE, BoundedMessages
from hunkwise.copilot.sidecar import Address
from hunkwise.errors import ModelError, ModelKind


class BoundedClient(CopilotClient):
    """A client for a CLI that listens at an address.

    The SDK has no option for either: it keeps its socket in the private attribute `_process`, set before it reads.
    """

    def __init__(self, address: Address, max_message: int = MAX_MESSAGE) -> None:
        self._max_message = max_message
        self._messages: BoundedMessages | None = None
        self._transport: Any = None
        runtime = RuntimeConnection.for_uri(str(address), connection_token=address.connection_token)
        super().__init__(connection=runtime, mode="empty")

    @property
    def _process(self) -> Any:
        return self._transport

    @_process.setter
    def _process(self, transport: Any) -> None:
        self._transport = transport
        if hasattr(transport, "stdout"):
            self._messages = transport.stdout = BoundedMessages(transport.stdout, self._max_message)
        _send_at_once(getattr(transport, "_socket", None))

    def check_bound(self) -> None:
        """Raises ModelError (SIDECAR) where the messages so far were not read through the bound."""
        if self._messages is None or not self._messages.read_from:
            raise ModelError(
                ModelKind.SIDECAR,
                f"github-copilot-sdk {version('github-copilot-sdk')} offers no way to limit the size of the Copilot "
                f"CLI's messages, so it is not used; version {SDK_VERSION} does.",
                f"Install github-copilot-sdk=={SDK_VERSION}, the version that hunkwise is tested with.",
            )


class _PromptSocket(socket.socket):
    """A socket that acknowledges what it reads at once.

    The CLI, too, writes in small pieces, and holds the next one back until the last is acknowledged, which Linux
    delays by 40 ms: 50 to 110 ms a call without this. The option lasts for one read only.
    """

    __slots__ = ()

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        count = super().recv_into(buffer, nbytes, flags)
        with contextlib.suppress(OSError):  # closed in another thread
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return count


def _send_at_once(connected: object) -> None:
    """Turns Nagle's algorithm off: the SDK writes header and body apart, which costs 44 ms a call.

    Where a version of the SDK has no such socket, calls are slower and nothing else.
    """
    if type(connected) is socket.socket:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_QUICKACK"):  # Linux
            connected.__class__ = _PromptSocket

"""The SDK's connection to a headless CLI: version check, preflight, size limits, and monitoring."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Protocol

from copilot import CopilotClient, CopilotSession, RuntimeConnection
from copilot._jsonrpc import ProcessExitedError
from copilot.generated.rpc import ModelsListRequest
from copilot.session import ProviderConfig

from hunkwise.copilot.errors import SDK_ERRORS, model_error, sdk_error
from hunkwise.copilot.find_cli import CLI_VERSION, OLDEST_VERSION, SDK_VERSION, install_hint
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.inputs import Provider


def provider_config(provider: Provider) -> ProviderConfig:
    """Returns the SDK's options. SDK sessions ignore the CLI's own COPILOT_PROVIDER_* variables."""
    config: ProviderConfig = {"type": provider.type, "base_url": provider.base_url}
    if provider.api_key:
        config["api_key"] = provider.api_key
    if provider.wire_api:
        config["wire_api"] = provider.wire_api
    if provider.azure_api_version:
        config["azure"] = {"api_version": provider.azure_api_version}
    return config


MAX_MESSAGE: Final = 48 * 1024 * 1024
"""Bytes of one message. A model's answer to a prompt has about 20 KB; answers of 30 MB are still delivered."""
_HEADER = re.compile(rb"Content-Length:\s*(\d{1,18})\s*")
_HEADER_BYTES = 1_000
_CHUNK = 64 * 1024

logger = logging.getLogger(__name__)


class ByteStream(Protocol):
    """An unbuffered file object of a socket."""

    def readline(self, size: int = -1, /) -> bytes: ...

    def read(self, size: int = -1, /) -> bytes | None: ...


class BoundedMessages:
    """Wraps the stream that the SDK reads: a message that is too large is skipped, with a warning in the log.

    A call that waits for that message ends by its own timeout.
    """

    def __init__(
        self, stream: ByteStream, max_message: int = MAX_MESSAGE, ended: Callable[[], object] = lambda: None
    ) -> None:
        """`ended` is called, in the thread that reads, at the end of the connection."""
        self._stream = stream
        self._max_message = max_message
        self._ended = ended
        self.read_from = False
        """Whether the SDK has read anything through this object."""

    def readline(self) -> bytes:
        """Returns a header line; empty at the end of the connection."""
        self.read_from = True
        line = b""
        try:
            line = self._next_header()
        finally:
            if not line:
                self._ended()
        return line

    def _next_header(self) -> bytes:
        while True:
            line = self._stream.readline(_HEADER_BYTES)
            header = _HEADER.fullmatch(line)
            size = int(header[1]) if header else 0
            if size <= self._max_message:
                return line
            logger.warning("A message of the Copilot CLI was passed over: it has %s bytes.", f"{size:,}")
            self._stream.readline(_HEADER_BYTES)  # the empty line
            while size > 0:
                chunk = self._stream.read(min(size, _CHUNK))
                if not chunk:
                    return b""
                size -= len(chunk)

    def read(self, count: int) -> bytes:
        """Returns part of the message, as a socket does."""
        part = b""
        try:
            part = self._stream.read(min(count, _CHUNK)) or b""
        finally:
            if not part:
                self._ended()
        return part


class BoundedClient(CopilotClient):
    """A client for a CLI that listens at an address, with a size limit and without delays of its socket.

    The SDK has no option for either: it keeps its socket in the private attribute `_process`, set before it reads.
    """

    def __init__(self, address: Address, max_message: int = MAX_MESSAGE) -> None:
        self._max_message = max_message
        self._messages: BoundedMessages | None = None
        self._transport: Any = None
        self.on_end: Callable[[], object] = lambda: None
        """Is called, in another thread, when the connection has ended."""
        runtime = RuntimeConnection.for_uri(str(address), connection_token=address.connection_token)
        super().__init__(connection=runtime, mode="empty")

    @property
    def _process(self) -> Any:
        return self._transport

    @_process.setter
    def _process(self, transport: Any) -> None:
        self._transport = transport
        if hasattr(transport, "stdout"):
            self._messages = transport.stdout = BoundedMessages(
                transport.stdout, self._max_message, lambda: self.on_end()
            )
        _disable_nagle(getattr(transport, "_socket", None))

    def check_bound(self) -> None:
        """Raises ModelError (SIDECAR) if the SDK did not read its messages through the size limit."""
        if self._messages is None or not self._messages.read_from:
            raise ModelError(
                ModelKind.SIDECAR,
                f"github-copilot-sdk {version('github-copilot-sdk')} offers no way to limit the size of the Copilot "
                f"CLI's messages, so it is not used; version {SDK_VERSION} does.",
                f"Install github-copilot-sdk=={SDK_VERSION}, the version that hunkwise is tested with.",
            )


class _PromptSocket(socket.socket):
    """A socket that acknowledges received data immediately.

    The CLI, too, writes small chunks, and delays the next one until the last is acknowledged, which Linux delays
    by 40 ms: 50 to 110 ms per call without this. The option applies to one read only.
    """

    __slots__ = ()

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        count = super().recv_into(buffer, nbytes, flags)
        with contextlib.suppress(OSError):  # closed in another thread
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return count


def _disable_nagle(connection: object) -> None:
    """Disables Nagle's algorithm: the SDK writes header and body separately, which costs 44 ms per call.

    If a version of the SDK has no such socket, calls are slower, with no other effect.
    """
    if type(connection) is socket.socket:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_QUICKACK"):  # Linux
            connection.__class__ = _PromptSocket


_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")
_CONNECT_SECONDS = 10.0
_PREFLIGHT_SECONDS = 20.0
logging.getLogger("copilot").setLevel(logging.CRITICAL)  # its warnings repeat its exceptions


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The interval of pings to the CLI, and the timeout of each, in seconds."""

    every: float = 5.0
    patience: float = 20.0


_DEFAULT_HEARTBEAT = Heartbeat()
SESSION_PREFIX: Final = "hunkwise-"
"""Of the ids of our sessions: a server may have sessions of other programs."""


class CopilotConnection:
    """A connected client. `lost` is a future that gets the error when the connection is lost."""

    def __init__(
        self, client: BoundedClient, cli_version: str, sidecar: Sidecar | None, heartbeat: Heartbeat
    ) -> None:
        self.client = client
        self.cli_version = cli_version
        self.lost: asyncio.Future[ModelError] = asyncio.get_running_loop().create_future()
        self._sidecar = sidecar
        self._heartbeat = heartbeat
        self._watchers: list[asyncio.Task[None]] = []
        self._closing = False

    def watch(self) -> None:
        """Starts monitoring the connection, and the process if it is ours."""
        self._watchers.append(asyncio.create_task(self._ping_regularly()))
        if self._sidecar is not None:  # its end says more than that of the connection
            self._watchers.append(asyncio.create_task(self._watch_process(self._sidecar)))
        else:
            loop = asyncio.get_running_loop()
            self.client.on_end = lambda: _call_in(
                loop, lambda: self.give_up(_lost_error("connection closed"))
            )

    @asynccontextmanager
    async def lease(self, *, seconds: float = 0.0) -> AsyncIterator[CopilotConnection]:  # noqa: ARG002  # as ServerPool
        """Provides this connection, as a pool of servers provides one of several. Raises ModelError if it is lost."""
        if self.lost.done():
            raise self.lost.result()
        yield self

    async def _watch_process(self, sidecar: Sidecar) -> None:
        self.give_up(await sidecar.exited())

    async def _ping_regularly(self) -> None:
        """Pings the CLI: one that is suspended, or on another machine, can end without closing the connection."""
        while not self._closing:  # the SDK may swallow the cancellation
            await asyncio.sleep(self._heartbeat.every)
            try:
                async with asyncio.timeout(self._heartbeat.patience):
                    await self.client.ping()
            except (TimeoutError, *SDK_ERRORS) as error:
                self.give_up(_lost_error("no answer" if isinstance(error, TimeoutError) else str(error)))
                return

    def give_up(self, error: ModelError) -> None:
        """Ends all that waits for the connection with this error."""
        if not self.lost.done():
            self.lost.set_result(error)

    async def forget(self, session: CopilotSession) -> None:
        """Disconnects a session; deletes its transcript if the CLI is not ours (our CLI's home is deleted anyway)."""
        await session.disconnect()
        if self._sidecar is None:
            await self.client.delete_session(session.session_id)

    async def close(self) -> None:
        """Closes the socket. The caller that started the CLI ends it."""
        self._closing = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await _close(self.client)


def _lost_error(reason: str) -> ModelError:
    message = f"The Copilot CLI does not answer any more ({reason})."
    return model_error(ModelKind.SIDECAR, message, provider=False)


def _call_in(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(act)


async def connect(
    client: BoundedClient, sidecar: Sidecar | None = None, heartbeat: Heartbeat = _DEFAULT_HEARTBEAT
) -> CopilotConnection:
    """Starts the client; closes it if the CLI is not usable. Raises ModelError (SIDECAR)."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_close, client)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.start()
            client.check_bound()
            async with asyncio.timeout(_CONNECT_SECONDS):
                status = await client.get_status()
        except (TimeoutError, *SDK_ERRORS) as error:
            reason = _reason_of(error, own=sidecar is not None)
            message = f"The Copilot CLI could not be reached: {reason}."
            raise model_error(ModelKind.SIDECAR, message, provider=False) from error
        _check_version(status.version, own=sidecar is not None)
        stack.pop_all()
    connection = CopilotConnection(client, status.version, sidecar, heartbeat)
    connection.watch()
    return connection


def _reason_of(error: Exception, *, own: bool) -> str:
    """Returns why a CLI could not be reached. `own`: it was started here."""
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_SECONDS:.0f} seconds"
    text = " ".join(str(error).split())[:400].rstrip(".")
    if "AUTHENTICATION_FAILED" in text:
        return "it did not accept the connection token, or got none"
    if isinstance(error, ProcessExitedError) and not own:
        return "the connection was closed; what listens there may be no Copilot CLI"
    return text or type(error).__name__


async def _close(client: CopilotClient) -> None:
    with contextlib.suppress(TimeoutError, *SDK_ERRORS):
        # `stop` would take a second to shut down a process that we end anyway.
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.force_stop()


def _check_version(version: str, *, own: bool) -> None:
    """`own`: it was started here. Raises ModelError (SIDECAR) for a version that is too old."""
    match = _VERSION.match(version)
    if match and tuple(int(part) for part in match.groups()) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise ModelError(
            ModelKind.SIDECAR,
            f"The Copilot CLI is version {version}, which is known to hang; hunkwise needs {oldest} or newer.",
            f"Install @github/copilot {CLI_VERSION}, the version that hunkwise is tested with.",
            install_hint() if own else "",
        )
    if version != CLI_VERSION:
        logger.warning("The Copilot CLI is version %s; hunkwise is tested with %s.", version, CLI_VERSION)


async def preflight(
    connection: CopilotConnection,
    models: Sequence[str | None],
    seconds: float = _PREFLIGHT_SECONDS,
    *,
    token: str = "",
) -> tuple[str, ...]:
    """Returns the models that Copilot offers. Verifies the token at no cost, and that one of `models` is offered.

    `token`: of a user; empty for that of the CLI, whose models are listed once. With an invalid token the CLI still
    reports itself as ready and authenticated, and a session then hangs. Raises ModelError: AUTHENTICATION, PAYMENT,
    FORBIDDEN, RATE_LIMIT, UNAVAILABLE_MODEL, ...
    """
    try:
        async with asyncio.timeout(seconds):
            entries = await _list_models(connection.client, token)
    except TimeoutError as error:
        message = f"Copilot did not list its models within {seconds:.0f} seconds."
        raise model_error(ModelKind.PROVIDER, message, provider=False) from error
    except SDK_ERRORS as error:
        raise sdk_error(error, provider=False) from error
    # A model that a policy disables is still listed, and a request to it would not fail.
    offered = tuple(name for name, state in entries if state != "disabled")
    if not offered:
        raise model_error(ModelKind.FORBIDDEN, "Copilot offers no model to this token.", provider=False)
    if models and not any(model is None or model in offered for model in models):
        raise not_offered_error(models, offered)
    return offered


async def _list_models(client: BoundedClient, token: str) -> list[tuple[str, str]]:
    """Returns the id of each model, and the state of its policy."""
    if token:
        listed = await client.rpc.models.list(ModelsListRequest(git_hub_token=token))
        return [(one.id, str(one.policy.state.value) if one.policy else "") for one in listed.models]
    return [(one.id, one.policy.state if one.policy else "") for one in await client.list_models()]


def not_offered_error(models: Sequence[str | None], offered: Collection[str]) -> ModelError:
    """Returns the error for models that Copilot does not offer to this account."""
    names = " or ".join(f'"{model}"' for model in models)
    message = f"Copilot does not offer the model {names}; it offers {', '.join(sorted(offered)[:20])}."
    return model_error(ModelKind.UNAVAILABLE_MODEL, message, provider=False)


async def _connect_own(sidecar: Sidecar) -> CopilotConnection:
    """Connects to our sidecar; tries its fallback program if the first one is too old, or cannot be used otherwise."""
    while True:
        address = await sidecar.ready()
        try:
            return await connect(BoundedClient(address), sidecar)
        except ModelError as failure:
            if not sidecar.fall_back(failure):
                raise


@asynccontextmanager
async def connect_sidecar(sidecar: Sidecar, *, copilot: bool) -> AsyncIterator[CopilotConnection]:
    """Provides a connection to our sidecar.

    `copilot`: Copilot is the provider, so its token is verified before anything is spent. Raises ModelError.
    """
    connection = await _connect_own(sidecar)
    try:
        if copilot:
            await preflight(connection, ())
        yield connection
    finally:
        await connection.close()

"""The SDK's one connection to a headless CLI: version, preflight, and a watch on both ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from copilot import CopilotClient, CopilotSession

from hunkwise.copilot.client import BoundedClient
from hunkwise.copilot.command import CLI_VERSION
from hunkwise.copilot.faults import SDK_ERRORS, fault, from_sdk
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.errors import ModelError, ModelKind

# Older ones hang in mid-turn (1.0.81 was seen to, and calls itself 0.0.1), with the same protocol number.
_OLDEST_VERSION = (1, 0, 89)
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")
_CONNECT_SECONDS = 10.0
_PREFLIGHT_SECONDS = 20.0

logger = logging.getLogger(__name__)
logging.getLogger("copilot").setLevel(logging.CRITICAL)  # its warnings repeat what its exceptions say


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How often the CLI is asked whether it still answers, and how long that may take, in seconds."""

    every: float = 5.0
    patience: float = 20.0


_USUAL = Heartbeat()


class Connection:
    """A client that is connected, and the future that tells when it is lost."""

    def __init__(self, client: CopilotClient, sidecar: Sidecar | None, heartbeat: Heartbeat = _USUAL) -> None:
        self.client = client
        self.lost: asyncio.Future[ModelError] = asyncio.get_running_loop().create_future()
        self._sidecar = sidecar
        self._heartbeat = heartbeat
        self._watchers: list[asyncio.Task[None]] = []
        self._closing = False

    def watch(self) -> None:
        """Begins to watch the process, where it is ours, and the connection."""
        self._watchers.append(asyncio.create_task(self._ask_now_and_then()))
        if self._sidecar is not None:
            self._watchers.append(asyncio.create_task(self._process(self._sidecar)))

    async def _process(self, sidecar: Sidecar) -> None:
        self._lose(await sidecar.exited())

    async def _ask_now_and_then(self) -> None:
        """A CLI that was stopped, or is on another machine, ends without a word: it is asked now and then."""
        while not self._closing:  # whatever becomes of a cancellation within the SDK
            await asyncio.sleep(self._heartbeat.every)
            try:
                async with asyncio.timeout(self._heartbeat.patience):
                    await self.client.ping()
            except (TimeoutError, *SDK_ERRORS) as error:
                reason = "no answer" if isinstance(error, TimeoutError) else str(error)
                message = f"The Copilot CLI does not answer any more ({reason})."
                self._lose(fault(ModelKind.SIDECAR, message, provider=False))
                return

    def _lose(self, error: ModelError) -> None:
        if not self.lost.done():
            self.lost.set_result(error)

    async def forget(self, session: CopilotSession) -> None:
        """Lets a session go. Our own CLI's home is wiped as a whole; on another's disk its transcript would stay."""
        await session.disconnect()
        if self._sidecar is None:
            await self.client.delete_session(session.session_id)

    async def close(self) -> None:
        """Closes the socket; the CLI itself is ended by whoever started it."""
        self._closing = True
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await _close(self.client)


async def connect_to_sidecar(sidecar: Sidecar, heartbeat: Heartbeat = _USUAL) -> Connection:
    """Connects to our own CLI. Raises ModelError (SIDECAR)."""
    return await connect(BoundedClient(await sidecar.ready()), sidecar, heartbeat)


async def connect_to_first(addresses: Sequence[Address], heartbeat: Heartbeat = _USUAL) -> Connection:
    """Connects to the first address that answers `get_status`. Raises ModelError (SIDECAR) with every reason."""
    reasons = []
    for address in addresses:
        try:
            return await connect(BoundedClient(address), None, heartbeat)
        except ModelError as error:
            reasons.append(f"{address}: {error.message}")
    raise ModelError(
        ModelKind.SIDECAR,
        "No Copilot CLI answers at copilot-url. " + " ".join(reasons),
        "Start one with `copilot --headless --port PORT`, and set copilot-connection-token to its token.",
    )


async def connect(
    client: BoundedClient, sidecar: Sidecar | None = None, heartbeat: Heartbeat = _USUAL
) -> Connection:
    """Starts the client, and closes it again where the CLI is not usable. Raises ModelError (SIDECAR)."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_close, client)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.start()
            client.check_bound()
            async with asyncio.timeout(_CONNECT_SECONDS):
                status = await client.get_status()
        except (TimeoutError, *SDK_ERRORS) as error:
            reason = f"no answer within {_CONNECT_SECONDS:.0f} seconds"
            if not isinstance(error, TimeoutError):
                reason = " ".join(str(error).split())[:400].rstrip(".")
            message = f"The Copilot CLI could not be reached: {reason}."
            raise fault(ModelKind.SIDECAR, message, provider=False) from error
        _check_version(status.version)
        stack.pop_all()
    connection = Connection(client, sidecar, heartbeat)
    connection.watch()
    return connection


async def _close(client: CopilotClient) -> None:
    with contextlib.suppress(TimeoutError, *SDK_ERRORS):
        # `stop` would take a second to say goodbye to a process that we end anyway.
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.force_stop()


def _check_version(version: str) -> None:
    match = _VERSION.match(version)
    if match and tuple(int(part) for part in match.groups()) < _OLDEST_VERSION:
        raise ModelError(
            ModelKind.SIDECAR,
            f"The Copilot CLI is version {version}, which is known to hang.",
            f"Install @github/copilot {CLI_VERSION}, the version that hunkwise is tested with.",
        )
    if version != CLI_VERSION:
        logger.warning("The Copilot CLI is version %s; hunkwise is tested with %s.", version, CLI_VERSION)


async def preflight(
    connection: Connection, models: Sequence[str | None], seconds: float = _PREFLIGHT_SECONDS
) -> frozenset[str]:
    """The models that Copilot offers. Proves the token before anything is spent, and that one of `models` is there.

    The CLI calls itself ready and even authenticated with a wrong token, and a session then hangs.
    Raises ModelError: AUTHENTICATION, PAYMENT, FORBIDDEN, RATE_LIMIT, UNAVAILABLE_MODEL, ...
    """
    try:
        async with asyncio.timeout(seconds):
            listed = await connection.client.list_models()
    except TimeoutError as error:
        message = f"Copilot did not list its models within {seconds:.0f} seconds."
        raise fault(ModelKind.PROVIDER, message, provider=False) from error
    except SDK_ERRORS as error:
        raise from_sdk(error, provider=False) from error
    # A model that a policy disables is listed all the same, and would be asked without a complaint.
    offered = [entry.id for entry in listed if entry.policy is None or entry.policy.state != "disabled"]
    if not offered:
        raise fault(ModelKind.FORBIDDEN, "Copilot offers no model to this token.", provider=False)
    if models and not any(model is None or model in offered for model in models):
        raise not_offered(models, offered)
    return frozenset(offered)


def not_offered(models: Sequence[str | None], offered: Collection[str]) -> ModelError:
    """The error of models that Copilot does not have for this account."""
    named = " or ".join(f'"{model}"' for model in models)
    message = f"Copilot does not offer the model {named}; it offers {', '.join(sorted(offered)[:20])}."
    return fault(ModelKind.UNAVAILABLE_MODEL, message, provider=False)

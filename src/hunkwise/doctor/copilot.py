"""Checks of the CLI and of the model backend."""

from __future__ import annotations

import asyncio
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import IO, Any
from urllib.parse import urlsplit

from hunkwise.commands.signals import cancel_on_signal, deferred_signals
from hunkwise.copilot.connection import CopilotConnection, connect_to_first, connect_to_sidecar, preflight
from hunkwise.copilot.errors import SDK_ERRORS, from_sdk
from hunkwise.copilot.find_cli import CliCommand
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.procfs import listens
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.doctor.checks import Check, fault, ok, unchecked, warning
from hunkwise.errors import ModelError, ModelKind
from hunkwise.settings.inputs import Provider

_SLOW = 5.0
"""Seconds. An unpacked CLI listens after 0.02 to 0.6 s, one that unpacks itself first after some 2 s."""
_LEADS = {
    ModelKind.AUTHENTICATION: "the token was not accepted",
    ModelKind.FORBIDDEN: "refused by a policy, by a plan without Copilot, or for want of the job's permission",
    ModelKind.PAYMENT: "the token was accepted, and nothing is left to spend",
    ModelKind.RATE_LIMIT: "the token was accepted, and its rate limit is reached",
}
_MOST_MODELS = 12


@dataclass(frozen=True, slots=True)
class CliStatus:
    """One CLI, started or found, and asked."""

    program: str
    version: str
    sdk: str
    seconds: float | None = None
    """From its spawn until it listened; None for one that ran already."""
    not_first: str = ""
    """Why another program, which comes first, is not the one; empty where it is."""
    listener: bool | None = None
    """The kernel says that the port is this process's; None where it does not tell, or was not asked."""
    models: tuple[str, ...] = ()
    """That Copilot offers; empty where it was not asked."""
    refusal: ModelError | None = None
    """What Copilot said instead, or why it lacks the model that is asked for."""


def program_checks(seen: CliStatus, cli: str, sdk: str) -> Iterator[Check]:
    """Which program, how fast, and whether its versions are `cli` and `sdk`, which were measured together."""
    if seen.not_first:
        said = f"{seen.program} listens, because the program before it does not: {seen.not_first}"
        yield warning("Program", said, "Run `make setup` again; in the image, report it.")
    else:
        yield ok("Program", seen.program)
    if seen.seconds is not None and seen.seconds > _SLOW:
        remedy = "Look at the machine's load and disk; a CLI on PATH unpacks itself at its first start."
        yield warning("Start", f"it took {seen.seconds:.1f} s to listen.", remedy)
    elif seen.seconds is not None:
        yield ok("Start", f"it listened after {seen.seconds:.2f} s")
    pair = f"CLI {seen.version} with SDK {seen.sdk}"
    if (seen.version, seen.sdk) == (cli, sdk):
        yield ok("Versions", f"{pair}, which were measured together")
    else:
        said = f"{pair}; hunkwise is tested with CLI {cli} and SDK {sdk}."
        yield warning("Versions", said, "Run `make setup`, and remove COPILOT_CLI_PATH where it is set.")


def copilot_checks(seen: CliStatus, model: str | None) -> Iterator[Check]:
    """What Copilot said: authentication, policy and a missing model are told apart."""
    refusal = seen.refusal
    if refusal is not None and refusal.kind is not ModelKind.UNAVAILABLE_MODEL:
        lead = _LEADS.get(refusal.kind, "could not be asked")
        yield fault("Copilot", f"{lead}. {refusal.message}", refusal.hint)
        yield unchecked("Model", "Copilot lists none")
        return
    yield ok("Copilot", f"accepts the token, and offers {_listed(seen.models)}")
    if refusal is not None:
        yield fault("Model", refusal.message, refusal.hint)
    else:
        yield ok("Model", f"{model}, which Copilot offers" if model else "Copilot's choice")


def _listed(models: tuple[str, ...]) -> str:
    if not models:
        return "models"
    more = f" and {len(models) - _MOST_MODELS} more" if len(models) > _MOST_MODELS else ""
    return ", ".join(models[:_MOST_MODELS]) + more


_PROVIDER_SECONDS = 10.0
_OF_A_PROXY = (407, 502, 503, 504)
_CHECK_ADDRESS = "Check provider-base-url, the proxy settings and the network."
_CHECK_CERTIFICATES = "Set NODE_EXTRA_CA_CERTS to the file of your certificate authority."


def provider_checks(provider: Provider, model: str | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """An HTTP request without key or text, which costs nothing, and what was left untried."""
    yield _reached(provider.base_url, environ)
    key = (
        "was not tried"
        if provider.api_key
        else "is not set, which a provider in your own network may not mind"
    )
    yield unchecked("Key", f"it {key}")
    yield unchecked("Model", f"{model or 'the model'} is asked for by its name in a review only")


def _reached(base_url: str, environ: Mapping[str, str]) -> Check:
    parts = urlsplit(base_url)
    address = f"{parts.scheme}://{parts.netloc}"
    try:
        status = _status(base_url, environ)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            said = f"{address} has a certificate that could not be verified: {error.reason.reason or error.reason}."
            return fault("Provider", said, _CHECK_CERTIFICATES)
        return fault("Provider", f"{address} could not be reached: {_words(error.reason)}.", _CHECK_ADDRESS)
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = f"{address} gave no answer that is HTTP: {type(error).__name__}."
        return fault("Provider", said, _CHECK_ADDRESS)
    if status in _OF_A_PROXY:
        said = f"{address} answered {status}, which can be a proxy's word."
        return warning("Provider", said, "Look whether the provider is up, and at the proxy settings.")
    return ok("Provider", f"{address} answers")


def _words(reason: object) -> str:
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)


def _status(base_url: str, environ: Mapping[str, str]) -> int:
    """The status, whichever it is; redirects are not followed. Raises URLError and what the socket raises."""
    request = urllib.request.Request(base_url, method="HEAD", headers={"User-Agent": "hunkwise"})  # noqa: S310  # http or https: settings.parsing
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=_trusted(environ)))
    try:
        with opener.open(request, timeout=_PROVIDER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _trusted(environ: Mapping[str, str]) -> ssl.SSLContext:
    """The certificates that the CLI goes by. Raises OSError where a file that is named cannot be read."""
    context = ssl.create_default_context()  # heeds SSL_CERT_FILE and SSL_CERT_DIR
    more = environ.get("NODE_EXTRA_CA_CERTS")
    if more and os.path.isfile(more):  # noqa: PTH113  # Node ignores one that is missing, and so do we
        context.load_verify_locations(more)
    return context


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as it is: an answer of the address that was asked."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """None: not followed."""


_CLI_SECONDS = 10.0
NOWHERE = Credential(provider_base_url="http://127.0.0.1:9")
"""Lets the CLI start without a token; it is offline then, and nothing is asked there."""


@dataclass(frozen=True, slots=True)
class CopilotQuestion:
    """What Copilot is asked: nothing, or whether it takes the token and offers the model (None: its choice)."""

    copilot: bool
    model: str | None = None


def try_own(
    command: CliCommand, credential: Credential, environ: Mapping[str, str], question: CopilotQuestion
) -> CliStatus:
    """The first of the programs that listens. Raises ModelError, that of the first one, where none does.

    To be called from the main thread, as Sidecar.start.
    """
    first: ModelError | None = None
    candidate: CliCommand | None = command
    while candidate is not None:
        try:
            seen = _started(replace(candidate, instead=None), credential, environ, question)
            return replace(seen, not_first=first.message if first else "")
        except ModelError as error:
            first = first or error
            candidate = candidate.instead
    assert first is not None, "there is one candidate at least"
    raise first


def try_running(addresses: Sequence[Address], question: CopilotQuestion) -> CliStatus:
    """The first CLI that answers. Raises ModelError with every reason where none does."""

    async def look() -> CliStatus:
        async with _closing(await connect_to_first(addresses)) as connection:
            return await _asked(connection, "one that runs already, at copilot-url", question)

    return asyncio.run(_quietly(look()))


def _started(
    command: CliCommand, credential: Credential, environ: Mapping[str, str], question: CopilotQuestion
) -> CliStatus:
    sidecar = Sidecar(command, credential, environ)

    async def look(started: float) -> CliStatus:
        address = await sidecar.ready()
        seconds = time.monotonic() - started
        async with _closing(await connect_to_sidecar(sidecar)) as connection:
            seen = await _asked(connection, _described(command, environ), question)
        listener = listens(sidecar.pid, address.port) if sidecar.pid is not None else None
        return replace(seen, seconds=seconds, listener=listener)

    with deferred_signals() as signals:
        try:
            started = time.monotonic()
            sidecar.start()
            return asyncio.run(cancel_on_signal(signals, _quietly(look(started))))
        finally:
            sidecar.stop()


def _described(command: CliCommand, environ: Mapping[str, str]) -> str:
    if environ.get("COPILOT_CLI_PATH"):
        return f"{command.program}, which COPILOT_CLI_PATH names"
    kind = "the package's runtime" if command.program.name == "copilot-runtime" else "the CLI"
    return f"{kind}, {command.program}"


@asynccontextmanager
async def _closing(connection: CopilotConnection) -> AsyncIterator[CopilotConnection]:
    try:
        yield connection
    finally:
        await connection.close()


async def _asked(connection: CopilotConnection, program: str, question: CopilotQuestion) -> CliStatus:
    """Raises ModelError where the CLI does not say which version it is."""
    try:
        async with asyncio.timeout(_CLI_SECONDS):
            status = await connection.client.get_status()
    except (TimeoutError, *SDK_ERRORS) as error:
        raise from_sdk(error, provider=False) from error
    seen = CliStatus(program, status.version, version("github-copilot-sdk"))
    if not question.copilot:
        return seen
    try:
        await preflight(connection, (question.model,))
        listed = await connection.client.list_models()  # asks nobody: the SDK keeps the list
    except ModelError as refusal:
        return replace(seen, refusal=refusal)
    offered = (entry.id for entry in listed if entry.policy is None or entry.policy.state != "disabled")
    return replace(seen, models=tuple(offered))


async def _quietly(work: Coroutine[None, None, CliStatus]) -> CliStatus:
    """The SDK parses events in callbacks; what fails there is foreign text, and nothing that we wait for."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    return await work

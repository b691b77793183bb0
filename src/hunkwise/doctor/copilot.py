"""Checks of the CLI and of the model backend."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import IO, Any
from urllib.parse import urlsplit

from hunkwise.certificates import tls_context
from hunkwise.commands.signals import Signals, quiet_loop, recorded_signals
from hunkwise.copilot.connection import CopilotConnection, connect_sidecar, preflight
from hunkwise.copilot.find_cli import CliCommand, install_hint
from hunkwise.copilot.isolation import Credential
from hunkwise.copilot.pool import open_pool
from hunkwise.copilot.procfs import listens
from hunkwise.copilot.sidecar import Address, Sidecar
from hunkwise.doctor.checks import Check, error_check, fault, ok, unchecked, warning
from hunkwise.errors import ModelError, ModelKind
from hunkwise.flows.models import wait_unless
from hunkwise.settings.inputs import Provider

_SLOW = 5.0
"""Seconds. An unpacked CLI listens after 0.02 to 0.6 s, one that unpacks itself first after about 2 s."""
_LEADS = {
    ModelKind.AUTHENTICATION: "the token was not accepted",
    ModelKind.FORBIDDEN: "refused by a policy, by a plan without Copilot, or for want of a permission",
    ModelKind.PAYMENT: "the token was accepted, and nothing is left to spend",
    ModelKind.RATE_LIMIT: "the token was accepted, and its rate limit is reached",
}
_MOST_MODELS = 12


@dataclass(frozen=True, slots=True)
class CliStatus:
    """The state of one CLI, which was started here or was already running."""

    program: str
    version: str
    sdk: str
    seconds: float | None = None
    """Seconds from its spawn until it listened; None for one that was already running."""
    not_first: str = ""
    """Why the first program was not used; empty if it was."""
    listener: bool | None = None
    """True if the kernel confirms that the port is this process's; None if it cannot, or was not asked."""
    unreachable: tuple[str, ...] = ()
    """A sentence for each address of `copilot-url` that does not answer, if another one does."""
    models: tuple[str, ...] = ()
    """The models that Copilot offers; empty if it was not asked."""
    refusal: ModelError | None = None
    """Copilot's error, or the error that it does not offer the model."""


def program_checks(seen: CliStatus, cli: str, sdk: str) -> Iterator[Check]:
    """Checks the program, its start time, and whether its versions are `cli` and `sdk`, which were tested together."""
    if seen.not_first:
        message = f"{seen.program} is used, because the program before it cannot be: {seen.not_first}"
        yield warning("Program", message, f"{install_hint()} In the image, report it.")
    else:
        yield ok("Program", seen.program)
    for sentence in seen.unreachable:
        yield warning("Program", sentence, "Start it, or take it out of copilot-url.")
    if seen.seconds is not None and seen.seconds > _SLOW:
        remedy = "Look at the machine's load and disk; a CLI on PATH unpacks itself at its first start."
        yield warning("Start", f"it took {seen.seconds:.1f} s to listen.", remedy)
    elif seen.seconds is not None:
        yield ok("Start", f"it listened after {seen.seconds:.2f} s")
    pair = f"CLI {seen.version} with SDK {seen.sdk}"
    if (seen.version, seen.sdk) == (cli, sdk):
        yield ok("Versions", f"{pair}, which were measured together")
    else:
        message = f"{pair}; hunkwise is tested with CLI {cli} and SDK {sdk}."
        yield warning(
            "Versions", message, f"{install_hint()} COPILOT_CLI_PATH, where it is set, is used first."
        )


def copilot_checks(seen: CliStatus, model: str | None) -> Iterator[Check]:
    """Checks Copilot's answer; distinguishes authentication, policy and a missing model."""
    refusal = seen.refusal
    if refusal is not None and refusal.kind is not ModelKind.UNAVAILABLE_MODEL:
        yield error_check("Copilot", refusal, f"{_LEADS[refusal.kind]}. " if refusal.kind in _LEADS else "")
        yield unchecked("Model", "Copilot lists none")
        return
    yield ok("Copilot", f"accepts the token, and offers {_listed(seen.models)}")
    if refusal is not None:
        yield error_check("Model", refusal)
    else:
        yield ok("Model", f"{model}, which Copilot offers" if model else "Copilot's choice")


def _listed(models: tuple[str, ...]) -> str:
    if not models:
        return "models"
    more = f" and {len(models) - _MOST_MODELS} more" if len(models) > _MOST_MODELS else ""
    return ", ".join(models[:_MOST_MODELS]) + more


_PROVIDER_SECONDS = 10.0
_OF_A_PROXY = (407, 502, 503, 504)
_CHECK_ADDRESS = (
    "Check provider-base-url, the proxy settings and the network.",
    "Check COPILOT_PROVIDER_BASE_URL, the proxy settings and the network.",
)
_CHECK_CERTIFICATES = "Set NODE_EXTRA_CA_CERTS to the file of your certificate authority."


def provider_checks(provider: Provider, model: str | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """Checks the address with an HTTP request without key or text, which costs nothing; names what was not tried."""
    yield _address_check(provider.base_url, environ)
    key = (
        "was not tried"
        if provider.api_key
        else "is not set, which a provider in your own network may not need"
    )
    yield unchecked("Key", f"it {key}")
    yield unchecked("Model", f"{model or 'the model'} is asked for by its name in a review only")


def _address_check(base_url: str, environ: Mapping[str, str]) -> Check:
    parts = urlsplit(base_url)
    address = f"{parts.scheme}://{parts.netloc}"
    try:
        status = _request_status(base_url, environ)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            message = f"{address} has a certificate that could not be verified: {error.reason.reason or error.reason}."
            return fault("Provider", message, _CHECK_CERTIFICATES)
        return fault(
            "Provider", f"{address} could not be reached: {_describe(error.reason)}.", *_CHECK_ADDRESS
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = f"{address} gave no answer that is HTTP: {type(error).__name__}."
        return fault("Provider", message, *_CHECK_ADDRESS)
    if status in _OF_A_PROXY:
        message = f"{address} answered {status}, which a proxy may have sent."
        return warning("Provider", message, "Look whether the provider is up, and at the proxy settings.")
    return ok("Provider", f"{address} answers")


def _describe(reason: object) -> str:
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)


def _request_status(base_url: str, environ: Mapping[str, str]) -> int:
    """Returns the HTTP status, also of an error or a redirect. Raises URLError, and the socket's errors."""
    request = urllib.request.Request(base_url, method="HEAD", headers={"User-Agent": "hunkwise"})  # noqa: S310  # http or https: settings.parsing
    opener = urllib.request.build_opener(
        _NoRedirects, urllib.request.HTTPSHandler(context=tls_context(environ))
    )
    try:
        with opener.open(request, timeout=_PROVIDER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: a redirect is an answer of the address too."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Returns None, so that the redirect is not followed."""


NOWHERE = Credential(provider_base_url="http://127.0.0.1:9")
"""Lets the CLI start without a token. It is offline then, and sends nothing to this address."""


@dataclass(frozen=True, slots=True)
class CopilotQuestion:
    """The question to Copilot: none, or whether it accepts the token and offers the model (None: its choice)."""

    copilot: bool
    model: str | None = None


def try_own(
    command: CliCommand, credential: Credential, environ: Mapping[str, str], question: CopilotQuestion
) -> CliStatus:
    """Returns the state of the first program that listens. Raises the first program's ModelError if none does.

    Must be called from the main thread, as Sidecar.start.
    """
    first: ModelError | None = None
    candidate: CliCommand | None = command
    while candidate is not None:
        try:
            seen = _start(replace(candidate, instead=None), credential, environ, question)
            return replace(seen, not_first=first.message if first else "")
        except ModelError as error:
            first = first or error
            candidate = candidate.instead
    assert first is not None, "there is at least one candidate"
    raise first


def try_running(addresses: Sequence[Address], question: CopilotQuestion) -> CliStatus:
    """Returns the state of one CLI that answers, and which do not. Raises ModelError with all reasons if none does."""

    async def query() -> CliStatus:
        async with open_pool(addresses) as pool, pool.lease() as connection:
            await pool.wait_until_tried()
            unreachable = tuple(server.reason for server in pool.servers if not server.up)
            up = len(addresses) - len(unreachable)
            which = "one that runs" if len(addresses) == 1 else f"{up} of {len(addresses)} that run"
            seen = await _query(connection, f"{which} already, at copilot-url", question)
            return replace(seen, unreachable=unreachable)

    with recorded_signals() as signals:
        return _run(query(), signals)


def _start(
    command: CliCommand, credential: Credential, environ: Mapping[str, str], question: CopilotQuestion
) -> CliStatus:
    sidecar = Sidecar(command, credential, environ)

    async def query(started: float) -> CliStatus:
        address = await sidecar.ready()
        seconds = time.monotonic() - started
        async with connect_sidecar(sidecar, copilot=False) as connection:
            seen = await _query(connection, _program_text(command, environ), question)
        listener = listens(sidecar.pid, address.port) if sidecar.pid is not None else None
        return replace(seen, seconds=seconds, listener=listener)

    with recorded_signals() as signals:  # an exception before `try` would leave the process behind
        started = time.monotonic()
        sidecar.start()
        try:
            return _run(query(started), signals)
        finally:
            sidecar.stop()


def _run(query: Coroutine[Any, Any, CliStatus], signals: Signals) -> CliStatus:
    """Returns the result of the query. Raises KeyboardInterrupt if a signal comes, or was recorded before."""

    async def run() -> CliStatus | None:
        with quiet_loop(signals) as interrupted:
            task = asyncio.create_task(query)
            await wait_unless(interrupted, task)
            return None if interrupted.is_set() else task.result()

    status = asyncio.run(run())
    if status is None:
        raise KeyboardInterrupt
    return status


def _program_text(command: CliCommand, environ: Mapping[str, str]) -> str:
    if environ.get("COPILOT_CLI_PATH"):
        return f"{command.program}, which COPILOT_CLI_PATH names"
    kind = "the package's runtime" if command.program.name == "copilot-runtime" else "the CLI"
    return f"{kind}, {command.program}"


async def _query(connection: CopilotConnection, program: str, question: CopilotQuestion) -> CliStatus:
    """Returns the state of the connected CLI, with Copilot's answer to the question."""
    seen = CliStatus(program, connection.cli_version, version("github-copilot-sdk"))
    if not question.copilot:
        return seen
    try:
        return replace(seen, models=await preflight(connection, (question.model,)))
    except ModelError as refusal:
        return replace(seen, refusal=refusal)

"""The Copilot CLI as it was seen to run, and what Copilot said to the token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hunkwise.checkup.check import Check, fault, ok, unchecked, warning
from hunkwise.errors import ModelError, ModelKind

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
class Seen:
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


def program_checks(seen: Seen, cli: str, sdk: str) -> Iterator[Check]:
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


def copilot_checks(seen: Seen, model: str | None) -> Iterator[Check]:
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

"""How far the Copilot CLI is set apart from this process: by attempts in the image, by what is known elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from hunkwise.checkup.check import Check, fault, ok, unchecked, warning

_SOCKETS = (Path("/var/run/docker.sock"), Path("/run/docker.sock"))
_REPORT = (
    "Run the container as GitHub's runner does, without --privileged and further mounts; where it happens there,"
    " report it as SECURITY.md says."
)
_CONTAINER = "Use hunkwise as a container action, which starts as root and sets the CLI apart."


class Attempt(Protocol):
    """One thing that was tried as the sidecar's user; see copilot.probes."""

    @property
    def what(self) -> str: ...

    @property
    def happened(self) -> str: ...

    @property
    def held(self) -> bool: ...


def attempt_checks(attempts: Sequence[Attempt], user: int) -> Iterator[Check]:
    """The table of what the sidecar's user tried, in which all must have held; how many did comes first."""
    held = sum(attempt.held for attempt in attempts)
    said = f"user {user}, in a root folder of its own: {held} of {len(attempts)} controls held when they were tried"
    if attempts and held == len(attempts):
        yield ok("Set apart", said)
    else:
        yield fault("Set apart", f"{said}.", _REPORT)
    for attempt in attempts:
        if attempt.held:
            yield ok(attempt.what, attempt.happened)
        else:
            yield fault(attempt.what, f"{attempt.happened}.", _REPORT)


def shared_user_checks(*, in_image: bool, listener: bool | None, started: bool) -> Iterator[Check]:
    """Where the CLI runs as our own user: what holds all the same, and what is missing."""
    yield ok("Environment", "made from scratch: of this process's variables the CLI gets those that it needs")
    yield ok("Tools", "no built-in one is offered to the model, and no permission is granted")
    yield ok("Home", "private, empty at the start, and wiped at the end")
    yield ok("Connection", "on loopback, by a random token of 256 bits")
    if listener:
        yield ok("Listener", "the port was the CLI's own before the token was sent there")
    else:
        why = "the kernel does not tell who listens" if started else "no CLI was started"
        yield unchecked("Listener", why)
    remedy = "Start the image as root, as GitHub's runner does." if in_image else _CONTAINER
    said = "missing: the CLI runs as this user, and could read this process's memory and environment."
    yield warning("Own user", said, remedy)
    yield warning("Own root folder", "missing: the CLI could read every file that this user can.", remedy)
    yield docker_check()


def docker_check(sockets: Sequence[Path] = _SOCKETS) -> Check:
    """Whether a CLI that runs as our user could have Docker's socket. Nobody connects to it."""
    there = [path for path in sockets if path.exists()]
    open_ones = [path for path in there if os.access(path, os.R_OK | os.W_OK)]
    if open_ones:
        said = f"{open_ones[0]} is there, and this user can write to it: whoever holds it owns the machine."
        return warning("Docker's socket", said, _CONTAINER)
    return ok("Docker's socket", f"{there[0]} is there, and closed to this user" if there else "is not there")


def elsewhere_check(addresses: Sequence[str]) -> Check:
    """Of a CLI at copilot-url."""
    return unchecked("Set apart", f"the CLI at {', '.join(addresses)} is for whoever runs it to set apart")

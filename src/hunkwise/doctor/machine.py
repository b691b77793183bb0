"""Checks of the machine: folders, disk, clock, git, isolation."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hunkwise.doctor.checks import Check, fault, ok, unchecked, warning
from hunkwise.errors import RepositoryError

_SOCKETS = (Path("/var/run/docker.sock"), Path("/run/docker.sock"))
_REPORT = (
    "Run the container as GitHub's runner does, without --privileged and further mounts; where it happens there,"
    " report it as SECURITY.md says."
)
_CONTAINER = "Use hunkwise as a container action, which starts as root and sets the CLI apart."


class IsolationAttempt(Protocol):
    """One thing that was tried as the sidecar's user; see copilot.isolation_probe."""

    @property
    def what(self) -> str: ...

    @property
    def happened(self) -> str: ...

    @property
    def held(self) -> bool: ...


def attempt_checks(attempts: Sequence[IsolationAttempt], user: int) -> Iterator[Check]:
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


OLDEST_GIT = (2, 38)
_LITTLE, _TOO_LITTLE = 500 << 20, 50 << 20
"""Bytes. The CLI's home and a large diff take some 100 MB; a CLI that is not unpacked yet takes 235 MB more."""
_GIT = re.compile(r"git version (\d{1,4})\.(\d{1,4})\S*")
_NOT_THERE = "it is not set"


def python_check() -> Check:
    """Which Python runs this: pip has refused one that is too old."""
    return ok("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def git_check(version: Callable[[], str], *, needed: bool) -> Check:
    """Whether git is there and new enough. `version` gives what `git --version` says, or raises RepositoryError."""
    say = fault if needed else warning
    lost = "" if needed else " Without it the model cannot search, and files are read through GitHub's API."
    oldest = ".".join(map(str, OLDEST_GIT))
    try:
        said = version().strip()
    except RepositoryError as error:
        return say("git", f"{error.message}{lost}", f"Install git {oldest} or newer.")
    found = _GIT.match(said)
    if found is None:
        return say(
            "git", f"`git --version` says {said[:80]!r}, which is no version.{lost}", f"Install git {oldest}."
        )
    if (int(found[1]), int(found[2])) < OLDEST_GIT:
        return say("git", f"{found[0]} is older than {oldest}.{lost}", f"Install git {oldest} or newer.")
    return ok("git", found[0].removeprefix("git version "))


def temporary_check(environ: Mapping[str, str], usable: Callable[[], str] = tempfile.gettempdir) -> Check:
    """Whether files can be made where the CLI's private home will be. `usable` gives that folder, or raises OSError."""
    named = environ.get("TMPDIR")
    remedy = "Set TMPDIR to a folder that can be written: the Copilot CLI's private home is made there."
    try:
        folder = usable()
    except OSError as error:
        return fault("TMPDIR", f"there is no folder for temporary files: {error.strerror}.", remedy)
    if named and Path(named).absolute() != Path(folder).absolute():
        return warning("TMPDIR", f"{named} cannot be written; {folder} is used instead.", remedy)
    return ok("TMPDIR", f"{folder} can be written")


def reports_check(folder: Path) -> Check:
    """Whether the JSON report can be written: to a folder that need not exist yet."""
    unwritable = _cannot_be_made_in(folder)
    if unwritable:
        remedy = (
            "Point RUNNER_TEMP to a folder that can be written: without it there is no JSON report, no SARIF."
        )
        return warning("Reports", f"{folder} cannot be written: {unwritable}.", remedy)
    return ok("Reports", f"are written to {folder}")


def runner_file_check(name: str, environ: Mapping[str, str], loss: str) -> Check:
    """Whether a file that the runner names takes more text; nothing is written to it."""
    named = environ.get(name)
    unwritable = _cannot_be_appended_to(Path(named)) if named else _NOT_THERE
    if unwritable:
        remedy = f"Run hunkwise as a step of a job, whose runner sets {name} to a file."
        return warning(name, f"cannot be written, so {loss}: {unwritable}.", remedy)
    return ok(name, "can be written")


def space_check(free: int, folder: str) -> Check:
    """Whether so many free bytes are enough."""
    remedy = f"Make room in {folder}: the Copilot CLI and git need up to 500 MB there."
    if free < _LITTLE:
        say = fault if free < _TOO_LITTLE else warning
        return say("Disk", f"only {free / 2**20:,.0f} MB are free in {folder}.", remedy)
    return ok("Disk", f"{free / 2**30:,.1f} GB are free in {folder}")


def free_space(usable: Callable[[], str] = tempfile.gettempdir) -> tuple[int, str] | None:
    """Free bytes where temporary files go, and where that is; None where nobody can say."""
    try:
        folder = usable()
        return shutil.disk_usage(folder).free, folder
    except OSError:
        return None


def _cannot_be_made_in(folder: Path) -> str:
    """Why no file can be made in the folder, or, where it is not there, in the first above it that is; or nothing."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            return f"{there} is not a folder"
        with tempfile.TemporaryFile(prefix="hunkwise-doctor-", dir=there):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


def _cannot_be_appended_to(path: Path) -> str:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    except FileNotFoundError:
        return _cannot_be_made_in(path.parent) if path.parent.is_dir() else "its folder is not there"
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""

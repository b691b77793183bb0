"""Checks of the machine: folders, disk, clock, git, isolation."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hunkwise.copilot.isolation_probe import ProbeAttempt
from hunkwise.doctor.checks import Check, fault, ok, unchecked, warning
from hunkwise.errors import RepositoryError

_SOCKETS = (Path("/var/run/docker.sock"), Path("/run/docker.sock"))
_REPORT = (
    "Run the container as GitHub's runner does, without --privileged and further mounts; where it happens there,"
    " report it as SECURITY.md says."
)
_CONTAINER = "Use hunkwise as a container action, which starts as root and sets the CLI apart."


def attempt_checks(attempts: Sequence[ProbeAttempt], user: int) -> Iterator[Check]:
    """Returns a check for each attempt of the sidecar's user, preceded by the number of controls that held."""
    held = sum(attempt.held for attempt in attempts)
    message = f"user {user}, in a root folder of its own: {held} of {len(attempts)} controls held when they were tried"
    if attempts and held == len(attempts):
        yield ok("Set apart", message)
    else:
        yield fault("Set apart", f"{message}.", _REPORT)
    for attempt in attempts:
        if attempt.held:
            yield ok(attempt.what, attempt.happened)
        else:
            yield fault(attempt.what, f"{attempt.happened}.", _REPORT)


def shared_user_checks(*, in_image: bool, listener: bool | None, started: bool) -> Iterator[Check]:
    """Returns the checks for a CLI that runs as our own user: which controls hold, and which are missing."""
    yield ok("Environment", "made from scratch: of this process's variables the CLI gets those that it needs")
    yield ok("Tools", "no built-in one is offered to the model, and no permission is granted")
    yield ok("Home", "private, empty at the start, and wiped at the end")
    yield ok("Connection", "on loopback, by a random token of 256 bits")
    if listener:
        yield ok("Listener", "the port was the CLI's own before the token was sent there")
    else:
        why = "the kernel does not report who listens" if started else "no CLI was started"
        yield unchecked("Listener", why)
    remedy = "Start the image as root, as GitHub's runner does." if in_image else _CONTAINER
    message = "missing: the CLI runs as this user, and could read this process's memory and environment."
    yield warning("Own user", message, remedy)
    yield warning("Own root folder", "missing: the CLI could read every file that this user can.", remedy)
    yield docker_check()


def docker_check(sockets: Sequence[Path] = _SOCKETS) -> Check:
    """Checks whether a CLI that runs as our user could use Docker's socket. Does not connect to it."""
    existing = [path for path in sockets if path.exists()]
    open_ones = [path for path in existing if os.access(path, os.R_OK | os.W_OK)]
    if open_ones:
        message = (
            f"{open_ones[0]} is there, and this user can write to it: a process with access to it controls the "
            "machine."
        )
        return warning("Docker's socket", message, _CONTAINER)
    return ok(
        "Docker's socket", f"{existing[0]} is there, and closed to this user" if existing else "is not there"
    )


OLDEST_GIT = (2, 38)
_LITTLE, _TOO_LITTLE = 500 << 20, 50 << 20
"""Bytes. The CLI's home and a large diff take about 100 MB; a CLI that is not unpacked yet takes 235 MB more."""
_GIT = re.compile(r"git version (\d{1,4})\.(\d{1,4})\S*")


def python_check() -> Check:
    """Reports the Python version. It is never too old, because pip refuses to install hunkwise there."""
    return ok("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


MACOS_LOSSES = (
    "on macOS the memory of the CLI, git and workers is not limited, nobody verifies that the port is the CLI's own, "
    "and after `kill -9` of hunkwise, or where the CLI starts processes in other groups, these go on running"
)


def system_checks(system: str) -> Iterator[Check]:
    """Reports what is missing on a system (as in `sys.platform`); nothing on Linux, where all of it is there."""
    if system == "darwin":
        yield warning("System", f"{MACOS_LOSSES}.", "Where this matters, use the container image.")


def git_check(version: Callable[[], str], *, needed: bool) -> Check:
    """Checks whether git is installed and new enough.

    `version` returns the output of `git --version`, or raises RepositoryError.
    """
    oldest = ".".join(map(str, OLDEST_GIT))
    try:
        output = version().strip()
        match = _GIT.match(output)
        if match is None:
            message = f"`git --version` says {output[:80]!r}, which is no version."
        elif (int(match[1]), int(match[2])) < OLDEST_GIT:
            message = f"{match[0]} is older than {oldest}."
        else:
            return ok("git", match[0].removeprefix("git version "))
    except RepositoryError as error:
        message = error.message
    remedy = f"Install git {oldest} or newer."
    if needed:
        return fault("git", message, remedy)
    lost = "Without it the model cannot search, and files are read through GitHub's API."
    return warning("git", f"{message} {lost}", remedy)


def temporary_check(environ: Mapping[str, str], usable: Callable[[], str] = tempfile.gettempdir) -> Check:
    """Checks whether files can be created where the CLI's private home will be.

    `usable` returns that folder, or raises OSError.
    """
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
    """Checks whether the JSON report can be written to the folder, which need not exist yet."""
    unwritable = _cannot_be_made_in(folder)
    if unwritable:
        remedy = (
            "Point RUNNER_TEMP to a folder that can be written: without it there is no JSON report, no SARIF."
        )
        return warning("Reports", f"{folder} cannot be written: {unwritable}.", remedy)
    return ok("Reports", f"are written to {folder}")


def runner_file_check(name: str, environ: Mapping[str, str], loss: str) -> Check:
    """Checks whether text can be appended to a file that the runner names. Writes nothing to it."""
    named = environ.get(name)
    unwritable = _cannot_be_appended_to(Path(named)) if named else "it is not set"
    if unwritable:
        remedy = f"Run hunkwise as a step of a job, whose runner sets {name} to a file."
        return warning(name, f"cannot be written, so {loss}: {unwritable}.", remedy)
    return ok(name, "can be written")


def space_check(free: int, folder: str) -> Check:
    """Checks whether the number of free bytes is enough."""
    remedy = f"Make room in {folder}: the Copilot CLI and git need up to 500 MB there."
    if free < _LITTLE:
        problem = fault if free < _TOO_LITTLE else warning
        return problem("Disk", f"only {free / 2**20:,.0f} MB are free in {folder}.", remedy)
    return ok("Disk", f"{free / 2**30:,.1f} GB are free in {folder}")


def free_space(usable: Callable[[], str] = tempfile.gettempdir) -> tuple[int, str] | None:
    """Returns the free bytes in the folder for temporary files, and the folder; None if they are unknown."""
    try:
        folder = usable()
        return shutil.disk_usage(folder).free, folder
    except OSError:
        return None


def _cannot_be_made_in(folder: Path) -> str:
    """Returns why no file can be created in the folder, or in its first existing parent; empty if it can."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not existing.is_dir():
            return f"{existing} is not a folder"
        with tempfile.TemporaryFile(prefix="hunkwise-doctor-", dir=existing):
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

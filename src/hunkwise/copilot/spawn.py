"""Starts a process of the Copilot CLI: private home, environment from scratch, in the image a user of its own."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hunkwise.copilot.child import Child
from hunkwise.copilot.command import Command
from hunkwise.copilot.environment import Credential, sidecar_environment
from hunkwise.copilot.homes import Home, wipe_abandoned
from hunkwise.copilot.isolation import Isolation, unconfined
from hunkwise.errors import ModelError

_PR_SET_PDEATHSIG = 1


def spawn(
    command: Command, credential: Credential, inherited: Mapping[str, str], isolation: Isolation | None
) -> Child:
    """Starts the program in a private home. Raises OSError where it cannot be executed, ModelError (SIDECAR) where
    it should be set apart but cannot."""
    connection_token = secrets.token_hex(32)
    home = _home(isolation)
    try:
        (home.path / "scratch").mkdir()
        start = _start_of(command, home, inherited, isolation)
        environment = sidecar_environment(
            start.inherited,
            home=start.home,
            connection_token=connection_token,
            credential=credential,
            package_cache=start.package_cache,
        )
        process = _popen(start, environment, isolation)
    except (OSError, ModelError):
        home.wipe()
        raise
    child = Child(process, home, connection_token, isolation)
    child.watch()
    wipe_abandoned(home.path.parent)  # only now: the CLI is starting meanwhile
    return child


def _home(isolation: Isolation | None) -> Home:
    if isolation is None:
        return Home()
    try:
        return Home(isolation.homes)
    except OSError as error:
        raise unconfined(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Start:
    """What is executed, with all paths as the sidecar sees them."""

    arguments: tuple[str, ...]
    home: Path
    package_cache: Path | None
    inherited: Mapping[str, str]


def _start_of(
    command: Command, home: Home, inherited: Mapping[str, str], isolation: Isolation | None
) -> _Start:
    if isolation is None:
        return _Start(command.arguments, home.path, command.package_cache, inherited)
    cache = command.package_cache
    try:
        variables = isolation.furnish(home.path, inherited)
    except OSError as error:
        raise unconfined(str(error)) from error
    return _Start(
        replace(command, program=isolation.inside(command.program)).arguments,
        isolation.inside(home.path),
        isolation.inside(cache) if cache is not None else None,
        {**inherited, **variables},
    )


def _popen(
    start: _Start, environment: Mapping[str, str], isolation: Isolation | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            start.arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_confine(os.getpid(), isolation, str(start.home / "scratch")),
        )
    except subprocess.SubprocessError as error:  # all that Python tells of a failure between fork and exec
        raise unconfined("no child of ours could become another user in another root folder") from error


def _confine(parent: int, isolation: Isolation | None, folder: str) -> Callable[[], None]:
    """What the child does before it becomes the CLI. On Linux the kernel ends the CLI when we die, even by SIGKILL."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None  # before the fork

    def confine() -> None:
        if isolation is not None:
            isolation.enter()
        os.chdir(folder)
        if prctl is None:
            return
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # last: the kernel forgets it at a change of user
        if os.getppid() != parent:  # we died before the kernel was asked
            os._exit(1)

    return confine

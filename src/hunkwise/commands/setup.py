"""The command `hunkwise setup`: downloads the Copilot CLI, for hunkwise installed as a package. Asks first."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hunkwise.commands.signals import stoppable
from hunkwise.copilot.cli_download import ARCHIVE_BYTES, FOLDER_BYTES, download_cli, planned_download
from hunkwise.copilot.find_cli import CHECKOUT, CLI_VERSION, cli_beside, downloaded_cli
from hunkwise.copilot.sdk_import import import_sdk
from hunkwise.domain.review import ExitCode
from hunkwise.errors import SettingsError

_NEXT = "Next: `hunkwise review --model demo` in a clone needs no account; `hunkwise doctor` shows what is set up."
_STOPPED = "The download was stopped, and nothing was installed."


def setup(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    checkout: Path = CHECKOUT,
    terminal: TextIO | None = None,
) -> ExitCode:
    """Downloads the CLI unless it is there, and prints what to do next. Raises Error.

    `terminal` is where the answer to the question comes from; by default standard input.
    """
    terminal = terminal or sys.stdin
    beside = cli_beside(environ, checkout)
    installed = beside or downloaded_cli(environ)
    if installed is not None:
        _say(f"The Copilot CLI {CLI_VERSION} is there already: {installed.program}")
        _say(*(_used_first(environ) if beside is None else []), _NEXT)
        return ExitCode.REVIEWED
    if not arguments.yes and not terminal.isatty():
        raise SettingsError(["Standard input is no terminal, so nothing was downloaded: add --yes."])
    with stoppable(_STOPPED):
        _say(_plan(environ))
        if not arguments.yes and not _confirm(terminal):
            _say("Nothing was downloaded.")
            return ExitCode.NO_REVIEW
        with _progress() as report:
            command = download_cli(environ, report)
    _say(f"Downloaded and verified: {command.program}", *_used_first(environ), _NEXT)
    return ExitCode.REVIEWED


def _plan(environ: Mapping[str, str]) -> str:
    import_sdk()
    planned = planned_download(environ)
    return (
        f"hunkwise needs the GitHub Copilot CLI {CLI_VERSION}, by GitHub and under GitHub's licence.\n"
        f"  from    {planned.url}\n"
        f"  to      {planned.folder}\n"
        f"  size    about {ARCHIVE_BYTES / 1e6:.0f} MB to download, {FOLDER_BYTES / 1e6:.0f} MB on disk\n"
        "  check   SHA-256, from the list of the same release"
    )


def _confirm(terminal: TextIO) -> bool:
    sys.stdout.write("Download it? [y/N] ")
    sys.stdout.flush()
    return terminal.readline().strip().lower() in ("y", "yes")


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None], object]]:
    """Yields a function that shows the downloaded bytes; without a terminal it shows nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("Downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("download", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _used_first(environ: Mapping[str, str]) -> list[str]:
    """Returns a sentence about another CLI that is used before the downloaded one, if there is one."""
    if configured := environ.get("COPILOT_CLI_PATH"):
        return [f"COPILOT_CLI_PATH is set, so {configured} is used instead."]
    if on_path := shutil.which("copilot", path=environ.get("PATH", "")):
        return [f"{on_path}, which is on PATH, is used first, unless it is too old."]
    return []


def _say(*paragraphs: str) -> None:
    for paragraph in paragraphs:
        sys.stdout.write(f"{paragraph}\n")
    sys.stdout.flush()

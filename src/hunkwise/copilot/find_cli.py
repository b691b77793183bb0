"""Finds the executable of the Copilot CLI."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hunkwise.errors import ModelError, ModelKind

CLI_VERSION = "1.0.102"
SDK_VERSION = "1.0.25"
"""Both versions were tested together; package-lock.json and pyproject.toml pin them."""
OLDEST_VERSION = (1, 0, 89)
"""Older versions of the CLI hang during a turn (seen with 1.0.81, which reports itself as 0.0.1), at the same protocol
version."""

CHECKOUT = Path(__file__).resolve().parents[3]
_INSTALL = "Run `make setup` in hunkwise's checkout, or set COPILOT_CLI_PATH to a Copilot CLI."


@dataclass(frozen=True, slots=True)
class CliCommand:
    """The command that starts a headless server."""

    program: Path
    package_cache: Path | None = None
    """The folder of the CLI's unpacked package; without it the CLI unpacks 235 MB when it starts."""
    instead: CliCommand | None = None
    """The command to start if this program does not listen."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return (str(self.program), "--headless", "--port", "0", "--log-level", "none")


def find_cli(environ: Mapping[str, str], checkout: Path = CHECKOUT) -> CliCommand:
    """Returns the first of COPILOT_CLI_PATH, the package's runtime, its CLI (both below `checkout`), `copilot` on PATH.

    Raises ModelError (SIDECAR) if none exists.
    """
    cli_path = environ.get("COPILOT_CLI_PATH")
    if cli_path:
        return _configured_cli(Path(cli_path), environ)
    # The sidecar has its own working directory, so no path may be relative to ours.
    cache_path = environ.get("COPILOT_PKG_CACHE_HOME")
    cache = Path(cache_path).absolute() if cache_path else checkout / "node_modules" / ".cache" / "copilot"
    runtime = _find_runtime(cache)
    installed = checkout / "node_modules" / "@github" / f"copilot-{platform_name()}" / "copilot"
    program = installed if installed.is_file() else shutil.which("copilot", path=environ.get("PATH", ""))
    plain = CliCommand(Path(program).absolute(), cache if cache.is_dir() else None) if program else None
    if runtime is not None:
        return CliCommand(runtime, cache, plain)
    if plain is not None:
        return plain
    raise ModelError(ModelKind.SIDECAR, "There is no Copilot CLI.", _INSTALL)


def _configured_cli(program: Path, environ: Mapping[str, str]) -> CliCommand:
    if not program.is_file():
        raise ModelError(
            ModelKind.SIDECAR,
            f"COPILOT_CLI_PATH names {program}, which is not a file.",
            "Correct it, or remove it so that the installed CLI is used.",
        )
    cache = environ.get("COPILOT_PKG_CACHE_HOME")
    return CliCommand(program.absolute(), Path(cache).absolute() if cache else None)


def platform_name() -> str:
    """Returns the CLI's name for this platform, for example `linux-x64`."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine()
    )
    system = {"win32": "win32", "darwin": "darwin"}.get(sys.platform, "linux")
    return f"{system}-{machine}"


def _find_runtime(cache: Path) -> Path | None:
    name = platform_name()
    program = cache / "pkg" / name / CLI_VERSION / "prebuilds" / name / "copilot-runtime"
    complete = program.is_file() and program.with_name("runtime.node").is_file()
    return program if complete else None

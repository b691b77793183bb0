"""Finds the executable of the Copilot CLI. Imports only the standard library: the CLI starts before the SDK."""

from __future__ import annotations

import os
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

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class CliCommand:
    """The command that starts a headless server."""

    program: Path
    package_cache: Path | None = None
    """The folder of the CLI's unpacked package; without it the CLI unpacks 235 MB when it starts."""
    instead: CliCommand | None = None
    """The command to start if this program does not listen, or has an unsuitable version."""

    @property
    def arguments(self) -> tuple[str, ...]:
        return (str(self.program), "--headless", "--port", "0", "--log-level", "none")


def find_cli(environ: Mapping[str, str], checkout: Path = CHECKOUT) -> CliCommand:
    """Returns the first of COPILOT_CLI_PATH, the CLI beside hunkwise, `copilot` on PATH, the one of `hunkwise setup`.

    The CLI beside hunkwise is the unpacked runtime, with the package's own CLI as its fallback: both below `checkout`,
    or in the image. The fallback of `copilot` on PATH is the one of `hunkwise setup`. Raises ModelError (SIDECAR) if
    none exists.
    """
    if cli_path := environ.get("COPILOT_CLI_PATH"):
        return _configured_cli(Path(cli_path), environ)
    beside = cli_beside(environ, checkout)
    if beside is not None:
        return beside
    downloaded = downloaded_cli(environ)
    # The sidecar has its own working directory, so no path may be relative to ours.
    if on_path := shutil.which("copilot", path=environ.get("PATH", "")):
        return CliCommand(Path(on_path).absolute(), _package_cache(environ), downloaded)
    if downloaded is not None:
        return downloaded
    raise ModelError(ModelKind.SIDECAR, "There is no Copilot CLI.", install_hint(checkout))


def install_hint(checkout: Path = CHECKOUT) -> str:
    """Returns how to get a suitable CLI: in a checkout, or where hunkwise was installed as a package."""
    if (checkout / "package-lock.json").is_file():
        return "Run `make setup` in hunkwise's checkout, or set COPILOT_CLI_PATH to a Copilot CLI."
    return (
        f"Run `hunkwise setup`, which downloads it, or `npm install -g @github/copilot@{CLI_VERSION}`; "
        "or set COPILOT_CLI_PATH to a Copilot CLI."
    )


def _configured_cli(program: Path, environ: Mapping[str, str]) -> CliCommand:
    if not program.is_file():
        raise ModelError(
            ModelKind.SIDECAR,
            f"COPILOT_CLI_PATH names {program}, which is not a file.",
            "Correct it, or remove it so that the installed CLI is used.",
        )
    cache = environ.get("COPILOT_PKG_CACHE_HOME")
    return CliCommand(program.absolute(), Path(cache).absolute() if cache else None)


def cli_beside(environ: Mapping[str, str], checkout: Path = CHECKOUT) -> CliCommand | None:
    """Returns the CLI that came with the checkout or the image; None in an installed package."""
    cache_path = environ.get("COPILOT_PKG_CACHE_HOME")
    cache = Path(cache_path).absolute() if cache_path else checkout / "node_modules" / ".cache" / "copilot"
    name = platform_name()
    runtime = _complete_runtime(cache / "pkg" / name / CLI_VERSION / "prebuilds" / name)
    program = checkout / "node_modules" / "@github" / f"copilot-{name}" / "copilot"
    plain = CliCommand(program, cache if cache.is_dir() else None) if program.is_file() else None
    return CliCommand(runtime, cache, plain) if runtime is not None else plain


def downloaded_cli(environ: Mapping[str, str]) -> CliCommand | None:
    """Returns the CLI that `hunkwise setup` downloaded; None if there is none, or if it is incomplete."""
    folder, name = download_folder(environ) / "prebuilds", platform_name()
    for platform_folder in (name, name.replace("linux-", "linuxmusl-")):
        runtime = _complete_runtime(folder / platform_folder, ".hostless-runtime-assets-v2")
        if runtime is not None:
            return CliCommand(runtime)
    return None


def download_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path:
    """Returns the folder into which the SDK downloads the tested version of the CLI."""
    override = environ.get("COPILOT_CLI_EXTRACT_DIR")
    if override:
        return Path(override).absolute()
    return cache_folder(environ, "github-copilot-sdk", system) / "cli" / CLI_VERSION


def _package_cache(environ: Mapping[str, str]) -> Path | None:
    """Returns the folder into which the CLI of this user unpacks itself once; None if it cannot be written."""
    override = environ.get("COPILOT_PKG_CACHE_HOME")
    folder = Path(override).absolute() if override else cache_folder(environ, "copilot", sys.platform)
    existing = next((path for path in (folder, *folder.parents) if os.access(path, os.F_OK)), None)
    usable = existing is not None and existing.is_dir() and os.access(existing, os.W_OK)
    return folder if usable else None


def cache_folder(environ: Mapping[str, str], name: str, system: str) -> Path:
    """Returns the user's cache folder of a program."""
    home = Path(environ.get("HOME") or Path("~").expanduser())
    if system == "darwin":
        return home.absolute() / "Library" / "Caches" / name
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache").absolute() / name


def platform_name() -> str:
    """Returns the CLI's name for this platform, for example `linux-x64`."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine()
    )
    system = {"win32": "win32", "darwin": "darwin"}.get(sys.platform, "linux")
    return f"{system}-{machine}"


def _complete_runtime(folder: Path, *more: str) -> Path | None:
    """Returns the runtime in the folder if its library and the files `more` are there too, and none is empty."""
    files = [folder / name for name in ("copilot-runtime", "runtime.node", *more)]
    try:
        return files[0] if all(file.stat().st_size for file in files) else None
    except OSError:  # missing, or in a folder that this user cannot open
        return None

"""Sets the CLI apart: its user, its root folder, its environment from scratch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.worker import give_up

_FILES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
_FOLDERS = "SSL_CERT_DIR"
_MOST_BYTES = 4 << 20
_MOST_FILES = 1_000


def carried(inherited: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Copies what the variables name into `folder`; gives the copy that each of them is to name instead.

    What is no file, or more than 4 MiB, is left out, as it would hold for nothing. Raises OSError.
    """
    found: dict[str, Path] = {}
    for name in _FILES:
        source = Path(inherited.get(name) or os.devnull)
        if _counts(source):
            found[name] = folder / name
            shutil.copyfile(source, found[name])
            found[name].chmod(0o644)
    sources = list(_in_folders(inherited.get(_FOLDERS, "")))
    if sources:
        copies = folder / _FOLDERS
        copies.mkdir()
        copies.chmod(0o755)
        for source in sources:
            shutil.copyfile(source, copies / source.name)
            (copies / source.name).chmod(0o644)
        found[_FOLDERS] = copies
    return found


def _in_folders(given: str) -> Iterator[Path]:
    """The certificates of a list of folders, as OpenSSL reads it: the first of a name counts."""
    seen: set[str] = set()
    for folder in filter(None, given.split(os.pathsep)):
        if not Path(folder).is_dir():
            continue
        for path in sorted(Path(folder).iterdir()):
            if path.name not in seen and len(seen) < _MOST_FILES and _counts(path):
                seen.add(path.name)
                yield path


def _counts(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _MOST_BYTES


# What a self-hosted runner needs to reach Copilot at all, and where Copilot is on GHES.
_INHERITED = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "GH_HOST",
    "COPILOT_GH_HOST",
    "COPILOT_API_URL",
    "COPILOT_DEBUG_GITHUB_API_URL",
)
_INHERITED_PREFIX = "OTEL_"
_ANY_MODEL = "named-by-session"


@dataclass(frozen=True, slots=True)
class Credential:
    """What the sidecar may hold: a Copilot token, or the address of the user's own provider."""

    copilot_token: str | None = field(default=None, repr=False)
    provider_base_url: str | None = None


def refuse_unsafe(environ: Mapping[str, str]) -> None:
    """Raises SettingsError where the environment asks the CLI to approve everything."""
    if environ.get("COPILOT_ALLOW_ALL"):
        raise SettingsError(
            [
                "COPILOT_ALLOW_ALL is set: it lets the Copilot CLI run whatever a model asks for. "
                "Remove it from this job's `env`."
            ]
        )


def sidecar_environment(
    inherited: Mapping[str, str],
    *,
    home: Path,
    connection_token: str,
    credential: Credential,
    package_cache: Path | None,
) -> dict[str, str]:
    """The whole environment of the CLI's process. `home` is private to it and wiped at the end."""
    environment = {
        "PATH": inherited.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": str(home),
        "TMPDIR": str(home / "scratch"),  # a session begins there, and the sidecar's root folder has no /tmp
        "COPILOT_HOME": str(home / "copilot"),
        "COPILOT_PKG_CACHE_HOME": str(package_cache or home / "package"),
        "COPILOT_CONNECTION_TOKEN": connection_token,
    }
    for name, value in inherited.items():
        if value and (name in _INHERITED or name.startswith(_INHERITED_PREFIX)):
            environment[name] = value
    if credential.copilot_token:
        environment["COPILOT_GITHUB_TOKEN"] = credential.copilot_token
    if credential.provider_base_url:
        # Offline keeps the CLI off GitHub and its telemetry; so it starts only with a provider's address.
        environment["COPILOT_OFFLINE"] = "true"
        environment["COPILOT_PROVIDER_BASE_URL"] = credential.provider_base_url
        # Without a model the plain CLI does not start with a provider; each session names the one it asks.
        environment["COPILOT_MODEL"] = _ANY_MODEL
    return environment


ROOT_VARIABLE = "HUNKWISE_SIDECAR_ROOT"
"""Set by the image: the folder that the sidecar takes for /."""
UID = 10001
"""Of the sidecar, and of its group; nobody else has it in the image."""
_MADE_AT_START = ("resolv.conf", "hosts")
"""In /etc, by whoever starts the container."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Its own root folder, user and group. The folder holds the CLI's package and the libraries that it needs."""

    root: Path
    uid: int = UID
    gid: int = UID

    @property
    def homes(self) -> Path:
        """Where the sidecar's homes are made; it cannot list them."""
        return self.root / "home"

    def inside(self, path: Path) -> Path:
        """The path as the sidecar sees it. Raises ModelError (SIDECAR) for one that it cannot see."""
        if not path.is_relative_to(self.root):
            raise ModelError(
                ModelKind.SIDECAR,
                f"{path} is outside of {self.root}, which is all that the Copilot CLI can see here.",
                "Remove COPILOT_CLI_PATH and COPILOT_PKG_CACHE_HOME from this step: the image has a CLI.",
            )
        return Path("/") / path.relative_to(self.root)

    def enter(self) -> None:
        """Confines this process, a child that was just forked, for good. Raises OSError."""
        os.chroot(self.root)
        os.chdir("/")
        os.umask(0o077)
        give_up(self.uid, self.gid)

    def furnish(self, home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
        """Makes the home the sidecar's own, and brings in how names are resolved and which certificates count.

        Gives the variables that say where the certificates are, as the sidecar sees them. Raises OSError.
        """
        for name in _MADE_AT_START:
            with suppress(FileNotFoundError):  # a container without a network has none
                shutil.copyfile(Path("/etc") / name, self.root / "etc" / name)
        folder = home / "certificates"
        folder.mkdir()
        folder.chmod(0o755)  # ours, and readable
        variables = carried(inherited, folder)
        for path in (home, *home.iterdir()):
            if path != folder:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return {name: str(self.inside(path)) for name, path in variables.items()}


def isolation(environ: Mapping[str, str]) -> Isolation | None:
    """How the sidecar is set apart; None outside of the image, and where we are not root and so cannot.

    Raises ModelError (SIDECAR) where the folder is missing.
    """
    root = environ.get(ROOT_VARIABLE)
    if not root or os.geteuid() != 0:
        return None
    if not (Path(root) / "home").is_dir():
        raise ModelError(
            ModelKind.SIDECAR,
            f"{ROOT_VARIABLE} names {root}, which is not a root folder for the Copilot CLI.",
            "Remove it from this step's environment: the image sets it.",
        )
    return Isolation(Path(root))


def unconfined(why: str) -> ModelError:
    """The sidecar should be set apart, and cannot be: then it is not started at all."""
    return ModelError(
        ModelKind.SIDECAR,
        f"The Copilot CLI could not be set apart from this process, so it was not started: {why}.",
        "Run the container as GitHub's runner does: writable, with Docker's usual capabilities (of which CHOWN, "
        "DAC_OVERRIDE, KILL, SETGID, SETPCAP, SETUID and SYS_CHROOT are needed); or as a user who is not root.",
    )

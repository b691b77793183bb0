"""Isolates the CLI: its own user, root folder and environment variables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.settings.inputs import copilot_host, has_copilot
from hunkwise.telemetry import content_variables, is_passed_on
from hunkwise.worker import drop_privileges

_CERTIFICATE_FILES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
)
_CERTIFICATE_FOLDERS = "SSL_CERT_DIR"
_MAX_BYTES = 4 << 20
_MAX_FILES = 1_000


def copy_certificates(inherited: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Copies the certificates that the variables point to into `folder`. Returns the new path for each variable.

    Anything that is not a file, or is larger than 4 MiB, is skipped. Raises OSError.
    """
    copies: dict[str, Path] = {}
    for name in _CERTIFICATE_FILES:
        source = Path(inherited.get(name) or os.devnull)
        if _is_certificate(source):
            copies[name] = _copy(source, folder / name)
    sources = list(_files_in_folders(inherited.get(_CERTIFICATE_FOLDERS, "")))
    if sources:
        target = copies[_CERTIFICATE_FOLDERS] = folder / _CERTIFICATE_FOLDERS
        target.mkdir()
        target.chmod(0o755)
        for source in sources:
            _copy(source, target / source.name)
    return copies


def _copy(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    target.chmod(0o644)
    return target


def _files_in_folders(folders: str) -> Iterator[Path]:
    """Yields the certificates in a list of folders, as OpenSSL reads it: the first file of each name is used."""
    names: set[str] = set()
    for folder in filter(None, folders.split(os.pathsep)):
        if not Path(folder).is_dir():
            continue
        for path in sorted(Path(folder).iterdir()):
            if path.name not in names and len(names) < _MAX_FILES and _is_certificate(path):
                names.add(path.name)
                yield path


def _is_certificate(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _MAX_BYTES


# Needed to reach Copilot from a self-hosted runner.
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
_ANY_MODEL = "named-by-session"


@dataclass(frozen=True, slots=True)
class Credential:
    """The credential that the sidecar gets: a Copilot token, or the URL of the user's own provider."""

    copilot_token: str | None = field(default=None, repr=False)
    provider_base_url: str | None = None


def refuse_unsafe(environ: Mapping[str, str]) -> None:
    """Raises SettingsError if the environment makes the CLI approve every tool call, or send prompts to a collector."""
    faults = []
    if environ.get("COPILOT_ALLOW_ALL"):
        faults.append(
            "COPILOT_ALLOW_ALL is set: it lets the Copilot CLI run whatever a model asks for. "
            "Remove it from the environment."
        )
    faults += [
        f"{name} is set: prompts, and with them code, would go to the collector of telemetry. Set it to false for"
        " hunkwise, or remove it from the environment."
        for name in content_variables(environ)
    ]
    if faults:
        raise SettingsError(faults)


def sidecar_environment(
    inherited: Mapping[str, str],
    *,
    home: Path,
    connection_token: str,
    credential: Credential,
    package_cache: Path | None,
) -> dict[str, str]:
    """Returns all environment variables of the CLI's process. `home` is its private folder, deleted at the end."""
    environment = {
        "PATH": inherited.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": str(home),
        "TMPDIR": str(home / "scratch"),  # where a session starts; the sidecar's root folder has no /tmp
        "COPILOT_HOME": str(home / "copilot"),
        "COPILOT_PKG_CACHE_HOME": str(package_cache or home / "package"),
        "COPILOT_CONNECTION_TOKEN": connection_token,
    }
    for name, value in inherited.items():
        if value and (name in _INHERITED or is_passed_on(name)):
            environment[name] = value
    if not has_copilot(environment.get("GH_HOST", "")):
        environment.pop("GH_HOST", None)  # else the CLI sends the Copilot token there
    if credential.copilot_token:
        environment["COPILOT_GITHUB_TOKEN"] = credential.copilot_token
        host = copilot_host(inherited)
        if host is not None and host != "github.com":
            environment.setdefault("GH_HOST", host)
    if credential.provider_base_url:
        # Offline mode prevents requests to GitHub and telemetry; the CLI then starts only with a provider's URL.
        environment["COPILOT_OFFLINE"] = "true"
        environment["COPILOT_PROVIDER_BASE_URL"] = credential.provider_base_url
        # With a provider, the CLI does not start without a model; each session sets the model that it uses.
        environment["COPILOT_MODEL"] = _ANY_MODEL
    return environment


ROOT_VARIABLE = "HUNKWISE_SIDECAR_ROOT"
"""Set by the image: the folder that is / for the sidecar."""
UID = 10001
"""User and group id of the sidecar; no other process in the image has it."""
_NETWORK_FILES = ("resolv.conf", "hosts")
"""Files in /etc that the container runtime creates."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """The sidecar's root folder, user and group. The folder has the CLI's package and the libraries it needs."""

    root: Path
    uid: int = UID
    gid: int = UID

    @property
    def homes(self) -> Path:
        """The folder of the sidecar's homes, which the sidecar cannot list."""
        return self.root / "home"

    def inside(self, path: Path) -> Path:
        """Returns the path as the sidecar sees it. Raises ModelError (SIDECAR) for a path outside of its root."""
        if not path.is_relative_to(self.root):
            raise ModelError(
                ModelKind.SIDECAR,
                f"{path} is outside of {self.root}, which is all that the Copilot CLI can see here.",
                "Remove COPILOT_CLI_PATH and COPILOT_PKG_CACHE_HOME from the environment: the image has a CLI.",
            )
        return Path("/") / path.relative_to(self.root)

    def enter(self) -> None:
        """Confines this process, a newly forked child, permanently. Raises OSError."""
        os.chroot(self.root)
        os.chdir("/")
        os.umask(0o077)
        drop_privileges(self.uid, self.gid)

    def prepare_home(self, home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
        """Gives the home to the sidecar's user, and copies the DNS configuration and the certificates.

        Returns the variables with the certificates' paths as the sidecar sees them. Raises OSError.
        """
        for name in _NETWORK_FILES:
            with suppress(FileNotFoundError):  # a container without network has none
                shutil.copyfile(Path("/etc") / name, self.root / "etc" / name)
        folder = home / "certificates"
        folder.mkdir()
        folder.chmod(0o755)  # owned by us, readable for the sidecar
        variables = copy_certificates(inherited, folder)
        for path in (home, *home.iterdir()):
            if path != folder:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return {name: str(self.inside(path)) for name, path in variables.items()}


def find_isolation(environ: Mapping[str, str]) -> Isolation | None:
    """Returns the sidecar's isolation; None outside of the image, or if we are not root, which it requires.

    Raises ModelError (SIDECAR) if the folder is missing.
    """
    root = environ.get(ROOT_VARIABLE)
    if not root or os.geteuid() != 0:
        return None
    if not (Path(root) / "home").is_dir():
        raise ModelError(
            ModelKind.SIDECAR,
            f"{ROOT_VARIABLE} names {root}, which is not a root folder for the Copilot CLI.",
            "Remove it from the environment: the image sets it.",
        )
    return Isolation(Path(root))


def isolation_error(why: str) -> ModelError:
    """Returns the error for an isolation that failed: the sidecar is then not started."""
    return ModelError(
        ModelKind.SIDECAR,
        f"The Copilot CLI could not be set apart from this process, so it was not started: {why}.",
        "Run the container as GitHub's runner does: writable, with Docker's usual capabilities (of which CHOWN, "
        "DAC_OVERRIDE, KILL, SETGID, SETPCAP, SETUID and SYS_CHROOT are needed); or as a user who is not root.",
    )

"""The sidecar's environment, built from scratch: what is not named here does not reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hunkwise.errors import SettingsError

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

"""Reads the settings of the service from the environment, all checked together."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.settings.inputs import PROVIDER_INPUTS
from hunkwise.settings.parsing import parse_url

MAX_DEADLINE: Final = 50.0
"""Minutes of a job: its installation token is valid for an hour."""
_MAX_SECRET: Final = 16_384
_PREFIX: Final = "HUNKWISE_"


@dataclass(frozen=True)
class ServiceSettings:
    """What the web process and the workers need. Secrets are read from files."""

    data: Path
    """The folder of mirrors, and of the embedded database."""
    database_url: str | None = field(repr=False)
    """A connection string of PostgreSQL; None for the embedded one."""
    app_id: int
    private_key: str = field(repr=False)
    """The App's key, PEM."""
    webhook_secrets: tuple[bytes, ...] = field(repr=False)
    """One, or two while they are rotated."""
    api_url: str = "https://api.github.com"
    server_url: str = "https://github.com"
    graphql_url: str = ""
    """Empty for the usual address below `api_url`."""
    copilot_token: str = field(default="", repr=False)
    """Of a service account; empty for tokens of the App's installations."""
    model_inputs: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Inputs of a step for a provider of one's own or running CLIs, by name."""
    parallel: int = 4
    """Jobs that one worker runs at a time."""
    data_limit: int = 10 << 30
    """Bytes of all mirrors."""
    password: str = field(default="", repr=False)
    """Of the status page; empty: the page is served to the loopback interface only."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secret values."""
        values = (
            self.private_key,
            *(secret.decode("utf-8", "replace") for secret in self.webhook_secrets),
            self.copilot_token,
            self.password,
            *(value for name, value in self.model_inputs.items() if name in _SECRET_INPUTS),
        )
        return tuple(value for value in values if value)


_SECRET_INPUTS: Final = ("provider-api-key", "copilot-connection-token")
_MODEL_VARIABLES: Final = {
    **{name: f"COPILOT_{name.upper().replace('-', '_')}" for name in PROVIDER_INPUTS},
    "model": "COPILOT_MODEL",
    "copilot-url": f"{_PREFIX}COPILOT_URLS",
}


def read_service_settings(environ: Mapping[str, str]) -> ServiceSettings:
    """Reads and checks the variables. Raises SettingsError with all faults."""
    faults: list[str] = []
    app_id = _number(environ, "APP_ID", None, 1, 10**12, faults)
    key = _secret_file(environ, "APP_KEY_FILE", faults, needed="the App's private key")
    if key and "PRIVATE KEY-----" not in key:
        faults.append(
            "HUNKWISE_APP_KEY_FILE names a file that is no PEM private key: download it from the App's page."
        )
    webhook = _secret_file(
        environ, "WEBHOOK_SECRET_FILE", faults, needed="the App's webhook secret, or two, one a line"
    )
    secrets = tuple(line.strip().encode() for line in webhook.splitlines() if line.strip())
    if webhook and not 1 <= len(secrets) <= 2:
        faults.append(
            "HUNKWISE_WEBHOOK_SECRET_FILE must have one secret, or two while they are rotated, one a line."
        )
    inputs = {name: environ[variable] for name, variable in _MODEL_VARIABLES.items() if environ.get(variable)}
    for name, variable in (
        ("provider-api-key", "PROVIDER_KEY_FILE"),
        ("copilot-connection-token", "COPILOT_CONNECTION_TOKEN_FILE"),
    ):
        if text := _secret_file(environ, variable, faults):
            inputs[name] = text.strip()
    settings = ServiceSettings(
        data=Path(environ.get(f"{_PREFIX}DATA") or _default_data(environ)).absolute(),
        database_url=environ.get(f"{_PREFIX}DATABASE_URL") or None,
        app_id=app_id or 0,
        private_key=key,
        webhook_secrets=secrets,
        api_url=_url(environ, "GITHUB_API_URL", "https://api.github.com", faults),
        server_url=_url(environ, "GITHUB_SERVER_URL", "https://github.com", faults),
        graphql_url=_url(environ, "GITHUB_GRAPHQL_URL", "", faults),
        copilot_token=_secret_file(environ, "COPILOT_TOKEN_FILE", faults).strip(),
        model_inputs=inputs,
        parallel=_number(environ, "PARALLEL", 4, 1, 64, faults) or 4,
        data_limit=(_number(environ, "DATA_LIMIT_GB", 10, 1, 100_000, faults) or 10) << 30,
        password=_secret_file(environ, "PASSWORD_FILE", faults).strip(),
    )
    if faults:
        raise SettingsError(faults)
    return settings


def _default_data(environ: Mapping[str, str]) -> str:
    home = environ.get("XDG_DATA_HOME") or f"{environ.get('HOME') or os.sep}/.local/share"
    return f"{home}/hunkwise"


def _number(
    environ: Mapping[str, str], name: str, default: int | None, least: int, most: int, faults: list[str]
) -> int | None:
    text = environ.get(_PREFIX + name)
    if text is None and default is not None:
        return default
    if text is None:
        faults.append(
            f"{_PREFIX}{name} is missing: set it to the App's number, which its page shows as App ID."
        )
    elif not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        faults.append(f"{_PREFIX}{name} must be a whole number from {least} to {most:,}, not {text[:40]!r}.")
    else:
        return int(text)
    return None


def _url(environ: Mapping[str, str], name: str, usual: str, faults: list[str]) -> str:
    text = environ.get(name) or usual
    if not text:
        return ""
    try:
        return parse_url(text).text
    except ValueError as fault:
        faults.append(f"{name} {fault}.")
        return usual


def _secret_file(environ: Mapping[str, str], name: str, faults: list[str], needed: str = "") -> str:
    """Returns the text of the file that a variable names; empty if the variable is not set."""
    variable, path = _PREFIX + name, environ.get(_PREFIX + name)
    if not path:
        if needed:
            faults.append(f"{variable} is missing: set it to a file with {needed}.")
        return ""
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_SECRET + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        faults.append(f"{variable} names {path}, which cannot be read ({reason}).")
        return ""
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        faults.append(f"{variable} names {path}, which others can read or write: chmod 600 (or 640) it.")
    if not text.strip() or len(text) > _MAX_SECRET:
        faults.append(f"{variable} names {path}, which is empty or larger than {_MAX_SECRET:,} bytes.")
    return text

"""Reads the settings of the service from the environment, all checked together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.github.transport import create_app_token
from hunkwise.settings.inputs import PROVIDER_INPUTS, copilot_host, read_inputs
from hunkwise.settings.parsing import BOOLEANS, did_you_mean, listed, parse_url, quoted
from hunkwise.settings.secret_file import read_secret_file

MAX_DEADLINE: Final = 50.0
"""Minutes of a job: its installation token is valid for an hour."""
AUDIT_PERIODS: Final = ("daily", "weekly")
_MIN_API_SECRET: Final = 32
"""Characters."""
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
    copilot_token: str = field(default="", repr=False)
    """Of a service account; empty for tokens of the App's installations."""
    model_inputs: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Inputs of a step for a provider of one's own or running CLIs, by name."""
    parallel: int = 4
    """Jobs that one worker runs at a time."""
    data_limit: int = 10 << 30
    """Bytes of all mirrors."""
    audit_every: str = ""
    """`daily` or `weekly`: when repositories with the key `audit` are audited; empty: never."""
    password: str = field(default="", repr=False)
    """Of the status page; empty: the page is served to the loopback interface only."""
    api: bool = False
    """Whether the web API is served."""
    api_secret: str = field(default="", repr=False)
    """The secret from which the ids of its sessions are derived; empty for the one in the database."""
    api_requests: int = 60
    """Requests that one user may send to it in an hour."""

    @property
    def uses_app_for_copilot(self) -> bool:
        """Whether Copilot gets tokens of the App's installations, as neither a token nor another model is set."""
        others = ("provider-base-url", "copilot-url")
        return not self.copilot_token and not any(name in self.model_inputs for name in others)

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secret values."""
        values = (
            self.private_key,
            *(secret.decode("utf-8", "replace") for secret in self.webhook_secrets),
            self.copilot_token,
            self.password,
            self.api_secret,
            *(value for name, value in self.model_inputs.items() if name in _SECRET_INPUTS),
        )
        return tuple(value for value in values if value)


_SECRET_INPUTS: Final = ("provider-api-key", "copilot-connection-token")
_MODEL_VARIABLES: Final = {
    **{
        name: f"COPILOT_{name.upper().replace('-', '_')}"
        for name in PROVIDER_INPUTS
        if name != "provider-api-key"
    },
    "model": "COPILOT_MODEL",
    "copilot-url": f"{_PREFIX}COPILOT_URLS",
}
_FILES: Final = {
    "provider-api-key": f"{_PREFIX}PROVIDER_KEY_FILE",
    "copilot-connection-token": f"{_PREFIX}COPILOT_CONNECTION_TOKEN_FILE",
    "copilot-token": f"{_PREFIX}COPILOT_TOKEN_FILE",
}
"""Inputs whose values are in files, with the variables that name them."""


def read_service_settings(environ: Mapping[str, str]) -> ServiceSettings:
    """Reads and checks the variables. Raises SettingsError with all faults."""
    faults: list[str] = []
    app_id = _number(environ, "APP_ID", None, 1, 10**12, faults)
    key = _secret_file(environ, "APP_KEY_FILE", faults, needed="the App's private key")
    if key and not _is_private_key(key):
        faults.append(
            "HUNKWISE_APP_KEY_FILE names a file that is no private RSA key in PEM format: generate one on the App's"
            " page, and use the file that is downloaded."
        )
    webhook = _secret_file(
        environ, "WEBHOOK_SECRET_FILE", faults, needed="the App's webhook secret, or two, one a line"
    )
    secrets = tuple(line.strip().encode() for line in webhook.splitlines() if line.strip())
    if len(secrets) > 2:
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
    server_url = _url(environ, "GITHUB_SERVER_URL", "https://github.com", faults)
    copilot_token = _secret_file(environ, "COPILOT_TOKEN_FILE", faults).strip()
    if not faults:
        faults += _model_faults(inputs, copilot_token, server_url)
    api = _word(environ, "API", BOOLEANS, faults) == "true"
    api_secret = _secret_file(environ, "API_SECRET_FILE", faults).strip()
    if api:
        faults += _api_faults(inputs, api_secret, server_url)
    database_url, data = read_database_settings(environ)
    settings = ServiceSettings(
        data=data,
        database_url=database_url,
        app_id=app_id or 0,
        private_key=key,
        webhook_secrets=secrets,
        api_url=_url(environ, "GITHUB_API_URL", _derive_api_url(server_url), faults),
        server_url=server_url,
        copilot_token=copilot_token,
        model_inputs=inputs,
        parallel=_number(environ, "PARALLEL", 4, 1, 64, faults) or 4,
        data_limit=(_number(environ, "DATA_LIMIT_GB", 10, 1, 100_000, faults) or 10) << 30,
        audit_every=_word(environ, "AUDIT_EVERY", AUDIT_PERIODS, faults),
        password=_secret_file(environ, "PASSWORD_FILE", faults).strip(),
        api=api,
        api_secret=api_secret,
        api_requests=_number(environ, "API_REQUESTS", 60, 1, 100_000, faults) or 60,
    )
    if faults:
        raise SettingsError(faults)
    return settings


def _is_private_key(text: str) -> bool:
    try:
        create_app_token(1, text)
    except ValueError:
        return False
    return True


def _model_faults(inputs: Mapping[str, str], copilot_token: str, server_url: str) -> list[str]:
    """Returns what the step of a job would report on its inputs, with the names of the service's variables."""
    texts = {**inputs, "github-token": "unknown", "copilot-token": copilot_token}
    environ = {f"INPUT_{name.upper()}": text for name, text in texts.items()}
    try:
        read_inputs({**environ, "GITHUB_SERVER_URL": server_url}).overrides()
    except SettingsError as error:
        faults = list(error.faults)
    else:
        return []
    for name, variable in (*_MODEL_VARIABLES.items(), *_FILES.items()):
        faults = [
            fault.replace(f'Input "{name}"', variable).replace(f'"{name}"', variable) for fault in faults
        ]
    return faults


def _api_faults(inputs: Mapping[str, str], secret: str, server_url: str) -> list[str]:
    """Returns why the web API cannot be served: each caller's own Copilot answers there, on servers that are shared."""
    faults = []
    if "copilot-url" not in inputs:
        faults.append(
            "HUNKWISE_API needs HUNKWISE_COPILOT_URLS: set it to the host:port of each running Copilot CLI."
        )
    if "provider-base-url" in inputs:
        faults.append(
            "HUNKWISE_API is not for COPILOT_PROVIDER_BASE_URL: each caller's own Copilot answers. Leave one out."
        )
    if copilot_host({"GITHUB_SERVER_URL": server_url}) is None:
        faults.append(
            "HUNKWISE_API is not for GITHUB_SERVER_URL: a server that is neither https://github.com nor on ghe.com has"
            " no Copilot, and the tokens of its users are sent nowhere else."
        )
    if secret and len(secret) < _MIN_API_SECRET:
        faults.append(
            f"HUNKWISE_API_SECRET_FILE must have {_MIN_API_SECRET} characters or more: see `openssl rand -hex 32`."
        )
    return faults


def _derive_api_url(server_url: str) -> str:
    """Returns the usual address of a server's API: github.com, a host of ghe.com, GitHub Enterprise Server."""
    scheme, _, host = server_url.partition("://")
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"{scheme}://api.{host}"
    return f"{server_url}/api/v3"


def read_database_settings(environ: Mapping[str, str]) -> tuple[str | None, Path]:
    """Returns the connection string of PostgreSQL, None for the embedded one, and the folder of the service's data."""
    url = environ.get(f"{_PREFIX}DATABASE_URL") or None
    return url, Path(environ.get(f"{_PREFIX}DATA") or _default_data(environ)).absolute()


def _default_data(environ: Mapping[str, str]) -> str:
    home = environ.get("XDG_DATA_HOME") or f"{environ.get('HOME') or os.sep}/.local/share"
    return f"{home}/hunkwise"


def _number(
    environ: Mapping[str, str], name: str, default: int | None, least: int, most: int, faults: list[str]
) -> int | None:
    text = environ.get(_PREFIX + name, "")
    if not text and default is not None:
        return default
    if not text:
        faults.append(
            f"{_PREFIX}{name} is missing: set it to the App's number, which its page shows as App ID."
        )
    elif not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        faults.append(f"{_PREFIX}{name} must be a whole number from {least} to {most:,}, not {quoted(text)}.")
    else:
        return int(text)
    return None


def _word(environ: Mapping[str, str], name: str, words: Sequence[str], faults: list[str]) -> str:
    text = environ.get(_PREFIX + name, "")
    if text and text not in words:
        near = did_you_mean(text, words) or "."
        faults.append(f"{_PREFIX}{name} must be {listed(words)}, not {quoted(text)}{near}")
    return text


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
    return read_secret_file(environ, _PREFIX + name, faults, needed)

"""Selects the model backend of a command: Copilot, a provider, or the demo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from hunkwise.copilot.isolation import Credential
from hunkwise.demo.server import MODEL as DEMO
from hunkwise.demo.server import serving
from hunkwise.errors import ModelError, ModelKind, SettingsError
from hunkwise.settings.inputs import PROVIDER_INPUTS, Provider, read_provider
from hunkwise.settings.parsing import (
    CLASSIC_PREFIX,
    CLASSIC_REFUSED,
    SECRET_INPUTS,
    SECRET_VARIABLES,
    InputReader,
    set_inputs,
)
from hunkwise.telemetry import header_secrets

_SET_UP = (
    'Set COPILOT_GITHUB_TOKEN to a fine-grained token with "Copilot Requests", or COPILOT_PROVIDER_BASE_URL and '
    "--model for a provider of your own, or use --model demo to see fixed rules at work."
)


def no_model_error() -> ModelError:
    """Returns the error of a shell that has neither a token for Copilot nor a provider."""
    return ModelError(ModelKind.AUTHENTICATION, "No model is set up.", shell_hint=_SET_UP)


@dataclass(frozen=True)
class Backend:
    """A model backend, selected from the environment and the options."""

    credential: Credential
    provider: Provider | None
    model: str | None
    demo: bool

    def overrides(self) -> dict[str, object]:
        """Returns the model as fields of `Config`. Raises SettingsError.

        Imports pydantic: call it after the sidecar's start.
        """
        from hunkwise.settings.config import parse_overrides

        return parse_overrides({"model": self.model} if self.model else {}, _variable)

    def describe(self, models: Sequence[str | None]) -> str:
        """Returns what answers, for a message; `models` are the configured ones in their order."""
        if self.demo:
            return "the demo model, which has fixed rules"
        names = ", ".join(name for name in models if name is not None)
        if self.provider is not None:
            return f"{names} of {urlsplit(self.provider.base_url).netloc.rpartition('@')[2]}"
        return f"{names} of Copilot" if names else "Copilot's choice of model"


def select_backend(option: str | None, environ: Mapping[str, str], stack: ExitStack) -> Backend:
    """Returns Copilot if its token is in the environment, else the provider; the demo, which `stack` ends, if it is
    the model.

    `option` is that of --model. Raises SettingsError, and ModelError (AUTHENTICATION) if nothing is set up.
    """
    token = environ.get("COPILOT_GITHUB_TOKEN")
    model = option or environ.get("COPILOT_MODEL") or None
    if model == DEMO:
        address, key = stack.enter_context(serving())
        return Backend(
            Credential(provider_base_url=address), Provider("openai", address, key), DEMO, demo=True
        )
    if token:
        if token.startswith(CLASSIC_PREFIX):
            raise SettingsError([f"COPILOT_GITHUB_TOKEN is {CLASSIC_REFUSED}."])
        return Backend(Credential(copilot_token=token), None, model, demo=False)
    provider = _provider(environ, model)
    if provider is None:
        raise no_model_error()
    return Backend(Credential(provider_base_url=provider.base_url), provider, model, demo=False)


def _provider(environ: Mapping[str, str], model: str | None) -> Provider | None:
    """Returns the provider in the CLI's own variables; None if they name none. Raises SettingsError."""
    values = {name: environ.get(_variable(name)) for name in PROVIDER_INPUTS} | {"model": model}
    if not values["provider-base-url"]:
        return None
    reading = InputReader({name: text for name, text in values.items() if text}, _variable)
    provider = read_provider(reading)
    if reading.faults:
        raise SettingsError(reading.faults)
    return provider


def _variable(name: str) -> str:
    return "--model or COPILOT_MODEL" if name == "model" else f"COPILOT_{name.upper().replace('-', '_')}"


_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")
_SHORTEST = 4


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the unique secret values in the environment's known variables, also where the settings are wrong."""
    values = [
        *set_inputs(environ, SECRET_INPUTS).values(),
        *(environ.get(name, "") for name in SECRET_VARIABLES),
    ]
    values += [_password(environ.get(name, "")) for name in _PROXIES]
    values += header_secrets(environ)
    return tuple(dict.fromkeys(secret.strip() for secret in values if len(secret.strip()) >= _SHORTEST))


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""

"""Selects the model backend of a command: Copilot, a provider, or the demo."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from hunkwise.copilot.isolation import Credential
from hunkwise.demo.server import MODEL as DEMO
from hunkwise.demo.server import serving
from hunkwise.errors import SettingsError
from hunkwise.settings.inputs import Provider, ProviderType, WireApi
from hunkwise.settings.parsing import is_loopback, is_private, parse_url


@dataclass(frozen=True)
class Backend:
    """A model backend, selected from the environment and the options."""

    credential: Credential
    provider: Provider | None
    model: str | None
    demo: bool


def select_backend(asked: str | None, environ: Mapping[str, str], stack: ExitStack) -> Backend:
    """Returns Copilot if its token is in the environment, else the provider, else the demo, which `stack` ends.

    `asked` is the option --model. Raises SettingsError.
    """
    token = environ.get("COPILOT_GITHUB_TOKEN")
    model = asked or environ.get("COPILOT_MODEL") or None
    if model != DEMO and token:
        return Backend(Credential(copilot_token=token), None, model, demo=False)
    provider = None if model == DEMO else _provider(environ, model)
    if provider is not None:
        return Backend(Credential(provider_base_url=provider.base_url), provider, model, demo=False)
    if model not in (None, DEMO):
        raise SettingsError(
            [
                f"The model {model!r} cannot be asked: set COPILOT_GITHUB_TOKEN for Copilot, or "
                "COPILOT_PROVIDER_BASE_URL for a provider of your own; or use --model demo."
            ]
        )
    address, key = stack.enter_context(serving())
    return Backend(Credential(provider_base_url=address), Provider("openai", address, key), DEMO, demo=True)


def _provider(environ: Mapping[str, str], model: str | None) -> Provider | None:
    """Returns the provider in the CLI's own variables; None if they name none. Raises SettingsError."""
    base_url = environ.get("COPILOT_PROVIDER_BASE_URL")
    if not base_url:
        return None
    if model is None:
        raise SettingsError(["COPILOT_PROVIDER_BASE_URL needs a model: add --model, or set COPILOT_MODEL."])
    try:
        url = parse_url(base_url)
    except ValueError as fault:
        raise SettingsError([f"COPILOT_PROVIDER_BASE_URL {fault}."]) from fault
    if not (url.encrypted or is_private(url.host) or is_loopback(url.host)):
        raise SettingsError(
            ["COPILOT_PROVIDER_BASE_URL would send your code and key unencrypted: use https://."]
        )
    return Provider(
        _provider_type(environ),
        url.text,
        environ.get("COPILOT_PROVIDER_API_KEY"),
        _wire_api(environ),
        environ.get("COPILOT_PROVIDER_AZURE_API_VERSION"),
    )


def _provider_type(environ: Mapping[str, str]) -> ProviderType:
    kinds: dict[str, ProviderType] = {"openai": "openai", "azure": "azure", "anthropic": "anthropic"}
    name = environ.get("COPILOT_PROVIDER_TYPE", "openai")
    if name not in kinds:
        raise SettingsError([f"COPILOT_PROVIDER_TYPE is {name!r}; it can be openai, azure or anthropic."])
    return kinds[name]


def _wire_api(environ: Mapping[str, str]) -> WireApi | None:
    kinds: dict[str, WireApi] = {"completions": "completions", "responses": "responses"}
    name = environ.get("COPILOT_PROVIDER_WIRE_API")
    if name is not None and name not in kinds:
        raise SettingsError([f"COPILOT_PROVIDER_WIRE_API is {name!r}; it can be completions or responses."])
    return kinds[name] if name else None

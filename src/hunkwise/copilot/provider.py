"""The user's own provider, as the SDK wants it said with every session."""

from __future__ import annotations

from copilot.session import ProviderConfig

from hunkwise.settings.provider import Provider


def provider_config(provider: Provider) -> ProviderConfig:
    """The SDK's options. The CLI's own COPILOT_PROVIDER_* variables are not used by SDK sessions."""
    config: ProviderConfig = {"type": provider.type, "base_url": provider.base_url}
    if provider.api_key:
        config["api_key"] = provider.api_key
    if provider.wire_api:
        config["wire_api"] = provider.wire_api
    if provider.azure_api_version:
        config["azure"] = {"api_version": provider.azure_api_version}
    return config

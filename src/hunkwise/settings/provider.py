"""The inputs of a model provider of the user's own, and the rules across them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, cast

from hunkwise.settings.addresses import Url, is_loopback, is_private, parse_url
from hunkwise.settings.reading import Reading
from hunkwise.settings.rules import text_like, word
from hunkwise.settings.wording import quoted

PROVIDER_INPUTS: Final = (
    "provider-type",
    "provider-base-url",
    "provider-api-key",
    "provider-wire-api",
    "provider-azure-api-version",
)

ProviderType = Literal["openai", "azure", "anthropic"]
WireApi = Literal["completions", "responses"]

_PROVIDER_TYPE = word(("openai", "azure", "anthropic"))
_WIRE_API = word(("completions", "responses"))
_AZURE_API_VERSION = text_like("a version such as 2024-10-21 or 2025-01-01-preview", r"[A-Za-z0-9.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Provider:
    """A model provider of the user's own, asked instead of Copilot."""

    type: ProviderType
    base_url: str
    """Without a final slash."""
    api_key: str | None = field(default=None, repr=False)
    wire_api: WireApi | None = None
    azure_api_version: str | None = None


def read_provider(reading: Reading) -> Provider | None:
    """The provider, or None where none is asked for or `provider-base-url` has a fault."""
    kind = cast("ProviderType | None", reading.parsed("provider-type", _PROVIDER_TYPE))
    wire_api = cast("WireApi | None", reading.parsed("provider-wire-api", _WIRE_API))
    azure = cast("str | None", reading.parsed("provider-azure-api-version", _AZURE_API_VERSION))
    api_key = reading.secret("provider-api-key")
    if "provider-base-url" not in reading.texts:
        for name in sorted(name for name in reading.texts if name.startswith("provider-")):
            reading.faults.append(
                f'Input "{name}" needs "provider-base-url"; set it to your provider\'s URL,'
                f' or leave "{name}" out.'
            )
        return None
    _provider_rules(reading, kind)
    if (url := _base_url(reading)) is None:
        return None
    return Provider(kind or "openai", url.text, api_key, wire_api, azure)


def _provider_rules(reading: Reading, kind: ProviderType | None) -> None:
    """The rules across the provider's inputs."""
    if "model" not in reading.texts:
        reading.faults.append(
            'Input "provider-base-url" needs "model"; set it to the id of a model of that provider.'
        )
    if "provider-azure-api-version" in reading.texts and kind != "azure":
        reading.faults.append(
            'Input "provider-azure-api-version" is for Azure only; set "provider-type" to azure,'
            " or leave it out."
        )
    if "provider-wire-api" in reading.texts and kind == "anthropic":
        reading.faults.append(
            'Input "provider-wire-api" is not for anthropic, which has one API only; leave it out.'
        )


def _base_url(reading: Reading) -> Url | None:
    text = reading.texts["provider-base-url"]
    try:
        url = parse_url(text)
    except ValueError as fault:
        # Not quoted: a URL may hold a password or a key.
        reading.faults.append(f'Input "provider-base-url" {fault}.')
        return None
    if url.encrypted or is_loopback(url.host):
        return url
    if not is_private(url.host):
        reading.faults.append(
            f'Input "provider-base-url" would send your code and key to {quoted(url.host)} unencrypted;'
            " use https:// (http:// is taken for loopback and private names only)."
        )
        return None
    reading.warnings.append(
        f'Input "provider-base-url" sends your code and key to {quoted(url.host)} unencrypted;'
        " use https:// where you can."
    )
    return url

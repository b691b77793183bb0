"""The action's inputs: the runner's INPUT_* variables, checked all together and frozen.

Standard library only: the sidecar's environment follows from them, so its start waits for these imports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, cast

from hunkwise.errors import SettingsError
from hunkwise.settings.parsing import (
    MODEL,
    PROMPTS,
    SHARED,
    TRUE_OR_FALSE,
    Bounds,
    InputReader,
    Url,
    host_of,
    is_loopback,
    is_private,
    oversize,
    parse_host_port,
    parse_url,
    quoted,
    set_inputs,
    text_like,
    unknown_inputs,
    whole,
    word,
)

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


def read_provider(reading: InputReader) -> Provider | None:
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


def _provider_rules(reading: InputReader, kind: ProviderType | None) -> None:
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


def _base_url(reading: InputReader) -> Url | None:
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


DEFAULT_CONFIG_PATH: Final = ".github/hunkwise.yml"
_RUNNER_TOKENS = ("ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
KNOWN_INPUTS: Final = (
    "github-token",
    "copilot-token",
    "copilot-url",
    "copilot-connection-token",
    *PROVIDER_INPUTS,
    "config",
    "prompts",
    "pull-request",
    "full-review",
    "publish",
    *SHARED,
)
MAX_ADDRESSES: Final = 10
"""Of headless CLIs, each of which may take ten seconds to say nothing."""
FOR_A_MODEL: Final = (
    "copilot-token",
    "copilot-url",
    "copilot-connection-token",
    *PROVIDER_INPUTS,
    "model",
    "prompts",
    "full-review",
)
"""Inputs that are for whoever asks a model: of no use where a report is published."""

_PULL_REQUEST = whole(Bounds(1, 999_999_999))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the workflow asked for. Defaults are applied, except those that the configuration may set."""

    github_token: str = field(repr=False)
    copilot_token: str = field(repr=False)
    """The github-token where no own one was given."""
    copilot_urls: tuple[str, ...] = ()
    """`host:port` of headless CLIs that already run, tried in turn; empty: start one."""
    copilot_connection_token: str | None = field(default=None, repr=False)
    provider: Provider | None = None
    model: str | None = None
    config_path: str = DEFAULT_CONFIG_PATH
    """Relative to the repository's root, with slashes."""
    overrides: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Fields of `Config` that were set here, under their Python names and with their types."""
    pull_request: int | None = None
    full_review: bool = False
    """Everything is reviewed again, also what an earlier run has reviewed."""
    publish_report: Path | None = None
    """The JSON report of another workflow, to be published instead of reviewing; no model is asked then."""
    runner_tokens: tuple[str, ...] = field(default=(), repr=False)
    """The runner's own, which it hands to a container: nothing here uses them."""
    warnings: tuple[str, ...] = ()
    """What looks wrong and does not stop the run: one sentence each."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value held here, once each: to be masked, and searched for in all that leaves."""
        key = self.provider.api_key if self.provider else None
        held = (
            self.github_token,
            self.copilot_token,
            self.copilot_connection_token,
            key,
            *self.runner_tokens,
        )
        return tuple(dict.fromkeys(secret for secret in held if secret))


def read_inputs(environ: Mapping[str, str]) -> Inputs:
    """The inputs in the runner's environment. Raises SettingsError with a sentence for every fault."""
    texts = set_inputs(environ, KNOWN_INPUTS)
    if faults := oversize(texts):
        raise SettingsError(faults)
    reading = InputReader(texts)
    reading.warnings += unknown_inputs(environ, KNOWN_INPUTS)
    github_token = reading.secret("github-token")
    if github_token is None:
        reading.faults.append(
            'Input "github-token" is missing; leave it at its default ${{ github.token }},'
            " or set it to a token that may read the pull request and write reviews."
        )
    copilot_token = reading.secret("copilot-token") or github_token
    urls = _copilot_urls(reading)
    provider = read_provider(reading)
    report = _publish_report(reading)
    if not provider and not urls and not {"provider-base-url", "publish"} & reading.texts.keys():
        _refuse_classic_token(reading, copilot_token)
    inputs = Inputs(
        github_token=github_token or "",
        copilot_token=copilot_token or "",
        copilot_urls=urls,
        copilot_connection_token=reading.secret("copilot-connection-token"),
        provider=provider,
        model=cast("str | None", reading.parsed("model", MODEL)),
        config_path=_config_path(reading),
        overrides=MappingProxyType(_overrides(reading)),
        pull_request=cast("int | None", reading.parsed("pull-request", _PULL_REQUEST)),
        full_review=bool(reading.parsed("full-review", TRUE_OR_FALSE)),
        publish_report=report,
        runner_tokens=tuple(filter(None, map(environ.get, _RUNNER_TOKENS))),
        warnings=tuple(reading.warnings),
    )
    if reading.faults:
        raise SettingsError(list(dict.fromkeys(reading.faults)))
    return inputs


def _overrides(reading: InputReader) -> dict[str, object]:
    overrides: dict[str, object] = {}
    for name, rule in SHARED.items():
        if name in reading.texts:
            overrides[name.replace("-", "_")] = reading.parsed(name, rule)
    if "prompts" in reading.texts:
        lines = (line.strip() for line in reading.texts["prompts"].splitlines())
        names = tuple(dict.fromkeys(line for line in lines if line))
        if len(names) > PROMPTS.high:
            reading.faults.append(
                f'Input "prompts" names {len(names)} prompts, and at most {PROMPTS.high} are run; name fewer.'
            )
        overrides["prompts"] = names
    return overrides


def _publish_report(reading: InputReader) -> Path | None:
    """The path of `publish`; what only a review needs is named beside it, because it is not used."""
    text = reading.texts.get("publish")
    if text is None:
        return None
    if text.lower() in ("true", "false") or not text.isprintable():
        reading.faults.append(
            'Input "publish" must be the path of a JSON report that another workflow made, such as'
            f" report/report.json, not {reading.shown(text)}; leave it out to review."
        )
    reading.warnings.extend(
        f'Input "{name}" is not used: "publish" asks no model; leave it out.'
        for name in FOR_A_MODEL
        if name in reading.texts
    )
    return Path(text)


def _config_path(reading: InputReader) -> str:
    text = reading.texts.get("config", DEFAULT_CONFIG_PATH)
    path = text.removeprefix("./")
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "" in parts or "\\" in path or not path.isprintable():
        reading.faults.append(
            f'Input "config" must be the path of a file in the repository, relative to its root, with slashes'
            f" and without .., such as {DEFAULT_CONFIG_PATH}, not {reading.shown(text)}."
        )
    return path


def _copilot_urls(reading: InputReader) -> tuple[str, ...]:
    """The addresses of `copilot-url`, in order, once each."""
    text = reading.texts.get("copilot-url")
    if text is None:
        if "copilot-connection-token" in reading.texts:
            reading.faults.append(
                'Input "copilot-connection-token" is for a CLI that already runs; set "copilot-url" to its'
                " host:port, or leave the token out (a CLI started here gets a random one)."
            )
        return ()
    addresses: list[str] = []
    parts = [part for part in re.split(r"[,\s]+", text) if part]
    if len(parts) > MAX_ADDRESSES:
        reading.faults.append(
            f'Input "copilot-url" names {len(parts)} addresses, and at most {MAX_ADDRESSES} are tried; name fewer.'
        )
        return ()
    for part in parts:
        try:
            addresses.append(parse_host_port(part))
        except ValueError as fault:
            reading.faults.append(f'Input "copilot-url": {reading.shown(part)} {fault}.')
            continue
        if not is_private(host_of(addresses[-1])):
            reading.warnings.append(
                f'Input "copilot-url": the connection to {addresses[-1]} is not encrypted;'
                " use it within a private network only."
            )
    if not parts:
        reading.faults.append(
            'Input "copilot-url" names no address; write host:port, such as 127.0.0.1:4321.'
        )
    return tuple(dict.fromkeys(addresses))


def _refuse_classic_token(reading: InputReader, copilot_token: str | None) -> None:
    if copilot_token is None or not copilot_token.startswith("ghp_"):
        return
    if "copilot-token" in reading.texts:
        found = 'Input "copilot-token" is a classic personal access token'
    else:
        found = 'Input "copilot-token" is not set, and "github-token" is a classic personal access token'
    reading.faults.append(
        f"{found} (ghp_…), which Copilot does not accept; use a fine-grained one with the permission"
        ' "Copilot Requests", or give the job "permissions: copilot-requests: write" and leave'
        " the input out."
    )

"""Reads the action's inputs: the runner's INPUT_* variables, validated together, as frozen values.

Standard library only: the sidecar's environment depends on the inputs, so its start waits for these imports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

from hunkwise.errors import SettingsError
from hunkwise.settings.audit_inputs import AUDIT_INPUTS, AuditInputs, read_audit_inputs
from hunkwise.settings.events import MERGE_QUEUE
from hunkwise.settings.parsing import (
    BOOLEANS,
    CLASSIC_PREFIX,
    CLASSIC_REFUSED,
    DEFAULT_CONFIG_PATH,
    RUNNER_TOKENS,
    InputReader,
    Url,
    host_of,
    is_loopback,
    is_private,
    oversize,
    parse_config_path,
    parse_host_port,
    parse_url,
    quoted,
    set_inputs,
    unknown_inputs,
    wrong_value,
)
from hunkwise.telemetry import header_secrets

PROVIDER_INPUTS: Final = (
    "provider-type",
    "provider-base-url",
    "provider-api-key",
    "provider-wire-api",
    "provider-azure-api-version",
)

ProviderType = Literal["openai", "azure", "anthropic"]
WireApi = Literal["completions", "responses"]


@dataclass(frozen=True, slots=True)
class Provider:
    """The user's own model provider, used instead of Copilot."""

    type: ProviderType
    base_url: str
    """Without a final slash."""
    api_key: str | None = field(default=None, repr=False)
    wire_api: WireApi | None = None
    azure_api_version: str | None = None


def read_provider(reading: InputReader) -> Provider | None:
    """Reads the provider's inputs; None if none is configured or `provider-base-url` is invalid."""
    kind = cast("ProviderType | None", reading.word("provider-type", get_args(ProviderType)))
    wire_api = cast("WireApi | None", reading.word("provider-wire-api", get_args(WireApi)))
    azure = reading.matching(
        "provider-azure-api-version",
        "a version such as 2024-10-21 or 2025-01-01-preview",
        r"[A-Za-z0-9.-]{1,40}",
    )
    api_key = reading.secret("provider-api-key")
    if "provider-base-url" not in reading.texts:
        for name in sorted(name for name in reading.texts if name.startswith("provider-")):
            reading.faults.append(
                f'{reading.subject(name)} needs "provider-base-url"; set it to your provider\'s URL,'
                f' or leave "{name}" out.'
            )
        return None
    _check_provider(reading, kind)
    if (url := _read_base_url(reading)) is None:
        return None
    return Provider(kind or "openai", url.text, api_key, wire_api, azure)


def _check_provider(reading: InputReader, kind: ProviderType | None) -> None:
    """Checks the provider's inputs against each other."""
    subject = reading.subject
    if "model" not in reading.texts:
        model = subject("model").removeprefix("Input ")
        reading.faults.append(
            f"{subject('provider-base-url')} needs {model}; set it to the id of a model of that provider."
        )
    if "provider-azure-api-version" in reading.texts and kind != "azure":
        reading.faults.append(
            f"{subject('provider-azure-api-version')} is for Azure only; set"
            f" {subject('provider-type').removeprefix('Input ')} to azure, or leave it out."
        )
    if "provider-wire-api" in reading.texts and kind == "anthropic":
        reading.faults.append(
            f"{subject('provider-wire-api')} is not for anthropic, which has one API only; leave it out."
        )


def _read_base_url(reading: InputReader) -> Url | None:
    subject = reading.subject("provider-base-url")
    try:
        url = parse_url(reading.texts["provider-base-url"])
    except ValueError as fault:
        # The text is not quoted: a URL may contain a password or a key.
        reading.faults.append(f"{subject} {fault}.")
        return None
    if url.encrypted or is_loopback(url.host):
        return url
    if not is_private(url.host):
        reading.faults.append(
            f"{subject} would send your code and key to {quoted(url.host)} unencrypted;"
            " use https:// (http:// is taken for loopback and private names only)."
        )
        return None
    reading.warnings.append(
        f"{subject} sends your code and key to {quoted(url.host)} unencrypted; use https:// where you can."
    )
    return url


SHARED_INPUTS: Final = (
    "model",
    "min-severity",
    "min-confidence",
    "fail-on",
    "request-changes-on",
    "max-comments",
    "min-coverage",
    "deadline",
    "max-model-calls",
    "max-tokens",
    "max-credits",
    "verify",
    "summary",
    "dry-run",
    "upload-sarif",
)
"""Inputs that are also keys of the configuration file, with the same values: the fields of `Config` describe them."""
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
    *AUDIT_INPUTS,
    *SHARED_INPUTS,
)
MAX_ADDRESSES: Final = 10
"""Addresses of headless CLIs; each may take ten seconds until its connection times out."""
MODEL_ACCESS: Final = ("copilot-token", "copilot-url", "copilot-connection-token", *PROVIDER_INPUTS)
"""Inputs for steps that ask a model; they have no effect in others."""
FOR_A_MODEL: Final = (*MODEL_ACCESS, "model", "prompts", "full-review")
"""Inputs that have no effect if a report is published."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The action's inputs. Defaults are applied, except for settings that the configuration can also set."""

    github_token: str = field(repr=False)
    copilot_token: str = field(repr=False)
    """The github-token if `copilot-token` is not set."""
    copilot_urls: tuple[str, ...] = ()
    """`host:port` of headless CLIs that already run, tried in order; if empty, one is started."""
    copilot_connection_token: str | None = field(default=None, repr=False)
    provider: Provider | None = None
    config_path: str = DEFAULT_CONFIG_PATH
    """Relative to the repository's root, with slashes."""
    texts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """`prompts` and SHARED_INPUTS, as far as they are set; see `overrides`."""
    pull_request: int | None = None
    full_review: bool = False
    """Everything is reviewed, including what an earlier run has reviewed."""
    publish_report: Path | None = None
    """The JSON report of another workflow, which is published instead of a review; no model is asked."""
    audit: AuditInputs = field(default_factory=AuditInputs)
    merge_queue: bool = False
    """The event is one of a merge queue."""
    other_secrets: tuple[str, ...] = field(default=(), repr=False)
    """The runner's own tokens, which it passes to a container, and those of a collector of telemetry."""
    warnings: tuple[str, ...] = ()
    """One sentence for each thing that looks wrong and does not stop the run."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, without duplicates: masked in the log, and searched for in everything that is posted."""
        key = self.provider.api_key if self.provider else None
        values = (
            self.github_token,
            self.copilot_token,
            self.copilot_connection_token,
            key,
            *self.other_secrets,
        )
        return tuple(dict.fromkeys(secret for secret in values if secret))

    @property
    def asks_model(self) -> bool:
        """Whether the step may ask a model.

        One that publishes a report, plans or merges an audit, or runs in a merge queue does not.
        """
        if self.merge_queue or self.publish_report is not None:
            return False
        return self.audit.stage is None or self.audit.stage.asks_model

    @property
    def model(self) -> str | None:
        return self.texts.get("model")

    def overrides(self) -> dict[str, object]:
        """Validates `texts`: see `settings.config.parse_overrides`. Raises SettingsError.

        Imports pydantic: call it after the sidecar's start.
        """
        from hunkwise.settings.config import parse_overrides

        return parse_overrides(self.texts, secrets=self.secrets)


def read_inputs(environ: Mapping[str, str]) -> Inputs:
    """Reads the inputs from the runner's environment. Raises SettingsError with a sentence for every fault.

    `texts` are not validated, unless there are other faults: then theirs are raised together with those.
    """
    texts = set_inputs(environ, KNOWN_INPUTS)
    if faults := oversize(texts):
        raise SettingsError(faults)
    reading = InputReader(texts)
    unknown = unknown_inputs(environ, KNOWN_INPUTS)
    reading.warnings += unknown
    github_token = reading.secret("github-token")
    if github_token is None:
        reading.faults.append(
            'Input "github-token" is missing; leave it at its default ${{ github.token }},'
            " or set it to a token that may read the pull request and write reviews."
        )
    copilot_token = reading.secret("copilot-token") or github_token
    urls = _read_copilot_urls(reading)
    provider = read_provider(reading)
    report = _read_publish_report(reading)
    audit = read_audit_inputs(reading)
    if audit.stage is not None and not audit.stage.asks_model:
        _warn_unused(reading, MODEL_ACCESS, f"audit: {audit.stage}")
    inputs = Inputs(
        github_token=github_token or "",
        copilot_token=copilot_token or "",
        copilot_urls=urls,
        copilot_connection_token=reading.secret("copilot-connection-token"),
        provider=provider,
        config_path=_read_config_path(reading),
        texts=MappingProxyType({name: texts[name] for name in ("prompts", *SHARED_INPUTS) if name in texts}),
        pull_request=reading.number("pull-request", 999_999_999),
        full_review=reading.word("full-review", BOOLEANS) == "true",
        publish_report=report,
        audit=audit,
        merge_queue=environ.get("GITHUB_EVENT_NAME") == MERGE_QUEUE,
        other_secrets=(*filter(None, map(environ.get, RUNNER_TOKENS)), *header_secrets(environ)),
        warnings=tuple(reading.warnings),
    )
    if inputs.asks_model and not {"copilot-url", "provider-base-url"} & reading.texts.keys():
        _refuse_classic_token(reading, copilot_token)
        _refuse_token_of_other_server(reading, environ)
    if reading.faults:
        try:
            inputs.overrides()
        except SettingsError as error:
            reading.faults += error.faults
        reading.faults += [text for text in unknown if "did you mean" in text]  # perhaps the cause
        raise SettingsError(list(dict.fromkeys(reading.faults)))
    return inputs


def _read_publish_report(reading: InputReader) -> Path | None:
    """Reads the path in `publish`. Warns about inputs that only a review uses, because they have no effect then."""
    text = reading.texts.get("publish")
    if text is None:
        return None
    if text.lower() in ("true", "false") or not text.isprintable():
        expected = "the path of a JSON report that another workflow made, such as report/report.json"
        remedy = "; leave it out to review."
        reading.faults.append(wrong_value('Input "publish"', expected, reading.shown(text), remedy))
    _warn_unused(reading, FOR_A_MODEL, "publish")
    return Path(text)


def _warn_unused(reading: InputReader, names: Iterable[str], reason: str) -> None:
    """Warns about those of the inputs that are set although nothing is asked."""
    reading.warnings += [
        f'Input "{name}" is not used: "{reason}" asks no model; leave it out.'
        for name in names
        if name in reading.texts
    ]


def _read_config_path(reading: InputReader) -> str:
    try:
        return parse_config_path(reading.texts.get("config"), reading.subject("config"), reading.secrets)
    except SettingsError as error:
        reading.faults += error.faults
        return DEFAULT_CONFIG_PATH


def _read_copilot_urls(reading: InputReader) -> tuple[str, ...]:
    """Reads the addresses in `copilot-url`, in order, without duplicates."""
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
    if copilot_token is None or not copilot_token.startswith(CLASSIC_PREFIX):
        return
    if "copilot-token" in reading.texts:
        subject = 'Input "copilot-token"'
    else:
        subject = 'Input "copilot-token" is not set, and "github-token"'
    reading.faults.append(
        f'{subject} is {CLASSIC_REFUSED}, or give the job "permissions: copilot-requests: write" and leave the input'
        " out."
    )


_COPILOT_SERVER = re.compile(r"https://(?P<host>github\.com|(?:[a-z0-9-]+\.)+ghe\.com)(?::443)?/*")


def has_copilot(host: str) -> bool:
    """Returns whether a host offers Copilot: an Enterprise Server does not, though GH_HOST may name it for `gh`."""
    return _COPILOT_SERVER.fullmatch(f"https://{host.lower()}") is not None


def copilot_host(environ: Mapping[str, str]) -> str | None:
    """Returns the host of GITHUB_SERVER_URL if it offers Copilot, else None."""
    server = _COPILOT_SERVER.fullmatch((environ.get("GITHUB_SERVER_URL") or "https://github.com").lower())
    return server["host"] if server else None


def _refuse_token_of_other_server(reading: InputReader, environ: Mapping[str, str]) -> None:
    """The CLI would send it to github.com."""
    if "copilot-token" not in reading.texts and copilot_host(environ) is None:
        reading.faults.append(
            'Input "copilot-token" is missing: GITHUB_SERVER_URL is neither https://github.com nor on ghe.com, a server'
            ' there has no Copilot, and its tokens are sent nowhere else; set "copilot-token" to a token'
            ' of github.com, "provider-base-url" to a provider of your own, or "copilot-url".'
        )

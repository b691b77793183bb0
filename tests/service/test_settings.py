"""The settings of the service: all faults at once, secrets by files, addresses of enterprise servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunkwise.errors import SettingsError
from hunkwise.service.settings import ServiceSettings, read_service_settings
from tests.fakes.github_app import key_pair

PROVIDER = {"COPILOT_PROVIDER_BASE_URL": "https://models.example.com/v1", "COPILOT_MODEL": "m"}


def secret_file(folder: Path, name: str, text: str, mode: int = 0o600) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "HUNKWISE_APP_ID": "4711",
        "HUNKWISE_APP_KEY_FILE": secret_file(tmp_path, "app.pem", key_pair()[0]),
        "HUNKWISE_WEBHOOK_SECRET_FILE": secret_file(tmp_path, "webhook", "one\n"),
    }


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        read_service_settings(environ)
    return error.value.faults


def test_an_app_and_a_webhook_secret_are_enough(environ: dict[str, str], tmp_path: Path) -> None:
    settings = read_service_settings(environ)
    assert settings == ServiceSettings(
        tmp_path / ".local/share/hunkwise", None, 4711, key_pair()[0], (b"one",)
    )
    assert settings.uses_app_for_copilot


def test_nothing_set_is_reported_at_once() -> None:
    assert [fault.partition(" ")[0] for fault in faults_of({})] == [
        "HUNKWISE_APP_ID",
        "HUNKWISE_APP_KEY_FILE",
        "HUNKWISE_WEBHOOK_SECRET_FILE",
    ]


@pytest.mark.parametrize(
    ("server", "api"),
    [
        ("", "https://api.github.com"),
        ("https://github.com/", "https://api.github.com"),
        ("https://octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://git.example.com", "https://git.example.com/api/v3"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3"),
    ],
)
def test_the_address_of_the_api_is_derived_from_the_server(
    environ: dict[str, str], server: str, api: str
) -> None:
    settings = read_service_settings({**environ, **PROVIDER, "GITHUB_SERVER_URL": server})
    assert settings.api_url == api
    given = read_service_settings(
        {**environ, **PROVIDER, "GITHUB_SERVER_URL": server, "GITHUB_API_URL": "https://other.example.com"}
    )
    assert given.api_url == "https://other.example.com"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("HUNKWISE_APP_ID", "Iv1", "whole number"),
        ("HUNKWISE_PARALLEL", "0", "from 1 to 64"),
        ("HUNKWISE_DATA_LIMIT_GB", "-1", "whole number"),
        ("HUNKWISE_AUDIT_EVERY", "week", 'daily or weekly, not "week"; did you mean "weekly"?'),
        ("GITHUB_API_URL", "ftp://x", "https://"),
        ("COPILOT_PROVIDER_BASE_URL", "https://models.example.com", "needs COPILOT_MODEL"),
        ("COPILOT_PROVIDER_TYPE", "openai", "needs COPILOT_PROVIDER_BASE_URL"),
        ("HUNKWISE_COPILOT_URLS", "cli", "HUNKWISE_COPILOT_URLS"),
        ("GITHUB_SERVER_URL", "https://git.example.com", "HUNKWISE_COPILOT_TOKEN_FILE is missing"),
    ],
)
def test_a_wrong_value_is_reported_with_the_name_of_its_variable(
    environ: dict[str, str], name: str, value: str, fault: str
) -> None:
    (found,) = faults_of({**environ, name: value})
    assert fault in found
    assert "Input " not in found


@pytest.mark.parametrize(
    ("variable", "text", "mode", "fault"),
    [
        ("HUNKWISE_APP_KEY_FILE", "-----BEGIN RSA PRIVATE KEY-----\nx\n", 0o600, "no private RSA key"),
        ("HUNKWISE_APP_KEY_FILE", "KEY", 0o644, "others can read"),
        ("HUNKWISE_APP_KEY_FILE", "KEY", 0o620, "others can read or write"),
        ("HUNKWISE_APP_KEY_FILE", "x" * 20_000, 0o600, "larger than 16,384 bytes"),
        ("HUNKWISE_WEBHOOK_SECRET_FILE", " \n", 0o600, "is empty"),
        ("HUNKWISE_WEBHOOK_SECRET_FILE", "a\nb\nc\n", 0o600, "one secret, or two"),
        ("HUNKWISE_PASSWORD_FILE", "", 0o600, "is empty"),
        ("HUNKWISE_COPILOT_TOKEN_FILE", "ghp_abc", 0o600, "classic"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused(
    environ: dict[str, str], tmp_path: Path, variable: str, text: str, mode: int, fault: str
) -> None:
    found = faults_of(
        {**environ, variable: secret_file(tmp_path, "file", key_pair()[0] if text == "KEY" else text, mode)}
    )
    assert fault in found[0]
    assert variable in found[0]


def test_a_missing_file_is_named(environ: dict[str, str]) -> None:
    (fault,) = faults_of({**environ, "HUNKWISE_APP_KEY_FILE": "/nowhere/app.pem"})
    assert "/nowhere/app.pem, which cannot be read (No such file or directory)" in fault


def test_all_settings_are_read(environ: dict[str, str], tmp_path: Path) -> None:
    settings = read_service_settings(
        {
            **environ,
            **PROVIDER,
            "HUNKWISE_DATABASE_URL": "postgresql://db/x",
            "HUNKWISE_DATA": str(tmp_path / "data"),
            "HUNKWISE_DATA_LIMIT_GB": "3",
            "HUNKWISE_PARALLEL": "2",
            "HUNKWISE_AUDIT_EVERY": "weekly",
            "HUNKWISE_PROVIDER_KEY_FILE": secret_file(tmp_path, "key", "sk-key\n"),
            "HUNKWISE_PASSWORD_FILE": secret_file(tmp_path, "password", "word\n", 0o640),
            "HUNKWISE_WEBHOOK_SECRET_FILE": secret_file(tmp_path, "webhooks", "old\nnew\n"),
        }
    )
    assert settings.webhook_secrets == (b"old", b"new")
    assert settings.model_inputs == {
        "provider-base-url": "https://models.example.com/v1",
        "model": "m",
        "provider-api-key": "sk-key",
    }
    assert (settings.data, settings.data_limit, settings.parallel) == (tmp_path / "data", 3 << 30, 2)
    assert (settings.audit_every, settings.database_url) == ("weekly", "postgresql://db/x")
    assert not settings.uses_app_for_copilot
    assert settings.secrets == (key_pair()[0], "old", "new", "word", "sk-key")
    assert not any(secret in repr(settings) for secret in settings.secrets)
    assert "postgresql" not in repr(settings)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"COPILOT_MODEL": "m"}, True),
        (PROVIDER, False),
        ({"HUNKWISE_COPILOT_URLS": "a:1"}, False),
    ],
)
def test_copilot_gets_tokens_of_the_app_unless_another_way_is_set(
    environ: dict[str, str], more: dict[str, str], expected: bool
) -> None:
    assert read_service_settings({**environ, **more}).uses_app_for_copilot is expected


API = {"HUNKWISE_API": "true", "HUNKWISE_COPILOT_URLS": "127.0.0.1:4321"}


def test_the_web_api_is_off_unless_it_is_set(environ: dict[str, str], tmp_path: Path) -> None:
    assert not read_service_settings(environ).api
    assert not read_service_settings({**environ, "HUNKWISE_API": "false"}).api
    secret = secret_file(tmp_path, "api", "s" * 32 + "\n")
    settings = read_service_settings(
        {**environ, **API, "HUNKWISE_API_SECRET_FILE": secret, "HUNKWISE_API_REQUESTS": "5"}
    )
    assert (settings.api, settings.api_secret, settings.api_requests) == (True, "s" * 32, 5)
    assert settings.api_secret in settings.secrets
    assert settings.api_secret not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"HUNKWISE_COPILOT_URLS": ""}, "HUNKWISE_API needs HUNKWISE_COPILOT_URLS"),
        (PROVIDER, "not for COPILOT_PROVIDER_BASE_URL"),
        ({"GITHUB_SERVER_URL": "https://git.example.com"}, "not for GITHUB_SERVER_URL"),
        ({"HUNKWISE_API": "yes"}, 'HUNKWISE_API must be true or false, not "yes"'),
        ({"HUNKWISE_API_REQUESTS": "0"}, "HUNKWISE_API_REQUESTS must be a whole number from 1"),
    ],
)
def test_the_web_api_needs_servers_and_the_copilot_of_its_callers(
    environ: dict[str, str], changes: dict[str, str], fault: str
) -> None:
    (found,) = faults_of({**environ, **API, **changes})
    assert fault in found


def test_a_short_secret_of_the_web_api_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    short = secret_file(tmp_path, "api", "s" * 31)
    assert "32 characters or more" in faults_of({**environ, **API, "HUNKWISE_API_SECRET_FILE": short})[0]
    assert read_service_settings({**environ, **API, "GITHUB_SERVER_URL": "https://octo.ghe.com"}).api

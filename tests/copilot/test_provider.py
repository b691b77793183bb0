"""A provider's settings as the SDK wants them."""

from __future__ import annotations

from hunkwise.copilot.connection import provider_config
from hunkwise.settings.inputs import Provider


def test_everything_that_is_set_is_said_and_nothing_else() -> None:
    assert provider_config(Provider("openai", "http://h/v1", None, None, None)) == {
        "type": "openai",
        "base_url": "http://h/v1",
    }
    assert provider_config(Provider("azure", "http://h", "key", "responses", "2024-10-21")) == {
        "type": "azure",
        "base_url": "http://h",
        "api_key": "key",
        "wire_api": "responses",
        "azure": {"api_version": "2024-10-21"},
    }

"""The payload of an event: the JSON file that the runner writes, and the values in it."""

from __future__ import annotations

import json
import re
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.settings.parsing import quoted

MAX_PAYLOAD_BYTES: Final = 25 * 1024 * 1024
"""GitHub's limit for a webhook payload."""


class PayloadNode:
    """An object in the payload, and its path for messages. Raises SettingsError for any other type."""

    def __init__(self, value: object, path: str) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise self._type_error(path or "its top", "object", value)
        self.fields: dict[str, object] = value

    def at(self, key: str) -> PayloadNode:
        return PayloadNode(self.fields.get(key), self._path_of(key))

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        if not isinstance(value, str) or not value:
            raise self._type_error(self._path_of(key), "text", value)
        return value

    def sha(self, key: str) -> str:
        value = self.text(key)
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", value):
            raise self._type_error(self._path_of(key), "commit SHA", value)
        return value

    def positive(self, key: str) -> int:
        value = self.fields.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 10**12:
            raise self._type_error(self._path_of(key), "positive number", value)
        return value

    def _path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _type_error(self, path: str, expected: str, value: object) -> SettingsError:
        shown = "a number" if isinstance(value, int) and not isinstance(value, bool) else quoted(value)
        return SettingsError(
            [
                f"The event payload has no {expected} at {path} (found {shown});"
                " GITHUB_EVENT_PATH must name the file that the runner wrote for this event."
            ]
        )


def parse_payload(payload: bytes) -> PayloadNode:
    """Parses the bytes of the event file. Raises SettingsError."""
    remedy = "GITHUB_EVENT_PATH must name the file that the runner wrote for this event."
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SettingsError(
            [
                f"The event payload has more than {MAX_PAYLOAD_BYTES:,} bytes, and GitHub sends at most 25 MB;"
                f" {remedy}"
            ]
        )
    try:
        parsed: object = json.loads(payload.decode("utf-8-sig"))
    except RecursionError as error:
        raise SettingsError([f"The event payload is nested too deeply; {remedy}"]) from error
    except ValueError as error:
        raise SettingsError([f"The event payload is not JSON; {remedy}"]) from error
    return PayloadNode(parsed, "")

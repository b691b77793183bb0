"""The published JSON Schema is what the code gives, and agrees with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openapi_schema_validator import OAS31Validator

from hunkwise.settings.config import parse_config
from hunkwise.settings.schema import json_schema
from hunkwise.settings.strict_yaml import read_yaml
from tests.settings.test_config import FULL, WRONG_KEYS

PUBLISHED = Path(__file__).parents[2] / "schemas" / "hunkwise.schema.json"
SEEN_IN_THE_TEXT_ONLY = ("stands on line", "not valid YAML", "or remove the line")
"""What a schema cannot see: it knows values, not how they were written."""
RULES_OF_OUR_OWN = (
    '"template" must be',
    "stands in the list twice",
    'has no "template"',
    "not 1.0",
    "not inf",
)
"""What the schema leaves to the code: rules across keys, and what JSON does not tell apart."""


def takes(text: str) -> bool:
    return bool(OAS31Validator(json_schema()).is_valid(read_listed(text)))


def read_listed(text: str) -> object:
    """The document's value as JSON has it: lists for tuples."""
    return json.loads(json.dumps(read_yaml(text.encode()).value))


def test_the_published_schema_is_what_the_code_gives() -> None:
    written = json.dumps(json_schema(), indent=2) + "\n"
    assert PUBLISHED.read_text() == written, "write json_schema() to schemas/hunkwise.schema.json again"


@pytest.mark.parametrize(
    "text", ["version: 1", FULL, "version: 1\nmax-tokens: 5\nfail-on: none\ndeadline: 0.5"]
)
def test_the_schema_takes_what_the_code_takes(text: str) -> None:
    assert parse_config(text.encode(), path="x")
    assert takes(text)


@pytest.mark.parametrize(
    "text",
    ["", "[version]", "version", "fail-on: high", "version: 2", "version: '1'", "version: true"]
    + [
        f"version: 1\n{text}"
        for text, fault in WRONG_KEYS
        if not any(words in fault for words in SEEN_IN_THE_TEXT_ONLY + RULES_OF_OUR_OWN)
    ],
)
def test_the_schema_refuses_what_the_code_refuses(text: str) -> None:
    assert not takes(text)


def test_the_schema_knows_every_key_and_default() -> None:
    keys = json_schema()["properties"]
    assert {key: shape.get("default") for key, shape in keys.items()} == {
        "version": 1,
        "model": None,
        "prompts": ["review"],
        "ignore": [],
        "paths": [],
        "min-severity": "low",
        "fail-on": "none",
        "request-changes-on": "none",
        "approve": False,
        "max-comments": 30,
        "min-coverage": 0,
        "deadline": 15.0,
        "max-model-calls": 200,
        "max-tokens": "none",
        "dry-run": False,
        "upload-sarif": False,
        "parallel": 8,
        "chunk-size": 64_000,
    }

"""Tests that the published JSON Schemas are up to date and agree with the code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openapi_schema_validator import OAS31Validator

from hunkwise.errors import SettingsError
from hunkwise.settings.config import json_schema, parse_config, prompt_schema
from hunkwise.settings.sources import read_front_matter
from hunkwise.settings.strict_yaml import read_yaml
from tests.settings.test_config import FULL, WRONG_KEYS
from tests.settings.test_front_matter import FULL as FULL_FRONT_MATTER
from tests.settings.test_front_matter import WRONG as WRONG_FRONT_MATTER

SCHEMAS = Path(__file__).parents[2] / "schemas"
PUBLISHED = {"hunkwise": json_schema, "prompt": prompt_schema}
SEEN_IN_THE_TEXT_ONLY = (
    "stands on line",
    "not valid YAML",
    "or remove the line",
    "anchors (&name)",
    "the character",
    "not UTF-8",
)
"""Errors that a schema cannot detect, because it sees values and not how they were written."""
RULES_OF_OUR_OWN = (
    '"template" must be',
    '"severity" must be the path of a file in the repository, relative to its root, without .., not "/a"',
    "stands in the list twice",
    "swap them",
    'has no "template"',
    "not 1.0",
    "not inf",
)
"""Errors that only the code detects: rules across keys, and values that JSON does not distinguish."""


def takes(text: str) -> bool:
    return bool(OAS31Validator(json_schema()).is_valid(read_listed(text)))


def takes_front_matter(text: str) -> bool:
    """Returns the schema's verdict; an empty document counts as an empty mapping."""
    return bool(OAS31Validator(prompt_schema()).is_valid(read_listed(text) or {}))


def read_listed(text: str) -> object:
    """Converts the document's value to JSON types: tuples become lists."""
    return json.loads(json.dumps(read_yaml(text.encode()).value))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_schema_is_what_the_code_gives(name: str) -> None:
    written = json.dumps(PUBLISHED[name](), indent=2) + "\n"
    path = SCHEMAS / f"{name}.schema.json"
    assert path.read_text() == written, "run python -m tests.settings.rewrite_schemas"


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
        "models": [],
        "prompts": ["review"],
        "partials": None,
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
        "max-credits": "none",
        "verify": "on",
        "verify-model": None,
        "verify-budget": None,
        "summary": "short",
        "summary-model": None,
        "context": None,
        "dry-run": False,
        "upload-sarif": False,
        "parallel": 8,
        "chunk-size": 64_000,
    }


FRONT_MATTER = [
    "",
    "description: x",
    "tools: []",
    "budget: {max-tokens: none, max-credits: 0.5, max-model-calls: 10000}",
    "categories: [a-b, c_1]",
    FULL_FRONT_MATTER.replace("---\n", ""),
]


@pytest.mark.parametrize("matter", FRONT_MATTER)
def test_the_schema_of_front_matter_takes_what_the_code_takes(matter: str) -> None:
    read_front_matter(f"---\n{matter}\n---\n", "x")
    assert takes_front_matter(matter)


@pytest.mark.parametrize(
    "matter",
    [
        matter
        for matter, fault in WRONG_FRONT_MATTER
        if not any(words in fault for words in SEEN_IN_THE_TEXT_ONLY + RULES_OF_OUR_OWN)
    ],
)
def test_the_schema_of_front_matter_refuses_what_the_code_refuses(matter: str) -> None:
    with pytest.raises(SettingsError):
        read_front_matter(f"---\n{matter}\n---\n", "x")
    assert not takes_front_matter(matter)

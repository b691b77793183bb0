"""Tests that schemas, action.yml and the documentation's tables are those of the settings, and that schemas agree with
the code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from pydantic import BaseModel

from hunkwise.domain.review import ExitCode
from hunkwise.errors import SettingsError
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.config_errors import describe_expected, shape_at
from hunkwise.settings.inputs import SHARED_INPUTS
from hunkwise.settings.prompt_settings import FrontMatter
from hunkwise.settings.sources import json_schema, prompt_schema, read_front_matter
from hunkwise.settings.strict_yaml import read_yaml
from tests.pages import page, table
from tests.settings.test_config import FULL, WRONG_KEYS
from tests.settings.test_prompt_settings import FULL as FULL_FRONT_MATTER
from tests.settings.test_prompt_settings import WRONG as WRONG_FRONT_MATTER

_TABLE = re.compile(r"^\| Key \|.*\n(?:\|.*\n)+", re.MULTILINE)


def as_text(schema: object) -> str:
    return json.dumps(schema, indent=2) + "\n"


def default_of(shape: Mapping[str, Any], *, required: bool) -> str:
    """Returns the default as the documentation has it."""
    match shape:
        case _ if required:
            return "required"
        case {"unset": text}:
            return str(text)
        case {"default": [] | {} | ""}:
            return "nothing"
        case {"default": list(values)}:
            return ", ".join(f"`{value}`" for value in values)
        case {"default": float(value)}:
            return f"`{value:g}`"
        case {"default": value}:
            return f"`{value}`".lower()
        case {"anyOf": [_, {"const": word}]}:
            return f"`{word}`"
    return "its keys' own"


def key_table(model: type[BaseModel], *loc: str | int) -> str:
    """Returns the Markdown table of the keys at a location."""
    rows = ["| Key | Default | Values | Meaning |", "|---|---|---|---|"]
    properties = shape_at(model, loc)["properties"]
    for key in sorted(properties, key=lambda key: key not in ("name", "template")):
        shape = shape_at(model, (*loc, key))
        if (*loc, key) == ("prompts",):
            shape = {**shape, "default": [prompt.name for prompt in Config().prompts]}
        default = default_of(shape, required=key in ("version", "name"))
        rows.append(f"| `{key}` | {default} | {describe_expected(shape)} | {shape['description']} |")
    return "\n".join(rows) + "\n"


def with_tables(path: str, *tables: str) -> str:
    """Returns the page with its tables of keys replaced by these."""
    wanted = iter(tables)
    return _TABLE.sub(lambda _: next(wanted), page(path))


def action() -> str:
    """Returns action.yml with the descriptions of the inputs that are also keys of the configuration."""
    text = page("action.yml")
    for name in SHARED_INPUTS[1:]:  # `model` differs: the input can name several
        shape = shape_at(Config, (name,))
        default = default_of(shape, required=False).strip("`")
        words = f"{shape['description']} Values: {describe_expected(shape)}. Default: {default}."
        lines = wrap(words, 110, break_on_hyphens=False)
        block = f"  {name}:\n    description: >-\n" + "".join(f"      {line}\n" for line in lines)
        text = text.replace(
            re.findall(rf"(?m)^  {name}:\n    description: >-\n(?: {{6}}.*\n)+", text)[0], block
        )
    return text


def reference() -> str:
    """Returns docs/reference.md with the inputs and outputs of action.yml, and the exit codes of the code."""
    action, text = yaml.safe_load(page("action.yml")), page("docs/reference.md")
    inputs = ["| Input | Default | Meaning |", "|---|---|---|"]
    for name, definition in action["inputs"].items():
        meaning, _, in_words = definition["description"].partition(" Default: ")
        default = f"`{definition['default']}`" if "default" in definition else in_words.removesuffix(".")
        inputs.append(f"| `{name}` | {default} | {meaning} |")
    outputs = ["| Output | Meaning |", "|---|---|"]
    outputs += [f"| `{name}` | {entry['description']} |" for name, entry in action["outputs"].items()]
    codes = ["| Code | Output `conclusion` | Meaning |", "|---|---|---|"]
    for code, (*_, meaning) in zip(ExitCode, table(text, "Code"), strict=True):
        codes.append(f"| {code.value} | {code.conclusion.value} | {meaning} |")
    wanted = iter((inputs, outputs, codes))
    return re.sub(
        r"(?m)^\| (?:Input|Output|Code) \|.*\n(?:\|.*\n)+", lambda _: "\n".join([*next(wanted), ""]), text
    )


PUBLISHED: dict[str, Callable[[], str]] = {
    "schemas/hunkwise.schema.json": lambda: as_text(json_schema()),
    "schemas/prompt.schema.json": lambda: as_text(prompt_schema()),
    "action.yml": action,
    "docs/reference.md": reference,
    "docs/configuration.md": lambda: with_tables(
        "docs/configuration.md",
        key_table(Config),
        key_table(Config, "prompts", 0),
        key_table(Config, "verify-budget"),
        key_table(Config, "context"),
        key_table(Config, "audit"),
        key_table(Config, "audit", "week"),
        key_table(Config, "commands"),
        key_table(Config, "automatic"),
        key_table(Config, "automatic", "labels"),
    ),
    "docs/templates.md": lambda: with_tables("docs/templates.md", key_table(FrontMatter)),
}
"""Published files that are generated from the settings: paths, with a function that returns the text."""
ONLY_IN_THE_TEXT = (
    "is on line",
    "not valid YAML",
    "or remove the line",
    "anchors (&name)",
    "the character",
    "not UTF-8",
)
"""Errors that a schema cannot detect, because it sees values and not how they were written."""
ONLY_IN_THE_CODE = (
    '"template" must be',
    '"severity" must be the path of a file in the repository, relative to its root, without .., not "/a"',
    "is in the list twice",
    "swap them",
    "of the audit names",
    'has no "template"',
    "not 1.0",
    "not inf",
)
"""Errors that only the code detects: rules across keys, and values that JSON does not distinguish."""


def is_valid(text: str) -> bool:
    return bool(OAS31Validator(json_schema()).is_valid(read_listed(text)))


def is_valid_front_matter(text: str) -> bool:
    """Returns the schema's result; an empty document counts as an empty mapping."""
    return bool(OAS31Validator(prompt_schema()).is_valid(read_listed(text) or {}))


def read_listed(text: str) -> object:
    """Converts the document's value to JSON types: tuples become lists."""
    return json.loads(json.dumps(read_yaml(text.encode()).value))


@pytest.mark.parametrize("path", PUBLISHED)
def test_published_file_matches_the_code(path: str) -> None:
    assert page(path) == PUBLISHED[path](), "run `make docs`"


@pytest.mark.parametrize(
    "text", ["version: 1", FULL, "version: 1\nmax-tokens: 5\nfail-on: none\ndeadline: 0.5"]
)
def test_schema_accepts_what_the_code_accepts(text: str) -> None:
    assert parse_config(text.encode(), path="x")
    assert is_valid(text)


@pytest.mark.parametrize(
    "text",
    ["", "[version]", "version", "fail-on: high", "version: 2", "version: '1'", "version: true"]
    + [
        f"version: 1\n{text}"
        for text, fault in WRONG_KEYS
        if not any(words in fault for words in ONLY_IN_THE_TEXT + ONLY_IN_THE_CODE)
    ],
)
def test_schema_rejects_what_the_code_rejects(text: str) -> None:
    assert not is_valid(text)


FRONT_MATTER = [
    "",
    "description: x",
    "tools: []",
    "budget: {max-tokens: none, max-credits: 0.5, max-model-calls: 10000}",
    "categories: [a-b, c_1]",
    FULL_FRONT_MATTER.replace("---\n", ""),
]


@pytest.mark.parametrize("matter", FRONT_MATTER)
def test_front_matter_schema_accepts_what_the_code_accepts(matter: str) -> None:
    read_front_matter(f"---\n{matter}\n---\n", "x")
    assert is_valid_front_matter(matter)


@pytest.mark.parametrize(
    "matter",
    [
        matter
        for matter, fault in WRONG_FRONT_MATTER
        if not any(words in fault for words in ONLY_IN_THE_TEXT + ONLY_IN_THE_CODE)
    ],
)
def test_front_matter_schema_rejects_what_the_code_rejects(matter: str) -> None:
    with pytest.raises(SettingsError):
        read_front_matter(f"---\n{matter}\n---\n", "x")
    assert not is_valid_front_matter(matter)

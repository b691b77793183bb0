"""The JSON Schemas of configuration and front matter; the files in `schemas` are what they give."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from hunkwise.domain.finding import Severity
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import BUILT_IN_PROMPTS, STAGE_PROMPTS, FrontMatter
from hunkwise.settings.rules import NONE

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, for editors (draft 2020-12)."""
    schema = _schema(Config)
    keys = schema["properties"]
    built_in = {"enum": [*BUILT_IN_PROMPTS, *STAGE_PROMPTS]}
    keys["prompts"]["items"] = {"anyOf": [built_in, keys["prompts"]["items"]]}
    keys["prompts"]["default"] = [prompt.name for prompt in Config().prompts]
    keys["min-severity"]["default"] = Severity.LOW.label
    for key in ("fail-on", "request-changes-on", "max-tokens", "max-credits"):
        keys[key]["default"] = NONE
    return {
        "$schema": _DRAFT,
        **schema,
        "title": "hunkwise",
        "description": "The configuration of hunkwise: .github/hunkwise.yml",
        "required": ["version"],
    }


def prompt_schema() -> dict[str, Any]:
    """The JSON Schema of a template's front matter, for editors (draft 2020-12)."""
    return {
        "$schema": _DRAFT,
        **_schema(FrontMatter),
        "title": "hunkwise prompt",
        "description": "The front matter of a prompt's template for hunkwise",
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        part["properties"] = {key: _for_editors(shape) for key, shape in part["properties"].items()}
    return schema


def _for_editors(shape: dict[str, Any]) -> dict[str, Any]:
    """A key's schema without null: a key may be left out, and has a value where it stands."""
    kept = {word: said for word, said in shape.items() if word != "title"}
    if kept.get("default", ...) is None or "$ref" in kept:  # a model's own keys say their defaults
        kept.pop("default", None)
    choices = [choice for choice in kept.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return kept | dict(choices[0])
    return kept | {"anyOf": choices} if choices else kept

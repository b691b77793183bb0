"""The JSON Schema of the configuration file; `schemas/hunkwise.schema.json` is what it gives."""

from __future__ import annotations

from typing import Any

from hunkwise.domain.finding import Severity
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import BUILT_IN_PROMPTS
from hunkwise.settings.rules import NONE


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, for editors (draft 2020-12)."""
    schema = Config.model_json_schema(by_alias=True)
    for part in (schema, schema["$defs"]["PromptSettings"]):
        part["properties"] = {key: _for_editors(shape) for key, shape in part["properties"].items()}
    keys = schema["properties"]
    keys["prompts"]["items"] = {"anyOf": [{"enum": list(BUILT_IN_PROMPTS)}, keys["prompts"]["items"]]}
    keys["prompts"]["default"] = list(BUILT_IN_PROMPTS)
    keys["min-severity"]["default"] = Severity.LOW.label
    for key in ("fail-on", "request-changes-on", "max-tokens"):
        keys[key]["default"] = NONE
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "hunkwise",
        "description": "The configuration of hunkwise: .github/hunkwise.yml",
        "required": ["version"],
    }


def _for_editors(shape: dict[str, Any]) -> dict[str, Any]:
    """A key's schema without null: a key may be left out, and has a value where it stands."""
    kept = {
        word: said for word, said in shape.items() if word != "title" and (word, said) != ("default", None)
    }
    choices = [choice for choice in kept.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return kept | dict(choices[0])
    return kept | {"anyOf": choices} if choices else kept

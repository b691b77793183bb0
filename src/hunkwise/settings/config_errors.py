"""Reads a settings file, describes the keys and values that it can have, and turns its errors into sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from hunkwise.errors import SettingsError
from hunkwise.settings.parsing import BOOLEANS, did_you_mean, listed, quoted
from hunkwise.settings.strict_yaml import Loc, YamlDocument, YamlFault, read_yaml

MAX_FAULTS: Final = 30
"""Number of errors shown; the rest is only counted."""

Shape = dict[str, Any]
"""The JSON Schema of a value."""

_MISSING: Final = object()
"""Replaces the value of a key without one: no field accepts it."""
_Model = TypeVar("_Model", bound=BaseModel)
_KEY = "[key]"
"""Pydantic appends this to the location of a mapping's key that is itself invalid."""

_ACCOUNT = "anyone who can change this file must not choose whose token is used"
_ADDRESS = "anyone who can change this file must not choose where code and keys are sent"
_RUN = "it belongs to one run"
_REFUSED = {
    "github-token": _ACCOUNT,
    "copilot-token": _ACCOUNT,
    "copilot-connection-token": _ACCOUNT,
    "copilot-url": _ADDRESS,
    "config": "it says where this file is",
    "pull-request": _RUN,
    "full-review": _RUN,
    "publish": _RUN,
    **dict.fromkeys(("shards", "shard", "plan", "parts"), _RUN),
}


@cache
def build_schema(model: type[BaseModel]) -> Shape:
    """Returns the JSON Schema of a file's keys, with the defaults as a file would have them.

    The keyword `wants` (see `prompt_settings.wants`) is not part of JSON Schema.
    """
    schema = model.model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        part["properties"] = {key: _simplify(shape) for key, shape in part["properties"].items()}
    for key, default in model.model_construct().model_dump(mode="json", by_alias=True).items():
        if "default" in (shape := schema["properties"][key]) or isinstance(default, str):
            shape["default"] = default
    return schema


def _simplify(shape: Shape) -> Shape:
    """Returns a key's schema without `title` and null: a key can be omitted, but needs a value if it is present."""
    schema = {keyword: value for keyword, value in shape.items() if keyword != "title"}
    # A $ref needs no default: the schema of the referenced model has the defaults of its keys.
    if schema.get("default", ...) is None or "$ref" in schema:
        schema.pop("default", None)
    choices = [choice for choice in schema.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return schema | dict(choices[0])
    return schema | {"anyOf": choices} if choices else schema


def shape_at(model: type[BaseModel], loc: Loc) -> Shape:
    """Returns the schema of the value at a location; empty if the location is unknown."""
    schema = shape = build_schema(model)
    for part in loc:
        if isinstance(part, int):
            inner = shape.get("items", {})
        else:
            inner = shape.get("properties", {}).get(part) or shape.get("additionalProperties") or {}
        definition = inner.get("$ref", "").rpartition("/")[2]
        shape = {**schema["$defs"][definition], **inner} if definition else inner
    return shape


def describe_expected(shape: Shape) -> str:
    """Completes "must be …" for a value of this schema."""
    match shape:
        case {"wants": str(expected)}:
            return expected
        case {"enum": list(words)}:
            return listed(words)
        case {"type": "boolean"}:
            return listed(BOOLEANS)
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"a whole number from {low} to {high}"
        case {"type": "number", "minimum": low, "maximum": high}:
            return f"a number from {low:g} to {high:g}"
        case {"type": "number", "maximum": high}:
            return f"a number above 0 and up to {high}"
        case {"type": "array", "items": {"enum": list(words)}}:
            return f"a list of {', '.join(words[:-1])} and {words[-1]}"
        case {"type": "string", "maxLength": most}:
            return f"text of up to {most} characters"
        case {"anyOf": [number, {"const": word}]}:
            return f"{describe_expected(number)}, or {word}"
    raise AssertionError(f"the field with the schema {shape} needs `wants`")


def similar_word(shape: Shape, value: object) -> str:
    """Returns `; did you mean …?` with the most similar valid word, or an empty text."""
    known: Sequence[str] = BOOLEANS if shape.get("type") == "boolean" else ()
    words = shape.get("enum") or shape.get("items", {}).get("enum") or known
    return did_you_mean(value, words) if isinstance(value, str) else ""


def sentences(faults: Iterable[YamlFault], path: str) -> list[str]:
    """Returns the faults as `path:line: text`, by line, without duplicates: at most MAX_FAULTS, then a count."""
    ordered = sorted(faults, key=lambda fault: fault.line)
    texts = list(dict.fromkeys(f"{path}:{fault.line}: {fault.text}" for fault in ordered))
    if len(texts) > MAX_FAULTS:
        return [*texts[:MAX_FAULTS], f"{path}: and {len(texts) - MAX_FAULTS} more faults"]
    return texts


def read_model(
    raw: bytes, model: type[_Model], path: str, *, kind: str, line: int = 1, required: Mapping[str, str] = {}
) -> tuple[_Model, YamlDocument]:
    """Parses the YAML of a settings file, whose top is the `kind` of it for messages, and begins at `line`.

    `required` has the fault of each key that must be there. Raises SettingsError with all faults, each as
    `path:line: …`.
    """
    document = read_yaml(raw)
    faults = list(document.faults)
    value = {} if document.value is None else document.value
    if any(not fault.loc for fault in faults):
        raise SettingsError(sentences(faults, path))
    if not isinstance(value, dict):
        raise SettingsError(sentences([YamlFault((), line, f"the {kind}")], path))
    faults += [YamlFault((key,), line, text) for key, text in required.items() if key not in value]
    try:
        settings = model.model_validate(_mark_missing(value), by_alias=True, by_name=False)
    except ValidationError as error:
        faults += _model_faults(error, document, {fault.loc for fault in faults}, model)
    if faults:
        raise SettingsError(sentences(faults, path))
    return settings, document


def _mark_missing(value: object) -> object:
    """Returns the value with _MISSING instead of each None, which is the default of some fields."""
    if isinstance(value, dict):
        return {key: _mark_missing(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_mark_missing, value))
    return _MISSING if value is None else value


def _model_faults(
    error: ValidationError, document: YamlDocument, named: set[Loc], model: type[BaseModel]
) -> list[YamlFault]:
    """Turns pydantic's errors into faults. Locations in `named` already have a fault and are skipped."""
    faults = []
    for detail in error.errors(include_url=False):
        loc: Loc = detail["loc"]
        if not any(loc[:length] in named for length in range(1, len(loc) + 1)):
            text = _describe_error(detail["type"], loc, detail["input"], detail["msg"], model)
            key = detail.get("ctx", {}).get("key")  # for keys that conflict: the one whose line is reported
            faults.append(YamlFault(loc, document.line(loc if key is None else (*loc, key)), text))
    return faults


def _describe_error(kind: str, loc: Loc, value: Any, message: str, model: type[BaseModel]) -> str:
    if kind == "sentence":
        return message
    if kind == "extra_forbidden" or loc[-1] == _KEY:
        return _describe_unknown_key(loc[:-1] if loc[-1] == _KEY else loc, model)
    if kind == "missing":
        return f"a prompt has no {quoted(loc[-1])}; give it {describe_expected(shape_at(model, loc))}"
    in_list = isinstance(loc[-1], int)
    key = loc[-2] if in_list else loc[-1]
    shape = shape_at(model, loc[:-1] if in_list else loc)
    if value is _MISSING and not in_list:
        return f"{quoted(key)} has no value; write {describe_expected(shape)}, or remove the line"
    verb = "and holds" if in_list and loc[:-1] != ("prompts",) else "not"
    near = similar_word(shape, value)
    found = quoted(None if value is _MISSING else value)
    return f"{quoted(key)} must be {describe_expected(shape)}, {verb} {found}{near}"


def _list_known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """Returns the keys that are valid in the mapping that holds this location's last key."""
    shape = shape_at(model, loc[:-1])
    return [*shape.get("properties", {}), *shape.get("propertyNames", {}).get("enum", ())]


def _describe_unknown_key(loc: Loc, model: type[BaseModel]) -> str:
    key, known = str(loc[-1]), _list_known_keys(model, loc)
    reason = _ADDRESS if key.startswith("provider-") else _REFUSED.get(key)
    if reason is not None and len(loc) == 1 and "version" in known:
        return f"{quoted(key)} cannot be set here ({reason}); set it as an input in the workflow"
    return f"unknown key {quoted(key)}{did_you_mean(key, known) or '; remove it'}"

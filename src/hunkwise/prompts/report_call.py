"""The calls of report tools as pydantic models: their JSON schemas, and what can be read of a call with faults.

A value in another form than the schema's is read if it has one meaning, for example "6" for 6, or a list that was sent
as JSON text. An optional field of an item that cannot be read counts as left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from hunkwise.domain.finding import SeverityLabel
from hunkwise.domain.text import cut, encodable, one_line

_SCHEMA_KEYS = ("type", "description", "enum", "minimum", "maximum", "maxItems", "required")
_LIMITS = ("exclusiveMaximum", "minLength", "maxLength")
"""Limits that are not in a tool's schema."""
_MAX_JSON = 4_000_000
"""Characters of a list or an object that was sent as JSON text; a longer one is not read."""
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(?:\.0+)?")
_NUMBER = re.compile(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})\s*(%?)")
_NOTHING = frozenset({"", "null", "none", "nil", "undefined", "n/a"})
_NO_SUGGESTION = _NOTHING | {"na", "not applicable"}
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
_SEVERITIES = {
    **dict.fromkeys(("blocker", "blocking", "fatal", "catastrophic"), "critical"),
    **dict.fromkeys(("major", "error", "serious", "important"), "high"),
    **dict.fromkeys(("moderate", "med", "warning", "warn", "normal"), "medium"),
    **dict.fromkeys(
        ("minor", "info", "information", "informational", "note", "notice", "nit", "trivial"), "low"
    ),
}
"""The words that other tools use for our severities."""
_MAX_SHOWN = 60
"""Characters of a wrong text that a message repeats."""


def normalized(model: type[BaseModel], arguments: object) -> object:
    """Returns the arguments in the form of the model's schema, as far as they have one meaning; any other part is
    unchanged. The work is bounded by the size of the arguments: it goes no deeper than the schema."""
    return _normalize(arguments, _full_schema(model))


def _normalize(value: object, schema: Mapping[str, Any]) -> object:
    match schema.get("type"):
        case "array":
            value = _as_list(_parsed(value), schema["items"])
            if isinstance(value, list):
                return [_normalize(item, schema["items"]) for item in value]
        case "object":
            value, fields = _parsed(value), schema["properties"]
            if isinstance(value, dict):
                return {
                    key: _normalize(item, fields[key]) if key in fields else item
                    for key, item in value.items()
                }
        case "string":
            return _as_text(value, schema.get("enum"))
        case kind if isinstance(value, str):
            text = value.strip().casefold()
            return None if text in _NOTHING else _as_number(text, str(kind), value)
        case "integer" if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
            return int(value)
        case "boolean" if type(value) is int and value in (0, 1):
            return bool(value)
    return value


def _parsed(value: object) -> object:
    """Returns the list or the object in a JSON text, which may be in a text itself; any other value unchanged."""
    parsed = value
    for _ in range(2):
        if not isinstance(parsed, str) or len(parsed) > _MAX_JSON:
            break
        fenced = _FENCED.fullmatch(parsed)
        try:
            parsed = json.loads(fenced[1] if fenced else parsed, strict=False, object_pairs_hook=_unambiguous)
        except (ValueError, RecursionError):
            return value
    return parsed if isinstance(parsed, list | dict) else value


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Returns the object. Raises ValueError if it has two values for a key."""
    values = dict(pairs)
    if len(values) < len(pairs) and any(values[key] != value for key, value in pairs):
        raise ValueError("two values for a key")
    return values


def _as_list(value: object, items: Mapping[str, Any]) -> object:
    """Returns a list for an item that was sent without one, and for a list within a list or a single key."""
    if isinstance(value, dict) and not value.keys().isdisjoint(items.get("properties", ())):
        return [value]
    if isinstance(value, list | dict) and len(value) == 1:
        inner = _parsed(next(iter(value.values() if isinstance(value, dict) else value)))
        return inner if isinstance(inner, list) and inner else value
    return value


def _as_text(value: object, choices: list[str] | None) -> object:
    """Returns the text, or the choice that it is in other letters; lines that were sent as a list are joined."""
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        return value
    if choices is None:
        return encodable(value)
    word = value.strip(" \t\n\"'`*.").casefold()
    if word in _NOTHING:
        return None
    return next((choice for choice in choices if choice.casefold() == word), encodable(value))


def _as_number(text: str, kind: str, value: str) -> object:
    """Returns the number or the truth value in a text; the given value if there is none."""
    if kind == "boolean":
        return True if text in _TRUE else False if text in _FALSE else value
    if kind == "integer":
        return int(float(text)) if _WHOLE.fullmatch(text) else value
    match = _NUMBER.fullmatch(text)
    return value if match is None else float(match[1]) / (100 if match[2] else 1)


def _read_severity(value: object) -> object:
    if not isinstance(value, str) or len(value) > _MAX_SHOWN:
        return value
    words = [word for word in re.findall("[a-z]+", value.casefold()) if word not in ("severity", "priority")]
    return _SEVERITIES.get(words[0], words[0]) if len(words) == 1 else value


ReportedSeverity = Annotated[SeverityLabel, BeforeValidator(_read_severity)]


class Reported(BaseModel):
    """A part of a call as the model sent it. A null counts as left out, as does an optional field that is invalid;
    unknown keys are never used."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    depends_on: ClassVar[Mapping[str, str]] = {}
    """Fields that are left out if the field that each depends on is invalid."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None}

    @model_validator(mode="wrap")
    @classmethod
    def _drop_invalid(cls, value: object, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(value)
        except ValidationError as error:
            invalid = invalid_fields(error)
            if not isinstance(value, dict) or any(cls.model_fields[name].is_required() for name in invalid):
                raise
        invalid |= {name for name, other in cls.depends_on.items() if other in invalid}
        return validate({key: item for key, item in value.items() if key not in invalid})


def invalid_fields(error: ValidationError) -> set[str]:
    """Returns the names of the fields that are missing or invalid."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return {str(detail["loc"][0]) for detail in details if detail["loc"]}


class ReportedCall(Reported):
    """The arguments of a call: a fault costs only the item of a list or the field that it is in.

    Each field has a default; the field names in `required` of the JSON schema are required nevertheless.
    """

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: dict[str, object]) -> dict[str, object]:
        return dict.fromkeys(_required_fields(cls)) | {
            key: item for key, item in value.items() if item is not None
        }

    @field_validator("*", mode="wrap")
    @classmethod
    def _keep_valid(cls, value: object, validate: Callable[[object], Any], info: ValidationInfo) -> Any:
        reading = cast("CallReading[Any]", info.context)
        name = str(info.field_name)
        schema = _full_schema(cls)["properties"][name]
        if value is None:
            reading.rejected.append(Rejected(name, None, (f"{name}: it is required, as {_wanted(schema)}",)))
            return cls.model_fields[name].get_default()
        try:
            return validate(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
        by_item: dict[object, list[str]] = {}
        for detail in details:
            by_item.setdefault((*detail["loc"], None)[0], []).append(_sentence(name, detail, value, schema))
        if not isinstance(value, list) or None in by_item:
            sentences = (sentence for of_item in by_item.values() for sentence in of_item)
            reading.rejected.append(Rejected(name, value, tuple(sentences)))
            return cls.model_fields[name].get_default()
        reading.rejected += [
            Rejected(name, value[cast("int", index)], tuple(sentences))
            for index, sentences in by_item.items()
        ]
        return validate([item for index, item in enumerate(value) if index not in by_item])


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value that could not be read: of a list, the item; else the field. None if a required field is missing."""

    field: str
    value: object
    faults: tuple[str, ...]
    """One sentence each: `field[index].field: what was sent, and what is wanted`."""


_Call = TypeVar("_Call", bound=ReportedCall)


@dataclass(slots=True)
class CallReading(Generic[_Call]):
    """A call with its valid parts, and what is wrong with the others."""

    call: _Call
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def faults(self) -> tuple[str, ...]:
        """The sentences on all rejected values."""
        return tuple(fault for rejected in self.rejected for fault in rejected.faults)


def read_call(model: type[_Call], arguments: object) -> CallReading[_Call]:
    """Reads the `normalized` arguments of a call, which may be anything; the caller bounds the length of its lists."""
    reading = CallReading(model.model_construct())
    is_object = isinstance(arguments, dict)
    reading.call = model.model_validate(arguments if is_object else {}, context=reading)
    if not is_object:
        fault = f"the arguments: {_described(arguments)} was sent, not an object"
        reading.rejected = [
            *(replace(missing, faults=()) for missing in reading.rejected),
            Rejected("", None, (fault,)),
        ]
    return reading


def _sentence(name: str, detail: ErrorDetails, value: object, schema: Mapping[str, Any]) -> str:
    """Returns what was sent at the place of an error, and what is wanted there."""
    for part in detail["loc"]:
        if isinstance(part, int):
            name, schema = f"{name}[{part}]", schema["items"]
            value = value[part] if isinstance(value, list) else None
        else:
            name, schema = f"{name}.{part}", schema["properties"][part]
            value = value.get(part) if isinstance(value, dict) else None
    if detail["type"] == "missing":
        return f"{name}: it is required, as {_wanted(schema)}"
    return f"{name}: {_described(value)} was sent, not {_wanted(schema)}"


def _described(value: object) -> str:
    match value:
        case str() if len(value) > _MAX_SHOWN:
            return f"a text of {len(value):,} characters"
        case str():
            return json.dumps(one_line(value), ensure_ascii=False) if value.strip() else "an empty text"
        case list():
            return f"a list of {len(value):,}"
        case dict():
            return "an object"
        case int() if value.bit_length() > 64:
            return "a huge number"
        case _:
            return json.dumps(value) if isinstance(value, bool | int | float | None) else "something else"


def _wanted(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    least, most = schema.get("minimum"), schema.get("maximum", schema.get("exclusiveMaximum", 0) - 1)
    limits = f" from {least} to {most:,}" if least is not None else ""
    match schema["type"]:
        case "integer":
            return f"a whole number{limits}"
        case "number":
            return f"a number{limits}"
        case "boolean":
            return "true or false"
        case "array":
            at_most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"a list{at_most}"
        case "object":
            return "an object"
        case _:
            at_most = f" of at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
            return f"a text{at_most}" + (" that is not empty" if "minLength" in schema else "")


def readable_text(value: object, limit: int) -> str:
    """Returns the text with lone surrogates replaced, cut at `limit` characters; empty if it is not a text."""
    if not isinstance(value, str):
        return ""
    return cut(encodable(value[: limit + 1]).strip(), limit)


def has_suggestion(text: str | None) -> bool:
    """Returns whether the text of a suggestion is one, and not a word such as "none" or "N/A"."""
    return (text or "").strip(" \t\r\n.`'\"").casefold() not in _NO_SUGGESTION


def text_within(limit: int) -> BeforeValidator:
    """Returns the validator of a text that is cut, not rejected."""
    return BeforeValidator(lambda value: readable_text(value, limit))


@cache
def _required_fields(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(model.model_json_schema()["required"])


def tool_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the JSON schema of a tool's arguments: without references, titles, defaults and limits of length."""
    return _schema_with(model, _SCHEMA_KEYS)


@cache
def _full_schema(model: type[BaseModel]) -> dict[str, Any]:
    return _schema_with(model, (*_SCHEMA_KEYS, *_LIMITS))


def _schema_with(model: type[BaseModel], keys: Sequence[str]) -> dict[str, Any]:
    schema = model.model_json_schema()
    return _inlined({**schema, "description": None}, schema.get("$defs", {}), keys)


def _inlined(schema: dict[str, Any], definitions: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            schema = {**choice, **schema}
    if "$ref" in schema:
        definition = definitions[schema["$ref"].rpartition("/")[2]]
        schema = {**definition, "description": None, **schema}
    plain = {key: schema[key] for key in keys if schema.get(key) is not None}
    if "items" in schema:
        plain["items"] = _inlined(schema["items"], definitions, keys)
    if "properties" in schema:
        plain["additionalProperties"] = False
        plain["properties"] = {
            name: _inlined(value, definitions, keys) for name, value in schema["properties"].items()
        }
    return plain

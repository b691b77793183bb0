"""The calls of report tools as pydantic models: their JSON schemas, and what is valid in a call with faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from hunkwise.domain.text import cut, encodable

_SCHEMA_KEYS = ("type", "description", "enum", "minimum", "maximum", "maxItems", "required")


class Reported(BaseModel):
    """A part of a call as the model sent it. A null counts as left out; unknown keys are never used."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None}


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
        faulty: set[int | str] = set()
        if value is None:
            reading.faults.append(f"{name}: it is required")
        else:
            try:
                return validate(value)
            except ValidationError as error:
                details = error.errors(include_url=False, include_input=False, include_context=False)
            reading.faults += [_sentence(name, detail) for detail in details]
            faulty = {detail["loc"][0] for detail in details if detail["loc"]}
        if not isinstance(value, list) or not faulty:
            reading.rejected.append((name, value))
            return cls.model_fields[name].get_default()
        reading.rejected += [(name, item) for index, item in enumerate(value) if index in faulty]
        return validate([item for index, item in enumerate(value) if index not in faulty])


_Call = TypeVar("_Call", bound=ReportedCall)


@dataclass(slots=True)
class CallReading(Generic[_Call]):
    """A call with its valid parts, and what is wrong with the others."""

    call: _Call
    faults: list[str] = field(default_factory=list)
    """One sentence each: `field[index].field: message`."""
    rejected: list[tuple[str, object]] = field(default_factory=list)
    """The name of each field with a fault, and its value or, of a list, the item with the fault."""


def read_call(model: type[_Call], arguments: object) -> CallReading[_Call]:
    """Parses the arguments of a call, which may be anything; the caller bounds the length of its lists."""
    reading = CallReading(model.model_construct())
    is_object = isinstance(arguments, dict)
    reading.call = model.model_validate(arguments if is_object else {}, context=reading)
    if not is_object:
        reading.faults = ["the arguments: they must be an object"]
    return reading


def _sentence(name: str, detail: ErrorDetails) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    message = "it must be an object" if detail["type"] == "model_type" else detail["msg"]
    return f"{name}{place}: {message}"


def readable_text(value: object, limit: int) -> str:
    """Returns the text with lone surrogates replaced, cut at `limit` characters; empty if it is not a text."""
    if not isinstance(value, str):
        return ""
    return cut(encodable(value[: limit + 1]).strip(), limit)


def text_within(limit: int) -> BeforeValidator:
    """Returns the validator of a text that is cut, not rejected."""
    return BeforeValidator(lambda value: readable_text(value, limit))


@cache
def _required_fields(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(model.model_json_schema()["required"])


def tool_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the JSON schema of a tool's arguments: without references, titles, defaults and limits of length."""
    schema = model.model_json_schema()
    return _inlined({**schema, "description": None}, schema.get("$defs", {}))


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            schema = {**choice, **schema}
    if "$ref" in schema:
        definition = definitions[schema["$ref"].rpartition("/")[2]]
        schema = {**definition, "description": None, **schema}
    plain = {key: schema[key] for key in _SCHEMA_KEYS if schema.get(key) is not None}
    if "items" in schema:
        plain["items"] = _inlined(schema["items"], definitions)
    if "properties" in schema:
        plain["additionalProperties"] = False
        plain["properties"] = {
            name: _inlined(value, definitions) for name, value in schema["properties"].items()
        }
    return plain

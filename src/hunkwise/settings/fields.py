"""The types of which the settings' models are made: severities, gates, globs, limits."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from hunkwise.domain.finding import Severity
from hunkwise.settings.rules import MAX_CREDITS, MAX_TOKENS, MODEL_PATTERN, NONE, SEVERITIES


def _level(found: object) -> object:
    return Severity.parse(found) if isinstance(found, str) and found in SEVERITIES else found


def _gate(found: object) -> object:
    return None if found == NONE else _level(found)


def _limit(found: object) -> object:
    return None if found == NONE else found


def _inside(path: str) -> str:
    if not path.isprintable() or "\\" in path or {"", ".", ".."} & set(path.split("/")):
        raise PydanticCustomError("path", "path")
    return path


Level = Annotated[Severity, BeforeValidator(_level), WithJsonSchema({"enum": list(SEVERITIES)})]
Gate = Annotated[Severity | None, BeforeValidator(_gate), WithJsonSchema({"enum": [NONE, *SEVERITIES]})]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=r"^[^\r\n]*$")]
RepositoryPath = Annotated[str, AfterValidator(_inside)]
"""A file in the repository, from its root, with slashes and without a way out."""
ModelId = Annotated[str, StringConstraints(pattern=f"^{MODEL_PATTERN}$")]
TokenLimit = Annotated[
    Annotated[int, Field(ge=MAX_TOKENS.low, le=MAX_TOKENS.high)] | None,
    BeforeValidator(_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": MAX_TOKENS.low, "maximum": MAX_TOKENS.high},
                {"const": NONE},
            ]
        }
    ),
]
CreditLimit = Annotated[
    Annotated[float, Field(gt=0, le=MAX_CREDITS)] | None,
    BeforeValidator(_limit),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_CREDITS}, {"const": NONE}]}
    ),
]
STRICT: Final = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    alias_generator=lambda name: name.replace("_", "-"),
    validate_by_name=True,
    validate_by_alias=True,
)
"""For every model of the settings: keys with dashes, nothing unknown, nothing converted."""

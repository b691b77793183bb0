"""Turns errors in the configuration and in front matter into sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeGuard, get_args

from pydantic import BaseModel, ValidationError

from hunkwise.domain.model import READING_TOOLS
from hunkwise.settings.parsing import (
    CHUNK_SIZE,
    CONTEXT_SIZE,
    LEVEL,
    MAX_MODELS,
    MODEL,
    PARALLEL,
    PROMPTS,
    SHARED,
    TRUE_OR_FALSE,
    did_you_mean,
    quoted,
    whole,
)
from hunkwise.settings.prompt_settings import PARTIALS
from hunkwise.settings.strict_yaml import Loc, YamlDocument, YamlFault

MAX_FAULTS: Final = 30
"""Number of errors shown; the rest is only counted."""

_GLOBS = 'a list of globs, such as ["src/**"]'
_NAME = "a name of lower-case letters, digits, - and _, of up to 64 characters"
_FILE = "the path of a file in the repository, relative to its root, without .."
_BUDGET = 'keys and values, such as "max-model-calls: 20"'
_WANTS: dict[str, str] = {
    **{key: rule.wants for key, rule in SHARED.items()},
    "version": "1, the only version that this hunkwise reads",
    "models": f"a list of up to {MAX_MODELS} model ids without spaces, of up to 200 characters",
    "prompts": f'a list of {PROMPTS.low} to {PROMPTS.high} prompts, such as "- name: review"',
    "partials": 'keys and values, such as "severity: .github/hunkwise/severity.md.j2"',
    "ignore": _GLOBS,
    "paths": _GLOBS,
    "approve": TRUE_OR_FALSE.wants,
    "verify-model": MODEL.wants,
    "verify-budget": _BUDGET,
    "summary-model": MODEL.wants,
    "context": 'keys and values, such as "threads: false"',
    "parallel": whole(PARALLEL).wants,
    "chunk-size": whole(CHUNK_SIZE).wants,
    "name": _NAME,
    "template": _FILE,
    "description": "text of up to 300 characters",
    "max-severity": LEVEL.wants,
    "categories": "a list of up to 32 names of lower-case letters, digits, - and _, of up to 40 characters",
    "budget": _BUDGET,
    "chunk-budget": _BUDGET,
    "tools": f"a list of {', '.join(READING_TOOLS[:-1])} and {READING_TOOLS[-1]}",
}
_CONTEXT_SIZE = whole(CONTEXT_SIZE).wants
_WORDS: dict[str, tuple[str, ...]] = {
    **{key: rule.words for key, rule in SHARED.items()},
    "max-severity": LEVEL.words,
    "tools": READING_TOOLS,
}
"""The allowed values of keys that have a fixed set of them."""
_KEY = "[key]"
"""Pydantic appends this to the location of a mapping's key that is itself invalid."""

_REFUSED_REASON = {
    "token": "anyone who can change this file must not choose whose token is used",
    "address": "anyone who can change this file must not choose where code and keys are sent",
    "config": "it says where this file is",
    "run": "it belongs to one run",
}
_REFUSED = {
    "github-token": "token",
    "copilot-token": "token",
    "copilot-connection-token": "token",
    "copilot-url": "address",
    "config": "config",
    "pull-request": "run",
    "full-review": "run",
    "publish": "run",
}


def sentences(faults: Iterable[YamlFault], path: str) -> list[str]:
    """Returns the faults as `path:line: text`, by line, without duplicates: at most MAX_FAULTS, then a count."""
    ordered = sorted(faults, key=lambda fault: fault.line)
    texts = list(dict.fromkeys(f"{path}:{fault.line}: {fault.text}" for fault in ordered))
    if len(texts) > MAX_FAULTS:
        return [*texts[:MAX_FAULTS], f"{path}: and {len(texts) - MAX_FAULTS} more faults"]
    return texts


def missing_values(document: YamlDocument, model: type[BaseModel]) -> list[YamlFault]:
    """Returns a fault for each known key without a value, unless the document already has a fault there."""
    reported = {fault.loc for fault in document.faults}
    faults = []
    for loc, value in _walk(document.value, ()):
        if value is None and loc not in reported and loc[-1] in _list_known_keys(model, loc):
            text = f"{quoted(loc[-1])} has no value; write {_describe_expected(loc)}, or remove the line"
            faults.append(YamlFault(loc, document.line(loc), text))
    return faults


def _walk(value: object, loc: Loc) -> Iterator[tuple[Loc, object]]:
    """Yields the location and value of every key and list item, at any depth."""
    entries: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, tuple):
        entries = enumerate(value)
    for key, inner in entries:
        yield (*loc, key), inner
        yield from _walk(inner, (*loc, key))


def model_faults(
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
        loc = loc[:-1] if loc[-1] == _KEY else loc
        return _describe_unknown_key(
            str(loc[-1]), _list_known_keys(model, loc), top=model if len(loc) == 1 else None
        )
    key = next((part for part in reversed(loc) if isinstance(part, str)), "prompts")
    if kind == "missing":
        return f"a prompt has no {quoted(key)}; give it {_describe_expected(loc)}"
    near = did_you_mean(value, _WORDS.get(key, ())) if isinstance(value, str) else ""
    if isinstance(loc[-1], int) and key != "prompts":
        return f"{quoted(key)} must be {_describe_expected(loc)}, and holds {quoted(value)}{near}"
    return f"{quoted(key)} must be {_describe_expected(loc)}, not {quoted(value)}{near}"


def _describe_expected(loc: Loc) -> str:
    """Describes the values that are valid at this location."""
    keys = [part for part in loc if isinstance(part, str)]
    if keys[:1] == ["partials"] and len(keys) > 1:
        return _FILE
    if keys[:1] == ["context"] and len(keys) > 1:
        return _CONTEXT_SIZE if keys[1] == "size" else TRUE_OR_FALSE.wants
    return _WANTS[keys[-1] if keys else "prompts"]


def _list_known_keys(model: type[BaseModel], loc: Loc) -> tuple[str, ...]:
    """Returns the keys that are valid in the mapping that holds this location's last key."""
    annotation: object = model
    for part in loc[:-1]:
        fields = annotation.model_fields if _is_model(annotation) else {}
        inner = {field.alias: field.annotation for field in fields.values()}
        if isinstance(part, str):
            annotation = inner.get(part)
        annotation = next((nested for nested in _walk_types(annotation) if _is_model(nested)), annotation)
    if _is_model(annotation):
        return tuple(field.alias or name for name, field in annotation.model_fields.items())
    return PARTIALS if loc[:1] == ("partials",) else ()


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _walk_types(annotation: object) -> Iterator[object]:
    """Yields a type and its type arguments, at any depth."""
    yield annotation
    for part in get_args(annotation):
        yield from _walk_types(part)


def _describe_unknown_key(key: str, known: tuple[str, ...], *, top: type[BaseModel] | None) -> str:
    kind = "address" if key.startswith("provider-") else _REFUSED.get(key)
    if kind is not None and top is not None and "version" in top.model_fields:
        return (
            f"{quoted(key)} cannot be set here ({_REFUSED_REASON[kind]}); set it as an input in the workflow"
        )
    return f"unknown key {quoted(key)}{did_you_mean(key, known) or '; remove it'}"

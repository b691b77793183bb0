"""What is wrong with a configuration file, from the model's errors and the document's lines to sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import ValidationError

from hunkwise.settings.rules import CHUNK_SIZE, PARALLEL, PROMPTS, SHARED, TRUE_OR_FALSE, whole
from hunkwise.settings.strict_yaml import Document, Fault, Loc
from hunkwise.settings.wording import did_you_mean, quoted

MAX_FAULTS: Final = 30
"""Sentences shown; the rest is counted."""

_GLOBS = 'a list of globs, such as ["src/**"]'
_NAME = "a name of lower-case letters, digits, - and _, of up to 64 characters"
_WANTS: dict[str, str] = {
    **{key: rule.wants for key, rule in SHARED.items()},
    "version": "1, the only version that this hunkwise reads",
    "prompts": f'a list of {PROMPTS.low} to {PROMPTS.high} prompts, such as "- name: review"',
    "ignore": _GLOBS,
    "paths": _GLOBS,
    "approve": TRUE_OR_FALSE.wants,
    "parallel": whole(PARALLEL).wants,
    "chunk-size": whole(CHUNK_SIZE).wants,
    "name": _NAME,
    "template": "the path of a file in the repository, relative to its root, without ..",
}
_TOP_KEYS = ("version", "prompts", "ignore", "paths", "approve", "parallel", "chunk-size", *SHARED)
_PROMPT_KEYS = ("name", "template", "paths", "min-severity")

_REFUSED_REASON = {
    "token": "whoever can change this file must not choose whose token is used",
    "address": "whoever can change this file must not choose where code and keys are sent",
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


def sentences(faults: Iterable[Fault], path: str) -> list[str]:
    """`path:line: what is wrong`, in the file's order, once each, at most MAX_FAULTS and a count."""
    ordered = sorted(faults, key=lambda fault: fault.line)
    said = list(dict.fromkeys(f"{path}:{fault.line}: {fault.text}" for fault in ordered))
    if len(said) > MAX_FAULTS:
        return [*said[:MAX_FAULTS], f"{path}: and {len(said) - MAX_FAULTS} more faults"]
    return said


def missing_values(document: Document) -> list[Fault]:
    """Known keys that stand without a value, where the document itself has no fault."""
    named = {fault.loc for fault in document.faults}
    faults = []
    for loc, value in _places(document.value, ()):
        key = str(loc[-1])
        if value is None and key in _WANTS and loc not in named:
            text = f"{quoted(key)} has no value; write {_WANTS[key]}, or remove the line"
            faults.append(Fault(loc, document.line(loc), text))
    return faults


def _places(value: object, loc: Loc) -> Iterator[tuple[Loc, object]]:
    """Every key and list item, with its value."""
    entries: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, tuple):
        entries = enumerate(value)
    for key, inner in entries:
        yield (*loc, key), inner
        yield from _places(inner, (*loc, key))


def model_faults(error: ValidationError, document: Document, named: set[Loc]) -> list[Fault]:
    """The model's errors in our words, but for places that other faults have named already."""
    faults = []
    for found in error.errors(include_url=False):
        loc: Loc = found["loc"]
        if not any(loc[:length] in named for length in range(1, len(loc) + 1)):
            text = _sentence(found["type"], loc, found["input"], found["msg"])
            faults.append(Fault(loc, document.line(loc), text))
    return faults


def _sentence(kind: str, loc: Loc, found: Any, message: str) -> str:
    key = next((str(part) for part in reversed(loc) if isinstance(part, str)), "prompts")
    if kind == "sentence":
        return message
    if kind == "extra_forbidden":
        return _unknown_key(key, _TOP_KEYS if len(loc) == 1 else _PROMPT_KEYS)
    if kind == "missing":
        return f"a prompt has no {quoted(key)}; give it {_WANTS[key]}"
    if isinstance(loc[-1], int) and key != "prompts":
        return f"{quoted(key)} must be {_WANTS[key]}, and holds {quoted(found)}"
    near = did_you_mean(found, SHARED[key].words) if isinstance(found, str) and key in SHARED else ""
    return f"{quoted(key)} must be {_WANTS[key]}, not {quoted(found)}{near}"


def _unknown_key(key: str, known: tuple[str, ...]) -> str:
    kind = "address" if key.startswith("provider-") else _REFUSED.get(key)
    if kind is not None:
        return (
            f"{quoted(key)} cannot be set here ({_REFUSED_REASON[kind]}); set it as an input in the workflow"
        )
    return f"unknown key {quoted(key)}{did_you_mean(key, known) or '; remove it'}"

"""Reads front matter of templates, lists every setting with the source of its value, and returns their JSON Schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from hunkwise.domain.model import BUILT_IN_PROMPTS, STAGE_PROMPTS
from hunkwise.domain.text import split_front_matter
from hunkwise.errors import SettingsError
from hunkwise.settings.config import Config
from hunkwise.settings.config_errors import build_schema, read_model, shape_at
from hunkwise.settings.parsing import NOT_SHOWN, TOKEN_SHAPE
from hunkwise.settings.prompt_settings import FrontMatter, PromptSettings
from hunkwise.settings.strict_yaml import Loc, YamlDocument

MAX_CHARACTERS: Final = 8_192


def read_front_matter(text: str, path: str) -> tuple[FrontMatter, str]:
    """Returns a template's front matter and its body, whose lines keep their numbers.

    Raises SettingsError with all faults, each as `path:line: …`.
    """
    front = front_of(text, path)
    return front.matter, front.body


class SourceKind(StrEnum):
    """The kind of place that a value comes from."""

    DEFAULT = "default"
    FILE = "file"
    FRONT_MATTER = "front matter"
    INPUT = "input"
    VARIABLE = "variable"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class ValueSource:
    """The source of a value. `name` is a path, or the name of an input, a variable or an option."""

    kind: SourceKind
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        match self.kind:
            case SourceKind.DEFAULT:
                return "default"
            case SourceKind.FILE:
                return f"{self.name}:{self.line}"
            case SourceKind.FRONT_MATTER:
                return f"front matter {self.name}:{self.line}"
            case _:
                return f"{self.kind} {self.name}"


DEFAULT: Final = ValueSource(SourceKind.DEFAULT)


def _source_at(loc: Loc, document: YamlDocument | None, kind: SourceKind, path: str) -> ValueSource:
    """Returns the source of a value; DEFAULT if the document does not have it."""
    if document is None or loc not in document.lines:
        return DEFAULT
    return ValueSource(kind, path, document.lines[loc])


@dataclass(frozen=True, slots=True)
class Setting:
    """One value under its key, such as `context.size` or `prompts[1].budget.max-tokens`."""

    key: str
    value: object
    """As a file would have it; None if nothing is set."""
    source: ValueSource

    @property
    def printable(self) -> object:
        """The value, or a description if it looks like a token in the wrong input."""
        in_file = self.source.kind in (SourceKind.FILE, SourceKind.FRONT_MATTER)
        if not in_file and isinstance(self.value, str) and TOKEN_SHAPE.search(self.value):
            return NOT_SHOWN
        return self.value

    @property
    def text(self) -> str:
        """The value as text; in parentheses what applies where nothing is set."""
        if self.printable is None:
            parts = re.findall(r"[^.\[\]]+", self.key)
            loc = tuple(int(part) if part.isdigit() else part for part in parts)
            return f"({shape_at(Config, loc)['unset']})"
        value = self.printable
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class TemplateFrontMatter:
    """A template's front matter, its path, its YAML document, and the text below it."""

    matter: FrontMatter
    path: str
    document: YamlDocument | None
    body: str

    def source(self, loc: Loc) -> ValueSource:
        """Returns the source of a value; DEFAULT if the front matter does not have it."""
        return _source_at(loc, self.document, SourceKind.FRONT_MATTER, self.path)


def front_of(text: str, path: str) -> TemplateFrontMatter:
    """Reads the front matter of a template's text. Raises SettingsError with all its faults."""
    parts = split_front_matter(text)
    if parts is None:
        return TemplateFrontMatter(FrontMatter(), path, None, text.removeprefix("\ufeff"))
    problem = ""
    if not parts.closed:
        problem = 'the front matter is not closed; write a line "---" below it, or remove this one'
    elif len(parts.matter) > MAX_CHARACTERS:
        problem = f"the front matter has {len(parts.matter):,} characters; keep it within {MAX_CHARACTERS:,}"
    if problem:
        raise SettingsError([f"{path}:1: {problem}"])
    # The line feed stands for the line of dashes above the YAML, so that line numbers are those of the file.
    raw = b"\n" + parts.matter.encode("utf-8", "surrogatepass")
    kind = 'front matter must be keys and values, such as "description: what it looks for"'
    matter, document = read_model(raw, FrontMatter, path, kind=kind, line=2)
    return TemplateFrontMatter(matter, path, document, parts.template)


@dataclass(frozen=True)
class ConfigLayers:
    """The layers of a configuration; each overrides those before it."""

    fronts: Mapping[str, TemplateFrontMatter] = field(default_factory=lambda: MappingProxyType({}))
    """By prompt name."""
    file: Config = field(default_factory=Config)
    document: YamlDocument | None = None
    """None if there is no file."""
    path: str = ""
    overrides: Mapping[str, tuple[object, ValueSource]] = field(default_factory=lambda: MappingProxyType({}))
    """Values with their sources, by the fields' Python names (as in `Config.with_overrides`)."""

    @property
    def config(self) -> Config:
        """The configuration with the overrides applied, without front matter. Raises SettingsError."""
        return self.file.with_overrides({name: value for name, (value, _) in self.overrides.items()})

    def file_source(self, loc: Loc) -> ValueSource:
        """Returns the source of a value of the file; DEFAULT if the file does not have it."""
        return _source_at(loc, self.document, SourceKind.FILE, self.path)

    def source(self, key: str) -> ValueSource:
        """Returns the source of a top-level key."""
        override = self.overrides.get(key.replace("-", "_"))
        return override[1] if override is not None else self.file_source((key,))


def settings_of(layers: ConfigLayers) -> Iterator[Setting]:
    """Yields all settings in their documented order; those of each prompt follow the list of prompt names.

    Raises SettingsError if the overrides do not fit the file.
    """
    config = layers.config
    for key, value in config.model_dump(mode="json", by_alias=True).items():
        source = layers.source(key)
        if key == "prompts":
            yield Setting(key, [prompt.name for prompt in config.prompts], source)
            for index, prompt in enumerate(config.prompts):
                yield from _list_prompt_settings(layers, prompt, f"prompts[{index}]", source)
        else:
            yield from _list_value_settings(key, value, source, layers.file_source, (key,))


def _list_prompt_settings(
    layers: ConfigLayers, prompt: PromptSettings, prefix: str, list_source: ValueSource
) -> Iterator[Setting]:
    """Yields each field of a prompt: the entry's value, else the front matter's, else the default."""
    names = [entry.name for entry in layers.file.prompts] if layers.document is not None else []
    at: Loc = ("prompts", names.index(prompt.name)) if prompt.name in names else ("prompts", -1)
    front = layers.fronts.get(prompt.name)
    values = (prompt.under(front.matter) if front else prompt).model_dump(mode="json", by_alias=True)
    for key in ("name", "template", *(key for key in values if key not in ("name", "template"))):
        source_at, loc = layers.file_source, (*at, key)
        if front is not None and source_at(loc) == DEFAULT:
            source_at, loc = front.source, (key,)
        source = source_at(loc)
        if key == "name" and source == DEFAULT:  # the entry is the bare name, or an input has it
            source = layers.file_source(at)
        if key == "name" and list_source.kind is not SourceKind.FILE:
            source = list_source
        yield from _list_value_settings(f"{prefix}.{key}", values[key], source, source_at, loc)


def _list_value_settings(
    key: str, value: object, source: ValueSource, source_at: Callable[[Loc], ValueSource], loc: Loc
) -> Iterator[Setting]:
    """Yields the value with its source; for a mapping, its entries, each with the source of its own location."""
    if isinstance(value, dict) and value:
        for entry, inner in value.items():
            at = (*loc, entry)
            yield from _list_value_settings(f"{key}.{entry}", inner, source_at(at), source_at, at)
    else:
        yield Setting(key, _without_fraction(value), source)


def _without_fraction(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the configuration file, for editors (draft 2020-12)."""
    schema = _for_editors(build_schema(Config))
    prompts, of_audits = (
        place["properties"]["prompts"] for place in (schema, schema["$defs"]["AuditSettings"])
    )
    prompts["items"] = {"anyOf": [{"enum": [*BUILT_IN_PROMPTS, *STAGE_PROMPTS]}, prompts["items"]]}
    prompts["default"] = [prompt.name for prompt in Config().prompts]
    name = schema["$defs"]["PromptSettings"]["properties"]["name"]["pattern"]
    of_audits["items"] = {"anyOf": [{"type": "string", "pattern": name}, prompts["items"]["anyOf"][1]]}
    del schema["$defs"]["AuditPrompt"]
    return {
        "$schema": _DRAFT,
        **schema,
        "title": "hunkwise",
        "description": "The configuration of hunkwise: .github/hunkwise.yml",
        "required": ["version"],
    }


def prompt_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a template's front matter, for editors (draft 2020-12)."""
    return {
        "$schema": _DRAFT,
        **_for_editors(build_schema(FrontMatter)),
        "title": "hunkwise prompt",
        "description": "The front matter of a prompt's template for hunkwise",
    }


def _for_editors(schema: Any) -> Any:
    """Returns a copy of the schema without the keywords that only hunkwise's own messages use."""
    if isinstance(schema, dict):
        return {
            keyword: _for_editors(value)
            for keyword, value in schema.items()
            if keyword not in ("wants", "unset")
        }
    return [_for_editors(value) for value in schema] if isinstance(schema, list) else schema

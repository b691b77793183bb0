"""Reads front matter of templates, and lists every setting with the source of its value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ValidationError

from hunkwise.domain.finding import Severity
from hunkwise.domain.text import split_front_matter
from hunkwise.errors import SettingsError
from hunkwise.settings.config import Config
from hunkwise.settings.config_errors import missing_values, model_faults, sentences
from hunkwise.settings.parsing import NONE
from hunkwise.settings.prompt_settings import FrontMatter, PromptSettings
from hunkwise.settings.strict_yaml import Loc, YamlDocument, YamlFault, read_yaml

MAX_CHARACTERS: Final = 8_192
_TOP = b"\n"
"""Replaces the line of dashes above the YAML, so that line numbers are those of the file."""


def read_front_matter(text: str, path: str) -> tuple[FrontMatter, str]:
    """Returns a template's front matter and its body, whose lines keep their numbers.

    Raises SettingsError with all faults, each as `path:line: …`.
    """
    parts = split_front_matter(text)
    if parts is None:
        return FrontMatter(), text.removeprefix("\ufeff")
    if not parts.closed:
        problem = 'the front matter is not closed; write a line "---" below it, or remove this one'
        raise SettingsError(sentences([YamlFault((), 1, problem)], path))
    if len(parts.matter) > MAX_CHARACTERS:
        problem = f"the front matter has {len(parts.matter):,} characters; keep it within {MAX_CHARACTERS:,}"
        raise SettingsError(sentences([YamlFault((), 1, problem)], path))
    front, faults = _validate_matter(parts.matter)
    if faults:
        raise SettingsError(sentences(faults, path))
    return front, parts.template


def _validate_matter(matter: str) -> tuple[FrontMatter, list[YamlFault]]:
    document = read_yaml(_TOP + matter.encode("utf-8", "surrogatepass"))
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        return FrontMatter(), faults
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        problem = 'the front matter must be keys and values, such as "description: what it looks for"'
        return FrontMatter(), [YamlFault((), 2, problem)]
    faults += missing_values(document, FrontMatter)
    try:
        return FrontMatter.model_validate(value, by_alias=True, by_name=False), faults
    except ValidationError as error:
        faults += model_faults(error, document, {fault.loc for fault in faults}, FrontMatter)
        return FrontMatter(), faults


_NONE_IS_WRITTEN: Final = ("fail_on", "request_changes_on", "max_tokens", "max_credits")
"""Settings for which a file can have the word `none`."""


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
_SourceOf = Callable[[str], ValueSource]
"""Returns the source of a key (as the file spells it) in one mapping of a file."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value under its key, such as `context.size` or `prompts[1].budget.max-tokens`."""

    key: str
    value: object
    """As a file would write it: severities by their names, lists of text, None if nothing is set."""
    source: ValueSource


@dataclass(frozen=True)
class TemplateFrontMatter:
    """A template's front matter, its path and its YAML document."""

    matter: FrontMatter
    path: str
    document: YamlDocument

    def sources_in(self, at: Loc) -> _SourceOf:
        def source_of(key: str) -> ValueSource:
            # One line more, for the line of dashes above the YAML.
            return ValueSource(SourceKind.FRONT_MATTER, self.path, self.document.line((*at, key)) + 1)

        return source_of


def front_of(text: str, path: str) -> TemplateFrontMatter:
    """Reads the front matter of a template's text. Raises SettingsError with all its faults."""
    matter, _ = read_front_matter(text, path)
    parts = split_front_matter(text)
    return TemplateFrontMatter(
        matter, path, read_yaml(parts.matter.encode("utf-8", "surrogatepass") if parts else b"")
    )


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

    def sources_in(self, at: Loc) -> _SourceOf:
        def source_of(key: str) -> ValueSource:
            line = self.document.line((*at, key)) if self.document is not None else None
            return ValueSource(SourceKind.FILE, self.path, line)

        return source_of

    def source(self, name: str) -> ValueSource:
        """Returns the source of a top-level field."""
        override = self.overrides.get(name)
        if override is None and name == "models" and self.file.models:
            override = self.overrides.get("model")  # it replaces the file's `models`
        if override is not None:
            return override[1]
        return self.sources_in(())(_to_file_key(name)) if name in self.file.model_fields_set else DEFAULT


def settings_of(layers: ConfigLayers) -> Iterator[Setting]:
    """Yields all settings in their documented order; those of each prompt follow the list of prompt names.

    Raises SettingsError if the overrides do not fit the file.
    """
    config = layers.config
    for name in Config.model_fields:
        value, source = getattr(config, name), layers.source(name)
        if name == "prompts":
            yield Setting(name, [prompt.name for prompt in config.prompts], source)
            for index, prompt in enumerate(config.prompts):
                yield from _list_prompt_settings(layers, prompt, f"prompts[{index}]", source)
        else:
            yield from _list_value_settings(
                name, value, _to_file_key(name), source, layers.sources_in((_to_file_key(name),))
            )


def _list_prompt_settings(
    layers: ConfigLayers, prompt: PromptSettings, key: str, list_source: ValueSource
) -> Iterator[Setting]:
    """Yields each field of a prompt: the entry's value, else the front matter's, else the default."""
    names = [entry.name for entry in layers.file.prompts] if layers.document is not None else []
    at: Loc = ("prompts", names.index(prompt.name)) if prompt.name in names else ("prompts",)
    front = layers.fronts.get(prompt.name)
    completed = prompt.under(front.matter) if front is not None else prompt
    for name in ("name", "template", *FrontMatter.model_fields):
        field_key = _to_file_key(name)
        source, inner = DEFAULT, layers.sources_in((*at, field_key))
        if name == "name" and list_source.kind is not SourceKind.FILE:
            source = list_source
        elif name in prompt.model_fields_set:
            source = layers.sources_in(at)(field_key)
        elif front is not None and name in front.matter.model_fields_set:
            source, inner = front.sources_in(())(field_key), front.sources_in((field_key,))
        yield from _list_value_settings(name, getattr(completed, name), f"{key}.{field_key}", source, inner)


def _list_value_settings(
    name: str, value: object, key: str, source: ValueSource, inner: _SourceOf
) -> Iterator[Setting]:
    """Yields the value with its source; for a model or a mapping, its entries, each with its own source."""
    if isinstance(value, BaseModel):
        for field_name in type(value).model_fields:
            field_source = (
                inner(_to_file_key(field_name)) if field_name in value.model_fields_set else DEFAULT
            )
            written = _to_file_value(field_name, getattr(value, field_name))
            yield Setting(f"{key}.{_to_file_key(field_name)}", written, field_source)
    elif isinstance(value, Mapping) and value:
        for entry, text in value.items():
            yield Setting(f"{key}.{entry}", text, inner(entry))
    else:
        yield Setting(key, _to_file_value(name, value), source)


def _to_file_value(name: str, value: object) -> object:
    """Returns a value as a file would write it."""
    if value is None:
        return NONE if name in _NONE_IS_WRITTEN else None
    if isinstance(value, Severity):
        return value.label
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _to_file_key(name: str) -> str:
    return name.replace("_", "-")

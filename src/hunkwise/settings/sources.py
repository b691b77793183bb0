"""Where each value of the settings comes from, and the front matter of templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ValidationError

from hunkwise.domain.finding import Severity
from hunkwise.domain.text import divided
from hunkwise.errors import SettingsError
from hunkwise.settings.config import Config
from hunkwise.settings.config_errors import missing_values, model_faults, sentences
from hunkwise.settings.parsing import NONE
from hunkwise.settings.prompt_settings import FrontMatter, PromptSettings
from hunkwise.settings.strict_yaml import Loc, YamlDocument, YamlFault, read_yaml

MAX_CHARACTERS: Final = 8_192
_TOP = b"\n"
"""An empty line in the place of the dashes above the YAML: so its lines are the file's."""


def read_front_matter(text: str, path: str) -> tuple[FrontMatter, str]:
    """What a template says of itself, and the template: its lines keep their numbers.

    Raises SettingsError with all faults, each as `path:line: …`.
    """
    parts = divided(text)
    if parts is None:
        return FrontMatter(), text.removeprefix("\ufeff")
    if not parts.closed:
        said = 'the front matter is not closed; write a line "---" below it, or remove this one'
        raise SettingsError(sentences([YamlFault((), 1, said)], path))
    if len(parts.matter) > MAX_CHARACTERS:
        said = f"the front matter has {len(parts.matter):,} characters; keep it within {MAX_CHARACTERS:,}"
        raise SettingsError(sentences([YamlFault((), 1, said)], path))
    front, faults = _read(parts.matter)
    if faults:
        raise SettingsError(sentences(faults, path))
    return front, parts.template


def _read(matter: str) -> tuple[FrontMatter, list[YamlFault]]:
    document = read_yaml(_TOP + matter.encode("utf-8", "surrogatepass"))
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        return FrontMatter(), faults
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        said = 'the front matter must be keys and values, such as "description: what it looks for"'
        return FrontMatter(), [YamlFault((), 2, said)]
    faults += missing_values(document, FrontMatter)
    try:
        return FrontMatter.model_validate(value, by_alias=True, by_name=False), faults
    except ValidationError as error:
        faults += model_faults(error, document, {fault.loc for fault in faults}, FrontMatter)
        return FrontMatter(), faults


_NONE_IS_WRITTEN: Final = ("fail_on", "request_changes_on", "max_tokens", "max_credits")
"""Settings of which a file may say `none`."""


class SourceKind(StrEnum):
    """Who said a value."""

    DEFAULT = "default"
    FILE = "file"
    FRONT_MATTER = "front matter"
    INPUT = "input"
    VARIABLE = "variable"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class ValueSource:
    """Who said a value, and where. `name` is a path, or what an input, a variable or an option is called."""

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
_Placed = Callable[[str], ValueSource]
"""The source of a key, as the file writes it, of a mapping that stands somewhere in a file."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value under its key, such as `context.size` or `prompts[1].budget.max-tokens`."""

    key: str
    value: object
    """As a file would write it: severities by their names, lists of text, None where nothing is said."""
    source: ValueSource


@dataclass(frozen=True)
class TemplateFrontMatter:
    """A template's front matter, and where it stands."""

    matter: FrontMatter
    path: str
    document: YamlDocument

    def placed(self, at: Loc) -> _Placed:
        def placed(key: str) -> ValueSource:
            # The first of the two lines of dashes stands above the YAML.
            return ValueSource(SourceKind.FRONT_MATTER, self.path, self.document.line((*at, key)) + 1)

        return placed


def front_of(text: str, path: str) -> TemplateFrontMatter:
    """The front matter of a template's text. Raises SettingsError with all its faults."""
    matter, _ = read_front_matter(text, path)
    parts = divided(text)
    return TemplateFrontMatter(
        matter, path, read_yaml(parts.matter.encode("utf-8", "surrogatepass") if parts else b"")
    )


@dataclass(frozen=True)
class ConfigLayers:
    """What a configuration is made of; each layer wins over those before it."""

    fronts: Mapping[str, TemplateFrontMatter] = field(default_factory=lambda: MappingProxyType({}))
    """By the name of a prompt."""
    file: Config = field(default_factory=Config)
    document: YamlDocument | None = None
    """None where there is no file."""
    path: str = ""
    overrides: Mapping[str, tuple[object, ValueSource]] = field(default_factory=lambda: MappingProxyType({}))
    """By the fields' Python names, as `Config.with_overrides` takes them, with who said them."""

    @property
    def config(self) -> Config:
        """The configuration under the overrides, without front matter. Raises SettingsError."""
        return self.file.with_overrides({name: value for name, (value, _) in self.overrides.items()})

    def placed(self, at: Loc) -> _Placed:
        def placed(key: str) -> ValueSource:
            line = self.document.line((*at, key)) if self.document is not None else None
            return ValueSource(SourceKind.FILE, self.path, line)

        return placed

    def source(self, name: str) -> ValueSource:
        """Of a key of the top level."""
        told = self.overrides.get(name)
        if told is None and name == "models" and self.file.models:
            told = self.overrides.get("model")  # which stands in their place
        if told is not None:
            return told[1]
        return self.placed(())(_key(name)) if name in self.file.model_fields_set else DEFAULT


def settings_of(layers: ConfigLayers) -> Iterator[Setting]:
    """All values in their documented order; those of each prompt behind the list of the prompts' names.

    Raises SettingsError where the overrides do not fit the file.
    """
    config = layers.config
    for name in Config.model_fields:
        value, source = getattr(config, name), layers.source(name)
        if name == "prompts":
            yield Setting(name, [prompt.name for prompt in config.prompts], source)
            for index, prompt in enumerate(config.prompts):
                yield from _of_prompt(layers, prompt, f"prompts[{index}]", source)
        else:
            yield from _of_value(name, value, _key(name), source, layers.placed((_key(name),)))


def _of_prompt(
    layers: ConfigLayers, prompt: PromptSettings, key: str, listed: ValueSource
) -> Iterator[Setting]:
    """Of each field the entry's value, else the front matter's, else the default."""
    names = [known.name for known in layers.file.prompts] if layers.document is not None else []
    at: Loc = ("prompts", names.index(prompt.name)) if prompt.name in names else ("prompts",)
    front = layers.fronts.get(prompt.name)
    completed = prompt.under(front.matter) if front is not None else prompt
    for name in ("name", "template", *FrontMatter.model_fields):
        place = _key(name)
        source, inner = DEFAULT, layers.placed((*at, place))
        if name == "name" and listed.kind is not SourceKind.FILE:
            source = listed
        elif name in prompt.model_fields_set:
            source = layers.placed(at)(place)
        elif front is not None and name in front.matter.model_fields_set:
            source, inner = front.placed(())(place), front.placed((place,))
        yield from _of_value(name, getattr(completed, name), f"{key}.{place}", source, inner)


def _of_value(name: str, value: object, key: str, source: ValueSource, inner: _Placed) -> Iterator[Setting]:
    """The value with its source; or those that it holds, each with its own."""
    if isinstance(value, BaseModel):
        for field_name in type(value).model_fields:
            said = inner(_key(field_name)) if field_name in value.model_fields_set else DEFAULT
            yield Setting(f"{key}.{_key(field_name)}", _written(field_name, getattr(value, field_name)), said)
    elif isinstance(value, Mapping) and value:
        for entry, text in value.items():
            yield Setting(f"{key}.{entry}", text, inner(entry))
    else:
        yield Setting(key, _written(name, value), source)


def _written(name: str, value: object) -> object:
    """A value as a file would write it."""
    if value is None:
        return NONE if name in _NONE_IS_WRITTEN else None
    if isinstance(value, Severity):
        return value.label
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _key(name: str) -> str:
    return name.replace("_", "-")

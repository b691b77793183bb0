"""The front matter of a template: strict YAML for a strict model; its faults all at once, with the file's lines."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from hunkwise.domain.front_matter import divided
from hunkwise.errors import SettingsError
from hunkwise.settings.config_faults import missing_values, model_faults, sentences
from hunkwise.settings.prompt_settings import FrontMatter
from hunkwise.settings.strict_yaml import Fault, read_yaml

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
        raise SettingsError(sentences([Fault((), 1, said)], path))
    if len(parts.matter) > MAX_CHARACTERS:
        said = f"the front matter has {len(parts.matter):,} characters; keep it within {MAX_CHARACTERS:,}"
        raise SettingsError(sentences([Fault((), 1, said)], path))
    front, faults = _read(parts.matter)
    if faults:
        raise SettingsError(sentences(faults, path))
    return front, parts.template


def _read(matter: str) -> tuple[FrontMatter, list[Fault]]:
    document = read_yaml(_TOP + matter.encode("utf-8", "surrogatepass"))
    faults = list(document.faults)
    if any(not fault.loc for fault in faults):
        return FrontMatter(), faults
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        said = 'the front matter must be keys and values, such as "description: what it looks for"'
        return FrontMatter(), [Fault((), 2, said)]
    faults += missing_values(document, FrontMatter)
    try:
        return FrontMatter.model_validate(value, by_alias=True, by_name=False), faults
    except ValidationError as error:
        faults += model_faults(error, document, {fault.loc for fault in faults}, FrontMatter)
        return FrontMatter(), faults

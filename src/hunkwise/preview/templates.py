"""The templates that a configuration names, read from a place, with what their front matter says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hunkwise.errors import OversizeError, SettingsError
from hunkwise.preview.places import Place
from hunkwise.prompts.library import HOUSE, PARTIAL, built_in_text
from hunkwise.settings.config import Config
from hunkwise.settings.front_matter import read_front_matter
from hunkwise.settings.prompt_settings import PromptSettings
from hunkwise.settings.sources import Front, front_of

MAX_TEMPLATE: Final = 65_536
"""Bytes; the same as where a review reads them."""


def read_template(place: Place, who: str, path: str) -> str:
    """The text of a file that `who` ("the prompt \\"x\\"") names as a template. Raises SettingsError."""
    try:
        text = place.commit.read(path)
    except OversizeError as error:
        raise SettingsError([f"{error.message} Shorten it."]) from error
    if text is None:
        said = f"{who} names the template {path}, which is not in {place.said}: correct the path, or add the file."
        raise SettingsError([said])
    if len(text) > MAX_TEMPLATE:
        raise SettingsError([f"{path} is larger than {MAX_TEMPLATE:,} bytes: shorten the template."])
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said = f"{path} is not UTF-8 at byte {error.start:,}: save the template as UTF-8."
        raise SettingsError([said]) from error


def front_matter_of(prompt: PromptSettings, place: Place) -> Front:
    """What the prompt's template says of itself. Raises SettingsError."""
    if prompt.template is None:
        return front_of(built_in_text(prompt.name), HOUSE + prompt.name)
    return front_of(read_template(place, f'The prompt "{prompt.name}"', prompt.template), prompt.template)


def fronts_of(prompts: Iterable[PromptSettings], place: Place) -> dict[str, Front]:
    """By the prompt's name. Raises SettingsError with the faults of all of them."""
    fronts: dict[str, Front] = {}
    faults: list[str] = []
    for prompt in prompts:
        try:
            fronts[prompt.name] = front_matter_of(prompt, place)
        except SettingsError as error:
            faults += error.faults
    if faults:
        raise SettingsError(list(dict.fromkeys(faults)))
    return fronts


def file_faults(config: Config, place: Place) -> Iterator[str]:
    """Of templates and partials that cannot be had, and of their front matter."""
    for name, path in config.own_files.items():
        partial = name.startswith(PARTIAL)
        who = f'The partial "{name.removeprefix(PARTIAL)}"' if partial else f'The prompt "{name}"'
        try:
            text = read_template(place, who, path)
            if not partial:
                read_front_matter(text, path)
        except SettingsError as error:
            yield from error.faults

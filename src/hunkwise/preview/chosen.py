"""Which prompt is meant by a name, and where its template is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.prompts.library import BASE, BUILT_IN, HOUSE, PARTIAL, PARTIALS
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import STAGE_PROMPTS
from hunkwise.settings.wording import did_you_mean, listed, quoted

TEMPLATES: Final = (BASE, *BUILT_IN, *(PARTIAL + name for name in PARTIALS))
"""All that are built in, by their plain names."""


def prompt_names(config: Config) -> tuple[str, ...]:
    """The prompts that can be put: the configuration's, then the built-in ones that it does not name."""
    return tuple(dict.fromkeys((*(prompt.name for prompt in config.prompts), *BUILT_IN)))


def template_names(config: Config) -> tuple[str, ...]:
    """All templates that can be shown."""
    names = (*prompt_names(config), *config.own_files, *TEMPLATES, *(HOUSE + name for name in TEMPLATES))
    return tuple(dict.fromkeys(names))


def refuse_unknown(name: str, names: Iterable[str], kind: str) -> None:
    """Raises SettingsError, with the nearest name, where there is no such prompt or template."""
    names = tuple(names)
    if name not in names:
        plain = [known for known in names if not known.startswith(HOUSE)]
        near = did_you_mean(name, names) or f"; there is {listed(plain)}."
        raise SettingsError([f"There is no {kind} {quoted(name)}{near}"])


def alone(name: str) -> Callable[[Config], Config]:
    """The configuration with this prompt alone over the diff. Raises SettingsError where there is none such."""

    def chosen(config: Config) -> Config:
        refuse_unknown(name, prompt_names(config), "prompt")
        if name in STAGE_PROMPTS:
            return config
        return config.with_overrides({"prompts": (name,)})

    return chosen

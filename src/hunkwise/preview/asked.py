"""What options, inputs and variables put above the configuration, and who of them said it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.preview.places import config_path
from hunkwise.settings.inputs import KNOWN_INPUTS, read_inputs
from hunkwise.settings.reading import SECRET_INPUTS, Reading, set_inputs
from hunkwise.settings.rules import MODEL, SHARED
from hunkwise.settings.sources import Source, SourceKind
from hunkwise.settings.wording import quoted

_STAND_IN: Final = "not-given"
"""Stands for the one input that must be there: nothing that is shown here needs a token of a job."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input that is no key of the configuration file. A secret's value is not kept."""

    name: str
    shown: str | None
    """None where it is not set."""


@dataclass(frozen=True)
class Asked:
    """What stands above the configuration file."""

    config_path: str
    overrides: Mapping[str, tuple[object, Source]]
    """See `sources.Layers`."""
    inputs: tuple[Input, ...] = ()
    """Empty where no input is set at all, as in most shells."""
    warnings: tuple[str, ...] = ()


def read_asked(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Asked:
    """Options before inputs; variables of a shell where there are no inputs. Raises SettingsError."""
    texts = set_inputs(environ, KNOWN_INPUTS)
    path = config_path(arguments.config)
    overrides: dict[str, tuple[object, Source]] = {}
    shown: tuple[Input, ...] = ()
    warnings: tuple[str, ...] = ()
    if texts:
        read = read_inputs({**environ, **_stand_in(texts)})
        path = path if arguments.config else read.config_path
        for name, value in read.overrides.items():
            overrides[name] = (value, Source(SourceKind.INPUT, name.replace("_", "-")))
        shown, warnings = _inputs(texts), read.warnings
    elif environ.get("COPILOT_MODEL"):
        source = Source(SourceKind.VARIABLE, "COPILOT_MODEL")
        overrides["model"] = (_model(environ["COPILOT_MODEL"], "COPILOT_MODEL"), source)
    if arguments.model:
        overrides["model"] = (_model(arguments.model, "--model"), Source(SourceKind.OPTION, "--model"))
    return Asked(path, overrides, shown, warnings)


def _stand_in(texts: Mapping[str, str]) -> dict[str, str]:
    return {} if "github-token" in texts else {"INPUT_GITHUB-TOKEN": _STAND_IN}


def _inputs(texts: Mapping[str, str]) -> tuple[Input, ...]:
    """All that are no keys of the file, in their documented order."""
    reading = Reading(texts)
    others = [name for name in KNOWN_INPUTS if name not in SHARED and name != "prompts"]
    found = []
    for name in others:
        text = texts.get(name)
        if text is not None and name in SECRET_INPUTS:
            text = "set"
        elif text is not None:
            shown = reading.shown(text)
            text = text if shown == quoted(text) else shown
        found.append(Input(name, text))
    return tuple(found)


def _model(text: str, what: str) -> str:
    """Raises SettingsError, which does not show the text: it may be a token in the wrong place."""
    try:
        MODEL.parse(text)
    except ValueError as error:
        raise SettingsError([f"{what} must be {MODEL.wants}."]) from error
    return text

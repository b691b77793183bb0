"""`hunkwise config show`: every value with where it came from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hunkwise.domain.outcome import ExitCode
from hunkwise.preview.asked import Asked, read_asked
from hunkwise.preview.places import Place, configuration, place_of
from hunkwise.preview.shown import columns, print_json, safe
from hunkwise.preview.templates import fronts_of
from hunkwise.settings.reading import TOKEN_SHAPE
from hunkwise.settings.sources import Layers, Setting, Source, SourceKind, settings_of

_NOTHING: Final = {
    "model": "Copilot's choice",
    "verify-model": "the review's own",
    "summary-model": "the review's own",
    "template": "built in",
    "min-severity": "the run's own",
    "max-severity": "any",
    "max-model-calls": "none of its own",
}
"""What holds where nothing is said, by the last part of the key."""
_NOT_SHOWN: Final = "a value that looks like a token (not shown)"
_IN_FILES: Final = (SourceKind.FILE, SourceKind.FRONT_MATTER)


def show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Prints them. Raises SettingsError where one is wrong, RepositoryError or ForgeError where one cannot be read."""
    asked = read_asked(arguments, environ)
    with place_of(arguments, environ) as place:
        file, document = configuration(place, asked.config_path)
        bare = Layers({}, file, document, asked.config_path, asked.overrides)
        fronts = fronts_of(bare.config.prompts, place)
    settings = list(settings_of(Layers(fronts, file, document, asked.config_path, asked.overrides)))
    for warning in asked.warnings:
        sys.stderr.write(f"hunkwise: {safe(warning)}\n")
    if arguments.format == "json":
        print_json(_as_json(settings, asked, place, found=document is not None))
    else:
        for line in _as_text(settings, asked, place, found=document is not None):
            sys.stdout.write(f"{line}\n")
    return ExitCode.REVIEWED


def _as_text(settings: list[Setting], asked: Asked, place: Place, *, found: bool) -> Iterator[str]:
    there = f"{asked.config_path} of {place.said}"
    yield safe(there if found else f"There is no {there}: the defaults hold.")
    yield ""
    yield from columns([(setting.key, _text(setting), str(setting.source)) for setting in settings])
    if asked.inputs:
        yield ""
        yield "Inputs that are no keys of the file:"
        yield from columns([(f"  {one.name}", one.shown or "not set") for one in asked.inputs])


def _text(setting: Setting) -> str:
    value = _told(setting)
    if value is None:
        return f"({_NOTHING[setting.key.rpartition('.')[2]]})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_json(settings: list[Setting], asked: Asked, place: Place, *, found: bool) -> dict[str, Any]:
    return {
        "version": 1,
        "configuration": {
            "path": asked.config_path,
            "found": found,
            "read-from": place.said,
            "commit": place.sha,
        },
        "values": {setting.key: {"value": _told(setting), **_source(setting.source)} for setting in settings},
        "inputs": {
            one.name: {"set": one.shown is not None, **({"value": one.shown} if one.shown else {})}
            for one in asked.inputs
        },
    }


def _source(source: Source) -> dict[str, Any]:
    said: dict[str, Any] = {"source": str(source.kind)}
    if source.kind in _IN_FILES:
        return {**said, "path": source.name, "line": source.line}
    return {**said, "name": source.name} if source.name else said


def _told(setting: Setting) -> object:
    """The value; never a token that somebody put into the wrong input."""
    value = setting.value
    if setting.source.kind not in _IN_FILES and isinstance(value, str) and TOKEN_SHAPE.search(value):
        return _NOT_SHOWN
    return value

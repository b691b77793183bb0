"""The commands `hunkwise config show` and `hunkwise config check`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hunkwise.domain.review import ExitCode
from hunkwise.domain.text import visible
from hunkwise.errors import SettingsError
from hunkwise.flows.base_config import BaseConfig, read_base_texts
from hunkwise.flows.template_check import RunKind, check_templates
from hunkwise.preview.source import (
    FileSource,
    configuration,
    fronts_of,
    open_source,
)
from hunkwise.repository.trees import WorkingTree
from hunkwise.settings.config import Config, parse_overrides
from hunkwise.settings.inputs import KNOWN_INPUTS, SHARED_INPUTS, read_inputs
from hunkwise.settings.parsing import (
    SECRET_INPUTS,
    InputReader,
    parse_config_path,
    quoted,
    set_inputs,
)
from hunkwise.settings.sources import ConfigLayers, Setting, SourceKind, ValueSource, settings_of

_PLACEHOLDER: Final = "not-given"
"""The value of the required input `github-token`: no preview needs the token of a job."""


@dataclass(frozen=True, slots=True)
class InputValue:
    """An input that is not a key of the configuration file. A secret's value is not stored."""

    name: str
    shown: str | None
    """None if it is not set."""


@dataclass(frozen=True)
class Overrides:
    """Values that take precedence over the configuration file."""

    config_path: str
    overrides: Mapping[str, tuple[object, ValueSource]]
    """See `settings.sources.ConfigLayers`."""
    inputs: tuple[InputValue, ...] = ()
    """Empty if no input is set, as in most shells."""
    warnings: tuple[str, ...] = ()


def read_overrides(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Overrides:
    """Reads the overrides: options before inputs, and variables only if no input is set. Raises SettingsError."""
    texts = set_inputs(environ, KNOWN_INPUTS)
    path = parse_config_path(arguments.config, "--config")
    overrides: dict[str, tuple[object, ValueSource]] = {}
    inputs: tuple[InputValue, ...] = ()
    warnings: tuple[str, ...] = ()
    if texts:
        token = {} if "github-token" in texts else {"INPUT_GITHUB-TOKEN": _PLACEHOLDER}
        read = read_inputs({**environ, **token})
        path = path if arguments.config else read.config_path
        for name, value in read.overrides().items():
            key = "model" if name == "models" else name.replace("_", "-")
            overrides[name] = (value, ValueSource(SourceKind.INPUT, key))
        inputs, warnings = _other_inputs(texts), read.warnings
    elif environ.get("COPILOT_MODEL"):
        overrides |= _model_from(environ["COPILOT_MODEL"], SourceKind.VARIABLE, "COPILOT_MODEL")
    if arguments.model:
        overrides |= _model_from(arguments.model, SourceKind.OPTION, "--model")
    return Overrides(path, overrides, inputs, warnings)


def _model_from(text: str, kind: SourceKind, name: str) -> dict[str, tuple[object, ValueSource]]:
    source = ValueSource(kind, name)
    fields = parse_overrides({"model": text}, lambda _: name)
    return {field: (value, source) for field, value in fields.items()}


def _other_inputs(texts: Mapping[str, str]) -> tuple[InputValue, ...]:
    """Returns all inputs that are not keys of the file, in their documented order."""
    reading = InputReader(texts)
    others = [name for name in KNOWN_INPUTS if name not in SHARED_INPUTS and name != "prompts"]
    values = []
    for name in others:
        text = texts.get(name)
        if text is not None and name in SECRET_INPUTS:
            text = "set"
        elif text is not None:
            printable = reading.shown(text)
            text = text if printable == quoted(text) else printable
        values.append(InputValue(name, text))
    return tuple(values)


_WIDEST = 48
"""Maximum width of a column in characters; a longer cell moves the next column in its line."""


def safe(text: str) -> str:
    """Returns the text on one line, with control characters escaped."""
    return visible(text).replace("\t", "\\t")


def columns(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Returns the rows as lines with aligned columns."""
    escaped = [tuple(map(safe, row)) for row in rows]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*escaped, strict=True)]
    for row in escaped:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def print_json(contents: object) -> None:
    """Prints indented JSON that is safe for a terminal: everything except printable ASCII is escaped."""
    sys.stdout.write(json.dumps(contents, indent=1).replace("\x7f", "\\u007f") + "\n")


def print_text(text: str) -> None:
    """Prints the text unchanged; on a terminal with control characters escaped, and with a note if there are any."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    escaped = "\n".join(map(visible, text.split("\n")))
    sys.stdout.write(escaped)
    if escaped != text:
        sys.stdout.flush()
        sys.stderr.write("hunkwise: Some characters are shown as \\u escapes; redirect for the exact text.\n")


_IN_FILES: Final = (SourceKind.FILE, SourceKind.FRONT_MATTER)


def show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Prints all values with their sources.

    Raises SettingsError where one is wrong, RepositoryError or GitHubError where one cannot be read.
    """
    overrides = read_overrides(arguments, environ)
    with open_source(arguments, environ) as place:
        source = configuration(place, overrides.config_path)
        bare = ConfigLayers({}, source.config, source.document, overrides.config_path, overrides.overrides)
        fronts = fronts_of(bare.config.prompts, place)
    settings = list(settings_of(replace(bare, fronts=fronts)))
    for warning in (*overrides.warnings, *source.warnings):
        sys.stderr.write(f"hunkwise: {safe(warning)}\n")
    if arguments.format == "json":
        print_json(_as_json(settings, overrides, place, found=source.document is not None))
    else:
        for line in _as_text(settings, overrides, place, found=source.document is not None):
            sys.stdout.write(f"{line}\n")
    return ExitCode.REVIEWED


def _as_text(
    settings: list[Setting], overrides: Overrides, place: FileSource, *, found: bool
) -> Iterator[str]:
    file = f"{overrides.config_path} of {place.description}"
    yield safe(file if found else f"There is no {file}: the defaults apply.")
    yield ""
    yield from columns([(setting.key, setting.text, str(setting.source)) for setting in settings])
    if overrides.inputs:
        yield ""
        yield "Inputs that are no keys of the file:"
        yield from columns([(f"  {value.name}", value.shown or "not set") for value in overrides.inputs])


def _as_json(
    settings: list[Setting], overrides: Overrides, place: FileSource, *, found: bool
) -> dict[str, Any]:
    return {
        "version": 1,
        "configuration": {
            "path": overrides.config_path,
            "found": found,
            "read-from": place.description,
            "commit": place.sha,
        },
        "values": {
            setting.key: {"value": setting.printable, **_source_as_json(setting.source)}
            for setting in settings
        },
        "inputs": {
            value.name: {"set": value.shown is not None, **({"value": value.shown} if value.shown else {})}
            for value in overrides.inputs
        },
    }


def _source_as_json(source: ValueSource) -> dict[str, Any]:
    values: dict[str, Any] = {"source": str(source.kind)}
    if source.kind in _IN_FILES:
        return {**values, "path": source.name, "line": source.line}
    return {**values, "name": source.name} if source.name else values


def check(arguments: argparse.Namespace) -> ExitCode:
    """Checks the configuration and its templates, and prints what was read.

    Raises SettingsError with all faults, RepositoryError where a file cannot be read.
    """
    place = FileSource(WorkingTree(Path(arguments.repository)), "the working tree")
    path = parse_config_path(arguments.config, "--config")
    file = configuration(place, path)
    if file.document is None and arguments.config is not None:
        raise SettingsError([f"There is no {path} in {place.description}: correct --config."])
    read: list[BaseConfig] = []
    faults: list[str] = []
    for overridden in (lambda config: config, Config.for_audit):
        try:
            read.append(read_base_texts(place.commit, path, overridden, place.description))
        except SettingsError as error:
            faults += error.faults
    if faults:
        raise SettingsError(list(dict.fromkeys(faults)))
    reviews, audits = read
    checked = check_templates(reviews, (RunKind.PULL_REQUEST, RunKind.RANGE))
    checked += check_templates(audits, (RunKind.AUDIT,))
    if checked.errors or checked.unused:
        raise SettingsError([*checked.errors, *checked.unused])
    lines = _summary(path, file.config, reviews)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return ExitCode.REVIEWED


def _summary(path: str, config: Config, texts: BaseConfig) -> Iterator[str]:
    yield "ok"
    yield f"  {path}" if texts.found else f"  there is no {path}: the defaults apply"
    running = ", ".join(prompt.name for prompt in config.reviewing)
    yield f"  prompts: {running}; verify: {config.verify}; summary: {config.summary}"
    for name, own in config.own_files.items():
        yield f"  {safe(name)}: {safe(own)}"
    for warning in texts.warnings:
        yield f"  warning: {safe(warning)}"
    for note in texts.notes:
        yield f"  note: {safe(note)}"

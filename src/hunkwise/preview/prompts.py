"""The commands `hunkwise prompts list`, `show` and `render`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2.meta import find_referenced_templates

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import ANSWER_PROMPTS, STAGE_PROMPTS
from hunkwise.domain.review import ExitCode, FileCoverage
from hunkwise.domain.text import count, split_front_matter
from hunkwise.errors import SettingsError
from hunkwise.flows.base_config import read_base_texts
from hunkwise.preview.config import print_json, print_text, safe
from hunkwise.preview.render import MOST_EXAMPLES, PromptRendering, RenderedPart, estimate, render_texts
from hunkwise.preview.source import (
    TEMPLATES,
    FileSource,
    PreviewSource,
    configuration,
    fronts_of,
    prompt_names,
    read_subject,
    refuse_unknown,
    select_prompt,
    template_names,
)
from hunkwise.prompts.renderer import HOUSE, Renderer, built_in_text
from hunkwise.prompts.sandbox import RENDER_ERRORS, sandbox
from hunkwise.repository.trees import WorkingTree
from hunkwise.settings.config import Config
from hunkwise.settings.parsing import parse_config_path
from hunkwise.settings.prompt_settings import BudgetSettings, PromptSettings


@dataclass(frozen=True, slots=True)
class _Listed:
    """A prompt with all its settings."""

    prompt: PromptSettings
    runs: bool
    least: Severity
    """The lowest severity that the prompt reports."""

    @property
    def most(self) -> Severity:
        return self.prompt.max_severity or Severity.CRITICAL


def list_prompts(arguments: argparse.Namespace) -> ExitCode:
    """Prints all prompts. Raises SettingsError where the configuration or a template is wrong, RepositoryError."""
    place = FileSource(WorkingTree(Path(arguments.repository)), "the working tree")
    path = parse_config_path(arguments.config, "--config")
    file = configuration(place, path)
    prompts = list(_list(file.config, place))
    for note in (*file.warnings, *_unused_blocks(place, path)):
        sys.stderr.write(f"hunkwise: {safe(note)}\n")
    if arguments.format == "json":
        print_json(
            {
                "version": 1,
                "configuration": {"path": path, "found": file.document is not None},
                "prompts": [_prompt_as_json(listed) for listed in prompts],
            }
        )
    else:
        for listed in prompts:
            sys.stdout.write("".join(f"{line}\n" for line in _as_text(listed)))
    return ExitCode.REVIEWED


def _unused_blocks(place: FileSource, path: str) -> tuple[str, ...]:
    """Returns a sentence for each block of the user's templates that has no effect."""
    texts = read_base_texts(place.commit, path, lambda config: config, place.description)
    renderer = Renderer(texts.templates, paths=texts.config.own_files)
    for name in texts.templates:
        with suppress(SettingsError):  # `hunkwise config check` reports it
            renderer.check(name)
    return renderer.unused_blocks


def _list(config: Config, place: FileSource) -> Iterator[_Listed]:
    """Yields the configuration's prompts, then the built-in ones that it does not name."""
    entries = {prompt.name: prompt for prompt in config.prompts}
    running = {prompt.name for prompt in config.reviewing}
    running |= {
        name for name, word in (("verify", config.verify), ("summary", config.summary)) if word != "off"
    }
    prompts = [entries.get(name) or PromptSettings(name=name) for name in prompt_names(config)]
    fronts = fronts_of(prompts, place)
    for prompt in prompts:
        completed = prompt.under(fronts[prompt.name].matter)
        least = completed.min_severity or config.min_severity
        yield _Listed(completed, prompt.name in running, least)


def _as_text(listed: _Listed) -> Iterator[str]:
    prompt = listed.prompt
    runs = "runs" if listed.runs else "for commands" if prompt.name in ANSWER_PROMPTS else "does not run"
    yield f"{prompt.name}  ({runs}; {safe(prompt.template or 'built in')})"
    if prompt.description:
        yield f"  {safe(prompt.description)}"
    if not prompt.is_stage:
        paths = safe(json.dumps(list(prompt.paths), ensure_ascii=False)) if prompt.paths else "all"
        yield f"  files: {paths}; severities: {listed.least.label} to {listed.most.label}"
    yield f"  budget: {_budget(prompt.budget)}; a chunk: {_budget(prompt.chunk_budget)}"
    yield f"  tools: {', '.join(prompt.tools) or 'none'}"


def _budget(budget: BudgetSettings) -> str:
    parts = [
        f"{value:,} {name.removeprefix('max_').replace('_', ' ')}"
        for name, value in budget
        if value is not None
    ]
    return ", ".join(parts) or "the run's"


def _prompt_as_json(listed: _Listed) -> dict[str, Any]:
    prompt = listed.prompt
    return {
        "name": prompt.name,
        "description": prompt.description,
        "runs": listed.runs,
        "stage": prompt.is_stage,
        "built-in": prompt.template is None,
        "template": prompt.template or HOUSE + prompt.name,
        "paths": list(prompt.paths),
        "min-severity": listed.least.label,
        "max-severity": listed.most.label,
        "categories": list(prompt.categories),
        "budget": prompt.budget.model_dump(by_alias=True),
        "chunk-budget": prompt.chunk_budget.model_dump(by_alias=True),
        "tools": list(prompt.tools),
    }


@dataclass(frozen=True, slots=True)
class _Template:
    """A template, and where it comes from."""

    name: str
    place: str
    text: str


class _Templates:
    """Reads templates by their names, on demand."""

    def __init__(self, own: Mapping[str, str], place: FileSource) -> None:
        """`own` has the paths of the user's own templates by their names."""
        self._own = own
        self._place = place

    def get(self, name: str) -> _Template | None:
        """Returns a template; None if there is none of that name. Raises SettingsError if a file cannot be read."""
        if name in self._own:
            path = self._own[name]
            return _Template(name, path, self._place.template(f'The template "{name}"', path))
        plain = name.removeprefix(HOUSE)
        return _Template(name, "built in", built_in_text(plain)) if plain in TEMPLATES else None

    def named_in(self, template: _Template) -> list[str]:
        """Returns the names that a template extends, includes or imports. Raises Jinja2's errors."""
        parts = split_front_matter(template.text)
        tree = sandbox({}).parse(parts.template if parts else template.text)
        return [name for name in find_referenced_templates(tree) if name is not None]


def show_prompt(arguments: argparse.Namespace) -> ExitCode:
    """Prints the text of a template. Raises SettingsError where there is no such template, RepositoryError."""
    place = FileSource(WorkingTree(Path(arguments.repository)), "the working tree")
    config = configuration(place, parse_config_path(arguments.config, "--config")).config
    refuse_unknown(arguments.name, template_names(config), "prompt or template")
    templates = _Templates(config.own_files, place)
    if not arguments.extended:
        first = templates.get(arguments.name)
        assert first is not None, "refuse_unknown has checked the name"
        print_text(first.text)
        return ExitCode.REVIEWED
    for template in _extended(templates, arguments.name):
        sys.stdout.write(f"=== {safe(template.name)} ({safe(template.place)})\n")
        print_text(template.text if template.text.endswith("\n") else template.text + "\n")
    return ExitCode.REVIEWED


def _extended(templates: _Templates, name: str) -> Iterator[_Template]:
    """Yields the template and those that it names, each once, in the order in which they are named."""
    names, seen = [name], set[str]()
    while names:
        template = templates.get(names.pop(0))
        if template is None or template.name in seen:
            continue
        seen.add(template.name)
        yield template
        try:
            names = [*templates.named_in(template), *names]
        except RENDER_ERRORS as error:
            fault = safe(f"{template.place} does not compile: {error}")
            sys.stderr.write(f"hunkwise: {fault[:300]} (`hunkwise config check` says more)\n")


_RULE: Final = "=== "
_MOST_FILES: Final = 100
"""Maximum number of files that a header lists; JSON has all of them."""


def render_prompt(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Prints the rendered texts of a prompt. Raises Error where none can be rendered."""
    wanted = _chunk_number(arguments.chunk)
    with ExitStack() as stack:
        subject = read_subject(arguments, environ, select_prompt(arguments.name), stack)
        rendering = render_texts(subject.ready, arguments.name)
    parts = _select_parts(rendering, wanted)
    if arguments.format == "json":
        print_json(_rendering_as_json(subject, rendering, parts, system=arguments.system))
    elif wanted is not None and parts:
        sys.stderr.write("".join(f"{line}\n" for line in _header(rendering, parts[0])))
        print_text(f"{rendering.system}\n{parts[0].text}" if arguments.system else parts[0].text)
    else:
        _print(subject, rendering, parts, system=arguments.system)
    if rendering.faults:
        raise SettingsError([f"Not rendered: {fault}" for fault in rendering.faults])
    return ExitCode.REVIEWED


def _chunk_number(text: str | None) -> int | None:
    if text is not None and not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise SettingsError([f"--chunk is {text!r}; it must be the number of a chunk, from 1 on."])
    return int(text) if text is not None else None


def _select_parts(rendering: PromptRendering, wanted: int | None) -> tuple[RenderedPart, ...]:
    """Returns all chunks, or only the wanted one. Raises SettingsError where there is no such chunk."""
    if wanted is None:
        return rendering.parts
    parts = tuple(part for part in rendering.parts if part.number == wanted)
    if not parts and not rendering.faults:
        count = f"there are {len(rendering.parts)}" if len(rendering.parts) != 1 else "there is 1"
        remedy = "leave --chunk out" if len(rendering.parts) < 2 else f"choose 1 to {len(rendering.parts)}"
        raise SettingsError([f"--chunk is {wanted}, and {count}: {remedy}."])
    return parts


def _print(
    subject: PreviewSource, rendering: PromptRendering, parts: tuple[RenderedPart, ...], *, system: bool
) -> None:
    sys.stdout.write(f"{_RULE}{safe(rendering.name)} over {safe(subject.change)}\n")
    sys.stdout.write(f"{_RULE}configuration and templates: {safe(subject.rules)}\n")
    if rendering.name in ANSWER_PROMPTS:
        sys.stdout.write(f"{_RULE}with an example command, in an example thread on the first changed line\n")
    elif rendering.name in STAGE_PROMPTS:
        sys.stdout.write(
            f"{_RULE}with example findings, made from the diff: one a file, {MOST_EXAMPLES} at most\n"
        )
    if system:
        sys.stdout.write(f"{_RULE}system message, sent with each: {_size(rendering.system)}\n")
        print_text(rendering.system)
    for part in parts:
        sys.stdout.write("".join(f"{line}\n" for line in _header(rendering, part)))
        print_text(part.text)
    sys.stdout.write("".join(f"{line}\n" for line in _footer(rendering, parts)))


def _header(rendering: PromptRendering, part: RenderedPart) -> Iterator[str]:
    about = count(part.lines, _unit(rendering.name))
    files = count(len(part.changed_lines), "file")
    size = _size(part.text)
    yield f"{_RULE}{safe(rendering.name)}, chunk {part.number} of {part.count}: {size}, {about} in {files}"
    for path, lines in list(part.changed_lines.items())[:_MOST_FILES]:
        yield f"{_RULE}  {safe(path)}: {count(lines, _unit(rendering.name))}"
    if len(part.changed_lines) > _MOST_FILES:
        yield f"{_RULE}  and {len(part.changed_lines) - _MOST_FILES:,} more files"


def _footer(rendering: PromptRendering, parts: tuple[RenderedPart, ...]) -> Iterator[str]:
    total = "".join(part.text for part in parts)
    if parts:
        yield (
            f"{_RULE}total: {count(len(parts), 'chunk')}, {_size(total)}, and {_size(rendering.system)} of system "
            "message with each; tokens are an estimate, characters divided by 4"
        )
    elif not rendering.faults:
        yield f"{_RULE}nothing would be sent"
    if rendering.instructions:
        yield f"{_RULE}instructions: {', '.join(map(safe, rendering.instructions))}"
    for file in _not_sent(rendering):
        yield f"{_RULE}not sent: {safe(file.path)} ({file.reason})"
    for note in rendering.notes:
        yield f"{_RULE}{safe(note)}"


def _not_sent(rendering: PromptRendering) -> list[FileCoverage]:
    """Returns the files that are not sent completely, with the reasons."""
    return [file for file in rendering.coverage.files if file.reason is not None]


def _unit(name: str) -> str:
    if name in ANSWER_PROMPTS:
        return "example thread"
    return "example finding" if name == "verify" else "changed line"


def _size(text: str) -> str:
    return f"{count(len(text), 'character')}, about {count(estimate(text), 'token')}"


def _rendering_as_json(
    subject: PreviewSource, rendering: PromptRendering, parts: tuple[RenderedPart, ...], *, system: bool
) -> dict[str, Any]:
    return {
        "version": 1,
        "prompt": rendering.name,
        "change": subject.change,
        "read-from": subject.rules,
        "examples": rendering.name in STAGE_PROMPTS,
        "system": {
            "characters": len(rendering.system),
            "estimated-tokens": estimate(rendering.system),
            **({"text": rendering.system} if system else {}),
        },
        "chunks": [_part_as_json(rendering, part) for part in parts],
        "total": {
            "chunks": len(parts),
            "characters": sum(len(part.text) for part in parts),
            "estimated-tokens": sum(part.tokens for part in parts),
        },
        "not-sent": [{"path": file.path, "reason": str(file.reason)} for file in _not_sent(rendering)],
        "instructions": list(rendering.instructions),
        "notes": list(rendering.notes),
        "faults": list(rendering.faults),
    }


def _part_as_json(rendering: PromptRendering, part: RenderedPart) -> dict[str, Any]:
    unit = f"{_unit(rendering.name)}s".replace(" ", "-")
    return {
        "number": part.number,
        "count": part.count,
        "characters": len(part.text),
        "estimated-tokens": part.tokens,
        unit: part.lines,
        "files": [{"path": path, unit: lines} for path, lines in part.changed_lines.items()],
        "text": part.text,
    }

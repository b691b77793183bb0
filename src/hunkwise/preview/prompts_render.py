"""`hunkwise prompts render`: the exact text of each question that a review would put."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

from hunkwise.domain.outcome import ExitCode, FileCoverage
from hunkwise.errors import SettingsError
from hunkwise.preview.chosen import alone
from hunkwise.preview.rendering import MOST_EXAMPLES, Part, Rendering, estimate, rendered
from hunkwise.preview.shown import print_json, print_text, safe
from hunkwise.preview.subject import Subject, read_subject
from hunkwise.settings.prompt_settings import STAGE_PROMPTS

_RULE: Final = "=== "
_MOST_FILES: Final = 100
"""Files that a header names; JSON has all of them."""


def render_prompt(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Prints the texts. Raises Error where there are none to be had."""
    wanted = _number(arguments.chunk)
    with ExitStack() as stack:
        subject = read_subject(arguments, environ, alone(arguments.name), stack)
        found = rendered(subject.order, subject.head, arguments.name)
    parts = _chosen(found, wanted)
    if arguments.format == "json":
        print_json(_rendering_as_json(subject, found, parts, system=arguments.system))
    elif wanted is not None and parts:
        sys.stderr.write("".join(f"{line}\n" for line in _header(found, parts[0])))
        print_text(f"{found.system}\n{parts[0].text}" if arguments.system else parts[0].text)
    else:
        _print(subject, found, parts, system=arguments.system)
    if found.faults:
        raise SettingsError([f"Not rendered: {fault}" for fault in found.faults])
    return ExitCode.REVIEWED


def _number(said: str | None) -> int | None:
    if said is not None and not re.fullmatch("[1-9][0-9]{0,5}", said):
        raise SettingsError([f"--chunk is {said!r}; it must be the number of a chunk, from 1 on."])
    return int(said) if said is not None else None


def _chosen(found: Rendering, wanted: int | None) -> tuple[Part, ...]:
    """Raises SettingsError where there is no such chunk."""
    if wanted is None:
        return found.parts
    parts = tuple(part for part in found.parts if part.number == wanted)
    if not parts and not found.faults:
        there = f"there are {len(found.parts)}" if len(found.parts) != 1 else "there is 1"
        remedy = "leave --chunk out" if len(found.parts) < 2 else f"choose 1 to {len(found.parts)}"
        raise SettingsError([f"--chunk is {wanted}, and {there}: {remedy}."])
    return parts


def _print(subject: Subject, found: Rendering, parts: tuple[Part, ...], *, system: bool) -> None:
    sys.stdout.write(f"{_RULE}{safe(found.name)} over {safe(subject.change)}\n")
    sys.stdout.write(f"{_RULE}configuration and templates: {safe(subject.rules)}\n")
    if found.name in STAGE_PROMPTS:
        sys.stdout.write(
            f"{_RULE}with example findings, made from the diff: one a file, {MOST_EXAMPLES} at most\n"
        )
    if system:
        sys.stdout.write(f"{_RULE}system message, sent with each: {_size(found.system)}\n")
        print_text(found.system)
    for part in parts:
        sys.stdout.write("".join(f"{line}\n" for line in _header(found, part)))
        print_text(part.text)
    sys.stdout.write("".join(f"{line}\n" for line in _footer(found, parts)))


def _header(found: Rendering, part: Part) -> Iterator[str]:
    about = _counted(part.lines, _unit(found.name))
    files = _counted(len(part.changed_lines), "file")
    size = _size(part.text)
    yield f"{_RULE}{safe(found.name)}, chunk {part.number} of {part.count}: {size}, {about} in {files}"
    for path, lines in list(part.changed_lines.items())[:_MOST_FILES]:
        yield f"{_RULE}  {safe(path)}: {_counted(lines, _unit(found.name))}"
    if len(part.changed_lines) > _MOST_FILES:
        yield f"{_RULE}  and {len(part.changed_lines) - _MOST_FILES:,} more files"


def _footer(found: Rendering, parts: tuple[Part, ...]) -> Iterator[str]:
    total = "".join(part.text for part in parts)
    if parts:
        yield (
            f"{_RULE}total: {_counted(len(parts), 'chunk')}, {_size(total)}, and {_size(found.system)} of system "
            "message with each; tokens are an estimate, characters divided by 4"
        )
    elif not found.faults:
        yield f"{_RULE}nothing would be sent"
    if found.instructions:
        yield f"{_RULE}instructions: {', '.join(map(safe, found.instructions))}"
    for file in _not_sent(found):
        yield f"{_RULE}not sent: {safe(file.path)} ({file.reason})"
    for note in found.notes:
        yield f"{_RULE}{safe(note)}"


def _not_sent(found: Rendering) -> list[FileCoverage]:
    """Files of which something is not before the model, and why."""
    return [file for file in found.coverage.files if file.reason is not None]


def _unit(name: str) -> str:
    return "example finding" if name == "verify" else "changed line"


def _size(text: str) -> str:
    return f"{_counted(len(text), 'character')}, about {_counted(estimate(text), 'token')}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _rendering_as_json(
    subject: Subject, found: Rendering, parts: tuple[Part, ...], *, system: bool
) -> dict[str, Any]:
    return {
        "version": 1,
        "prompt": found.name,
        "change": subject.change,
        "read-from": subject.rules,
        "examples": found.name in STAGE_PROMPTS,
        "system": {
            "characters": len(found.system),
            "estimated-tokens": estimate(found.system),
            **({"text": found.system} if system else {}),
        },
        "chunks": [_part_json(found, part) for part in parts],
        "total": {
            "chunks": len(parts),
            "characters": sum(len(part.text) for part in parts),
            "estimated-tokens": sum(part.tokens for part in parts),
        },
        "not-sent": [{"path": file.path, "reason": str(file.reason)} for file in _not_sent(found)],
        "instructions": list(found.instructions),
        "notes": list(found.notes),
        "faults": list(found.faults),
    }


def _part_json(found: Rendering, part: Part) -> dict[str, Any]:
    unit = "example-findings" if found.name == "verify" else "changed-lines"
    return {
        "number": part.number,
        "count": part.count,
        "characters": len(part.text),
        "estimated-tokens": part.tokens,
        unit: part.lines,
        "files": [{"path": path, unit: lines} for path, lines in part.changed_lines.items()],
        "text": part.text,
    }

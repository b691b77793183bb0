"""Renders the user's own templates in a child process of limited time and memory; see `prompts.confined`."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jinja2

from hunkwise.bounded import asked, started
from hunkwise.errors import SettingsError
from hunkwise.prompts.sandbox import TemplateFault

SECONDS = 10.0
"""Wall-clock time of one rendering; a long prompt takes some 5 ms."""
_REMEDY = "Mend the template, or take it out of the configuration."


@dataclass(frozen=True, slots=True)
class Job:
    """A template and what all of its renderings share. `sources`: all templates by name, `name` among them."""

    sources: Mapping[str, str]
    name: str
    shared: Mapping[str, Any]
    paths: Mapping[str, str] = field(default_factory=dict)
    """The files of the user's own templates, by their names."""


def rendered(
    job: Job,
    contexts: Iterable[Mapping[str, Any]],
    *,
    seconds: float = SECONDS,
    left: Callable[[], float] = lambda: math.inf,
) -> Iterator[str | SettingsError]:
    """A text, or why there is none, for each context. Raises SettingsError where the template does not compile,
    and where it took too much of anything, or more than is `left` of the run: the child has ended then."""

    def bounded() -> float:
        return min(seconds, max(0.0, left()))

    with _child() as process:
        first = {"sources": dict(job.sources), "name": job.name, "shared": dict(job.shared)}
        fault = _ask(process, job, first, bounded()).get("fault")
        if fault is not None:
            raise _error(job, TemplateFault(*fault))
        for context in contexts:
            reply = _ask(process, job, dict(context), bounded())
            fault = reply.get("fault")
            yield reply["text"] if fault is None else _error(job, TemplateFault(*fault))


def template_error(prompt: str, fault: TemplateFault, paths: Mapping[str, str]) -> SettingsError:
    """A template's fault as an error that says where it is: `path:line: …` in a file of the user's own."""
    path, said = paths.get(fault.template), fault.said.rstrip(".")
    if path is not None:
        line = f"{path}:" if fault.line is None else f"{path}:{fault.line}:"
        return SettingsError([f'{line} {said} (in the prompt "{prompt}"). {_REMEDY}'])
    within = "" if fault.template == prompt else f'in the template "{fault.template}", '
    where = "as a whole" if fault.line is None else f"line {fault.line}"
    return SettingsError([f'The template of the prompt "{prompt}", {within}{where}: {said}. {_REMEDY}'])


def _error(job: Job, fault: TemplateFault) -> SettingsError:
    return template_error(job.name, fault, job.paths)


@contextmanager
def _child() -> Iterator[subprocess.Popen[str]]:
    """The process; killed when the block is left."""
    process = started("hunkwise.prompts.confined", jinja2)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(process: subprocess.Popen[str], job: Job, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The child's answer. Raises SettingsError where it gives none in time."""
    answer = asked(process, json.dumps(request), seconds)
    if not answer.line:
        raise _error(job, TemplateFault(job.name, None, _end(process, late=answer.late, seconds=seconds)))
    reply: dict[str, Any] = json.loads(answer.line)
    return reply


def _end(process: subprocess.Popen[str], *, late: bool, seconds: float) -> str:
    if late:
        return f"it took more than {seconds:g} seconds"
    return f"it needs too much memory or time (its process ended with {process.wait()})"

"""Renders templates: built-in ones here, the user's own in a worker process."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from hunkwise.domain.text import divided
from hunkwise.errors import SettingsError
from hunkwise.prompts.sandbox import (
    RENDER_ERRORS,
    TemplateFault,
    missing,
    render,
    render_fault,
    sandbox,
)
from hunkwise.worker import ask_worker, start_worker

BUILT_IN = ("review", "security", "tests", "performance", "api", "docs", "verify", "summary")
PARTIALS = ("prove", "severity", "writing", "change", "files", "threads", "instructions", "part")
BASE = "base"
"""The skeleton of the prompts over a diff."""
HOUSE = "hunkwise/"
"""A name that begins so is always the built-in template, whatever the user's own are called."""
PARTIAL = "partials/"
_EXTENSION = ".md.j2"
_REFERENCE = re.compile(r"""{%-?\s*(?:include|extends|import|from)\s+["']([^"']+)["']""")


@cache
def package_text(name: str) -> str:
    """A file of the folder `templates`."""
    return (files("hunkwise.prompts") / "templates" / name).read_text(encoding="utf-8")


def built_in_text(name: str) -> str:
    """A built-in template as it was written, with its front matter."""
    return package_text(name + _EXTENSION)


@cache
def built_in() -> Mapping[str, str]:
    """All of them without front matter, each under its plain name and under its name of the house."""
    sources = {}
    for name in (BASE, *BUILT_IN, *(PARTIAL + partial for partial in PARTIALS)):
        text = built_in_text(name)
        parts = divided(text)
        sources[name] = sources[HOUSE + name] = parts.template if parts else text
    return sources


@cache
def partials_of(name: str) -> frozenset[str]:
    """The plain names of the partials that a built-in template includes, itself or through others."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for other in _REFERENCE.findall(built_in()[ahead.pop()]):
            if other not in found:
                found.add(other)
                ahead.append(other)
    return frozenset(other for other in found if other.startswith(PARTIAL))


def is_touched(name: str, own: Iterable[str]) -> bool:
    """Whether one of the user's own templates takes part in a built-in one."""
    return not partials_of(name).isdisjoint(own)


SECONDS = 10.0
"""Wall-clock time of one rendering; a long prompt takes some 5 ms."""
_REMEDY = "Mend the template, or take it out of the configuration."


@dataclass(frozen=True, slots=True)
class RenderJob:
    """A template and what all of its renderings share. `sources`: all templates by name, `name` among them."""

    sources: Mapping[str, str]
    name: str
    shared: Mapping[str, Any]
    paths: Mapping[str, str] = field(default_factory=dict)
    """The files of the user's own templates, by their names."""


def rendered(
    job: RenderJob,
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


def _error(job: RenderJob, fault: TemplateFault) -> SettingsError:
    return template_error(job.name, fault, job.paths)


@contextmanager
def _child() -> Iterator[subprocess.Popen[str]]:
    """The process; killed when the block is left."""
    process = start_worker("hunkwise.prompts.sandbox", jinja2)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(
    process: subprocess.Popen[str], job: RenderJob, request: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The child's answer. Raises SettingsError where it gives none in time."""
    answer = ask_worker(process, json.dumps(request), seconds)
    if not answer.line:
        raise _error(job, TemplateFault(job.name, None, _end(process, late=answer.late, seconds=seconds)))
    reply: dict[str, Any] = json.loads(answer.line)
    return reply


def _end(process: subprocess.Popen[str], *, late: bool, seconds: float) -> str:
    if late:
        return f"it took more than {seconds:g} seconds"
    return f"it needs too much memory or time (its process ended with {process.wait()})"


_SYSTEM = {"verify": "system_verify.md", "summary": "system_summary.md"}


class Renderer:
    """Renders a run's prompts."""

    def __init__(
        self,
        templates: Mapping[str, str],
        seconds_left: Callable[[], float] = lambda: math.inf,
        paths: Mapping[str, str] | None = None,
    ) -> None:
        """`templates`: the user's own, without front matter, as read at the base SHA: by the name of their prompt,
        partials as `partials/NAME`; none is rendered past `seconds_left`. `paths`: their files, for faults."""
        self._seconds_left = seconds_left
        self._own = frozenset(templates)
        self._paths = dict(paths or {})
        self._sources = {**built_in(), **templates}
        self._environment = sandbox(built_in())

    @property
    def system(self) -> str:
        """The system message of the prompts over the diff."""
        return self.system_for("review")

    def system_for(self, name: str) -> str:
        """The system message that goes with a prompt: it explains the tool by which the model is heard."""
        return package_text(_SYSTEM.get(name, "system.md"))

    def is_own(self, name: str) -> bool:
        """Whether the user wrote the template or a partial in it, so that it is rendered in a process of its own."""
        return name in self._own or (name in built_in() and is_touched(name, self._own))

    def source(self, name: str) -> str:
        """The text of a template, a partial or the base, the user's own before the built-in one; KeyError."""
        return self._sources[name]

    def check(self, name: str) -> None:
        """Compiles the template and all that it names. Raises SettingsError that says where and why one does not."""
        if self.is_own(name):
            list(self.render_all(name, {}, ()))
        elif name not in self._sources:
            fault = TemplateFault(name, None, missing(name, self._sources))
            raise template_error(name, fault, self._paths)

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """One prompt. Raises SettingsError where the template fails or says more than MAX_PROMPT."""
        if self.is_own(name):
            (text,) = self.render_all(name, {}, (context,))
            if isinstance(text, SettingsError):
                raise text
            return text
        try:
            return render(self._environment, name, context)
        except RENDER_ERRORS as error:
            raise template_error(name, render_fault(error, name), self._paths) from error

    def render_all(
        self, name: str, shared: Mapping[str, Any], contexts: Iterable[Mapping[str, Any]]
    ) -> Iterator[str | SettingsError]:
        """All prompts of one template of the user's own; raises as `prompts.renderer.rendered`."""
        return rendered(
            RenderJob(self._sources, name, shared, self._paths), contexts, left=self._seconds_left
        )

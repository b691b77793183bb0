"""Renders templates: built-in ones in this process, the user's own in a worker process."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from hunkwise.domain.model import ANSWER_PROMPTS, BUILT_IN_PROMPTS, PARTIALS, STAGE_PROMPTS
from hunkwise.domain.text import split_front_matter
from hunkwise.errors import SettingsError
from hunkwise.prompts.sandbox import (
    RENDER_ERRORS,
    TemplateFault,
    missing_message,
    render,
    render_fault,
    sandbox,
)
from hunkwise.worker import Worker

BUILT_IN = (*BUILT_IN_PROMPTS, *STAGE_PROMPTS)
BASE = "base"
"""The template that the prompts about a diff extend."""
HOUSE = "hunkwise/"
"""Prefix that always selects the built-in template, even if the user's own has the same name."""
PARTIAL = "partials/"
_EXTENSION = ".md.j2"
_REFERENCE = re.compile(r"""{%-?\s*(?:include|extends|import|from)\s+["']([^"']+)["']""")


@cache
def built_in_text(name: str) -> str:
    """Returns the source of a built-in template with its front matter."""
    return (files("hunkwise.prompts") / "templates" / (name + _EXTENSION)).read_text(encoding="utf-8")


@cache
def built_in() -> Mapping[str, str]:
    """Returns all built-in templates without front matter, by plain name and by name with the prefix HOUSE."""
    sources = {}
    for name in (BASE, *BUILT_IN, *(PARTIAL + partial for partial in PARTIALS)):
        text = built_in_text(name)
        parts = split_front_matter(text)
        sources[name] = sources[HOUSE + name] = parts.template if parts else text
    return sources


@cache
def partials_of(name: str) -> frozenset[str]:
    """Returns the plain names of the partials that a built-in template includes directly or indirectly."""
    visited: set[str] = set()
    pending = [name]
    while pending:
        for other in _REFERENCE.findall(built_in()[pending.pop()]):
            if other not in visited:
                visited.add(other)
                pending.append(other)
    return frozenset(other for other in visited if other.startswith(PARTIAL))


def is_touched(name: str, own: Iterable[str]) -> bool:
    """Returns whether a built-in template includes one of the user's own partials."""
    return not partials_of(name).isdisjoint(own)


SECONDS = 10.0
"""Wall-clock time of one rendering; a long prompt takes about 5 ms."""
_HINT = "Fix the template, or take it out of the configuration."


@dataclass(frozen=True, slots=True)
class RenderJob:
    """A template and the shared variables of its renderings. `sources`: all templates by name, including `name`."""

    sources: Mapping[str, str]
    name: str
    shared: Mapping[str, Any]
    paths: Mapping[str, str] = field(default_factory=dict)
    """The files of the user's own templates, by their names."""


def render_in_worker(
    job: RenderJob,
    contexts: Iterable[Mapping[str, Any]],
    *,
    seconds: float = SECONDS,
    left: Callable[[], float] = lambda: math.inf,
    report_unused: Callable[[str], None] = lambda _sentence: None,
) -> Iterator[str | SettingsError]:
    """Yields a text or its error for each context. Raises SettingsError if the template does not compile, or exceeds
    the limits on memory and time or the time `left` in the run: the worker has ended then.

    `report_unused` is called with a sentence for each block whose text is not used.
    """

    def time_limit() -> float:
        return min(seconds, max(0.0, left()))

    with closing(Worker("hunkwise.prompts.sandbox", lambda: jinja2)) as worker:
        worker.start()
        first = {"sources": dict(job.sources), "name": job.name, "shared": dict(job.shared)}
        compiled = _ask(worker, job, first, time_limit())
        if (fault := compiled.get("fault")) is not None:
            raise _job_error(job, TemplateFault(*fault))
        for unused in compiled.get("unused", ()):
            report_unused(str(_job_error(job, TemplateFault(*unused))))
        for context in contexts:
            reply = _ask(worker, job, dict(context), time_limit())
            fault = reply.get("fault")
            yield reply["text"] if fault is None else _job_error(job, TemplateFault(*fault))


def template_error(prompt: str, fault: TemplateFault, paths: Mapping[str, str]) -> SettingsError:
    """Returns an error with the position of the fault: `path:line: …` in a file of the user's own."""
    path, message = paths.get(fault.template), fault.message.rstrip(".")
    if path is not None:
        line = f"{path}:" if fault.line is None else f"{path}:{fault.line}:"
        return SettingsError([f'{line} {message} (in the prompt "{prompt}"). {_HINT}'])
    within = "" if fault.template == prompt else f'in the template "{fault.template}", '
    where = "as a whole" if fault.line is None else f"line {fault.line}"
    return SettingsError([f'The template of the prompt "{prompt}", {within}{where}: {message}. {_HINT}'])


def _job_error(job: RenderJob, fault: TemplateFault) -> SettingsError:
    return template_error(job.name, fault, job.paths)


def _ask(worker: Worker, job: RenderJob, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Returns the worker's answer. Raises SettingsError if there is none in time."""
    answer = worker.ask(json.dumps(request), seconds)
    if not answer.line:
        message = f"it took more than {seconds:g} seconds"
        if not answer.late and worker.process is not None:
            code = worker.process.wait()
            message = f"it needs too much memory or time (its process ended with {code})"
        raise _job_error(job, TemplateFault(job.name, None, message))
    reply: dict[str, Any] = json.loads(answer.line)
    return reply


_SYSTEM = {
    "verify": "system_verify",
    "summary": "system_summary",
    **dict.fromkeys(ANSWER_PROMPTS, "system_answer"),
}


class Renderer:
    """Renders a run's prompts."""

    def __init__(
        self,
        templates: Mapping[str, str],
        seconds_left: Callable[[], float] = lambda: math.inf,
        paths: Mapping[str, str] | None = None,
    ) -> None:
        """`templates`: the user's own at the base SHA, without front matter, by the name of their prompt, partials by
        `partials/NAME`; `seconds_left` limits their rendering. `paths`: their files, for error messages."""
        self._seconds_left = seconds_left
        self._own = frozenset(templates)
        self._paths = dict(paths or {})
        self._sources = {**built_in(), **templates}
        self._environment = sandbox(built_in())
        self._unused: dict[str, None] = {}

    def system_for(self, name: str, *, audit: bool = False) -> str:
        """Returns the system message of a prompt: it explains the tool that the model must report with."""
        template = self._environment.from_string(built_in_text(_SYSTEM.get(name, "system")))
        return template.render(audit=audit) + "\n"

    @property
    def unused_blocks(self) -> tuple[str, ...]:
        """A sentence for each block of the templates so far that has no effect, because no template above has it."""
        return tuple(self._unused)

    def is_own(self, name: str) -> bool:
        """Returns whether the user wrote the template or a partial in it: then the worker process renders it."""
        return name in self._own or (name in built_in() and is_touched(name, self._own))

    def source(self, name: str) -> str:
        """Returns the source of a template, a partial or the base, preferring the user's own. Raises KeyError."""
        return self._sources[name]

    def check(self, name: str) -> None:
        """Compiles the template and all that it references. Raises SettingsError with position and reason."""
        if self.is_own(name):
            list(self.render_all(name, {}, ()))
        elif name not in self._sources:
            fault = TemplateFault(name, None, missing_message(name, self._sources))
            raise template_error(name, fault, self._paths)

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """Renders one prompt. Raises SettingsError if the template fails or renders more than MAX_PROMPT characters."""
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
        """Renders all prompts of one template of the user's own; raises as `render_in_worker`."""
        return render_in_worker(
            RenderJob(self._sources, name, shared, self._paths),
            contexts,
            left=self._seconds_left,
            report_unused=lambda sentence: self._unused.setdefault(sentence),
        )

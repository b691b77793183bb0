"""Renders the user's own templates in a child process of limited time and memory; see `prompts.confined`."""

from __future__ import annotations

import json
import math
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jinja2

from hunkwise.bounded import started
from hunkwise.errors import SettingsError

SECONDS = 10.0
"""Wall-clock time of one rendering; a long prompt takes some 5 ms."""
_REMEDY = "Mend the template, or leave the prompt out of the configuration."


@dataclass(frozen=True, slots=True)
class Job:
    """A template and what all of its renderings share. `sources`: all templates by name, `name` among them."""

    sources: Mapping[str, str]
    name: str
    shared: Mapping[str, Any]


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
        fault = _ask(process, job.name, first, bounded()).get("fault")
        if fault is not None:
            raise template_error(job.name, fault)
        for context in contexts:
            reply = _ask(process, job.name, dict(context), bounded())
            fault = reply.get("fault")
            yield reply["text"] if fault is None else template_error(job.name, fault)


def template_error(name: str, fault: str) -> SettingsError:
    """A template's fault as an error that names it."""
    return SettingsError([f'The template of the prompt "{name}", {fault}. {_REMEDY}'])


@contextmanager
def _child() -> Iterator[subprocess.Popen[str]]:
    """The process; killed when the block is left."""
    process = started("hunkwise.prompts.confined", jinja2)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(
    process: subprocess.Popen[str], name: str, request: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The child's answer. Raises SettingsError where it gives none in time."""
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    finally:
        late = not watchdog.is_alive()
        watchdog.cancel()
    if not line:
        raise template_error(name, _end(process, late=late, seconds=seconds))
    reply: dict[str, Any] = json.loads(line)
    return reply


def _end(process: subprocess.Popen[str], *, late: bool, seconds: float) -> str:
    if late:
        return f"as a whole: it took more than {seconds:g} seconds"
    return f"as a whole: it needs too much memory or time (its process ended with {process.wait()})"

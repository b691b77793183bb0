"""Which templates a template includes, extends or imports: each must be there, and none may lead back to itself.

Part of what the confined child loads: imports the standard library, Jinja2 and the sandbox alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hunkwise.prompts.sandbox import RENDER_ERRORS, TemplateFault, missing, named, syntax_fault, words

_NAMING = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)
_MAX_TOLD = 6


@dataclass(frozen=True, slots=True)
class _Reference:
    """One of `names` is meant, the first one that is there."""

    names: tuple[str, ...]
    line: int
    optional: bool


def compile_fault(
    environment: ImmutableSandboxedEnvironment, sources: Mapping[str, str], name: str
) -> TemplateFault | None:
    """Why the template, or one that it names, does not compile; None where all do."""
    if name not in sources:
        return TemplateFault(name, None, missing(name, sources))
    try:
        return _fault(environment, sources, (name,), set())
    except RENDER_ERRORS as error:
        return TemplateFault(name, None, words(error))


def _fault(
    environment: ImmutableSandboxedEnvironment,
    sources: Mapping[str, str],
    way: tuple[str, ...],
    seen: set[str],
) -> TemplateFault | None:
    """The first fault in the last one of the `way` that led to it, or in those behind it."""
    name = way[-1]
    try:
        references = list(_references(environment, sources[name], name))
        environment.get_template(name)
    except TemplateSyntaxError as error:
        return syntax_fault(error, name)
    seen.add(name)
    for reference in references:
        there = [other for other in reference.names if other in sources]
        if not there and not reference.optional:
            return TemplateFault(name, reference.line, missing(reference.names[0], sources))
        for other in there:
            if other in way:
                return TemplateFault(name, reference.line, _circle((*way[way.index(other) :], other)))
            fault = None if other in seen else _fault(environment, sources, (*way, other), seen)
            if fault is not None:
                return fault
    return None


def _references(environment: ImmutableSandboxedEnvironment, source: str, name: str) -> Iterator[_Reference]:
    """Those whose names stand in the template; one that is computed is looked for when it is rendered."""
    for node in environment.parse(source, name).find_all(_NAMING):
        template = node.template  # type: ignore[attr-defined]  # all of _NAMING have it; find_all says Node
        parts = template.items if isinstance(template, nodes.List | nodes.Tuple) else [template]
        known = [
            part.value for part in parts if isinstance(part, nodes.Const) and isinstance(part.value, str)
        ]
        if known and len(known) == len(parts):
            yield _Reference(tuple(known), node.lineno, getattr(node, "ignore_missing", False))


def _circle(way: tuple[str, ...]) -> str:
    told = way if len(way) <= _MAX_TOLD else (*way[: _MAX_TOLD - 1], way[-1])
    shown = " → ".join(named(name, 100) for name in told)
    if way[0].startswith("hunkwise/"):
        return f"it leads back to itself: {shown}"
    return f"it leads back to itself: {shown}; the built-in templates are called {named('hunkwise/' + way[0], 100)}"

"""The Jinja2 sandbox of templates, a check of what they include, and the worker process that renders them.

A template sees plain values, has no way to Python and no loader but the known templates. Each template that another
one includes, extends or imports must be there, and none may lead back to itself.

`python -m hunkwise.prompts.sandbox` is the worker: a sandbox within our process cannot bound a template's time and
memory, and the kernel can bound a process. It reads one JSON object a line: first `{"sources", "name", "shared"}`, then
a context for each rendering (without what is shared). It answers each with a line, `{}` for the first, then `{"text"}`
or `{"fault"}`. So this module imports the standard library, Jinja2 and `domain.text` alone.
"""

from __future__ import annotations

import json
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from jinja2 import (
    FunctionLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hunkwise.domain.text import visible
from hunkwise.worker import limit_process

MAX_PROMPT = 400_000
"""Characters of one rendered prompt."""
RENDER_ERRORS = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
    MemoryError,
)
"""What a template's own mistakes raise."""
_LINE_ENDS = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Methods that look at a text or a mapping; others can make gigabytes of a few bytes.
_METHODS = frozenset(
    "capitalize changed count cycle endswith find get index isdigit items keys lower lstrip removeprefix "
    "removesuffix rstrip split splitlines startswith strip title upper values".split()
)
_FILTERS = frozenset(
    "abs capitalize count d default dictsort e escape first float groupby int items join last length list "
    "lower map max min reject rejectattr reverse round select selectattr slice sort string sum title tojson "
    "trim truncate unique upper wordcount".split()
)
_GLOBALS = ("range", "dict", "namespace")
_FILE = '<template "'


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """What is wrong with a template, and where."""

    template: str
    """The name of the one that it is in: the prompt's own, or one that it includes or extends."""
    line: int | None
    said: str


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's own sandbox stops escapes to Python; this one also says early what eats memory."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and not _small(left):
            raise SecurityError("`%` works on numbers only")
        if operator != "%" and not (_small(left) and _small(right)):
            raise SecurityError(f"`{operator}` works on small numbers only")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        safe = super().is_safe_attribute(obj, attr, value)
        return safe and (not callable(value) or attr in _METHODS)


def sandbox(sources: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    """An environment that knows the sources by name, and nothing else: no files, no unknown names."""

    def load(name: str) -> tuple[str, str, None] | None:
        return (sources[name], _file(name), None) if name in sources else None

    environment = _Sandbox(loader=FunctionLoader(load), undefined=StrictUndefined)
    allowed = {name: function for name, function in environment.filters.items() if name in _FILTERS}
    environment.filters = {**allowed, "quoted": quoted, "named": named}
    environment.globals = {name: environment.globals[name] for name in _GLOBALS}
    return environment


def render_fault(error: BaseException, name: str) -> TemplateFault:
    """What went wrong in a rendering, and where: the line in the template, or in one that it includes."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if frame.filename.startswith(_FILE)]
    if isinstance(error, TemplateSyntaxError):
        return syntax_fault(error, name)
    if not places:
        return TemplateFault(name, None, words(error))
    return TemplateFault(places[-1].filename[len(_FILE) : -2], places[-1].lineno, words(error))


def syntax_fault(error: TemplateSyntaxError, name: str) -> TemplateFault:
    """Where a template, or one that it includes, is not Jinja2."""
    return TemplateFault(error.name or name, error.lineno, visible(error.message or "it is not Jinja2")[:300])


def render(environment: ImmutableSandboxedEnvironment, name: str, context: Mapping[str, Any]) -> str:
    """The text, with one line feed at its end. Raises RENDER_ERRORS; ValueError where it is too long."""
    pieces: list[str] = []
    size = 0
    for piece in environment.get_template(name).generate(**context):
        size += len(piece)
        if size > MAX_PROMPT:
            raise ValueError(f"it renders more than {MAX_PROMPT:,} characters")
        pieces.append(piece)
    return "".join(pieces).strip() + "\n"


def quoted(text: object, limit: int = 10_000) -> str:
    """Foreign text as a block quote of some `limit` characters: no line of it can pose as a part of the prompt."""
    value = str(text)
    cut = _cut(value, limit)
    lines = [f"> {visible(line)}".rstrip() for line in _LINE_ENDS.split(cut)]
    if len(value) > len(cut):
        lines.append(f"> (cut here: {len(value) - len(cut):,} more characters)")
    return "\n".join(lines)


def named(text: object, limit: int = 5_000) -> str:
    """A foreign name on one line, as a JSON string; in ASCII where it holds what a reader would not see."""
    value = str(text)
    cut = _cut(value, limit)
    if len(value) > len(cut):
        cut += "…"
    shown = json.dumps(cut, ensure_ascii=False)
    return shown if visible(shown) == shown else json.dumps(cut)


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters; a sixth where most of them are hidden ones, which are shown with six each."""
    cut = text[:limit]
    return cut if len(visible(cut)) <= 2 * limit else cut[: limit // 6]


def missing(name: str, known: Iterable[str]) -> str:
    """That there is no such template, and which one was probably meant."""
    # Imported here because a run without faults never needs it.
    from difflib import get_close_matches

    near = get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    hint = (
        f'; did you mean "{near[0]}"?' if near else " (known are the built-in ones and your prompts' names)"
    )
    return f"there is no template {named(name, 100)}{hint}"


def _file(name: str) -> str:
    return f'{_FILE}{name}">'


def _small(operand: object) -> bool:
    return isinstance(operand, int | float) and abs(operand) <= 1_000_000


def words(error: BaseException) -> str:
    """An error's words, without what only a programmer would understand."""
    match error:
        case MemoryError():
            return "it needs too much memory"
        case RecursionError():
            return "it calls itself without end"
        case TemplateNotFound():
            return missing(str(error.name), ())
        case _:
            said = visible(str(error))[:300].rstrip(".")
            return said or type(error).__name__


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


MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 60
"""Processor time for all renderings of one prompt."""


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers line by line until there are no more."""
    for reply in _replies(requests):
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _replies(requests: TextIO) -> Iterator[dict[str, Any]]:
    first = json.loads(requests.readline())
    sources, name, shared = first["sources"], first["name"], first["shared"]
    environment = sandbox(sources)
    fault = compile_fault(environment, sources, name)
    yield {} if fault is None else _told(fault)
    for line in requests:
        try:
            yield {"text": render(environment, name, {**shared, **json.loads(line)})}
        except RENDER_ERRORS as error:
            yield _told(render_fault(error, name))


def _told(fault: TemplateFault) -> dict[str, Any]:
    return {"fault": [fault.template, fault.line, fault.said]}


if __name__ == "__main__":
    limit_process(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

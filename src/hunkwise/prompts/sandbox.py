"""The Jinja2 sandbox of templates, a check of their includes, and the worker process that renders them.

A template has plain values, no access to Python and no loader except for the given templates. Each template that
another one includes, extends or imports must exist, and none may include itself directly or indirectly.

`python -m hunkwise.prompts.sandbox` is the worker: a sandbox within our process cannot limit a template's time and
memory, and the kernel can limit a process. It reads one JSON object a line: first `{"sources", "name", "shared"}`, then
a context for each rendering (without the shared values). It answers each with a line: the first with `{}`, with
`{"unused"}` if blocks of the template are not used, or with `{"fault"}`; the others with `{"text"}` or `{"fault"}`. So
this module imports only the standard library, Jinja2, `domain.text` and `worker`.
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
from jinja2.utils import missing

from hunkwise.domain.text import cut_shown, named, visible
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
    SyntaxError,
)
"""The exceptions that errors in a template raise."""
_LINE_ENDS = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Methods that only read a text or a mapping; others can create gigabytes from a few bytes.
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
_UNKNOWN_FILTER = re.compile(r"No filter named '([^']*)'\.")
_FILE = '<template "'


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """An error in a template, and its position."""

    template: str
    """The name of the template with the error: the prompt's own, or one that it includes or extends."""
    line: int | None
    message: str


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's own sandbox prevents access to Python; this one also rejects operations that need much memory."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and not _is_small(left):
            raise SecurityError("`%` works on numbers only")
        if operator != "%" and not (_is_small(left) and _is_small(right)):
            raise SecurityError(f"`{operator}` works on small numbers only")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        safe = super().is_safe_attribute(obj, attr, value)
        return safe and (not callable(value) or attr in _METHODS)


def _undefined_type(known: Iterable[str]) -> type[StrictUndefined]:
    """Returns the type of unknown names: its errors name the most similar `known` one, or key of a mapping."""
    names = frozenset(known)

    class UndefinedName(StrictUndefined):
        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            message, name = super()._undefined_message, self._undefined_name
            if self._undefined_hint or not isinstance(name, str):
                return message
            if isinstance(self._undefined_obj, Mapping):
                return message + _did_you_mean(name, map(str, self._undefined_obj))
            return message + _did_you_mean(name, names) if self._undefined_obj is missing else message

    return UndefinedName


def sandbox(sources: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    """Returns an environment that loads only the given sources, by name: no files, no other templates."""

    def load(name: str) -> tuple[str, str, None] | None:
        return (sources[name], _file(name), None) if name in sources else None

    environment = _Sandbox(loader=FunctionLoader(load), undefined=StrictUndefined)
    allowed = {name: function for name, function in environment.filters.items() if name in _FILTERS}
    environment.filters = {**allowed, **_OWN_FILTERS}
    environment.globals = {name: environment.globals[name] for name in _GLOBALS}
    return environment


def render_fault(error: BaseException, name: str) -> TemplateFault:
    """Returns the error of a rendering with its line in the template, or in one that it includes."""
    frames = traceback.extract_tb(error.__traceback__)
    template_frames = [frame for frame in frames if frame.filename.startswith(_FILE)]
    if isinstance(error, TemplateSyntaxError):
        return syntax_fault(error, name)
    if not template_frames:
        return TemplateFault(name, None, error_message(error))
    innermost = template_frames[-1]
    return TemplateFault(innermost.filename[len(_FILE) : -2], innermost.lineno, error_message(error))


def syntax_fault(error: TemplateSyntaxError, name: str) -> TemplateFault:
    """Returns the position of a syntax error in a template, or in one that it includes."""
    message = visible(error.message or "it is not Jinja2")[:300]
    if unknown := _UNKNOWN_FILTER.fullmatch(message):
        message = message.rstrip(".") + _did_you_mean(unknown[1], (*_FILTERS, *_OWN_FILTERS))
    return TemplateFault(error.name or name, error.lineno, message)


def render(environment: ImmutableSandboxedEnvironment, name: str, context: Mapping[str, Any]) -> str:
    """Returns the text with one line feed at its end. Raises RENDER_ERRORS; ValueError if it is too long."""
    environment.undefined = _undefined_type({*context, *environment.globals})
    pieces: list[str] = []
    size = 0
    for piece in environment.get_template(name).generate(**context):
        size += len(piece)
        if size > MAX_PROMPT:
            raise ValueError(f"it renders more than {MAX_PROMPT:,} characters")
        pieces.append(piece)
    return "".join(pieces).strip() + "\n"


def quoted(text: object, limit: int = 10_000) -> str:
    """Returns untrusted text as a block quote of about `limit` characters: no line can imitate a part of the prompt."""
    value = str(text)
    cut = cut_shown(value, limit)
    lines = [f"> {visible(line)}".rstrip() for line in _LINE_ENDS.split(cut)]
    if len(value) > len(cut):
        lines.append(f"> (cut here: {len(value) - len(cut):,} more characters)")
    return "\n".join(lines)


def missing_message(name: str, known: Iterable[str]) -> str:
    """Returns the message for a template that does not exist, with the most similar name if there is one."""
    hint = _did_you_mean(name, known) or " (known are the built-in ones and your prompts' names)"
    return f"there is no template {named(name, 100)}{hint}"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean "title"?`, or an empty text if no known name is similar."""
    # Imported here because a run without errors never needs it.
    from difflib import get_close_matches

    near = get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


_OWN_FILTERS = {"quoted": quoted, "named": named}


def _file(name: str) -> str:
    return f'{_FILE}{name}">'


def _is_small(operand: object) -> bool:
    return isinstance(operand, int | float) and abs(operand) <= 1_000_000


def error_message(error: BaseException) -> str:
    """Returns a message for a template's author, without Python's terms where possible."""
    match error:
        case MemoryError():
            return "it needs too much memory"
        case SyntaxError():  # from the compiler of Python, for example beyond 100 levels of `if`
            return "it is nested too deeply"
        case RecursionError():
            return "it calls itself without end"
        case TemplateNotFound():
            return missing_message(str(error.name), ())
        case _:
            message = visible(str(error))[:300].rstrip(".")
            return message or type(error).__name__


_REFERENCE_NODES = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)
_MAX_CYCLE_NAMES = 6


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference to the first template of `names` that exists."""

    names: tuple[str, ...]
    line: int
    optional: bool


def compile_fault(
    environment: ImmutableSandboxedEnvironment, sources: Mapping[str, str], name: str
) -> TemplateFault | None:
    """Returns the first error in the template, or in one that it references; None if all compile."""
    if name not in sources:
        return TemplateFault(name, None, missing_message(name, sources))
    try:
        return _find_fault(environment, sources, (name,), set())
    except RENDER_ERRORS as error:
        return TemplateFault(name, None, error_message(error))


def _find_fault(
    environment: ImmutableSandboxedEnvironment,
    sources: Mapping[str, str],
    path: tuple[str, ...],
    seen: set[str],
) -> TemplateFault | None:
    """Returns the first error in the last template of `path`, the names that led to it, or in its references."""
    name = path[-1]
    try:
        references = list(_references(environment.parse(sources[name], name)))
        environment.get_template(name)
    except TemplateSyntaxError as error:
        return syntax_fault(error, name)
    seen.add(name)
    for reference in references:
        existing = [other for other in reference.names if other in sources]
        if not existing and not reference.optional:
            return TemplateFault(name, reference.line, missing_message(reference.names[0], sources))
        for other in existing:
            if other in path:
                cycle = (*path[path.index(other) :], other)
                return TemplateFault(name, reference.line, _cycle_message(cycle))
            fault = None if other in seen else _find_fault(environment, sources, (*path, other), seen)
            if fault is not None:
                return fault
    return None


def _references(tree: nodes.Template) -> Iterator[_Reference]:
    """Yields the references with literal names; a computed name is checked when it is rendered."""
    for node in tree.find_all(_REFERENCE_NODES):
        template = node.template  # type: ignore[attr-defined]  # all _REFERENCE_NODES have it; find_all yields Node
        parts = template.items if isinstance(template, nodes.List | nodes.Tuple) else [template]
        names = [
            part.value for part in parts if isinstance(part, nodes.Const) and isinstance(part.value, str)
        ]
        if names and len(names) == len(parts):
            yield _Reference(tuple(names), node.lineno, getattr(node, "ignore_missing", False))


def _cycle_message(cycle: tuple[str, ...]) -> str:
    names = cycle if len(cycle) <= _MAX_CYCLE_NAMES else (*cycle[: _MAX_CYCLE_NAMES - 1], cycle[-1])
    shown = " → ".join(named(name, 100) for name in names)
    if cycle[0].startswith("hunkwise/"):
        return f"it leads back to itself: {shown}"
    return f"it leads back to itself: {shown}; the built-in templates are called {named('hunkwise/' + cycle[0], 100)}"


def unused_blocks(
    environment: ImmutableSandboxedEnvironment, sources: Mapping[str, str], name: str
) -> Iterator[TemplateFault]:
    """Yields the blocks, in the template and in those that it references, whose text is never used.

    Of a template that extends others, these are the blocks that none of the others has. A template that computes the
    name of one that it extends is not checked, nor is a block that `self` calls. All must compile; see `compile_fault`.
    """
    trees: dict[str, nodes.Template] = {}
    pending = [name]
    while pending:
        other = pending.pop()
        if other in sources and other not in trees:
            trees[other] = environment.parse(sources[other], other)
            pending += [each for reference in _references(trees[other]) for each in reference.names]
    called = {
        node.attr
        for tree in trees.values()
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == "self"
    }
    for other, tree in trees.items():
        parents = _parents(tree)
        known = _blocks_above(parents, trees)
        if known is None or not any(isinstance(node, nodes.Extends) for node in tree.body):
            continue
        for block in _outer_blocks(tree):
            if block.name not in known and block.name not in called:
                above = " or ".join(named(parent, 100) for parent in parents)
                hint = _did_you_mean(block.name, known) or f"; there is {', '.join(sorted(known))}"
                message = f"the block {named(block.name, 100)} is not used, because {above} has no such block"
                yield TemplateFault(other, block.lineno, message + hint)


def _parents(tree: nodes.Template) -> list[str]:
    """Returns the names of the templates that a template extends; an empty text for a computed name."""
    constants = [each.template for each in tree.find_all(nodes.Extends)]
    return [str(each.value) if isinstance(each, nodes.Const) else "" for each in constants]


def _blocks_above(parents: Iterable[str], trees: Mapping[str, nodes.Template]) -> set[str] | None:
    """Returns the names of all blocks in these templates and in those that they extend; None if not all are known."""
    blocks: set[str] = set()
    for parent in parents:
        if parent not in trees:
            return None
        above = _blocks_above(_parents(trees[parent]), trees)
        if above is None:
            return None
        blocks |= above | {block.name for block in trees[parent].find_all(nodes.Block)}
    return blocks


def _outer_blocks(node: nodes.Node) -> Iterator[nodes.Block]:
    """Yields the blocks that are not within another block of the template: that one has their text."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Block):
            yield child
        else:
            yield from _outer_blocks(child)


MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 60
"""Processor time for all renderings of one prompt."""


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers each line of `requests` with a line in `replies`, until its end."""
    for reply in _render_requests(requests):
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _render_requests(requests: TextIO) -> Iterator[dict[str, Any]]:
    first = json.loads(requests.readline())
    sources, name, shared = first["sources"], first["name"], first["shared"]
    environment = sandbox(sources)
    fault = compile_fault(environment, sources, name)
    if fault is not None:
        yield _fault_reply(fault)
    else:
        unused = [_fault_values(each) for each in unused_blocks(environment, sources, name)]
        yield {"unused": unused} if unused else {}
    for line in requests:
        try:
            yield {"text": render(environment, name, {**shared, **json.loads(line)})}
        except RENDER_ERRORS as error:
            yield _fault_reply(render_fault(error, name))


def _fault_reply(fault: TemplateFault) -> dict[str, Any]:
    return {"fault": _fault_values(fault)}


def _fault_values(fault: TemplateFault) -> list[str | int | None]:
    return [fault.template, fault.line, fault.message]


if __name__ == "__main__":
    limit_process(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

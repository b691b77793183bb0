"""The worker process that parses files under review: `python -m hunkwise.enclosing.scope_worker`.

A separate process, because an untrusted file can use up any parser's time, memory or stack. It reads one JSON object
`{"language", "text", "places"}` per line, with places as pairs of 1-based lines, and writes one line for each: a chain
of scopes per place; without places, the lines of each syntax error; or null if the file took too long. It only parses
and compiles the files: nothing is imported or run.
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import accumulate
from typing import Any, NamedTuple, NoReturn, TextIO

import yaml
from tree_sitter import Language, Node, Parser, Tree

from hunkwise.enclosing.scopes import Chain, Place, Scope
from hunkwise.worker import limit_process


@dataclass(frozen=True, slots=True)
class NodeKinds:
    """The node types of a language that enclose code, as named in its grammar."""

    functions: frozenset[str]
    classes: frozenset[str]
    wrappers: frozenset[str] = frozenset()
    """Node types that wrap one of these and begin before it: decorators, template parameters, `export`."""


def _node_kinds(functions: str, classes: str, wrappers: str = "") -> NodeKinds:
    return NodeKinds(frozenset(functions.split()), frozenset(classes.split()), frozenset(wrappers.split()))


_SCRIPT = (
    "function_declaration generator_function_declaration function_expression generator_function arrow_function"
    " method_definition"
)
_C = "function_definition"
_C_CLASSES = "struct_specifier union_specifier enum_specifier"
_TYPESCRIPT = _node_kinds(
    _SCRIPT,
    "class_declaration class abstract_class_declaration interface_declaration enum_declaration internal_module module",
    "export_statement",
)
KINDS = {
    "python": _node_kinds("function_definition", "class_definition", "decorated_definition"),
    "javascript": _node_kinds(_SCRIPT, "class_declaration class", "export_statement"),
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": _node_kinds("function_declaration method_declaration func_literal", "type_declaration"),
    "java": _node_kinds(
        "method_declaration constructor_declaration compact_constructor_declaration static_initializer",
        "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration",
    ),
    "rust": _node_kinds(
        "function_item macro_definition", "impl_item trait_item struct_item enum_item mod_item"
    ),
    "c": _node_kinds(_C, _C_CLASSES),
    "cpp": _node_kinds(_C, f"{_C_CLASSES} class_specifier namespace_definition", "template_declaration"),
    "csharp": _node_kinds(
        "method_declaration constructor_declaration destructor_declaration operator_declaration"
        " conversion_operator_declaration indexer_declaration property_declaration local_function_statement",
        "class_declaration struct_declaration interface_declaration record_declaration enum_declaration"
        " namespace_declaration",
    ),
    "ruby": _node_kinds("method singleton_method do_block", "class module singleton_class"),
    "php": _node_kinds(
        "function_definition method_declaration anonymous_function",
        "class_declaration interface_declaration trait_declaration enum_declaration namespace_definition",
    ),
}
_MODULES = {
    "csharp": ("tree_sitter_c_sharp", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "php": ("tree_sitter_php", "language_php"),
}


@cache
def grammar(language: str) -> Language:
    """Returns the grammar of a language in KINDS, loaded on first use. Raises ImportError."""
    module, maker = _MODULES.get(language, (f"tree_sitter_{language}", "language"))
    return Language(getattr(import_module(module), maker)())


MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 20
"""CPU time for all files of a run."""
FILE_SECONDS = 0.4
"""CPU time for one file: sources of half a megabyte take a fifth of it."""
MOST_SCOPES = 12
"""Scopes around one place; if there are more, only the innermost are returned."""
_MOST_NODES = 10_000
"""Nodes that are visited for one place."""
_PIECE = 1 << 16
"""Bytes that the parser reads at once."""


def scopes_in(language: str, source: bytes, places: Sequence[Place]) -> list[Chain] | None:
    """Returns the scopes around each place; None if parsing took longer than FILE_SECONDS, or there is no grammar."""
    tree = _parse_source(language, source)
    if tree is None:
        return None
    lines = source.split(b"\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    chains = []
    for first, last in places:
        first_line = lines[min(first, len(lines)) - 1]
        begin = starts[min(first, len(lines)) - 1] + len(first_line) - len(first_line.lstrip())
        chains.append(_find_chain(tree, KINDS[language], _RowRange(first - 1, last - 1, begin)))
    return chains


class _RowRange(NamedTuple):
    """A range of rows in the source."""

    first: int
    """The first row, from 0."""
    last: int
    begin: int
    """The byte offset of the first row's text, after its indentation."""


def _parse_source(language: str, source: bytes) -> Tree | None:
    end = time.process_time() + FILE_SECONDS

    def read_piece(offset: int, _point: object) -> bytes:
        return source[offset : offset + _PIECE]

    def is_late(_offset: int, _broken: bool) -> bool:
        return time.process_time() > end

    try:
        return Parser(grammar(language)).parse(read_piece, progress_callback=is_late)
    except (ValueError, MemoryError, ImportError):  # stopped by is_late, out of memory, no such grammar
        return None


def _find_chain(tree: Tree, kinds: NodeKinds, place: _RowRange) -> Chain:
    node: Node | None = tree.root_node
    scopes: list[Scope] = []
    left = _MOST_NODES
    while node is not None:
        scope = _make_scope(node, kinds) if node.is_named else None
        # A scope whose wrapper was already added differs from it in `start` only.
        if scope is not None and (not scopes or scopes[-1][1:] != scope[1:]):
            scopes.append(scope)
        node, visited = _find_enclosing_child(node, place, left)
        left -= visited
    return tuple(scopes[-MOST_SCOPES:])


def _find_enclosing_child(node: Node, place: _RowRange, limit: int) -> tuple[Node | None, int]:
    """Returns the child with the most rows of those that contain the place, and the number of children visited."""
    cursor = node.walk()
    if limit <= 0 or cursor.goto_first_child_for_byte(place.begin) is None:
        return None, 1
    best: Node | None = None
    visited = 0
    more = True
    while more and visited < limit:
        visited += 1
        child = cursor.node
        if child is None or child.start_point.row > place.first:
            break
        if child.end_point.row >= place.last and (best is None or _count_rows(child) > _count_rows(best)):
            best = child
        more = cursor.goto_next_sibling()
    return best, visited


def _count_rows(node: Node) -> int:
    return node.end_point.row - node.start_point.row


def _make_scope(node: Node, kinds: NodeKinds) -> Scope | None:
    wrapper = node
    if node.type in kinds.wrappers and node.named_child_count:
        node = node.named_children[-1]
    function = node.type in kinds.functions
    if not function and node.type not in kinds.classes:
        return None
    body = node.child_by_field_name("body")
    if body is None and not function and node.type != "type_declaration":
        return None  # `struct point p;` refers to a type and encloses no code
    head = node.start_point.row + 1
    last = _find_last_row(node) + 1
    return Scope(
        start=wrapper.start_point.row + 1,
        head=head,
        head_end=max(head, min(last, _find_head_end(body, head))),
        end=last,
        function=function,
    )


def _find_head_end(body: Node | None, head: int) -> int:
    """Returns the body's first line if the header ends on it, as before a brace; else the line before the body."""
    if body is None:
        return head
    before = body.prev_sibling
    body_start = body.start_point.row + 1
    if before is None or before.end_point.row + 1 == body_start:
        return body_start
    return body_start - 1


def _find_last_row(node: Node) -> int:
    """Returns the row of the node's last character: a node may end after a line feed."""
    end = node.end_point
    return end.row - 1 if end.column == 0 and end.row > node.start_point.row else end.row


MOST_ERRORS = 200
"""Syntax errors of a file that are returned."""


def errors_in(language: str, text: str) -> list[Place] | None:
    """Returns the lines of each syntax error; None if the file exceeded a limit of time, memory or depth."""
    errors: list[Place] = []
    try:
        if language in _PARSERS:
            _PARSERS[language](text)
    except (RecursionError, MemoryError):
        return None
    except SyntaxError as error:
        errors.append((error.lineno or 1, error.lineno or 1))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        errors.append((line, line))
    except (ValueError, OverflowError, yaml.YAMLError) as error:
        line = getattr(error, "lineno", 1)
        errors.append((line, line))
    if language in KINDS:
        tree = _parse_source(language, text.encode("utf-8", "replace"))
        if tree is None:
            return None
        errors += _find_error_nodes(tree)
    return errors


def _find_error_nodes(tree: Tree) -> list[Place]:
    """Returns the lines of the grammar's error nodes, and of nodes that it had to add, in the order of the file."""
    found: list[Place] = []
    left = [tree.root_node]
    while left and len(found) < MOST_ERRORS:
        node = left.pop()
        if node.is_error or node.is_missing:
            found.append((node.start_point.row + 1, _find_last_row(node) + 1))
        if node.has_error:
            left += reversed(node.children)
    return found


def _compile_python(text: str) -> None:
    """Compiles with the grammar of the running Python; as bytes, so that an encoding declaration is respected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(text.encode("utf-8", "replace"), "<file>", "exec", dont_inherit=True)


def _parse_json(text: str) -> None:
    """Parses strictly; numbers are not converted, which would be slow for thousands of digits."""
    json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str, parse_constant=_reject_constant)


def _parse_toml(text: str) -> None:
    tomllib.loads(text.removeprefix("\ufeff"))


def _parse_yaml(text: str) -> None:
    """Parses all documents as events, so that no objects are created, which aliases could multiply. Allows any tag."""
    anchors: set[str] = set()
    for event in yaml.parse(text.removeprefix("\ufeff"), Loader=_YAML_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ValueError("an alias without its anchor")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARSERS: dict[str, Callable[[str], None]] = {
    "python": _compile_python,
    "json": _parse_json,
    "toml": _parse_toml,
    "yaml": _parse_yaml,
}


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers each line of `requests` with a line in `replies`, until the input ends."""
    for line in requests:
        request = json.loads(line)
        language, text = request["language"], request["text"]
        answer: Any
        if "places" in request:
            places = [(first, last) for first, last in request["places"]]
            answer = scopes_in(language, text.encode("utf-8", "replace"), places)
        else:
            answer = errors_in(language, text)
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


if __name__ == "__main__":
    limit_process(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

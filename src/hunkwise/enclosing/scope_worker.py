"""The worker process that finds scopes: `python -m hunkwise.enclosing.scope_worker`.

An untrusted file can take any parser's time, memory or stack, and the kernel can bound a process. It reads one JSON
object `{"language", "text", "places"}` a line, the places as pairs of 1-based lines, and answers each with a line: a
chain of scopes for each place, or null where the file took too long. It reads the syntax only: nothing is run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import accumulate
from typing import Any, NamedTuple, TextIO

from tree_sitter import Language, Node, Parser, Tree

from hunkwise.enclosing.scopes import Chain, Scope
from hunkwise.worker import limit_process


@dataclass(frozen=True, slots=True)
class NodeKinds:
    """A language's nodes that enclose code, by the names of its grammar."""

    functions: frozenset[str]
    classes: frozenset[str]
    wrappers: frozenset[str] = frozenset()
    """Nodes around one of these that begin before it: decorators, template parameters, `export`."""


def _kinds(functions: str, classes: str, wrappers: str = "") -> NodeKinds:
    return NodeKinds(frozenset(functions.split()), frozenset(classes.split()), frozenset(wrappers.split()))


_SCRIPT = (
    "function_declaration generator_function_declaration function_expression generator_function arrow_function"
    " method_definition"
)
_C = "function_definition"
_C_CLASSES = "struct_specifier union_specifier enum_specifier"
_TYPESCRIPT = _kinds(
    _SCRIPT,
    "class_declaration class abstract_class_declaration interface_declaration enum_declaration internal_module module",
    "export_statement",
)
KINDS = {
    "python": _kinds("function_definition", "class_definition", "decorated_definition"),
    "javascript": _kinds(_SCRIPT, "class_declaration class", "export_statement"),
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": _kinds("function_declaration method_declaration func_literal", "type_declaration"),
    "java": _kinds(
        "method_declaration constructor_declaration compact_constructor_declaration static_initializer",
        "class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration",
    ),
    "rust": _kinds("function_item macro_definition", "impl_item trait_item struct_item enum_item mod_item"),
    "c": _kinds(_C, _C_CLASSES),
    "cpp": _kinds(_C, f"{_C_CLASSES} class_specifier namespace_definition", "template_declaration"),
    "csharp": _kinds(
        "method_declaration constructor_declaration destructor_declaration operator_declaration"
        " conversion_operator_declaration indexer_declaration property_declaration local_function_statement",
        "class_declaration struct_declaration interface_declaration record_declaration enum_declaration"
        " namespace_declaration",
    ),
    "ruby": _kinds("method singleton_method do_block", "class module singleton_class"),
    "php": _kinds(
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
    """The parser's tables of one of KINDS, loaded with the first file of the language. Raises ImportError."""
    module, maker = _MODULES.get(language, (f"tree_sitter_{language}", "language"))
    return Language(getattr(import_module(module), maker)())


MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 20
"""Processor time for all files of a run."""
FILE_SECONDS = 0.4
"""Processor time of one file: sources of half a megabyte take a fifth of it."""
MOST_SCOPES = 12
"""Around one place: of more the innermost ones."""
_MOST_NODES = 10_000
"""Nodes around one place that are looked at."""
_PIECE = 1 << 16


def scopes_in(language: str, source: bytes, places: Sequence[tuple[int, int]]) -> list[Chain] | None:
    """The scopes around each place; None where the source took longer than FILE_SECONDS, or has no grammar here."""
    tree = _parsed(language, source)
    if tree is None:
        return None
    lines = source.split(b"\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    chains = []
    for first, last in places:
        opening = lines[min(first, len(lines)) - 1]
        begin = starts[min(first, len(lines)) - 1] + len(opening) - len(opening.lstrip())
        chains.append(_chain(tree, KINDS[language], _Place(first - 1, last - 1, begin)))
    return chains


class _Place(NamedTuple):
    """Lines of the source."""

    first: int
    """The first row, from 0."""
    last: int
    begin: int
    """The byte where the first row's text begins."""


def _parsed(language: str, source: bytes) -> Tree | None:
    end = time.process_time() + FILE_SECONDS

    def piece(offset: int, _point: object) -> bytes:
        return source[offset : offset + _PIECE]

    def late(_offset: int, _broken: bool) -> bool:
        return time.process_time() > end

    try:
        return Parser(grammar(language)).parse(piece, progress_callback=late)
    except (ValueError, MemoryError, ImportError):  # ValueError: it was stopped; ImportError: no such grammar
        return None


def _chain(tree: Tree, kinds: NodeKinds, place: _Place) -> Chain:
    node: Node | None = tree.root_node
    found: list[Scope] = []
    left = _MOST_NODES
    while node is not None:
        scope = _scope(node, kinds) if node.is_named else None
        if scope is not None and (not found or found[-1][1:] != scope[1:]):  # else its wrapper told of it
            found.append(scope)
        node, looked_at = _child(node, place, left)
        left -= looked_at
    return tuple(found[-MOST_SCOPES:])


def _child(node: Node, place: _Place, most: int) -> tuple[Node | None, int]:
    """Of the children whose rows hold the place the one with the most of them, and how many were looked at."""
    cursor = node.walk()
    if most <= 0 or cursor.goto_first_child_for_byte(place.begin) is None:
        return None, 1
    best: Node | None = None
    looked_at = 0
    more = True
    while more and looked_at < most:
        looked_at += 1
        child = cursor.node
        if child is None or child.start_point.row > place.first:
            break
        if child.end_point.row >= place.last and (best is None or _rows(child) > _rows(best)):
            best = child
        more = cursor.goto_next_sibling()
    return best, looked_at


def _rows(node: Node) -> int:
    return node.end_point.row - node.start_point.row


def _scope(node: Node, kinds: NodeKinds) -> Scope | None:
    wrapper = node
    if node.type in kinds.wrappers and node.named_child_count:
        node = node.named_children[-1]
    function = node.type in kinds.functions
    if not function and node.type not in kinds.classes:
        return None
    body = node.child_by_field_name("body")
    if body is None and not function and node.type != "type_declaration":
        return None  # `struct point p;` names a type, and encloses nothing
    head = node.start_point.row + 1
    last = _last_row(node) + 1
    return Scope(
        start=wrapper.start_point.row + 1,
        head=head,
        head_end=max(head, min(last, _head_end(body, head))),
        end=last,
        function=function,
    )


def _head_end(body: Node | None, head: int) -> int:
    """The line of the body's brace, where it stands behind the header; else the line before the body."""
    if body is None:
        return head
    before = body.prev_sibling
    opening = body.start_point.row + 1
    if before is None or before.end_point.row + 1 == opening:
        return opening
    return opening - 1


def _last_row(node: Node) -> int:
    """Of its last character: a node may end behind a line feed."""
    end = node.end_point
    return end.row - 1 if end.column == 0 and end.row > node.start_point.row else end.row


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers line by line until there are no more."""
    for line in requests:
        asked = json.loads(line)
        places = [(first, last) for first, last in asked["places"]]
        chains: Any = scopes_in(asked["language"], asked["text"].encode("utf-8", "replace"), places)
        replies.write(json.dumps(chains) + "\n")
        replies.flush()


if __name__ == "__main__":
    limit_process(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

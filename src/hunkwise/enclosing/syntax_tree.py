"""Syntax trees of files under review: the scopes around changed lines, the calls in them, and definitions by name.

Imported by the worker process only, because an untrusted file can use up any parser's time, memory or stack.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import accumulate
from typing import NamedTuple, Self

from tree_sitter import Language, Node, Parser, Tree

from hunkwise.enclosing.scopes import Chain, Place, Scope


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


FILE_SECONDS = 0.4
"""CPU time for one file: sources of half a megabyte take a fifth of it."""
MOST_SCOPES = 12
"""Scopes around one place; if there are more, only the innermost are returned."""
MOST_CALLS = 100
"""Names that are called at one place, and names of which definitions are returned."""
_MOST_NODES = 10_000
"""Nodes that are visited for one place, or for the definitions of a file."""
_PIECE = 1 << 16
"""Bytes that the parser reads at once."""
_CALLS = frozenset(
    "call call_expression new_expression method_invocation object_creation_expression invocation_expression"
    " macro_invocation function_call_expression member_call_expression scoped_call_expression composite_literal"
    " struct_expression jsx_opening_element jsx_self_closing_element".split()
)
_CALLEES = ("function", "constructor", "method", "macro", "name", "type")
"""Fields of these nodes that hold what is called."""
_CALL_ROWS = 10
"""Rows of a call of which only the arguments are at the place; a longer call is, for example, a block of tests."""
_CALLEE_SIZE = 120
"""Bytes before the end of a callee in which its name is looked for."""
_CALLEE = re.compile(rb"([A-Za-z_$][\w$]*)[?!]?(?:(?:\.|::|->)new)?(?:(?:::)?<[^()]*>)?\Z")
"""The name of what is called: `b` of `a.b`, `A` of `A::new` and of `A<T>`."""
_NAME = re.compile(rb"([A-Za-z_$][\w$]*)[?!=]?\Z")
_NAMING = frozenset({"variable_declarator", "field_definition", "public_field_definition"})
"""Nodes that give a function without a name of its own a name: `const f = () => {}`."""
_TEST_BLOCK = re.compile(rb"(?:RSpec\.|test\.)?[fx]?(?:describe|context|suite|feature)\b")
_MOST_LEVELS = 4
"""Levels of nodes between a definition and the scope around it."""


class ParsedSource:
    """A file's syntax tree."""

    def __init__(self, language: str, source: bytes, tree: Tree) -> None:
        self._kinds = KINDS[language]
        self._source = source
        self._tree = tree
        self._lines = source.split(b"\n")
        self._starts = list(accumulate((len(line) + 1 for line in self._lines), initial=0))

    @classmethod
    def parse(cls, language: str, source: bytes) -> Self | None:
        """Returns None if parsing took longer than FILE_SECONDS, or there is no grammar."""
        end = time.process_time() + FILE_SECONDS

        def read_piece(offset: int, _point: object) -> bytes:
            return source[offset : offset + _PIECE]

        def is_late(_offset: int, _broken: bool) -> bool:
            return time.process_time() > end

        try:
            tree = Parser(grammar(language)).parse(read_piece, progress_callback=is_late)
        except (ValueError, MemoryError, ImportError):  # stopped by is_late, out of memory, no such grammar
            return None
        return cls(language, source, tree)

    def chains(self, places: Sequence[Place]) -> list[Chain]:
        """Returns the scopes around each place."""
        return [self._chain(self._rows(place)) for place in places]

    def calls(self, places: Sequence[Place]) -> list[list[str]]:
        """Returns the names that are called at each place, at most MOST_CALLS."""
        return [self._called_names(self._rows(place)) for place in places]

    def definitions(self, names: Collection[str]) -> dict[str, list[Chain]]:
        """Returns the functions and classes with these names by their lines, each after the scopes around it.

        Functions within functions are left out: nothing outside can call them.
        """
        found: dict[str, list[Chain]] = {}
        wanted = frozenset(list(names)[:MOST_CALLS])
        for name, chain in self._defined(wanted) if wanted else ():
            found.setdefault(name, []).append(chain)
        return {name: sorted(chains, key=lambda chain: chain[-1]) for name, chains in found.items()}

    def error_lines(self, limit: int) -> list[Place]:
        """Returns the lines of the first error nodes, and of nodes that the grammar had to add."""
        found: list[Place] = []
        left = [self._tree.root_node]
        while left and len(found) < limit:
            node = left.pop()
            if node.is_error or node.is_missing:
                found.append((node.start_point.row + 1, _find_last_row(node) + 1))
            if node.has_error:
                left += reversed(node.children)
        return found

    def _rows(self, place: Place) -> _RowRange:
        first, last = place
        line = self._lines[min(first, len(self._lines)) - 1]
        start = self._starts[min(first, len(self._lines)) - 1]
        return _RowRange(first - 1, last - 1, start + len(line) - len(line.lstrip()))

    def _chain(self, place: _RowRange) -> Chain:
        node: Node | None = self._tree.root_node
        scopes: list[Scope] = []
        left = _MOST_NODES
        while node is not None:
            scope = self._scope(node)
            # A scope whose wrapper was already added differs from it in `start` only.
            if scope is not None and (not scopes or scopes[-1][1:] != scope[1:]):
                scopes.append(scope)
            node, visited = _find_enclosing_child(node, place, left)
            left -= visited
        return tuple(scopes[-MOST_SCOPES:])

    def _scope(self, node: Node) -> Scope | None:
        wrapper = node
        if not node.is_named:
            return None
        node = self._unwrapped(node)
        function = node.type in self._kinds.functions
        if not function and node.type not in self._kinds.classes:
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
            function=function and not self._is_test_block(node),
        )

    def _unwrapped(self, node: Node) -> Node:
        wraps = node.type in self._kinds.wrappers and node.named_child_count
        return node.named_children[-1] if wraps else node

    def _is_test_block(self, node: Node) -> bool:
        """Returns whether the function contains tests, as the argument of `describe`: then it is like a class."""
        call = node.parent
        if call is not None and call.type == "arguments":
            call = call.parent
        if call is None or call.type not in _CALLS:
            return False
        return _TEST_BLOCK.match(self._source, call.start_byte, call.end_byte) is not None

    def _called_names(self, place: _RowRange) -> list[str]:
        names: dict[str, None] = {}
        for node in _nodes_at(self._tree, place):
            if node.type in _CALLS and (name := self._callee(node, place)):
                names[name] = None
            if len(names) == MOST_CALLS:
                break
        return list(names)

    def _callee(self, call: Node, place: _RowRange) -> str | None:
        fields = (call.child_by_field_name(field) for field in _CALLEES)
        callee = next((field for field in fields if field is not None), None) or call.named_child(0)
        if callee is None:
            return None
        if not place.first <= callee.end_point.row <= place.last and _count_rows(call) > _CALL_ROWS:
            return None
        end = callee.end_byte
        name = _CALLEE.search(self._source[max(call.start_byte, end - _CALLEE_SIZE) : end])
        return name[1].decode("ascii") if name else None

    def _defined(self, names: frozenset[str]) -> Iterator[tuple[str, Chain]]:
        """Yields each definition of these names, and the scopes around it."""
        # Breadth first: large tables of data are behind the definitions beside them.
        queue: deque[tuple[Node, Chain, frozenset[str], int]] = deque(
            [(self._tree.root_node, (), names, _MOST_LEVELS)]
        )
        left = _MOST_NODES
        while queue and left > 0:
            node, outer, wanted, levels = queue.popleft()
            left -= 1
            scope = self._scope(node)
            if scope is not None:
                node = self._unwrapped(node)
                name = self._name(node)
                outer, levels = (*outer, scope)[-MOST_SCOPES:], _MOST_LEVELS
                if name in wanted:
                    yield name, outer
                    wanted -= {name}  # a constructor is part of its class
                if scope.function:
                    continue
            if levels:
                queue += ((child, outer, wanted, levels - 1) for child in node.named_children)

    def _name(self, node: Node) -> str:
        """Returns the name that a function or class is defined by; empty if there is none."""
        if node.type == "type_declaration" and (spec := node.named_child(0)) is not None:
            node = spec
        named = node.child_by_field_name("name")
        if named is None and node.parent is not None and node.parent.type in _NAMING:
            parent = node.parent
            named = parent.child_by_field_name("name") or parent.child_by_field_name("property")
        if named is None:  # C: int *f(void)
            while (inner := (named or node).child_by_field_name("declarator")) is not None:
                named = inner
        if named is None:
            return ""
        end = named.end_byte
        name = _NAME.search(self._source[max(named.start_byte, end - _CALLEE_SIZE) : end])
        return name[1].decode("ascii") if name else ""


class _RowRange(NamedTuple):
    """A range of rows in the source."""

    first: int
    """The first row, from 0."""
    last: int
    begin: int
    """The byte offset of the first row's text, after its indentation."""


def _nodes_at(tree: Tree, place: _RowRange) -> Iterator[Node]:
    """Yields the nodes that have rows at the place, in the order of the file."""
    cursor = tree.walk()
    for _ in range(_MOST_NODES):
        node = cursor.node
        if node is None or node.start_point.row > place.last:
            return
        inside = node.end_point.row >= place.first
        if inside:
            yield node
        if inside and cursor.goto_first_child_for_byte(place.begin) is not None:
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


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

"""The grammars, and which of their nodes are functions, classes, and what belongs before them. For the child alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module

from tree_sitter import Language


@dataclass(frozen=True, slots=True)
class Kinds:
    """A language's nodes that enclose code, by the names of its grammar."""

    functions: frozenset[str]
    classes: frozenset[str]
    wrappers: frozenset[str] = frozenset()
    """Nodes around one of these that begin before it: decorators, template parameters, `export`."""


def _kinds(functions: str, classes: str, wrappers: str = "") -> Kinds:
    return Kinds(frozenset(functions.split()), frozenset(classes.split()), frozenset(wrappers.split()))


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

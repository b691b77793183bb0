"""How many nodes a GraphQL query could ask for: GitHub refuses more than half a million before it looks."""

from __future__ import annotations

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

NODE_LIMIT = 500_000


def possible_nodes(document: DocumentNode, variables: dict[str, Any]) -> int:
    """Each connection's size times those that it stands in, all added up."""
    return _Counting(document, variables).total


class _Counting:
    def __init__(self, document: DocumentNode, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        self.total = sum(self._below(node.selection_set, 1) for node in operations)

    def _below(self, chosen: SelectionSetNode | None, times: int) -> int:
        total = 0
        for node in chosen.selections if chosen is not None else ():
            if isinstance(node, FieldNode):
                size = self._size(node)
                total += times * (size or 0) + self._below(node.selection_set, times * (size or 1))
            elif isinstance(node, InlineFragmentNode):
                total += self._below(node.selection_set, times)
            elif isinstance(node, FragmentSpreadNode) and node.name.value in self._fragments:
                total += self._below(self._fragments[node.name.value].selection_set, times)
        return total

    def _size(self, field: FieldNode) -> int | None:
        """What `first` or `last` says."""
        for argument in field.arguments or ():
            if argument.name.value not in ("first", "last"):
                continue
            match argument.value:
                case IntValueNode(value=digits):
                    return int(digits)
                case VariableNode(name=name):
                    given = self._variables.get(name.value)
                    return given if isinstance(given, int) else None
        return None

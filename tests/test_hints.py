"""What a message advises is in the words of the place where it is read: a workflow's step, or a shell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import pytest

from hunkwise import errors
from hunkwise.copilot import errors as copilot_errors
from hunkwise.github import responses
from tests.test_imports import MODULES

OF_A_WORKFLOW = re.compile(
    r"\bjobs?\b|workflow|actions/checkout|fetch-depth|permissions:|\binputs?\b|RUNNER_TEMP|pull_request_target"
    r"|(?<!-)\b(github-token|copilot-token|provider-(api-key|base-url))\b",
    re.IGNORECASE,
)
OF_A_SHELL = re.compile(
    r"--(base|head|repository|model|pr|post|issue|format|config)\b|make setup|git fetch"
    r"|hunkwise (setup|review|doctor|config|prompts|eval|audit|publish)\b"
    r"|\b(GITHUB_TOKEN|GH_TOKEN|COPILOT_GITHUB_TOKEN|COPILOT_PROVIDER_\w+)\b"
)
FIRST_HINT = {
    "Error": 1,
    "RepositoryError": 1,
    "TransientError": 1,
    "SettingsError": 0,
    "GitHubError": 2,
    "ModelError": 2,
    "ReviewFault": 2,
    "MissingVerdict": 2,
    "fault": 2,
    "__init__": 2,
}
"""The position of the hint among the arguments of what makes an error; that for a shell follows."""
ONLY_IN_A_WORKFLOW = (
    "hunkwise.actions",
    "hunkwise.commands.action",
    "hunkwise.commands.audit_step",
    "hunkwise.commands.command_step",
    "hunkwise.commands.command_work",
    "hunkwise.github.command_comments",
    "hunkwise.settings",
)
OF_THE_SERVICE = ("hunkwise.commands.serve", "hunkwise.service")
"""Read by operators, to whom jobs are those of the service."""
ONLY_IN_A_SHELL = (
    "hunkwise.commands.audit",
    "hunkwise.commands.backend",
    "hunkwise.commands.change_options",
    "hunkwise.commands.eval",
    "hunkwise.commands.local_range",
    "hunkwise.commands.review",
    "hunkwise.commands.setup",
    "hunkwise.evaluation",
    "hunkwise.preview",
)
TABLES: Mapping[str, list[tuple[str, ...]]] = {
    "errors": [hints[1:] for hints in errors._BY_ERRNO.values()],
    "copilot": [
        *copilot_errors._COPILOT_HINTS.values(),
        *copilot_errors._PROVIDER_HINTS.values(),
        *copilot_errors._HINTS.values(),
        *copilot_errors._CHECK_NETWORK.values(),
    ],
    "github": [(hint, shell_hint) for _, hint, shell_hint in responses._BLOCKED],
}


@dataclass(frozen=True)
class Hints:
    """What one place of the source advises."""

    where: str
    workflow: str
    shell: str


def hints_in(module: str) -> Iterator[Hints]:
    """The hints that the module gives to errors, as far as its source has their text."""
    names = vars(import_module(module))
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        local = {
            name.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name)
        }
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and (first := first_hint(call)) is not None:
                texts = [text for node in call.args[first:] for text in texts_of(node, names, local)]
                named = [node.value for node in call.keywords if node.arg == "shell_hint"]
                shell = [text for node in named for text in texts_of(node, names, local)] or texts[1:]
                workflow = "" if named and not texts else " ".join(texts[:1])
                yield Hints(f"{module}:{call.lineno}", workflow, " ".join(shell) or workflow)


def first_hint(call: ast.Call) -> int | None:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    of_super = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call)
    return FIRST_HINT.get(name) if name != "__init__" or of_super else None


def texts_of(node: ast.expr, names: Mapping[str, object], local: Mapping[str, ast.expr]) -> Iterator[str]:
    """The text of an argument; those of a tuple that is unpacked."""
    if isinstance(node, ast.Starred):
        unpacked = names.get(node.value.id) if isinstance(node.value, ast.Name) else None
        yield from (
            (text for text in unpacked or () if isinstance(text, str)) if isinstance(unpacked, tuple) else ()
        )
        return
    parts = []
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            parts.append(part.value)
        elif isinstance(part, ast.Name) and isinstance(names.get(part.id), str):
            parts.append(str(names[part.id]))
        elif isinstance(part, ast.Name) and part.id in local:
            parts += constants(local[part.id])
    yield " ".join(parts)


def constants(node: ast.expr) -> list[str]:
    found = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return [text for text in found if isinstance(text, str)]


@cache
def all_hints() -> list[Hints]:
    modules = (
        module for module in MODULES if module.startswith("hunkwise.") and module != "hunkwise.__main__"
    )
    found = [hints for module in modules for hints in hints_in(module)]
    tables = [(name, hints) for name, table in TABLES.items() for hints in table]
    return found + [Hints(name, hints[0], hints[-1]) for name, hints in tables]


def test_the_hints_of_the_sources_are_found() -> None:
    """Or the tests below would be about nothing."""
    found = all_hints()
    assert sum(bool(hints.workflow) for hints in found) > 90
    different = [hints for hints in found if hints.workflow != hints.shell]
    assert len(different) > 20
    assert "Run actions/checkout first." in {hints.workflow for hints in different}


def is_in(hints: Hints, modules: tuple[str, ...]) -> bool:
    module = hints.where.partition(":")[0]
    return any(module == name or module.startswith(f"{name}.") for name in modules)


def test_a_shell_is_not_told_of_workflows() -> None:
    read = [hints for hints in all_hints() if not is_in(hints, ONLY_IN_A_WORKFLOW + OF_THE_SERVICE)]
    assert [hints for hints in read if OF_A_WORKFLOW.search(hints.shell)] == []


def test_a_workflow_is_not_told_of_a_shells_options_and_variables() -> None:
    read = [hints for hints in all_hints() if not is_in(hints, ONLY_IN_A_SHELL)]
    assert [hints for hints in read if OF_A_SHELL.search(hints.workflow)] == []


@pytest.mark.parametrize(
    ("text", "workflow", "shell"),
    [
        ("Give the job a token.", True, False),
        ("Set the input `github-token`.", True, False),
        ("Set copilot-connection-token.", False, False),
        ("Set COPILOT_PROVIDER_API_KEY, or use --model demo.", False, True),
        ("Run it again.", False, False),
    ],
)
def test_the_words_of_both_places_are_known(text: str, workflow: bool, shell: bool) -> None:
    assert (bool(OF_A_WORKFLOW.search(text)), bool(OF_A_SHELL.search(text))) == (workflow, shell)

"""Compares the README with the code: tables, examples and messages."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from hunkwise.copilot.errors import from_status
from hunkwise.domain.model import Budget
from hunkwise.domain.review import ExitCode
from hunkwise.errors import Error
from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.config import parse_config
from hunkwise.settings.events import read_event
from hunkwise.settings.inputs import read_inputs
from tests.pages import ROOT, code_blocks, code_spans, page, table

README = page("README.md")
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
MESSAGES = [code_spans(row[0])[0] for row in table(README, "What you see")]


def test_tables_of_outputs_and_exit_codes() -> None:
    outputs = [[f"`{name}`", entry["description"]] for name, entry in ACTION["outputs"].items()]
    assert table(README, "Output") == outputs
    codes = [[str(code.value), code.conclusion.value] for code in ExitCode]
    assert [row[:2] for row in table(README, "Code")] == codes


def test_example_workflow_and_configuration() -> None:
    example = (ROOT / "examples" / "workflows" / "organization.yml").read_text(encoding="utf-8")
    assert code_blocks(README, "yaml")[0] == example[example.index("name:") :]
    (text,) = (block for block in code_blocks(README, "yaml") if "version: 1" in block)
    config = parse_config(text.encode(), path=".github/hunkwise.yml")
    assert [prompt.name for prompt in config.prompts] == ["review", "migrations"]


@pytest.mark.parametrize("target", re.findall(r"^(?:.*`|.*: )?make (?:-C \S+ )?([a-z-]+)", README, re.M))
def test_make_command_is_in_makefile(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_sample_equals_output_of_example() -> None:
    command = [sys.executable, str(ROOT / "examples" / "show.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    lines = {line.rstrip() for line in printed.splitlines()}
    (sample,) = code_blocks(README, "text")
    assert [line for line in sample.splitlines() if line != "…" and line.rstrip() not in lines] == []


def test_diagram_is_consistent() -> None:
    (picture,) = code_blocks(README, "mermaid")
    first, *lines = picture.splitlines()
    assert first == "flowchart LR"
    defined = set(re.findall(r'^\s+(\w+)\["[^"]+"\]$', picture, re.MULTILINE))
    arrows = [line for line in lines if re.search(r"-->|\.->", line)]
    joined = {end.strip() for line in arrows for end in re.split(r"<?-\.?->(?:\|\"[^\"]+\"\|)?", line)}
    assert joined == defined
    opened = sum(line.strip().startswith("subgraph ") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines)


MIGRATIONS = {"migrations": ".github/hunkwise/migrations.md.j2"}


def literals() -> Iterator[str]:
    """Yields all texts in the code, with … for inserted values."""
    for path in [*sorted((ROOT / "src").rglob("*.py")), ROOT / "entrypoint.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def error_text(work: Callable[[], object]) -> str:
    with pytest.raises(Error) as caught:
        work()
    return str(caught.value)


def composed_messages() -> list[str]:
    """Returns messages that the code composes of several texts."""
    budget = Budget(max_model_calls=0)
    token = {"INPUT_GITHUB-TOKEN": "ghs_token"}
    return [
        *(str(from_status(status, "No.", provider=False)) for status in (401, 402, 403, None)),
        *(str(from_status(status, "", provider=True)) for status in (401, 429)),
        error_text(lambda: read_inputs(token | {"INPUT_COPILOT-TOKEN": "ghp_classic"})),
        error_text(lambda: read_inputs(token | {"INPUT_FAIL-ON": "always"}).overrides()),
        error_text(lambda: read_event("push", b"{}", repository="octo/repo", pull_request=None)),
        error_text(lambda: parse_config(b"version: 1\nfail-om: high\n", path=".github/hunkwise.yml")),
        error_text(lambda: Renderer({"migrations": "\n\n{{ x"}, paths=MIGRATIONS).check("migrations")),
        f"The budget ran out: {budget.why}.",
    ]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [*composed_messages(), *literals()]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_are_in_the_code(message: str, texts: list[str]) -> None:
    pattern = re.compile(".*".join(re.escape(part) for part in message.split("…")), re.DOTALL)
    assert any(pattern.search(text) for text in texts)

"""Looks each message of docs/troubleshooting.md up in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from hunkwise.copilot.errors import status_error
from hunkwise.domain.model import Budget
from hunkwise.errors import Error
from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.config import parse_config
from hunkwise.settings.events import read_event
from hunkwise.settings.inputs import read_inputs
from tests.pages import ROOT, code_spans, page, table

PAGE = page("docs/troubleshooting.md")
MESSAGES = [code_spans(row[0])[0] for row in table(PAGE, "What you see")]
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
        *(str(status_error(status, "No.", provider=False)) for status in (401, 402, 403, None)),
        *(str(status_error(status, "", provider=True)) for status in (401, 429)),
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


def test_each_row_has_a_reason_and_a_remedy() -> None:
    assert [row for row in table(PAGE, "What you see") if len(row) != 3 or not all(row)] == []


def test_each_message_is_there_once() -> None:
    assert len(set(MESSAGES)) == len(MESSAGES)

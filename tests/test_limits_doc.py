"""docs/limits.md tells the numbers that the code holds to, and tests that are there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from hunkwise.settings.rules import Bounds
from tests.pages import ROOT, code_spans, page

_ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in page("docs/limits.md").splitlines()
    if line.startswith("| ") and not line.startswith("| What |")
]
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")


def number(constant: str) -> str:
    """The value of `package.module:NAME` as the page writes it; the greatest of bounds."""
    module, _, name = constant.partition(":")
    value = getattr(import_module(module), name)
    if isinstance(value, Bounds):
        value = value.high
    assert isinstance(value, int | float)
    return f"{int(value):,}"


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_a_limit_is_what_the_code_says(row: list[str]) -> None:
    assert len(row) == 5
    what, most, beyond, constants, _ = row
    assert what
    assert beyond
    told = _NUMBER.findall(most)
    wanted = [number(constant) for constant in code_spans(constants)]
    assert wanted
    assert set(wanted) <= set(told)


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_a_limit_is_proved_by_a_test_that_is_there(row: list[str]) -> None:
    (named,) = code_spans(row[4])
    path, _, test = named.partition("::")
    text = (ROOT / Path(path)).read_text(encoding="utf-8")
    assert f"def {test}(" in text if test else "def test_" in text

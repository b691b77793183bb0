"""Compares the README with the code: its length, examples, sample and diagrams."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from hunkwise.prompts.renderer import Renderer
from hunkwise.settings.config import parse_config
from hunkwise.settings.sources import read_front_matter
from tests.pages import ROOT, code_blocks, page
from tests.prompts.samples import context

README = page("README.md")
DIAGRAMS = [*code_blocks(README, "mermaid"), *code_blocks(page("docs/reviewing.md"), "mermaid")]
MOST_WORDS = 1_800
NUMBER = re.compile(r"\d+(?:\.\d+)* (?:%|s\b|files|)")


def test_is_short() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_example_workflow_is_one_of_the_examples() -> None:
    example = (ROOT / "examples" / "workflows" / "organization.yml").read_text(encoding="utf-8")
    assert code_blocks(README, "yaml")[0] == example[example.index("name:") :]


def test_example_prompt_is_one_that_the_example_configuration_runs() -> None:
    (text,) = (block for block in code_blocks(README, "yaml") if "version: 1" in block)
    (template,) = code_blocks(README, "jinja")
    config = parse_config(text.encode(), path=".github/hunkwise.yml")
    assert [prompt.name for prompt in config.prompts] == ["review", "migrations"]
    front, body = read_front_matter(template, "migrations")
    assert front.paths == ("db/migrations/**",)
    assert "Report what locks a large table" in Renderer({"migrations": body}).render(
        "migrations", context("review")
    )


def test_sample_equals_output_of_example() -> None:
    command = [sys.executable, str(ROOT / "examples" / "show.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    lines = {line.rstrip() for line in printed.splitlines()}
    (sample,) = code_blocks(README, "text")
    assert [line for line in sample.splitlines() if line != "…" and line.rstrip() not in lines] == []


def test_figures_are_on_the_page_of_figures() -> None:
    shown = README.split("## Figures")[1].split("## ")[0]
    assert set(NUMBER.findall(shown)) <= set(NUMBER.findall(page("docs/figures.md")))


def test_picture_has_both_themes_and_a_description() -> None:
    (picture,) = re.findall(r"<picture>.*?</picture>", README, re.DOTALL)
    assert '<source media="(prefers-color-scheme: dark)" srcset="docs/pictures/review-dark.png">' in picture
    assert re.search(r'<img src="docs/pictures/review-light.png" [^>]*alt="[^"]{40,}"', picture)


@pytest.mark.parametrize("picture", DIAGRAMS)
def test_diagram_is_consistent(picture: str) -> None:
    first, *lines = picture.splitlines()
    assert first == "flowchart LR"
    defined = set(re.findall(r'^\s+(\w+)\["[^"]+"\]$', picture, re.MULTILINE))
    arrows = [line for line in lines if re.search(r"-->|\.->", line)]
    joined = {end.strip() for line in arrows for end in re.split(r"<?-\.?->(?:\|\"[^\"]+\"\|)?", line)}
    assert joined == defined
    opened = sum(line.strip().startswith("subgraph ") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines)

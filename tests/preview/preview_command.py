"""Runs preview commands in the test's process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hunkwise.arguments import build_parser
from hunkwise.cli import preview
from hunkwise.domain.review import ExitCode

NOTHING: Mapping[str, str] = MappingProxyType({})
CONFIG = """\
version: 1
fail-on: high
ignore: ["docs/**"]
context:
  linked-issues: false
prompts:
  - review
  - name: mine
    template: .github/mine.md.j2
    min-severity: low
    budget:
      max-tokens: 5000
partials:
  severity: .github/severity.md.j2
"""
TEMPLATE = """\
---
description: Tables that grow
paths: ["db/**"]
min-severity: medium
budget: {max-model-calls: 3}
chunk-budget:
  max-credits: 2.5
tools: []
---
{% extends "hunkwise/review" %}
{% block task %}Look at {{ repository }}.{% endblock %}
"""
SEVERITY = "Be mild.\n"
FILES = {
    ".github/hunkwise.yml": CONFIG,
    ".github/mine.md.j2": TEMPLATE,
    ".github/severity.md.j2": SEVERITY,
}


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes the files into the folder and makes it a git checkout."""
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def run_preview(folder: Path, *arguments: str, environ: Mapping[str, str] = NOTHING) -> ExitCode:
    """Runs `hunkwise ARGUMENTS` in the folder. Raises Error."""
    return ExitCode(preview(build_parser().parse_args([*arguments, "--repository", str(folder)]), environ))

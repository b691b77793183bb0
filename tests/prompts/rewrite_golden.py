"""Writes the golden renderings again: `python -m tests.prompts.rewrite_golden`. Read the difference then."""

from __future__ import annotations

from tests.prompts.samples import GOLDEN, NAMES, rendering

if __name__ == "__main__":
    for name in NAMES:
        (GOLDEN / f"{name}.md").write_text(rendering(name), encoding="utf-8")

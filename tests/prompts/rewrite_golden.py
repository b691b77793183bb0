"""Rewrites the golden renderings: `python -m tests.prompts.rewrite_golden`. Review the diff afterwards."""

from __future__ import annotations

from tests.prompts.samples import GOLDEN, goldens

if __name__ == "__main__":
    for name, text in goldens().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")

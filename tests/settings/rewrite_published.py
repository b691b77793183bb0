"""Updates schemas, action.yml and the documentation's tables: `python -m tests.settings.rewrite_published`."""

from __future__ import annotations

from tests.pages import ROOT
from tests.settings.test_schema import PUBLISHED

if __name__ == "__main__":
    for path, text in PUBLISHED.items():
        (ROOT / path).write_text(text(), encoding="utf-8")

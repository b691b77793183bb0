"""Updates schemas, action.yml, the documentation's tables and examples of workflows.

Run it by `python -m tests.settings.rewrite_published`.
"""

from __future__ import annotations

from tests.commands.test_workflow_files import EXAMPLES
from tests.pages import ROOT
from tests.settings.test_schema import PUBLISHED

if __name__ == "__main__":
    for path, text in PUBLISHED.items():
        (ROOT / path).write_text(text(), encoding="utf-8")
    for path, example in EXAMPLES.items():
        (ROOT / path).write_text(example, encoding="utf-8")

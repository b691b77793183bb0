"""Updates the published JSON Schemas: `python -m tests.settings.rewrite_schemas`."""

from __future__ import annotations

import json

from tests.settings.test_schema import PUBLISHED, SCHEMAS

if __name__ == "__main__":
    for name, schema in PUBLISHED.items():
        (SCHEMAS / f"{name}.schema.json").write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")

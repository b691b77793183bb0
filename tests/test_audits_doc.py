"""Compares docs/audits.md with the code: workflows, configuration, budgets and sample output."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from hunkwise.flows.audit_planning import CALLS_A_SHARD, MOST_SHARDS
from hunkwise.publish.audit_issue import LABEL
from hunkwise.settings.audit_settings import AuditSettings
from hunkwise.settings.config import Config, parse_config
from tests.pages import ROOT, code_blocks, page, table
from tests.test_workflows import AUDITS, FOLDER

PAGE = page("docs/audits.md")
QUESTION_BYTES, QUESTION_LINES = 36_000, 950
"""Measured: what a question holds of hunkwise and of Django."""
AUDITS_A_MONTH = 52 / 12


@pytest.mark.parametrize("name", AUDITS)
def test_page_has_the_workflow(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text[text.index("name:") :] in code_blocks(PAGE, "yaml")


def test_configuration_is_valid() -> None:
    (text,) = (block for block in code_blocks(PAGE, "yaml") if "version: 1" in block)
    audit = parse_config(text.encode(), path=".github/hunkwise.yml").audit
    defaults = AuditSettings()
    assert {name for name, value in audit if value != getattr(defaults, name)} == {
        "paths", "ignore", "prompts", "max_model_calls", "week", "notify_on", "risk",
    }  # fmt: skip


def test_defaults_are_those_of_the_code() -> None:
    audit, text = AuditSettings(), " ".join(PAGE.split())
    assert f"`max-model-calls` ({audit.max_model_calls})" in text
    assert f"`again-after` days ago ({audit.again_after})" in text
    assert audit.notify_on is not None
    assert f"`notify-on` (`{audit.notify_on.label}`)" in text
    assert f"one for every {CALLS_A_SHARD} model calls of the budget, at most {MOST_SHARDS}" in text
    assert f"up to {Config().chunk_size:,} characters" in text
    assert f"it holds {QUESTION_BYTES:,} bytes of code: four or five files, or {QUESTION_LINES} lines" in text
    assert f"label `{LABEL}`" in text


def test_budgets_read_what_the_table_says() -> None:
    rows = table(PAGE, "`max-model-calls`")
    assert str(AuditSettings().max_model_calls) in [row[0] for row in rows]
    for calls, questions, of_an_audit, of_a_month in rows:
        assert int(questions) == int(calls) - int(calls) // 5  # the others are for the double-check
        for text, audits in ((of_an_audit, 1.0), (of_a_month, AUDITS_A_MONTH)):
            megabytes, lines = re.findall(r"[\d,.]+\d", text)
            assert float(megabytes) == pytest.approx(int(questions) * audits * QUESTION_BYTES / 1e6, rel=0.05)
            assert int(lines.replace(",", "")) == pytest.approx(
                int(questions) * audits * QUESTION_LINES, rel=0.02
            )


def test_sample_equals_output_of_two_audits() -> None:
    command = [sys.executable, str(ROOT / "examples" / "show.py"), "--audit"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    lines = [line.rstrip() for line in printed.splitlines()]
    (sample,) = code_blocks(PAGE, "text")
    assert [line for line in sample.splitlines() if line != "…" and line not in lines] == []
    # The second audit asks nothing: the cost is the first one's.
    (first, second) = (line for line in lines if "model calls this week" in line)
    assert first == second

"""Tests which settings and texts change the digest of a run's settings."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.domain.pull_request import Instructions
from hunkwise.flows.prompting import settings_digest
from hunkwise.settings.audit_settings import AuditPrompt, AuditSettings
from hunkwise.settings.automatic_settings import AutomaticSettings
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import BudgetSettings, CommandSettings, ContextSettings, PromptSettings

MINE = PromptSettings(name="mine", template="mine.j2")
CHANGING: dict[str, Any] = {
    "context": ContextSettings(threads=False),
    "model": "other",
    "models": ("other", "another"),
    "prompts": (MINE,),
    "ignore": ("*.lock",),
    "paths": ("src/**",),
    "min_severity": Severity.HIGH,
    "min_confidence": 0.9,
}
INDIFFERENT: dict[str, Any] = {
    "commands": CommandSettings(author=("help",)),
    "automatic": AutomaticSettings(drafts=True),
    "version": 1,
    "fail_on": Severity.HIGH,
    "request_changes_on": Severity.HIGH,
    "approve": True,
    "max_comments": 3,
    "min_coverage": 50,
    "deadline": 3.0,
    "max_model_calls": 9,
    "max_tokens": 90_000,
    "max_credits": 3.0,
    "partials": {"severity": "told.by.its.text"},
    "verify": "strict",
    "verify_model": "other",
    "verify_budget": BudgetSettings(max_model_calls=3),
    "summary": "off",
    "summary_model": "other",
    "prompt_for_agents": False,
    "dry_run": True,
    "upload_sarif": True,
    "parallel": 2,
    "chunk_size": 32_000,
    "audit": AuditSettings(prompts=(AuditPrompt(name="docs"),), min_severity=Severity.LOW),
}


def digest(
    config: Config | None = None,
    templates: dict[str, str] | None = None,
    instructions: tuple[Instructions, ...] = (),
    *,
    demo: bool = False,
    system: str = "You review.",
) -> str:
    return settings_digest(config or Config(), templates or {}, instructions, demo=demo, system=system)


def test_every_setting_is_known_to_change_the_digest_or_not_to() -> None:
    assert set(Config.model_fields) == CHANGING.keys() | INDIFFERENT.keys()


@pytest.mark.parametrize("name", CHANGING)
def test_what_is_looked_for_changes_the_digest(name: str) -> None:
    assert digest(Config(**{name: CHANGING[name]})) != digest()


@pytest.mark.parametrize("name", INDIFFERENT)
def test_how_much_is_asked_or_said_does_not(name: str) -> None:
    assert digest(Config(**{name: INDIFFERENT[name]})) == digest()


def of(**given: Any) -> Config:
    """A configuration with one prompt of one's own."""
    return Config(prompts=(PromptSettings(name="mine", template="a.j2", **given),))


def test_the_settings_of_a_prompt_change_the_digest_and_its_templates_name_does_not() -> None:
    plain = digest(of(), {"mine": "x"})
    assert digest(of(paths=("db/**",)), {"mine": "x"}) != plain
    assert digest(of(min_severity=Severity.HIGH), {"mine": "x"}) != plain
    assert digest(of(min_severity=Severity.LOW), {"mine": "x"}) == plain
    assert digest(of(min_confidence=0.3), {"mine": "x"}) != plain
    assert digest(of(min_confidence=Config().min_confidence), {"mine": "x"}) == plain
    assert digest(of(max_severity=Severity.MEDIUM), {"mine": "x"}) != plain
    assert digest(of(categories=("locks",)), {"mine": "x"}) != plain
    assert digest(of(tools=()), {"mine": "x"}) != plain
    assert digest(of(description="read by the template"), {"mine": "x"}) != plain
    assert digest(of(budget=BudgetSettings(max_tokens=9)), {"mine": "x"}) == plain
    assert digest(of(chunk_budget=BudgetSettings(max_tokens=9)), {"mine": "x"}) == plain
    assert digest(Config(prompts=(MINE,)), {"mine": "x"}) == plain


@pytest.mark.parametrize("name", STAGE_PROMPTS)
def test_what_is_asked_once_the_findings_are_there_does_not(name: str) -> None:
    stage = PromptSettings(name=name, template="a.j2", tools=())
    assert digest(Config(prompts=(PromptSettings(name="review"), stage)), {name: "x"}) == digest()


def test_a_model_that_is_asked_only_where_another_is_gone_does_not() -> None:
    assert digest(Config(models=("a", "b"))) == digest(Config(models=("a",))) == digest(Config(model="a"))


def test_the_texts_change_the_digest() -> None:
    rules = Instructions("AGENTS.md", "Count in cents.")
    variants = [
        digest(),
        digest(templates={"mine": "x"}),
        digest(templates={"mine": "y"}),
        digest(templates={"review": "my own review"}),
        digest(templates={"partials/severity": "mine"}),
        digest(instructions=(rules,)),
        digest(instructions=(Instructions("AGENTS.md", "Count in euros."),)),
        digest(instructions=(Instructions("AGENTS.md", "Count in cents.", ("*.py",)),)),
        digest(instructions=(Instructions(".github/copilot-instructions.md", "Count in cents."),)),
        digest(system="You approve."),
        digest(demo=True),
        digest(system="\ud800"),
    ]
    assert len(set(variants)) == len(variants)
    assert all(len(word) == 16 and int(word, 16) >= 0 for word in variants)


def test_the_order_of_templates_does_not_matter() -> None:
    assert digest(templates={"a": "1", "b": "2"}) == digest(templates={"b": "2", "a": "1"})

"""Several built-in prompts over one change: each asks in its own words, and what they find twice is told once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import Question
from hunkwise.domain.review import Review
from hunkwise.errors import SettingsError
from hunkwise.flows.base_config import read_base_texts
from hunkwise.flows.review import ReviewRequest, prepare
from hunkwise.settings.config import Config
from tests.fakes.changes import FakeCommit, added, snapshot
from tests.flows.test_analysis import FakeModel, Running, finding

PATH = ".github/hunkwise.yml"
TWIN = finding("a.py", "The token is compared with == and leaks its length", "high", line=2)
FOUND: dict[str, list[dict[str, Any]]] = {
    "review": [{**TWIN, "category": "security"}],
    "security": [{**TWIN, "category": "authentication"}],
    "tests": [finding("a.py", "No case has an expired token", "critical", line=3)],
}


class Reviewers(FakeModel):
    """Each prompt's reviewer finds what FOUND says."""

    questions: list[Question]

    async def ask(self, question: Question) -> None:
        self.questions = [*getattr(self, "questions", []), question]
        question.tool.take({"findings": FOUND.get(question.purpose, []), "done": True})


def ordered(configuration: str, **files: bytes) -> ReviewRequest:
    base = FakeCommit({PATH: f"version: 1\nverify: off\nsummary: off\n{configuration}".encode(), **files})
    texts = read_base_texts(base, PATH, lambda config: config)
    return ReviewRequest(snapshot(added("a.py", "one", "two", "three")), texts.config, texts.templates)


def reviewed(order: ReviewRequest) -> tuple[Review, list[Question]]:
    running = Running(Reviewers())
    made = asyncio.run(running.review(order))
    assert isinstance(running.model, Reviewers)
    return made, running.model.questions


def test_prompts_over_one_change_are_asked_each_and_their_twins_are_merged() -> None:
    made, questions = reviewed(ordered("prompts: [review, security, tests, docs]"))
    assert sorted(question.purpose for question in questions) == ["docs", "review", "security", "tests"]
    told = {(one.title, one.severity) for one in made.findings}
    assert told == {
        (TWIN["title"], Severity.HIGH),
        ("No case has an expired token", Severity.MEDIUM),
    }
    assert len(made.findings) == 2
    assert made.dropped == 1
    assert made.coverage.percent == 100


def test_every_prompt_offers_its_own_categories_tools_and_budget() -> None:
    _, questions = reviewed(ordered("prompts: [review, {name: security, tools: [repo_read]}]"))
    by_purpose = {question.purpose: question for question in questions}
    offered = {
        purpose: question.tool.parameters["properties"]["findings"]["items"]["properties"]["category"]["enum"]
        for purpose, question in by_purpose.items()
    }
    assert "injection" in offered["security"]
    assert "correctness" in offered["review"]
    assert by_purpose["security"].reading == ("repo_read",)
    assert "`repo_read`:" in by_purpose["security"].prompt
    assert {question.budget.limits.max_model_calls for question in questions} == {25}


def test_the_prompts_of_one_change_see_the_same_part_of_it() -> None:
    _, questions = reviewed(ordered("prompts: [review, security, tests, performance, api, docs]"))
    parts = {question.prompt.partition("# The part to review")[2] for question in questions}
    assert len(questions) == 6
    assert len(parts) == 1


def test_a_broken_template_of_the_double_check_is_found_before_anything_is_spent() -> None:
    order = ordered(
        "prompts: [review, {name: verify, template: v.j2}]", **{"v.j2": b"---\ntools: []\n---\n{% if %}"}
    )
    with pytest.raises(SettingsError, match=r"^v\.j2:4: Expected an expression"):
        prepare(order)


def test_a_configuration_that_was_not_read_from_a_base_is_reviewed_as_well() -> None:
    made, questions = reviewed(
        ReviewRequest(snapshot(added("a.py", "1", "2")), Config(verify="off", summary="off"), {})
    )
    assert [question.purpose for question in questions] == ["review"]
    assert len(made.findings) == 1

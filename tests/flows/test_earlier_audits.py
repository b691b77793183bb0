"""Findings of earlier audits that this one does not raise again go to the double-check."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Anchor, Finding, Recheck, RecheckState, Severity
from hunkwise.domain.model import Question
from hunkwise.domain.review import Coverage, FileCoverage, Review, SkipReason, SuppressedFinding, Suppression
from hunkwise.flows.planning import EarlierFinding, not_raised_again, raises_again, refuted_again
from hunkwise.flows.review import ReviewRequest
from hunkwise.settings.config import Config
from tests.fakes.changes import added, snapshot
from tests.flows.test_analysis import FakeModel, Running, finding

OLD = Finding(
    "a.py",
    Severity.HIGH,
    "The retry has no end",
    "It asks again and again.",
    anchor=Anchor("a.py", 3, Side.RIGHT, 2, code="two\nthree"),
    category="failure-path",
    raised_as="0123456789abcdef",
)
READ = Coverage((FileCoverage("a.py", 4, 4), FileCoverage("b.py", 4, 2, SkipReason.BUDGET)))


def new(**changes: Any) -> Finding:
    """The earlier finding, as this audit raises it: its fingerprint is another one."""
    return replace(OLD, raised_as=None, **changes)


def earlier(old: Finding = OLD) -> EarlierFinding:
    return EarlierFinding(old.fingerprint, old, "", asked=True)


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (OLD, True),
        (new(title="Asks without end"), True),  # the category
        (new(category="performance"), True),  # the title
        (new(title="Asks without end", category="Failure-Path"), True),
        (new(title="Asks without end", category="performance"), False),
        (new(anchor=Anchor("a.py", 4, Side.RIGHT, 3)), True),
        (new(anchor=Anchor("a.py", 4, Side.RIGHT)), False),
        (new(anchor=None), False),
        (new(path="b.py"), False),
    ],
)
def test_a_finding_is_raised_again_on_its_lines_with_its_category_or_title(
    found: Finding, same: bool
) -> None:
    assert raises_again(found, OLD) is same
    expected = () if same else (earlier(),)
    assert not_raised_again([earlier()], [found], READ) == expected


def test_what_was_not_read_whole_is_not_asked_about() -> None:
    others = [earlier(replace(OLD, path=path)) for path in ("b.py", "c.py")]
    assert not_raised_again([*others, earlier()], (), READ) == (earlier(),)


@pytest.mark.parametrize(
    ("refuted", "kept", "answered"),
    [
        ([SuppressedFinding(new(), "It ends after 5.")], [], True),
        ([SuppressedFinding(new(), "It ends after 5.")], [new(title="Asks too often")], False),
        ([SuppressedFinding(new(), "It is small.", Suppression.NOT_WORTH_COMMENT)], [], False),
        ([SuppressedFinding(new(path="b.py"), "It ends after 5.")], [], False),
    ],
    ids=["refuted", "beside one that is kept", "true and small", "another file"],
)
def test_what_is_raised_again_and_refuted_counts_as_refuted(
    refuted: list[SuppressedFinding], kept: list[Finding], answered: bool
) -> None:
    expected = {OLD.fingerprint: Recheck(RecheckState.FIXED, "It ends after 5.")} if answered else {}
    assert refuted_again([earlier()], refuted, kept) == expected


class Reviewers(FakeModel):
    """Answers with `found`; a double-check gives `verdicts`, by the titles of the findings."""

    def __init__(self, found: list[dict[str, Any]], verdicts: dict[str, str]) -> None:
        super().__init__()
        self.found = found
        self.verdicts = verdicts
        self.second: list[str] = []

    async def ask(self, question: Question) -> None:
        if question.purpose != "verify":
            question.tool.take({"findings": self.found, "done": True})
            return
        self.second.append(question.prompt)
        sections = question.prompt.split("\n## Finding ")[1:]
        verdicts = [
            {"finding": number, "verdict": verdict, "evidence": "a.py:3"}
            for number, section in enumerate(sections, 1)
            for title, verdict in self.verdicts.items()
            if title in section
        ]
        question.tool.take({"verdicts": verdicts, "done": True})


def audited(model: Reviewers, **settings: Any) -> Review:
    files = snapshot(added("a.py", "one", "two", "three", "four"))
    config = Config(**settings).for_audit()
    request = ReviewRequest(replace(files, audit=True), config, {}, earlier=(earlier(),))
    return asyncio.run(Running(model).review(request))


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("keep", RecheckState.OPEN), ("fixed", RecheckState.FIXED), ("unclear", RecheckState.UNDECIDED)],
)
def test_an_earlier_finding_is_answered_under_its_fingerprint(verdict: str, state: RecheckState) -> None:
    model = Reviewers([finding("a.py", "Another one", line=1)], {"no end": verdict, "Another": "keep"})
    made = audited(model)
    assert [one.title for one in made.findings] == ["Another one"]
    assert {key: answer.state for key, answer in made.rechecks.items()} == {OLD.fingerprint: state}
    (prompt,) = model.second
    assert "# Findings of earlier audits: does each hold" in prompt
    assert "existing code" in prompt


def test_an_earlier_finding_that_is_raised_again_is_one_question() -> None:
    again = {**finding("a.py", OLD.title, line=3), "start_line": 2, "category": "failure-path"}
    kept = Reviewers([again], {OLD.title: "keep"})
    made = audited(kept)
    assert ([one.title for one in made.findings], made.rechecks) == ([OLD.title], {})
    assert "earlier audits" not in "".join(kept.second)
    refuted = audited(Reviewers([again], {OLD.title: "drop"}))
    assert (refuted.findings, refuted.rechecks) == (
        (),
        {OLD.fingerprint: Recheck(RecheckState.FIXED, "a.py:3")},
    )


def test_without_a_double_check_nothing_is_known_of_earlier_findings() -> None:
    model = Reviewers([], {})
    assert audited(model, verify="off").rechecks == {}
    assert model.second == []

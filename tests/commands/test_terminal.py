"""What a person at a terminal reads."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from hunkwise.commands.terminal import console, show
from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Area, Risk, RiskLevel, Severity, Verification, Walkthrough
from hunkwise.domain.review import (
    Coverage,
    FileCoverage,
    Review,
    ReviewFault,
    SkipReason,
    SuppressedFinding,
    Suppression,
    Usage,
)
from hunkwise.publish.sections import tally
from tests.publish.samples import anchor, clean, file_diff, finding, review


def shown(found: Review, review_url: str | None = None, *, terminal: bool = False) -> str:
    paper = io.StringIO()
    show(found, Console(file=paper, highlight=False, width=100, force_terminal=terminal), review_url)
    return paper.getvalue()


def test_findings_come_from_the_gravest_to_the_least_with_their_code() -> None:
    small = finding("Small", severity=Severity.LOW, at=anchor(2))
    grave = finding("Grave", severity=Severity.CRITICAL, at=anchor(3, 2), suggestion="two and a third")
    text = shown(replace(clean(review(small, grave)), files=(file_diff(),)), "https://github.com/x")
    assert text.index("critical  Grave") < text.index("low  Small")
    assert "src/a.py:2-3" in text
    assert "❱ 2 two!" in text
    assert "  1 one" in text
    assert "Suggestion:\n    two and a third" in text
    assert "2 findings: 1 critical, 1 low." in text
    assert "Reviewed 4 of 4 changed lines (100 %) in 1 file." in text
    assert "2 model calls, 12,345 tokens in, 678 out, 12.3 s." in text
    assert text.endswith("View the review: https://github.com/x\n")


def test_places_without_code_are_named_all_the_same() -> None:
    unplaced = replace(finding("Unplaced"), reported_line=99)
    removed = finding("Removed", at=anchor(2, side=Side.LEFT))
    far = finding("Far", at=anchor(500))
    bare = finding("Bare", path="b.py")
    text = shown(replace(clean(review(unplaced, removed, far, bare)), files=(file_diff(),)))
    assert "src/a.py (line 99 was named, and is not in the diff)" in text
    assert "src/a.py:2 (removed)" in text
    assert "code of 500" in text
    assert "\n  b.py\n" in text


def test_what_was_not_reviewed_is_named_with_its_reason() -> None:
    files = tuple(FileCoverage(f"f{n}.py", 1, 0, SkipReason.DEADLINE) for n in range(25))
    found = replace(
        review(),
        coverage=Coverage(files),
        faults=(ReviewFault("x", "It failed.", "Try."),),
        notes=("A note.",),
    )
    low = SuppressedFinding(
        replace(finding("Guessed", at=anchor(2)), confidence=0.4),
        "Below `min-confidence` (55 %)",
        Suppression.LOW_CONFIDENCE,
    )
    text = shown(replace(found, demo=True, usage=Usage(1), suppressed=(low,)))
    assert "Below min-confidence (55 %): 1 finding.\n  src/a.py:2  Guessed (40 %)\n" in text
    assert "Nothing was reviewed." in text
    assert "  not fully reviewed: f0.py (the deadline was reached)\n" in text
    assert "and 5 more" in text
    assert "! It failed. Try." in text
    assert "A note." in text
    assert "1 model call, " in text
    assert text.endswith("fixed rules, not a model. Set COPILOT_GITHUB_TOKEN to use a real model.\n")


def test_what_a_double_check_made_of_findings_is_told() -> None:
    held = replace(finding("Held", at=anchor(2)), check=Verification.CONFIRMED)
    doubtful = replace(finding("Doubtful", at=anchor(3)), check=Verification.UNVERIFIED)
    told = replace(clean(review(held, doubtful)), suppressed=(SuppressedFinding(finding("Gone"), "It is."),))
    text = shown(told)
    assert "src/a.py:3 (not double-checked)" in text
    assert text.count("not double-checked") == 1
    assert f"\nDouble-checked: {tally(told)}.\n" in text
    assert tally(told).startswith("1 confirmed, ")
    assert "Gone" not in text


def test_what_changed_is_told_before_the_conclusion() -> None:
    walkthrough = Walkthrough(
        (Area("Payments", "Retries end.", "Nobody pays twice."),), Risk(RiskLevel.LOW, "Small.")
    )
    text = shown(replace(clean(review()), summary="It pays once.", walkthrough=walkthrough))
    assert text.startswith("It pays once.\n  Payments: Retries end. Nobody pays twice.\n")
    assert "  Risk: low (AI estimate). Small.\n\nNo findings.\n" in text


NOTHING = clean(review())
REFUTED = SuppressedFinding(finding(), "It is.")
SMALL = SuppressedFinding(finding(), "It is small.", Suppression.NOT_WORTH_COMMENT)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (NOTHING, "No findings."),
        (review(), "No findings in the part that was reviewed."),
        (replace(NOTHING, coverage=Coverage()), "Nothing to review."),
        (
            replace(NOTHING, suppressed=(REFUTED,)),
            "No findings: the second check ruled out everything that was reported.",
        ),
        (replace(NOTHING, suppressed=(REFUTED, SMALL)), "No findings that are worth a comment."),
        (clean(review(finding())), "1 finding: 1 medium."),
    ],
)
def test_result_is_one_sentence_about_what_was_reviewed(found: Review, said: str) -> None:
    assert said in shown(found).splitlines()


def test_file_that_is_skipped_on_purpose_is_not_missing() -> None:
    assert "  skipped: poetry.lock (lock file)\n" in shown(review())


def test_piped_text_is_whole_and_has_no_space_at_the_end_of_a_line() -> None:
    code, long = "value = 1  ", "word " * 60
    patch = f"@@ -1,1 +1,3 @@\n one\n+{code}\n+{'x' * 300}\n".encode()
    told = finding("Title ", body=f"{long}\n\n  end  ", at=replace(anchor(2), code=code), suggestion="a  \nb")
    summary = f"{long}\nShort. "
    text = shown(replace(clean(review(told)), files=(file_diff(patch=patch),), summary=summary))
    assert re.findall(r"[ \t]+$", text, re.MULTILINE) == []
    lines = text.splitlines()
    assert {f"  {long}".rstrip(), f"  ❱ 2 {code}".rstrip(), f"    3 {'x' * 300}", "    a", "    b"} <= {
        *lines
    }
    terminal = shown(replace(clean(review(told)), files=(file_diff(patch=patch),)), terminal=True)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in terminal.splitlines()) <= 100


@pytest.mark.parametrize("terminal", [False, True])
def test_foreign_text_sends_nothing_to_the_terminal(terminal: bool) -> None:
    bell = "\x07\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[bold]x"
    at = replace(anchor(2), code=bell)
    hostile = replace(finding(bell, body=bell, at=at, suggestion=bell), reported_line=3)
    patch = b"@@ -1,1 +1,2 @@\n one\n+" + bell.encode()
    found = replace(
        review(hostile, replace(hostile, anchor=None, path=bell)),
        coverage=Coverage((FileCoverage(bell, 1, 0, SkipReason.BINARY),)),
        faults=(ReviewFault(bell, bell, bell),),
        notes=(bell,),
        summary=bell,
        walkthrough=Walkthrough((Area(bell, bell, bell),), Risk(RiskLevel.HIGH, bell)),
        files=(file_diff(patch=patch),),
    )
    text = shown(found, bell, terminal=terminal)
    assert not {"\x07", "\x9b", "\u202e"} & set(text)
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text
    assert "[bold]x" in text


def test_a_long_line_of_code_is_cut() -> None:
    patch = b"@@ -0,0 +1 @@\n+" + b"x" * 4_000
    at = replace(anchor(1), code="x" * 4_000)
    found = replace(clean(review(finding(at=at))), files=(file_diff(patch=patch),))
    assert shown(found).count("x") < 600


def test_the_console_writes_where_it_is_told() -> None:
    assert console(stderr=True).stderr
    assert not console().stderr

"""Twins are said once, and what is left out is counted."""

from __future__ import annotations

from dataclasses import replace

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Severity
from hunkwise.flows.publish_plan import merge
from tests.publish.samples import anchor, finding


def test_findings_below_the_severity_are_left_out_and_counted() -> None:
    low, high = finding(severity=Severity.LOW), finding(severity=Severity.HIGH)
    assert merge([low, high], Severity.MEDIUM) == ((high,), 1)


def test_of_twins_the_more_severe_stays_then_the_one_that_says_more() -> None:
    short = finding("Same  title.", at=anchor(2), body="short")
    long = finding("same title", at=anchor(2), body="much longer")
    severe = finding("SAME TITLE", at=anchor(2), body="", severity=Severity.HIGH)
    assert merge([short, long], Severity.LOW) == ((long,), 1)
    assert merge([long, severe, short], Severity.LOW) == ((severe,), 2)


def test_another_fault_of_the_same_code_is_told_in_the_same_place() -> None:
    one = finding("one", at=replace(anchor(4, start_line=2), code="x"), severity=Severity.HIGH)
    other = finding("other", at=replace(anchor(3), code="x"), body="longer than that", suggestion="y")
    (both,), left_out = merge([one, other], Severity.LOW)
    assert left_out == 1
    assert both == replace(one, body="A body.\n\n**Also:** other\n\nlonger than that\n\n```\ny\n```")


def test_twins_that_differ_in_words_alone_bring_no_code_along() -> None:
    one, other = finding("one", at=anchor(2)), finding("other", at=anchor(2))
    assert merge([one, other], Severity.LOW)[0][0].body == "A body.\n\n**Also:** other\n\nA body."


def test_without_a_line_the_same_words_in_another_spelling_are_twins() -> None:
    one = finding("caf\u00e9 a", body="long body")
    other = finding("caf\u00e9  a")
    assert merge([other, one], Severity.LOW) == ((one,), 1)


def test_what_would_become_too_long_keeps_a_place_of_its_own() -> None:
    one = finding("one", at=anchor(2), body="x" * 5_000)
    other = finding("other", at=anchor(2), body="y" * 5_000)
    assert len(merge([one, other], Severity.LOW)[0]) == 2


def test_the_same_words_at_another_place_are_no_twin() -> None:
    found = [
        finding(at=anchor(2)),
        finding(at=anchor(9)),
        finding(at=anchor(2, side=Side.LEFT)),
        finding(at=anchor(2, path="src/b.py")),
        finding(),
        finding(category="other", title="Different"),
    ]
    assert merge(found, Severity.LOW)[1] == 0


def test_the_same_code_elsewhere_in_the_file_is_no_twin() -> None:
    one = finding("one", at=replace(anchor(2), code="x"))
    other = finding("other", at=replace(anchor(9), code="x"))
    left = finding("left", at=replace(anchor(2, side=Side.LEFT), code="x"))
    assert merge([one, other, left], Severity.LOW)[1] == 0


def test_a_title_that_reads_like_the_code_of_another_is_no_twin() -> None:
    assert (
        merge([finding("x = 1"), finding("other", at=replace(anchor(2), code="x = 1"))], Severity.LOW)[1] == 0
    )


def test_twins_without_a_line_are_merged() -> None:
    assert merge([finding("Title"), finding("title!", body="the longer body")], Severity.LOW)[1] == 1
    assert merge([finding("Title"), finding("Title", path="src/b.py")], Severity.LOW)[1] == 0


def test_the_order_does_not_depend_on_the_order_in_which_they_came() -> None:
    found = [
        finding("b", at=anchor(9)),
        finding("on the file"),
        finding("a", at=anchor(2, path="src/0.py")),
        finding("c", at=anchor(9), severity=Severity.CRITICAL, category="other"),
    ]
    kept, _ = merge(found, Severity.LOW)
    assert kept == merge(reversed(found), Severity.LOW)[0]
    assert [one.title for one in kept] == ["a", "on the file", "c", "b"]


def test_hundreds_of_identical_findings_become_one() -> None:
    assert merge([finding(at=anchor(2))] * 500, Severity.LOW) == ((finding(at=anchor(2)),), 499)


def test_titles_without_a_letter_are_not_all_the_same() -> None:
    found = [finding("[[[", at=anchor(2)), finding("`` `", at=anchor(9)), finding("[[["), finding("=== ")]
    assert merge(found, Severity.LOW)[1] == 0
    assert merge([finding("[[["), finding("[[[", body="")], Severity.LOW)[1] == 1

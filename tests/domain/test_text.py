"""Tests the domain model: findings, files, coverage, exit codes."""

from __future__ import annotations

import pytest

from hunkwise.domain.diff import DiffLine, Side
from hunkwise.domain.finding import Anchor, Finding, Severity
from hunkwise.domain.review import (
    Conclusion,
    Coverage,
    ExitCode,
    FileCoverage,
    Review,
    SkipReason,
    Usage,
)
from hunkwise.domain.text import count, is_sha
from hunkwise.errors import GitHubError, GitHubErrorKind, ModelKind, SettingsError, StoppedError
from tests.fakes.changes import changed


def finding(**overrides: object) -> Finding:
    fields: dict[str, object] = {
        "path": "a.py",
        "severity": Severity.LOW,
        "title": "t",
        "body": "b",
        **overrides,
    }
    return Finding(**fields)  # type: ignore[arg-type]  # keywords of several types


def test_severities_are_ordered_and_have_names() -> None:
    assert Severity.from_label("high") > Severity.from_label("medium")
    assert [severity.label for severity in Severity] == ["low", "medium", "high", "critical"]
    with pytest.raises(KeyError):
        Severity.from_label("HIGH")


def test_fingerprint_is_independent_of_line_and_wording() -> None:
    one = finding(anchor=Anchor("a.py", 3, code="  x = 1"), title="One", category="Security")
    two = finding(anchor=Anchor("a.py", 9, start_line=8, code="x  = 1"), title="Two", category="security")
    assert one.fingerprint == two.fingerprint
    assert len(one.fingerprint) == 16


@pytest.mark.parametrize(
    "other",
    [
        finding(anchor=Anchor("a.py", 3, code="y = 1")),
        finding(anchor=Anchor("a.py", 3, code="x = 1"), path="b.py"),
        finding(anchor=Anchor("a.py", 3, code="x = 1"), category="tests"),
        finding(),
        finding(title="\udcff"),
    ],
)
def test_fingerprint_depends_on_location_and_category(other: Finding) -> None:
    assert other.fingerprint != finding(anchor=Anchor("a.py", 3, code="x = 1")).fingerprint


def test_anchor_has_a_range_of_lines() -> None:
    assert list(Anchor("a.py", 5, start_line=3).lines) == [3, 4, 5]
    assert list(Anchor("a.py", 5).lines) == [5]


def test_file_has_lines_of_both_sides() -> None:
    file = changed("a.py")
    assert sorted(file.lines_by_side[Side.LEFT]) == [1, 2, 3]
    assert sorted(file.lines_by_side[Side.RIGHT]) == [1, 2, 3, 4]
    assert file.hunk_at(Side.LEFT, 3) is file.hunks[0]
    assert file.hunk_at(Side.RIGHT, 5) is None
    assert (file.changed_lines, file.hunks[0].changed_lines) == (3, 3)


def test_line_of_any_bytes_has_a_text() -> None:
    assert DiffLine("+", None, 1, b"caf\xe9").text == "caf\ufffd"
    assert DiffLine("+", None, 1, b"").changed
    assert not DiffLine(" ", 1, 1, b"").changed


@pytest.mark.parametrize(
    ("files", "unlisted", "percent", "complete"),
    [
        ((), 0, 100, True),
        ((), 2, 0, False),
        ((FileCoverage("a", 3, 3),), 0, 100, True),
        ((FileCoverage("a", 3, 3),), 1, 99, False),
        ((FileCoverage("a", 3, 3), FileCoverage("b", 900, 0, SkipReason.LOCK_FILE)), 0, 100, True),
        ((FileCoverage("a", 200, 199, SkipReason.LINE_TOO_LONG),), 0, 99, False),
        ((FileCoverage("a.csv", 200, 199, SkipReason.DATA),), 0, 100, True),
        (
            (FileCoverage("a.csv", 2, 1, SkipReason.DATA), FileCoverage("b", 3, 0, SkipReason.FAILED)),
            0,
            25,
            False,
        ),
        ((FileCoverage("a.csv", 2, 0, SkipReason.DATA),), 0, 0, True),
        ((FileCoverage("a.csv", 2, 0, SkipReason.DATA), FileCoverage("b", 1, 1)), 0, 100, True),
        ((FileCoverage("a", 1, 1), FileCoverage("b", 2, 0, SkipReason.DEADLINE)), 0, 33, False),
    ],
)
def test_coverage_counts_lines_to_review(
    files: tuple[FileCoverage, ...], unlisted: int, percent: int, complete: bool
) -> None:
    coverage = Coverage(files, unlisted)
    assert (coverage.percent, coverage.complete) == (percent, complete)


def test_usage_adds_up() -> None:
    total = Usage(1, 2, 3, 4, 5, ("a", "b")) + Usage(1, 1, 1, 1, 1, ("b", "c"))
    assert total == Usage(2, 3, 4, 5, 6, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("code", "conclusion"),
    [
        (ExitCode.REVIEWED, Conclusion.SUCCESS),
        (ExitCode.GATE, Conclusion.FAILURE),
        (ExitCode.WRONG_SETTINGS, Conclusion.FAILURE),
        (ExitCode.NO_REVIEW, Conclusion.FAILURE),
        (ExitCode.PARTIAL, Conclusion.NEUTRAL),
    ],
)
def test_each_exit_code_has_a_conclusion(code: ExitCode, conclusion: Conclusion) -> None:
    assert code.conclusion is conclusion


def test_highest_severity_is_that_of_the_most_severe_finding() -> None:
    found = (finding(), finding(severity=Severity.HIGH))
    assert Review("h", found, Coverage(), Usage()).highest is Severity.HIGH
    assert Review("h", (), Coverage(), Usage()).highest is None


def test_error_text_has_message_and_hint() -> None:
    assert (
        str(GitHubError(GitHubErrorKind.NOT_FOUND, "It is gone.", "Look elsewhere."))
        == "It is gone. Look elsewhere."
    )
    assert SettingsError(["one", "two"]).faults == ("one", "two")
    assert (SettingsError([]).exit_code, StoppedError().exit_code) == (2, 3)
    assert ModelKind.AUTHENTICATION.fatal
    assert not ModelKind.TIMEOUT.fatal


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "finding", "1 finding"), (1_000, "finding", "1,000 findings"), (2, "process", "2 processes")],
)
def test_numbers_of_things_are_written_with_the_plural(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


@pytest.mark.parametrize("text", ["a" * 40, "0123456789abcdef" * 4])
def test_a_whole_sha_is_recognized(text: str) -> None:
    assert is_sha(text)


@pytest.mark.parametrize(
    "text", ["", "a" * 39, "a" * 41, "a" * 63, "A" * 40, "g" * 40, "a" * 40 + "\n", "../" * 20]
)
def test_no_other_text_is_a_sha(text: str) -> None:
    assert not is_sha(text)

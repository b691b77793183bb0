"""Placement: each finding is placed once, on the first level that can hold it."""

from __future__ import annotations

from hunkwise.domain.finding import Severity
from hunkwise.publish.placement import MOST_ON_FILE, place
from tests.publish.samples import anchor, file_diff, finding

FILES = [file_diff("src/a.py"), file_diff(".github/workflows/ci.yml"), file_diff("src/b.py")]


def test_anchored_findings_are_inline_others_on_file_or_in_body() -> None:
    inline = finding("inline", at=anchor(2))
    off = finding("off", at=anchor(20))
    on_file = finding("on file")
    elsewhere = finding("elsewhere", path="README.md")
    placement = place([elsewhere, on_file, off, inline], FILES, max_comments=30)
    assert placement.inline == (inline,)
    assert placement.on_file == (on_file,)
    assert set(placement.in_body) == {off, elsewhere}


def test_most_severe_then_most_confident_findings_are_inline() -> None:
    low = finding("low", severity=Severity.LOW, at=anchor(2), confidence=1.0)
    sure = finding("sure", severity=Severity.HIGH, at=anchor(3), confidence=0.9)
    unsure = finding("unsure", severity=Severity.HIGH, at=anchor(2), confidence=0.2)
    placement = place([low, unsure, sure], FILES, max_comments=2)
    assert placement.inline == (sure, unsure)
    assert placement.in_body == (low,)


def test_all_findings_are_in_body_without_allowed_comments() -> None:
    assert place([finding(at=anchor(2))], FILES, max_comments=0).inline == ()


def test_file_comments_are_limited() -> None:
    many = [finding(f"number {number}") for number in range(MOST_ON_FILE + 3)]
    placement = place(many, FILES, max_comments=30)
    assert len(placement.on_file) == MOST_ON_FILE
    assert len(placement.in_body) == 3


def test_finding_with_path_that_json_cannot_encode_is_in_body() -> None:
    path = "caf\udce9.py"
    placement = place([finding(path=path)], [file_diff(path)], max_comments=30)
    assert len(placement.in_body) == 1

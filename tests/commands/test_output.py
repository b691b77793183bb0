"""Quickfix lists, and reviews that are written as lines of JSON while they run."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from hunkwise.commands.finding_stream import FindingStream
from hunkwise.commands.output import quickfix_lines
from hunkwise.domain.diff import FileStatus, Side
from hunkwise.domain.finding import Finding, Severity, Verification
from hunkwise.domain.review import SuppressedFinding, Suppression
from hunkwise.errors import SettingsError
from hunkwise.publish.conclusion import Gates, PublishedReview, conclude
from hunkwise.publish.placement import in_report
from hunkwise.redaction import SecretScan
from tests.publish.samples import anchor, clean, file_diff, finding, review

ERRORFORMAT = re.compile(r"(?P<f>.+?):(?P<l>\d+):(?P<c>\d+): (?P<m>.+)")
"""`%f:%l:%c: %m`, as reviewdog documents it: a file, digits, digits, and the rest of the line."""
PATCH = b"@@ -10,6 +10,4 @@\n ten\n-eleven\n-twelve\n-thirteen\n+new eleven\n fourteen\n fifteen\n"
REMOVAL = b"@@ -7,2 +6,0 @@\n-seven\n-eight\n"
FILES = (
    file_diff(),
    file_diff("cut.py", PATCH),
    replace(file_diff("gone.py", b"@@ -1,2 +0,0 @@\n-one\n-two\n"), status=FileStatus.REMOVED),
    file_diff("bare.py", REMOVAL),
)


def at(path: str, line: int, side: Side = Side.LEFT) -> Finding:
    return finding("Title", at=anchor(line, side=side, path=path))


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (finding("Title", at=anchor(3)), "src/a.py:3:1: medium: Title"),
        (finding("Title", at=anchor(3, 2)), "src/a.py:2:1: medium: Title"),
        (finding("Title", path="whole.py"), "whole.py:1:1: medium: Title"),
        (replace(finding("Title"), reported_line=99), "src/a.py:1:1: medium: Title"),
        (at("cut.py", 10), "cut.py:10:1: medium: Title (removed)"),
        (at("cut.py", 11), "cut.py:10:1: medium: Title (removed)"),
        (at("cut.py", 12), "cut.py:10:1: medium: Title (removed)"),
        (at("cut.py", 13), "cut.py:11:1: medium: Title (removed)"),
        (at("cut.py", 14), "cut.py:12:1: medium: Title (removed)"),
        (at("cut.py", 500), "cut.py:1:1: medium: Title (removed)"),
        (at("gone.py", 2), "gone.py:1:1: medium: Title (removed)"),
        (at("bare.py", 8), "bare.py:6:1: medium: Title (removed)"),
        (at("unknown.py", 8), "unknown.py:1:1: medium: Title (removed)"),
        (
            finding("Two\nlines\x1b[2J\u202e of: 1:2", path="a b.py", severity=Severity.CRITICAL),
            "a b.py:1:1: critical: Two lines[2J of: 1:2",
        ),
        (finding("Title", path="a\nb\x07\u2028.py"), r"a\u000ab\u0007\u2028.py:1:1: medium: Title"),
    ],
)
def test_finding_is_one_line_that_an_errorformat_reads(found: Finding, line: str) -> None:
    assert list(quickfix_lines([found], FILES)) == [line]
    read = ERRORFORMAT.fullmatch(line)
    assert read is not None
    assert f"{read['f']}:{read['l']}:{read['c']}: {read['m']}" == line
    assert read["m"].startswith(f"{found.severity.label}: ")


def test_most_severe_finding_is_the_first_line() -> None:
    found = (finding("Low", severity=Severity.LOW, at=anchor(1)), finding("High", severity=Severity.HIGH))
    assert [line.split(": ")[1] for line in quickfix_lines(found, FILES)] == ["high", "low"]


def events(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_stream_says_what_happened_to_each_finding(capsys: pytest.CaptureFixture[str]) -> None:
    kept, refuted, merged, twice, capped = (
        finding(title, at=anchor(line), severity=Severity.HIGH)
        for title, line in (("Kept", 1), ("Refuted", 2), ("Merged", 3), ("Kept", 1), ("Below", 4))
    )
    after = replace(kept, severity=Severity.LOW, check=Verification.LOWERED, evidence="It is small.")
    suppressed = (
        SuppressedFinding(merged, "The same.", Suppression.MERGED),
        SuppressedFinding(refuted, "It is checked."),
    )
    whole = replace(clean(review(after)), suppressed=suppressed)
    view = PublishedReview(whole, conclude(whole, Gates()), in_report(whole.findings), repository="site")
    with FindingStream.open(SecretScan(())) as stream:
        for each in (kept, refuted, merged, twice, capped):
            stream.add(each)
        taken = events(capsys.readouterr().out)
        stream.finish(view)
    *verdicts, result = events(capsys.readouterr().out)
    assert [(event["event"], event["id"], event["title"]) for event in taken] == [
        ("finding", 1, "Kept"),
        ("finding", 2, "Refuted"),
        ("finding", 3, "Merged"),
        ("finding", 4, "Kept"),
        ("finding", 5, "Below"),
    ]
    assert [tuple(verdict.values()) for verdict in verdicts] == [
        ("verdict", 1, kept.fingerprint, "kept", "low", "lowered", "It is small."),
        ("verdict", 2, refuted.fingerprint, "refuted", "high", None, "It is checked."),
        ("verdict", 3, merged.fingerprint, "merged", "high", None, "The same."),
        ("verdict", 4, kept.fingerprint, "dropped", "high", None, ""),
        ("verdict", 5, capped.fingerprint, "dropped", "high", None, ""),
    ]
    assert (result["event"], result["exit_code"], result["repository"]) == ("result", 0, "site")


def test_stream_ends_with_the_error_and_has_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "ghs_canaryOfTheStream123456"

    def fail() -> None:
        with FindingStream.open(SecretScan([secret])) as stream:
            stream.add(finding(f"It is {secret}"))
            raise SettingsError(["One.", f"Two {secret}."])

    with pytest.raises(SettingsError):
        fail()
    out = capsys.readouterr().out
    assert secret not in out
    assert events(out)[-1] == {"event": "error", "exit_code": 2, "messages": ["One.", "Two ***."]}

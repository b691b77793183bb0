"""The JSON report has every finding, with where it went."""

from __future__ import annotations

import json
from dataclasses import replace

from hunkwise.domain.finding import Severity
from hunkwise.domain.outcome import ExitCode, Fault, Posted, Where
from hunkwise.publish.report import as_json
from tests.publish.samples import HEAD, anchor, finding, review


def test_the_report_tells_everything() -> None:
    inline = finding(
        "t\u200b", at=anchor(4, start_line=2), severity=Severity.HIGH, suggestion="s", confidence=0.5
    )
    unplaced = replace(finding("u", path="x\ud800.py"), said_line=7)
    whole = replace(review(inline, unplaced), faults=(Fault("k", "m", "h"),), notes=("n",), dropped=3)
    posted = Posted("https://x/1", {inline: Where.INLINE}, ("p",), Fault("github invalid", "m2"))
    report = as_json(whole, posted, repository="o/r", pull_request=7, exit_code=ExitCode.PARTIAL)
    assert json.loads(json.dumps(report, ensure_ascii=False).encode()) == report
    first, second = report.pop("findings")
    coverage = report.pop("coverage")
    assert report == {
        "version": 1,
        "tool": {"name": "hunkwise", "demo": False},
        "repository": "o/r",
        "pull_request": 7,
        "head_sha": HEAD,
        "conclusion": "neutral",
        "exit_code": 4,
        "review_url": "https://x/1",
        "highest_severity": "high",
        "dropped": 3,
        "usage": {
            "model_calls": 2,
            "input_tokens": 12_345,
            "output_tokens": 678,
            "cached_tokens": 300,
            "tool_calls": 3,
            "models": ["a-model"],
        },
        "prompts": ["review"],
        "summary": "",
        "faults": [
            {"kind": "k", "message": "m", "hint": "h"},
            {"kind": "github invalid", "message": "m2", "hint": ""},
        ],
        "notes": ["n", "p"],
        "seconds": 12.34,
    }
    assert first == {
        "fingerprint": inline.fingerprint,
        "path": "src/a.py",
        "line": 4,
        "start_line": 2,
        "side": "RIGHT",
        "said_line": None,
        "severity": "high",
        "category": "",
        "confidence": 0.5,
        "prompt": "review",
        "title": "t",
        "body": "A body.",
        "suggestion": "s",
        "where": "inline",
    }
    assert (second["path"], second["line"], second["said_line"]) == ("x\ufffd.py", None, 7)
    assert (second["suggestion"], second["where"]) == (None, "report")
    assert (coverage["percent"], coverage["complete"], coverage["unlisted_files"]) == (28, False, 0)
    assert coverage["files"][1] == {
        "path": "src/b.py",
        "changed_lines": 10,
        "reviewed_lines": 0,
        "reason": "the deadline was reached",
        "missing": True,
        "detail": "after 15 minutes",
    }


def test_a_report_without_findings_has_no_highest_severity() -> None:
    report = as_json(review(), Posted(), repository="", pull_request=None, exit_code=ExitCode.REVIEWED)
    assert (report["highest_severity"], report["findings"], report["review_url"]) == (None, [], None)

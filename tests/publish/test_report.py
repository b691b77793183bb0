"""The JSON report: every finding, and its destination."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hunkwise.domain.finding import Severity, Verification
from hunkwise.domain.review import Destination, ExitCode, PostResult, ReviewFault, SuppressedFinding
from hunkwise.publish.conclusion import PublishedReview, RunConclusion
from hunkwise.publish.finding_text import comment
from hunkwise.publish.placement import PublishedFinding
from hunkwise.publish.report import as_json, digest_of
from tests.publish.samples import (
    HEAD,
    SERVER,
    anchor,
    finding,
    known_finding,
    previous_finding,
    review,
    thread,
    view,
)

PARTIAL = RunConclusion(ExitCode.PARTIAL, ("A part is missing.",))


def test_report_has_all_fields() -> None:
    inline = finding(
        "t\u200b", at=anchor(4, start_line=2), severity=Severity.HIGH, suggestion="s", confidence=0.5
    )
    unplaced = replace(finding("u", path="x\ud800.py"), reported_line=7)
    whole = replace(
        review(inline, unplaced),
        faults=(ReviewFault("k", "m", "h"),),
        notes=("n",),
        dropped=3,
        carried_lines=1,
    )
    posted = PostResult("https://x/1", {}, ("p",), ReviewFault("github invalid", "m2"))
    gone = finding("gone", path="y\udc80.py")
    seen = replace(
        view(whole, PARTIAL, PublishedFinding(inline, Destination.INLINE), posted=posted),
        fixed=(thread(comment(gone, server_url="")), thread("no marker", url="")),
        dismissed=(previous_finding(gone),),
    )
    report = as_json(replace(seen, base_sha="b" * 40), head_repository="fork/r")
    assert json.loads(json.dumps(report, ensure_ascii=False).encode()) == report
    first, second = report.pop("findings")
    coverage = report.pop("coverage")
    assert report.pop("digest").startswith("sha256:")
    assert report == {
        "version": 1,
        "tool": {"name": "hunkwise", "demo": False},
        "run": "run.1",
        "repository": "o/r",
        "pull_request": 7,
        "base_sha": "b" * 40,
        "head_sha": HEAD,
        "head_repository": "fork/r",
        "conclusion": "neutral",
        "exit_code": 4,
        "review_url": "https://x/1",
        "highest_severity": "high",
        "suppressed": [],
        "fixed": [
            {
                "fingerprint": gone.fingerprint,
                "path": "src/a.py",
                "thread_url": f"{SERVER}/o/r/pull/7#discussion_r1",
            },
            {"fingerprint": "", "path": "src/a.py", "thread_url": None},
        ],
        "dismissed": [{"fingerprint": gone.fingerprint, "path": "y\ufffd.py"}],
        "dropped": 3,
        "usage": {
            "model_calls": 2,
            "input_tokens": 12_345,
            "output_tokens": 678,
            "cached_tokens": 300,
            "tool_calls": 3,
            "models": ["a-model"],
            "nano_credits": 0,
            "by_prompt": [],
        },
        "prompts": ["review"],
        "instructions": [],
        "summary": "",
        "walkthrough": None,
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
        "reported_line": None,
        "severity": "high",
        "category": "",
        "confidence": 0.5,
        "prompt": "review",
        "title": "t",
        "body": "A body.",
        "suggestion": "s",
        "where": "inline",
        "known": False,
        "thread_url": None,
        "check": None,
        "evidence": "",
    }
    assert (second["path"], second["line"], second["reported_line"]) == ("x\ufffd.py", None, 7)
    assert (second["suggestion"], second["where"]) == (None, "report")
    assert (coverage["percent"], coverage["complete"], coverage["unlisted_files"]) == (28, False, 0)
    assert coverage["carried_lines"] == 1
    assert coverage["files"][1] == {
        "path": "src/b.py",
        "changed_lines": 10,
        "reviewed_lines": 0,
        "reason": "the deadline was reached",
        "missing": True,
        "detail": "after 15 minutes",
    }


def test_report_without_findings_has_no_highest_severity() -> None:
    report = as_json(PublishedReview(review(), PARTIAL, ()))
    assert (report["highest_severity"], report["findings"], report["review_url"]) == (None, [], None)
    assert (report["pull_request"], report["base_sha"], report["head_repository"]) == (None, "", "")


def test_known_finding_has_its_original_destination() -> None:
    threaded, bodily, unlinked = finding("a", at=anchor(2)), finding("b"), finding("c", at=anchor(3))
    seen = view(
        review(threaded, bodily, unlinked),
        None,
        known_finding(threaded, thread()),
        known_finding(bodily, None, Destination.BODY),
        known_finding(unlinked, thread(url=""), Destination.FILE),
    )
    known = [(one["known"], one["where"], one["thread_url"]) for one in as_json(seen)["findings"]]
    assert known == [
        (True, "inline", f"{SERVER}/o/r/pull/7#discussion_r1"),
        (True, "body", None),
        (True, "file", None),
    ]


def test_digest_is_equal_after_writing_and_reading() -> None:
    report = as_json(view(review(finding("é🦊", confidence=0.1))))
    read = json.loads(json.dumps(report, indent=1))
    assert digest_of(read) == report["digest"]
    assert digest_of(dict(reversed(read.items()))) == report["digest"]


@pytest.mark.parametrize("key", ["head_sha", "findings", "exit_code", "pull_request"])
def test_digest_differs_after_a_change(key: str) -> None:
    report = as_json(view(review(finding())))
    assert digest_of({**report, key: "\ud800"}) != report["digest"]


def test_findings_have_checks_and_suppressed_findings_reasons() -> None:
    why = "Row 3 lets it through."
    held = replace(finding(at=anchor(2)), check=Verification.CONFIRMED, evidence=why)
    doubtful = replace(finding("Doubtful", at=anchor(3)), check=Verification.UNVERIFIED)
    gone = SuppressedFinding(finding("Gone", at=anchor(3)), why)
    odd = SuppressedFinding(finding("On the file"), "x\u200b\ud800")
    report = as_json(view(replace(review(held, doubtful, finding("Never asked")), suppressed=(gone, odd))))
    assert [(one["check"], one["evidence"]) for one in report["findings"]] == [
        ("confirmed", why),
        ("unverified", ""),
        (None, ""),
    ]
    first, second = report["suppressed"]
    assert first == {
        "fingerprint": gone.finding.fingerprint,
        "path": "src/a.py",
        "line": 3,
        "start_line": None,
        "side": "RIGHT",
        "reported_line": None,
        "severity": "medium",
        "category": "",
        "confidence": None,
        "prompt": "review",
        "title": "Gone",
        "body": "A body.",
        "suggestion": None,
        "reason": why,
        "kind": "refuted",
    }
    assert (second["title"], second["line"], second["reason"]) == ("On the file", None, "x\ufffd")

"""What a call of `report_findings` may carry, and what is made of one that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from hunkwise.prompts.report_findings import MAX_FINDINGS, RawFinding, parameters, read_report

FINDING: dict[str, Any] = {
    "path": "a.py",
    "line": 3,
    "severity": "high",
    "title": "Wrong",
    "body": "It fails.",
}


def call(*findings: object, **more: Any) -> dict[str, Any]:
    return {"findings": list(findings), "done": True, **more}


def test_a_whole_call_is_read() -> None:
    report = read_report(call({**FINDING, "side": "LEFT", "confidence": 1}, summary=" Adds it. "))
    assert report.findings == (RawFinding(**FINDING, side="LEFT", confidence=1.0),)
    assert (report.faults, report.done, report.summary) == ((), True, "Adds it.")


def test_null_is_taken_for_left_out_and_unknown_keys_are_passed_over() -> None:
    said = {**FINDING, "start_line": None, "side": None, "suggestion": None, "event": "APPROVE"}
    assert read_report(call(said)).findings == (RawFinding(**FINDING),)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"suggestion": "x = 1\n"}, "x = 1\n"),
        *(
            ({"suggestion": word}, None)
            for word in ("", " \n", "null", "None", "N/A", "`none`", '""', "undefined")
        ),
        ({"delete_lines": True}, ""),
        ({"delete_lines": True, "suggestion": "null"}, ""),
        ({"delete_lines": True, "suggestion": "x = 1"}, "x = 1"),
        ({"delete_lines": None}, None),
    ],
)
def test_words_for_nothing_are_no_suggestion_and_removing_lines_has_a_field(
    said: dict[str, Any], expected: str | None
) -> None:
    (finding,) = read_report(call({**FINDING, **said})).findings
    assert finding.replacement == expected


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("line", "1", "findings[0].line: Input should be a valid integer"),
        ("line", 0, "findings[0].line: Input should be greater than or equal to 1"),
        ("line", -1, "findings[0].line: "),
        ("line", 10**9, "findings[0].line: "),
        ("line", True, "findings[0].line: "),
        ("start_line", 1.5, "findings[0].start_line: "),
        ("side", "BOTH", "findings[0].side: Input should be 'RIGHT' or 'LEFT'"),
        ("severity", "blocker", "findings[0].severity: "),
        ("path", "", "findings[0].path: "),
        ("path", "x" * 5_000, "findings[0].path: "),
        ("title", 7, "findings[0].title: "),
        ("body", "\ud800", "findings[0].body: "),
        ("confidence", 1.5, "findings[0].confidence: "),
        ("confidence", float("nan"), "findings[0].confidence: "),
    ],
)
def test_a_fault_is_named_and_the_finding_is_kept_without_a_line(key: str, value: Any, fault: str) -> None:
    report = read_report(call({**FINDING, key: value}, FINDING))
    assert len(report.faults) == 1
    assert report.faults[0].startswith(fault)
    assert len(report.findings) == 1
    assert len(report.kept) == 1
    assert report.unreadable == 0


@pytest.mark.parametrize("said", [None, 7, "text", [], {}, {"line": 3}, {"title": " ", "body": None}])
def test_a_finding_that_says_nothing_is_counted(said: object) -> None:
    report = read_report(call(said))
    assert (report.findings, report.kept, report.unreadable) == ((), (), 1)
    assert report.faults


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (None, "the arguments: they must be an object"),
        ([FINDING], "the arguments: they must be an object"),
        ({"done": True}, "findings: it is required"),
        ({"findings": "[]", "done": True}, "findings: Input should be a valid list"),
        ({"findings": []}, "done: it is required"),
        ({"findings": [], "done": "true"}, "done: Input should be a valid boolean"),
    ],
)
def test_a_call_of_the_wrong_shape_is_told_so(arguments: object, fault: str) -> None:
    report = read_report(arguments)
    assert fault in report.faults
    assert not report.done


def test_a_call_without_done_keeps_its_findings() -> None:
    assert len(read_report({"findings": [FINDING]}).findings) == 1


def test_what_is_above_the_limit_of_a_call_is_asked_for_again() -> None:
    report = read_report(call(*[FINDING] * (MAX_FINDINGS + 5)))
    assert len(report.findings) == MAX_FINDINGS
    assert report.faults == ("findings: the first 100 of 105 were read; report the others in another call",)


def test_long_texts_are_cut_and_not_refused() -> None:
    report = read_report(
        call({**FINDING, "title": "t" * 999, "body": "b" * 10**6, "suggestion": "s" * 10**6})
    )
    said = report.findings[0]
    assert (len(said.title), len(said.body), len(said.suggestion or "")) == (300, 10_000, 10_000)


def test_what_is_kept_of_a_faulty_finding_is_what_a_person_could_read() -> None:
    report = read_report(call({"body": "First line.\nSecond.", "severity": "HIGH", "line": "x"}))
    kept = report.kept[0]
    assert (kept.path, kept.title, kept.severity) == ("(no file was named)", "First line.", "high")


def test_the_schema_has_the_categories_of_the_prompt() -> None:
    category = parameters(["a", "b"])["properties"]["findings"]["items"]["properties"]["category"]
    assert category == {"type": "string", "enum": ["a", "b"]}

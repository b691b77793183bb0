"""Parsing of `report_findings` calls, with valid and invalid values."""

from __future__ import annotations

import json
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


def test_complete_call_is_parsed() -> None:
    report = read_report(call({**FINDING, "side": "LEFT", "confidence": 1}, summary=" Adds it. "))
    assert report.findings == (RawFinding(**FINDING, side="LEFT", confidence=1.0),)
    assert (report.faults, report.done, report.summary) == ((), True, "Adds it.")


def test_null_is_omitted_and_unknown_keys_are_ignored() -> None:
    sent = {**FINDING, "start_line": None, "side": None, "suggestion": None, "event": "APPROVE"}
    assert read_report(call(sent)).findings == (RawFinding(**FINDING),)


LINE = "a whole number from 1 to 10,000,000"
OTHER = {**FINDING, "title": "Other"}


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("line", "6", 6),
        ("line", " 6 ", 6),
        ("line", "6.0", 6),
        ("line", 6.0, 6),
        ("line", "R6", 6),
        ("line", "right 6", 6),
        ("path", ["a.py"], "a.py"),
        ("start_line", "2", 2),
        ("start_line", "R2", 2),
        ("start_line", 0, None),
        ("start_line", "0", None),
        ("start_line", -1, None),
        ("start_line", "none", None),
        ("start_line", "N/A", None),
        ("start_line", "", None),
        ("start_line", "two", None),
        ("start_line", 1.5, None),
        ("start_line", True, None),
        ("side", "right", "RIGHT"),
        ("side", " Left", "LEFT"),
        ("side", "`LEFT`", "LEFT"),
        ("side", "new", "RIGHT"),
        ("side", "old", "LEFT"),
        ("side", "-", "LEFT"),
        ("side", "", None),
        ("side", "BOTH", None),
        ("side", 3, None),
        ("severity", "High", "high"),
        ("severity", "HIGH", "high"),
        ("severity", "**high**", "high"),
        ("severity", "high severity", "high"),
        ("severity", "🔴 Critical", "critical"),
        ("severity", "blocker", "critical"),
        ("severity", "major", "high"),
        ("severity", "error", "high"),
        ("severity", "warning", "medium"),
        ("severity", "Moderate", "medium"),
        ("severity", "minor", "low"),
        ("severity", "info", "low"),
        ("severity", "nit", "low"),
        ("category", 3, ""),
        ("category", "x" * 101, ""),
        ("title", "a\ud800", "a?"),
        ("body", ["One.", "Two."], "One.\nTwo."),
        ("suggestion", ["a", "b"], "a\nb"),
        ("suggestion", 7, None),
        ("confidence", "0.9", 0.9),
        ("confidence", 95, 0.95),
        ("confidence", "95", 0.95),
        ("confidence", "95%", 0.95),
        ("confidence", "95 %", 0.95),
        ("confidence", 100, 1.0),
        ("confidence", 1, 1.0),
        ("confidence", 8, None),
        ("confidence", 1.5, None),
        ("confidence", 101, None),
        ("confidence", "high", None),
        ("confidence", "8/10", None),
        ("confidence", float("nan"), None),
        ("confidence", True, None),
    ],
)
def test_unambiguous_values_are_parsed_and_invalid_optional_fields_dropped(
    key: str, value: Any, read: Any
) -> None:
    report = read_report(call({**FINDING, key: value}, OTHER))
    assert (report.faults, report.kept, report.unreadable, report.done) == ((), (), 0, True)
    assert getattr(report.findings[0], key) == read
    assert report.findings[1].title == "Other"


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({"line": "12-14"}, (12, 14, None)),
        ({"line": "12\u201314", "start_line": 12}, (12, 14, None)),
        ({"line": "L12", "side": "left"}, (None, 12, "LEFT")),
        ({"line": "R14", "start_line": "R12"}, (12, 14, "RIGHT")),
        ({"line": "LEFT 12", "side": "LEFT", "start_line": "L10"}, (10, 12, "LEFT")),
    ],
)
def test_row_labels_and_ranges_are_parsed_as_lines(more: dict[str, Any], lines: tuple[Any, ...]) -> None:
    (finding,) = read_report(call({**FINDING, **more})).findings
    assert (finding.start_line, finding.line, finding.side) == lines


def test_suggestion_with_unknown_first_line_is_dropped() -> None:
    (finding,) = read_report(call({**FINDING, "start_line": "two", "suggestion": "x"})).findings
    assert (finding.start_line, finding.suggestion) == (None, None)
    (finding,) = read_report(call({**FINDING, "start_line": "two", "delete_lines": True})).findings
    assert finding.replacement is None
    (finding,) = read_report(call({**FINDING, "start_line": None, "suggestion": "x"})).findings
    assert finding.suggestion == "x"


@pytest.mark.parametrize(
    ("fields", "expected"),
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
def test_words_for_none_are_no_suggestion_and_delete_lines_removes_lines(
    fields: dict[str, Any], expected: str | None
) -> None:
    (finding,) = read_report(call({**FINDING, **fields})).findings
    assert finding.replacement == expected


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("line", None, f"it is required, as {LINE}"),
        ("line", "none", f"it is required, as {LINE}"),
        ("line", 0, f"0 was sent, not {LINE}"),
        ("line", "0", f"0 was sent, not {LINE}"),
        ("line", -1, f"-1 was sent, not {LINE}"),
        ("line", 10**9, f"1000000000 was sent, not {LINE}"),
        pytest.param("line", 10**5_000, f"a huge number was sent, not {LINE}", id="huge"),
        ("line", True, f"true was sent, not {LINE}"),
        ("line", 1.5, f"1.5 was sent, not {LINE}"),
        ("line", "L12", f'"L12" was sent, not {LINE}'),
        ("line", "9" * 5_000, f"a text of 5,000 characters was sent, not {LINE}"),
        ("line", [1, 2], f"a list of 2 was sent, not {LINE}"),
        ("line", {"from": 1}, f"an object was sent, not {LINE}"),
        ("severity", "tiny", '"tiny" was sent, not one of low, medium, high, critical'),
        ("severity", "medium-high", '"medium-high" was sent, not one of low, medium, high, critical'),
        ("severity", 3, "3 was sent, not one of low, medium, high, critical"),
        ("severity", None, "it is required, as one of low, medium, high, critical"),
        ("path", "", "an empty text was sent, not a text of at most 4,096 characters that is not empty"),
        ("title", 7, "7 was sent, not a text that is not empty"),
        ("body", None, "it is required, as a text that is not empty"),
    ],
)
def test_invalid_required_field_is_reported_and_rest_of_finding_used(
    key: str, value: Any, fault: str
) -> None:
    report = read_report(call({**FINDING, key: value}, OTHER))
    assert len(report.findings) == 1
    ((partial, fault_text),) = report.kept
    assert fault_text == f"findings[0].{key}: {fault}"
    assert (report.faults, report.unreadable) == ((), 0)
    assert partial.line == (0 if key == "line" else 3)
    assert partial.severity == ("medium" if key == "severity" else "high")


TEXT = json.dumps([FINDING])


@pytest.mark.parametrize(
    "findings",
    [
        [FINDING],
        FINDING,
        TEXT,
        f"```json\n{TEXT}\n```",
        f"\n```\n{TEXT}\n```\n",
        json.dumps(TEXT),
        json.dumps(FINDING),
        [json.dumps(FINDING)],
        [TEXT],
        [[FINDING]],
        {"item": [FINDING]},
        {"findings": TEXT},
        TEXT.replace(", ", ",\n\n"),
        TEXT[:-2] + ', "line": 3}]',
    ],
)
@pytest.mark.parametrize("done", [True, "true", "True", "yes", 1, "1"])
def test_findings_in_another_form_are_parsed(findings: object, done: object) -> None:
    arguments = {"findings": findings, "done": done}
    for sent in (arguments, json.dumps(arguments)):
        report = read_report(sent)
        assert report.findings == (RawFinding(**FINDING),)
        assert (report.faults, report.unreadable, report.done) == ((), 0, True)


@pytest.mark.parametrize(
    ("findings", "sent"),
    [
        (TEXT[:-1], "a text of 87 characters"),
        (TEXT.replace('"high"', '"high", "severity": "low"'), "a text of 107 characters"),
        (TEXT.replace("3", "9" * 5_000), "a text of 5,087 characters"),
        ("[" * 100_000 + "]" * 100_000, "a text of 200,000 characters"),
        ('{"findings":' * 20_000 + "1" + "}" * 20_000, "a text of 260,001 characters"),
        ('"' * 1_000_000, "a text of 1,000,000 characters"),
        (f"[{' ' * 4_000_000}]", "a text of 4,000,002 characters"),
        ("None of them is serious.", '"None of them is serious."'),
        ("7", '"7"'),
        (7, "7"),
        (True, "true"),
        ({}, "an object"),
        ({"a": 1, "b": 2}, "an object"),
    ],
)
def test_findings_that_are_not_a_list_are_a_fault(findings: object, sent: str) -> None:
    report = read_report({"findings": findings, "done": True})
    assert report.faults == (f"findings: {sent} was sent, not a list of at most 100",)
    assert (report.findings, report.kept, report.unreadable, report.done) == ((), (), 1, False)


def test_list_as_text_has_the_limits_of_a_list() -> None:
    report = read_report({"findings": json.dumps([FINDING] * 105), "done": True})
    assert (len(report.findings), report.beyond) == (MAX_FINDINGS, 5)


@pytest.mark.parametrize("finding", [None, 7, "text", [], {}, {"line": 3}, {"title": " ", "body": None}])
def test_empty_finding_is_counted_as_unreadable(finding: object) -> None:
    report = read_report(call(finding))
    assert (report.findings, report.kept, report.unreadable) == ((), (), 1)
    assert report.faults


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (None, "the arguments: null was sent, not an object"),
        ("Nothing.", 'the arguments: "Nothing." was sent, not an object'),
        ([FINDING], "the arguments: a list of 1 was sent, not an object"),
        ({"done": True}, "findings: it is required, as a list of at most 100"),
        ({"findings": "null", "done": True}, 'findings: "null" was sent, not a list of at most 100'),
        ({"findings": []}, "done: it is required, as true or false"),
        ({"findings": [], "done": "almost"}, 'done: "almost" was sent, not true or false'),
        ({"findings": [], "done": 2}, "done: 2 was sent, not true or false"),
    ],
)
def test_call_of_wrong_shape_is_a_fault(arguments: object, fault: str) -> None:
    report = read_report(arguments)
    assert fault in report.faults
    assert not report.done


def test_call_without_done_keeps_its_findings() -> None:
    assert len(read_report({"findings": [FINDING]}).findings) == 1


def test_findings_above_limit_of_a_call_are_requested_again() -> None:
    report = read_report(call(*[FINDING] * (MAX_FINDINGS + 5)))
    assert len(report.findings) == MAX_FINDINGS
    assert report.faults == ("findings: the first 100 of 105 were read; report the others in another call",)


def test_long_texts_are_cut_and_not_rejected() -> None:
    report = read_report(
        call({**FINDING, "title": "t" * 999, "body": "b" * 10**6, "suggestion": "s" * 10**6})
    )
    finding = report.findings[0]
    assert (len(finding.title), len(finding.body), len(finding.suggestion or "")) == (300, 10_000, 10_000)


def test_partial_finding_has_readable_defaults() -> None:
    report = read_report(call({"body": "First line.\nSecond.", "severity": "HIGH", "line": "x"}))
    ((partial, _),) = report.kept
    assert (partial.path, partial.title, partial.severity) == ("(no file was named)", "First line.", "high")


def test_schema_has_categories_of_prompt() -> None:
    category = parameters(["a", "b"])["properties"]["findings"]["items"]["properties"]["category"]
    assert category == {"type": "string", "enum": ["a", "b"]}

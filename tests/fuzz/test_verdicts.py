"""Verdicts, summaries, front matter and instructions with any content."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.verdicts import (
    WORDS,
    check_front_matter,
    check_instructions,
    check_report_answer,
    check_report_summary,
    check_verdicts,
)
from tests.fuzz.samples import SUMMARY_CALL, VERDICTS
from tests.fuzz.values import changed, json_values

_FRONT = ["---", "description: x", "paths: [a]", "tools: []", "budget: {max-tokens: 1}", "min-severity: high"]
_BODY = ["{# x #}", "{{ chunk.diff }}", "---", "", "# y #}", "\ufeff---", "  ---", "--- "]
_LINES = st.lists(st.sampled_from([*_FRONT, *_BODY]) | st.text(max_size=20), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(changed(VERDICTS, WORDS) | json_values(WORDS), max_size=4))
def test_finding_is_dropped_only_with_evidence(calls: list[object]) -> None:
    check_verdicts(calls)


@settings(max_examples=150, deadline=None)
@given(changed(SUMMARY_CALL, WORDS) | json_values(WORDS))
def test_summary_is_within_its_limits(arguments: object) -> None:
    check_report_summary(arguments)


_ANSWER = {"text": "Because.", "suggestion": "x = 1", "done": True}


@settings(max_examples=150, deadline=None)
@given(st.lists(changed(_ANSWER, WORDS) | json_values(WORDS), max_size=4))
def test_answer_is_within_its_limits(calls: list[object]) -> None:
    check_report_answer(calls)


@settings(max_examples=300, deadline=None)
@given(_LINES, st.sampled_from(["\n", "\r\n"]))
def test_front_matter_keeps_line_numbers_of_the_template(lines: list[str], end: str) -> None:
    check_front_matter(end.join(["---", *lines]))
    check_front_matter(end.join(lines))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | _LINES.map(lambda lines: "\n".join(lines).encode("utf-8", "replace")))
def test_any_bytes_are_instructions_or_none(content: bytes) -> None:
    check_instructions(content)

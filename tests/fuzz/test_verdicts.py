"""What a second model says, and what stands above a template."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.verdicts import (
    WORDS,
    drops_nothing_without_a_reason,
    instructs_or_not,
    is_answered_within_bounds,
    is_told_within_bounds,
    stands_above_its_template,
)
from tests.fuzz.samples import TELLING, VERDICTS
from tests.fuzz.values import changed, json_values

_FRONT = ["---", "description: x", "paths: [a]", "tools: []", "budget: {max-tokens: 1}", "min-severity: high"]
_BODY = ["{# x #}", "{{ chunk.diff }}", "---", "", "# y #}", "\ufeff---", "  ---", "--- "]
_LINES = st.lists(st.sampled_from([*_FRONT, *_BODY]) | st.text(max_size=20), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(changed(VERDICTS, WORDS) | json_values(WORDS), max_size=4))
def test_no_finding_is_dropped_without_a_reason(calls: list[object]) -> None:
    drops_nothing_without_a_reason(calls)


@settings(max_examples=150, deadline=None)
@given(changed(TELLING, WORDS) | json_values(WORDS))
def test_a_summary_stays_within_its_bounds(arguments: object) -> None:
    is_told_within_bounds(arguments)


_ANSWER = {"text": "Because.", "suggestion": "x = 1", "done": True}


@settings(max_examples=150, deadline=None)
@given(st.lists(changed(_ANSWER, WORDS) | json_values(WORDS), max_size=4))
def test_an_answer_stays_within_its_bounds(calls: list[object]) -> None:
    is_answered_within_bounds(calls)


@settings(max_examples=300, deadline=None)
@given(_LINES, st.sampled_from(["\n", "\r\n"]))
def test_front_matter_leaves_the_lines_of_its_template_where_they_are(lines: list[str], end: str) -> None:
    stands_above_its_template(end.join(["---", *lines]))
    stands_above_its_template(end.join(lines))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | _LINES.map(lambda lines: "\n".join(lines).encode("utf-8", "replace")))
def test_any_bytes_are_instructions_or_none(content: bytes) -> None:
    instructs_or_not(content)

"""What a model calls our tools with."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.answers import WORDS, is_answered, is_read, is_taken
from tests.fuzz.samples import CALL, FINDING
from tests.fuzz.values import changed, json_values, nested

_CALLS = changed(CALL, WORDS) | json_values(WORDS)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["path", "paths", "pattern", "start_line", "end_line"]), json_values(WORDS, leaves=4)
) | json_values(WORDS)


@settings(max_examples=120, deadline=None)
@given(_CALLS)
def test_no_finding_of_a_call_is_passed_over(arguments: object) -> None:
    is_read(arguments)


@settings(max_examples=80, deadline=None)
@given(_CALLS, _CALLS)
def test_every_call_is_answered_and_what_is_taken_can_be_written(first: object, second: object) -> None:
    is_taken(first, second)


@settings(max_examples=80, deadline=None)
@given(_ARGUMENTS)
def test_reading_tools_answer_any_arguments_and_stay_inside(arguments: object) -> None:
    is_answered(arguments)


@pytest.mark.parametrize("key", ["", "findings", "path"])
@pytest.mark.parametrize("depth", [9, 10, 11, 400, 600, 5_000])
def test_arguments_without_a_bottom_are_answered_like_others(depth: int, key: str) -> None:
    deep = nested(depth, key)
    for arguments in (
        deep,
        {"findings": deep, "done": True},
        {"findings": [{**FINDING, "body": deep}, {**FINDING, "severity": deep}], "done": True},
    ):
        is_read(arguments)
        is_taken(arguments)
        is_answered({"path": arguments, "pattern": arguments, "paths": [arguments]})

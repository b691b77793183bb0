"""Tool calls of a model with any arguments."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.answers import (
    WORDS,
    check_finding_collector,
    check_reading_tools,
    check_report_findings,
)
from tests.fuzz.samples import CALL, FINDING
from tests.fuzz.values import changed, json_values, nested

_CALLS = changed(CALL, WORDS) | json_values(WORDS)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["path", "paths", "pattern", "start_line", "end_line"]), json_values(WORDS, leaves=4)
) | json_values(WORDS)


@settings(max_examples=120, deadline=None)
@given(_CALLS)
def test_every_finding_of_a_call_is_counted(arguments: object) -> None:
    check_report_findings(arguments)


@settings(max_examples=80, deadline=None)
@given(_CALLS, _CALLS)
def test_every_call_has_a_reply_and_accepted_findings_can_be_written(first: object, second: object) -> None:
    check_finding_collector(first, second)


@settings(max_examples=80, deadline=None)
@given(_ARGUMENTS)
def test_reading_tools_accept_any_arguments_and_stay_in_the_repository(arguments: object) -> None:
    check_reading_tools(arguments)


@pytest.mark.parametrize("key", ["", "findings", "path"])
@pytest.mark.parametrize("depth", [9, 10, 11, 400, 600, 5_000])
def test_deeply_nested_arguments_have_a_reply(depth: int, key: str) -> None:
    deep = nested(depth, key)
    for arguments in (
        deep,
        {"findings": deep, "done": True},
        {"findings": [{**FINDING, "body": deep}, {**FINDING, "severity": deep}], "done": True},
    ):
        check_report_findings(arguments)
        check_finding_collector(arguments)
        check_reading_tools({"path": arguments, "pattern": arguments, "paths": [arguments]})

"""Responses of GitHub or a proxy with any content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.properties.github import check_conversation, check_error
from tests.fuzz.samples import GRAPHQL, REST
from tests.fuzz.values import ANY_TEXT, changed, json_values, nested

_WORDS = [
    "data",
    "errors",
    "nodes",
    "message",
    "type",
    "RATE_LIMITED",
    "5",
    "ghost",
    "path",
    "PENDING",
    "Something went wrong",
]
_HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "location"]),
    st.sampled_from(["0", "1", "-1", "99999999999", "9" * 30, "soon", "", "//[::1", "http://[", "\u0661"])
    | ANY_TEXT,
)
_TEXTS = json_values(_WORDS).map(lambda value: json.dumps(value, default=str)[:100_000]) | ANY_TEXT


@pytest.mark.parametrize("location", ["//[::1", "http://[", "https://a:b:c", "", "\udcff"])
@pytest.mark.parametrize("status", [300, 301, 305])
def test_redirect_to_any_location_is_an_error(status: int, location: str) -> None:
    check_error(status, {"location": location}, "")


def test_unchanged_sample_response_is_parsed() -> None:
    check_conversation({**GRAPHQL, "errors": []}, REST)


@pytest.mark.parametrize("depth", [0, 900, 5_000])
@pytest.mark.parametrize("key", ["message", "type", "path", "field", ""])
def test_deeply_nested_errors_are_reported(key: str, depth: int) -> None:
    deep = nested(depth, "x")
    check_conversation({"data": None, "errors": [{key: deep}] if key else deep}, REST)
    check_error(
        422,
        {},
        f'{{"errors": [{{"field": {"[" * depth}{"]" * depth}, "code": {"[" * 900}{"]" * 900}}}]}}',
    )


@settings(max_examples=100, deadline=None)
@given(changed(GRAPHQL, _WORDS), changed(REST, _WORDS) | changed(REST[0], _WORDS))
def test_any_conversation_is_parsed_or_an_error(value: object, rest: object) -> None:
    check_conversation(value, rest)


@settings(max_examples=100, deadline=None)
@given(st.integers(100, 600), _HEADERS, _TEXTS)
def test_any_error_response_has_a_hint(status: int, headers: dict[str, str], text: str) -> None:
    check_error(status, headers, text)

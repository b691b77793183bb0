"""GraphQL's errors, and what is left of an answer that has some."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.responses import ApiResponse, JsonValue, read_answer, status_seen

REQUEST = "POST /graphql"


def answered(value: object) -> Any:
    return read_answer(JsonValue(value, REQUEST))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "NOT_FOUND", "message": "x"}, GitHubErrorKind.NOT_FOUND),
        ({"type": "FORBIDDEN", "message": "x"}, GitHubErrorKind.FORBIDDEN),
        ({"type": "INSUFFICIENT_SCOPES", "message": "x"}, GitHubErrorKind.FORBIDDEN),
        ({"type": "RATE_LIMITED", "message": "x"}, GitHubErrorKind.RATE_LIMIT),
        ({"message": "You have exceeded a secondary rate limit"}, GitHubErrorKind.RATE_LIMIT),
        ({"type": "INTERNAL", "message": "x"}, GitHubErrorKind.UNAVAILABLE),
        ({"message": "Something went wrong while executing your query."}, GitHubErrorKind.UNAVAILABLE),
        ({"message": "Field 'x' doesn't exist on type 'Y'", "type": None}, GitHubErrorKind.INVALID),
        ({}, GitHubErrorKind.INVALID),
        ("text", GitHubErrorKind.INVALID),
        (7, GitHubErrorKind.INVALID),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_an_answer_without_data_is_its_first_error(
    error: object, kind: GitHubErrorKind, listed: bool
) -> None:
    with pytest.raises(GitHubError) as refused:
        answered({"data": None, "errors": [error] if listed else error or {"message": ""}})
    assert refused.value.kind is kind


@pytest.mark.parametrize("value", [{}, [], {"data": None}, {"data": [], "errors": []}, {"data": "x"}])
def test_an_answer_with_neither_is_senseless(value: object) -> None:
    with pytest.raises(GitHubError, match="neither data nor errors"):
        answered(value)


def test_what_was_answered_stands_beside_what_was_refused() -> None:
    fault = {"type": "FORBIDDEN", "message": "Resource not accessible by integration", "path": ["b", 0, "c"]}
    answer = answered({"data": {"a": {"t": "x"}, "b": [{"c": None}]}, "errors": [fault]})
    assert answer.data.text("a.t") == "x"
    assert answer.fault_at("a") is None
    assert answer.fault_at("b", 1) is None
    for path in [(), ("b",), ("b", 0), ("b", 0, "c"), ("b", 0, "c", "d")]:
        assert answer.fault_at(*path).kind is GitHubErrorKind.FORBIDDEN
    with pytest.raises(GitHubError, match="Resource not accessible by integration"):
        _ = answer.whole


@pytest.mark.parametrize("path", [None, "b", {}, [[]]])
def test_an_error_without_a_sound_path_stands_for_everything(path: object) -> None:
    answer = answered({"data": {"a": 1}, "errors": [{"message": "x", "path": path}]})
    assert answer.fault_at("a") is not None


def test_whole_data_is_given_whole() -> None:
    assert answered({"data": {"a": 1}}).whole.number("a") == 1


@pytest.mark.parametrize(
    ("status", "body", "seen"),
    [
        (200, {"data": None, "errors": [{"type": "RATE_LIMITED"}]}, 429),
        (200, {"errors": [{"message": "You have exceeded a secondary rate limit."}]}, 429),
        (200, {"data": {"a": None}, "errors": [{"type": "RATE_LIMITED"}]}, 429),
        (200, {"data": {"a": None, "b": {}}, "errors": [{"type": "RATE_LIMITED"}]}, 200),
        (200, {"data": {"body": "the rate limit: RATE_LIMITED"}}, 200),
        (200, {"data": {"body": "rate"}, "errors": [{"type": "FORBIDDEN", "message": "no"}]}, 200),
        (403, {"message": "rate limit"}, 403),
        (200, "a rate of text", 200),
    ],
)
def test_only_a_limit_itself_counts_as_one(status: int, body: object, seen: int) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert status_seen(ApiResponse(status, {}, text)).status == seen

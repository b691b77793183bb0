"""Each refusal says what failed, in GitHub's own words, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.responses import (
    ApiResponse,
    JsonValue,
    malformed_response_error,
    read_answer,
    refusal_error,
    status_seen,
    unreachable_error,
    wait_asked,
)

REQUEST = "GET /repos/o/r"


def said(status: int, message: str = "", errors: object = None, **headers: str) -> ApiResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiResponse(status, named, json.dumps({"message": message, "errors": errors}))


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        (said(401, "Bad credentials"), GitHubErrorKind.AUTHENTICATION, "did not accept the token", "`github-token`"),
        (
            said(403, "Resource not accessible by integration"),
            GitHubErrorKind.FORBIDDEN,
            "declined GET /repos/o/r with 403 (Resource not accessible by integration)",
            "permissions: pull-requests: write",
        ),
        (
            said(403, "Unable to create comment because issue is locked."),
            GitHubErrorKind.LOCKED,
            "with 403 (Unable to create comment because issue is locked.)",
            "Unlock the conversation",
        ),
        (said(403, "Repository access blocked"), GitHubErrorKind.FORBIDDEN, "blocked", "permissions"),
        (
            said(404, "Not Found"),
            GitHubErrorKind.NOT_FOUND,
            "nothing at GET /repos/o/r",
            "owner, repository and number",
        ),
        (said(410), GitHubErrorKind.NOT_FOUND, "nothing at", "may read"),
        (
            said(403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="1767323045"),
            GitHubErrorKind.RATE_LIMIT,
            "rate limit is reached",
            "after 03:04 UTC on 2026-01-02",
        ),
        (said(429, "", retry_after="90"), GitHubErrorKind.RATE_LIMIT, "rate limit", "in 90 seconds"),
        (said(403, "x", x_ratelimit_remaining="0"), GitHubErrorKind.RATE_LIMIT, "rate limit", "in some minutes"),
        (said(403, "You have exceeded a secondary rate limit"), GitHubErrorKind.RATE_LIMIT, "rate", "in 60 seconds"),
        (
            said(422, "Unprocessable Entity", ["bad line", {"message": "m"}, {"field": "f", "code": "c"}, 7]),
            GitHubErrorKind.INVALID,
            "with 422 (Unprocessable Entity: bad line: m: f c)",
            "",
        ),
        (said(409, "Git Repository is empty."), GitHubErrorKind.INVALID, "with 409", ""),
        (ApiResponse(502, {}, "<html>"), GitHubErrorKind.UNAVAILABLE, "with 502.", "Run the job again"),
        (ApiResponse(500, {}, "[]"), GitHubErrorKind.UNAVAILABLE, "with 500.", "Run the job again"),
        (
            ApiResponse(302, {"location": "https://evil.example/x"}),
            GitHubErrorKind.UNAVAILABLE,
            "to evil.example, which was not followed",
            "GITHUB_API_URL",
        ),
        (ApiResponse(307), GitHubErrorKind.UNAVAILABLE, "to another address", "renamed"),
    ],
)  # fmt: skip
def test_a_refusal_has_kind_words_and_remedy(
    answer: ApiResponse, kind: GitHubErrorKind, message: str, hint: str
) -> None:
    error = refusal_error(answer, REQUEST)
    assert error.kind is kind
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        (requests.Timeout(), GitHubErrorKind.UNAVAILABLE, "no answer in time"),
        (requests.exceptions.SSLError(), GitHubErrorKind.UNAVAILABLE, "certificate"),
        (requests.exceptions.ChunkedEncodingError(), GitHubErrorKind.UNAVAILABLE, "cut off"),
        (requests.ConnectionError(), GitHubErrorKind.UNAVAILABLE, "no connection"),
        (requests.exceptions.InvalidHeader(), GitHubErrorKind.AUTHENTICATION, "line break"),
        (UnicodeEncodeError("latin-1", "ü", 0, 1, ""), GitHubErrorKind.AUTHENTICATION, "odd character"),
        (
            RuntimeError("Github server redirected from host a to b"),
            GitHubErrorKind.UNAVAILABLE,
            "redirected from host",
        ),
    ],
)
def test_no_answer_says_why(cause: Exception, kind: GitHubErrorKind, message: str) -> None:
    error = unreachable_error(cause, REQUEST)
    assert error.kind is kind
    assert message in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (said(429, retry_after="7"), 7.0),
        (said(403, "secondary rate limit"), 60.0),
        (said(429), 60.0),
        (said(403, "secondary rate limit", retry_after="soon"), 60.0),
        (said(403, "secondary rate limit", retry_after="\u0663"), 60.0),
        (said(403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="1030"), 31.0),
        (said(429, "", x_ratelimit_remaining="0", x_ratelimit_reset="900"), 1.0),
        (said(403, "API rate limit exceeded", x_ratelimit_remaining="0"), None),
        (said(403, "x", x_ratelimit_remaining="0", x_ratelimit_reset="9" * 12), None),
        (said(403, "Resource not accessible by integration"), None),
        (said(500, retry_after="7"), None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(answer: ApiResponse, seconds: float | None) -> None:
    assert wait_asked(answer, 1_000.0) == seconds


def test_a_senseless_answer_is_no_answer() -> None:
    assert malformed_response_error(REQUEST, "it is no JSON").kind is GitHubErrorKind.UNAVAILABLE


def test_a_shape_reads_what_is_there_and_refuses_what_is_not() -> None:
    shape = JsonValue({"a": {"b": "text", "n": 3, "l": [1]}, "t": True, "z": None}, REQUEST)
    assert shape.text("a.b") == "text"
    assert shape.number("a.n") == 3
    assert [entry.value for entry in shape.entries("a.l")] == [1]
    assert shape.text_or("z", "else") == "else"
    assert shape.number_or_none("z") is None
    assert shape.truth("t")
    assert not shape.truth("a")
    assert shape.certain("t")
    assert [entry.number("b") for entry in JsonValue([{"b": 1}], REQUEST).objects()] == [1]


@pytest.mark.parametrize("value", [{}, {"a": None}, {"a": 1}, [], "text"])
def test_a_shape_of_another_type_is_senseless(value: object) -> None:
    with pytest.raises(Exception, match=r"makes no sense: no text at `a\.b`"):
        JsonValue(value, REQUEST).text("a.b")


def test_a_number_and_a_list_that_are_missing_are_named() -> None:
    with pytest.raises(Exception, match="no number at `n`"):
        JsonValue({}, REQUEST).number("n")
    with pytest.raises(Exception, match="no list at `l`"):
        JsonValue({}, REQUEST).entries("l")
    with pytest.raises(Exception, match="it is no list"):
        JsonValue({}, REQUEST).entries()
    with pytest.raises(Exception, match="no yes or no at `t`"):
        JsonValue({}, REQUEST).certain("t")


@pytest.mark.parametrize("hole", [None, 7, []])
def test_a_hole_in_a_list_of_objects_is_senseless(hole: object) -> None:
    with pytest.raises(Exception, match="an entry of its list is no object"):
        JsonValue({"l": [{}, hole]}, REQUEST).objects("l")


GRAPHQL_REQUEST = "POST /graphql"


def answered(value: object) -> Any:
    return read_answer(JsonValue(value, GRAPHQL_REQUEST))


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

"""Errors of GitHub's responses: kind, message and hint, and parsing of JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from hunkwise.errors import GitHubError, GitHubErrorKind
from hunkwise.github.graphql import read_answer, status_seen
from hunkwise.github.responses import (
    ApiResponse,
    JsonValue,
    malformed_response_error,
    refusal_error,
    unreachable_error,
    wait_asked,
)

REQUEST = "GET /repos/o/r"


def reply(status: int, message: str = "", errors: object = None, **headers: str) -> ApiResponse:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return ApiResponse(status, fields, json.dumps({"message": message, "errors": errors}))


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        (reply(401, "Bad credentials"), GitHubErrorKind.AUTHENTICATION, "did not accept the token", "`github-token`"),
        (
            reply(403, "Resource not accessible by integration"),
            GitHubErrorKind.FORBIDDEN,
            "declined GET /repos/o/r with 403 (Resource not accessible by integration)",
            "permissions: pull-requests: write",
        ),
        (
            reply(403, "Unable to create comment because issue is locked."),
            GitHubErrorKind.LOCKED,
            "with 403 (Unable to create comment because issue is locked.)",
            "Unlock the conversation",
        ),
        (reply(403, "Repository access blocked"), GitHubErrorKind.FORBIDDEN, "blocked", "permissions"),
        (
            reply(404, "Not Found"),
            GitHubErrorKind.NOT_FOUND,
            "nothing at GET /repos/o/r",
            "owner, repository and number",
        ),
        (reply(410), GitHubErrorKind.NOT_FOUND, "nothing at", "may read"),
        (
            reply(403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="1767323045"),
            GitHubErrorKind.RATE_LIMIT,
            "rate limit is reached",
            "after 03:04 UTC on 2026-01-02",
        ),
        (reply(429, "", retry_after="90"), GitHubErrorKind.RATE_LIMIT, "rate limit", "in 90 seconds"),
        (reply(403, "x", x_ratelimit_remaining="0"), GitHubErrorKind.RATE_LIMIT, "rate limit", "in some minutes"),
        (reply(403, "You have exceeded a secondary rate limit"), GitHubErrorKind.RATE_LIMIT, "rate", "in 60 seconds"),
        (
            reply(422, "Unprocessable Entity", ["bad line", {"message": "m"}, {"field": "f", "code": "c"}, 7]),
            GitHubErrorKind.INVALID,
            "with 422 (Unprocessable Entity: bad line: m: f c)",
            "",
        ),
        (reply(409, "Git Repository is empty."), GitHubErrorKind.INVALID, "with 409", ""),
        (ApiResponse(502, {}, "<html>"), GitHubErrorKind.UNAVAILABLE, "with 502.", "Run it again"),
        (ApiResponse(500, {}, "[]"), GitHubErrorKind.UNAVAILABLE, "with 500.", "Run it again"),
        (
            ApiResponse(302, {"location": "https://evil.example/x"}),
            GitHubErrorKind.UNAVAILABLE,
            "to evil.example, which was not followed",
            "GITHUB_API_URL",
        ),
        (ApiResponse(307), GitHubErrorKind.UNAVAILABLE, "to another address", "renamed"),
    ],
)  # fmt: skip
def test_error_response_has_kind_message_and_hint(
    answer: ApiResponse, kind: GitHubErrorKind, message: str, hint: str
) -> None:
    error = refusal_error(answer, REQUEST)
    assert error.kind is kind
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("message", "hint", "shell_hint"),
    [
        (
            "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to "
            "this organization.",
            "Authorize the token of the input `github-token`",
            "Authorize the token in GITHUB_TOKEN",
        ),
        (
            "Although you appear to have the correct authorization credentials, the `octo` organization has an IP "
            "allow list enabled, and 192.0.2.1 is not permitted to access this resource.",
            "the runner's address",
            "this machine's address",
        ),
        ("Repository was archived so is read-only.", "`dry-run`", "post nothing"),
    ],
    ids=["single sign-on", "IP allow list", "archived"],
)
def test_a_refusal_that_no_permission_changes_has_a_hint_of_its_own(
    message: str, hint: str, shell_hint: str
) -> None:
    for error in (
        refusal_error(reply(403, message), REQUEST),
        read_answer(JsonValue({"data": {}, "errors": [{"type": "FORBIDDEN", "message": message}]}, REQUEST))
        .faults[0]
        .error,
    ):
        assert error.kind is GitHubErrorKind.BLOCKED
        assert hint in error.hint
        assert shell_hint in error.shell_hint


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
def test_missing_response_is_an_error_with_reason(
    cause: Exception, kind: GitHubErrorKind, message: str
) -> None:
    error = unreachable_error(cause, REQUEST)
    assert error.kind is kind
    assert message in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (reply(429, retry_after="7"), 7.0),
        (reply(403, "secondary rate limit"), 60.0),
        (reply(429), 60.0),
        (reply(403, "secondary rate limit", retry_after="soon"), 60.0),
        (reply(403, "secondary rate limit", retry_after="\u0663"), 60.0),
        (reply(403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="1030"), 31.0),
        (reply(429, "", x_ratelimit_remaining="0", x_ratelimit_reset="900"), 1.0),
        (reply(403, "API rate limit exceeded", x_ratelimit_remaining="0"), None),
        (reply(403, "x", x_ratelimit_remaining="0", x_ratelimit_reset="9" * 12), None),
        (reply(403, "Resource not accessible by integration"), None),
        (reply(500, retry_after="7"), None),
        (reply(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."), 60.0),
        (reply(403, "You have triggered an abuse detection mechanism. Please wait a few minutes."), 60.0),
        (reply(403, "Temporarily blocked from content creation"), 60.0),
        (reply(422, "Validation Failed", [{"resource": "PullRequestReview", "code": "abuse"}]), 60.0),
        (reply(422, "Validation Failed", [{"resource": "IssueComment", "field": "data", "code": "abuse"}]), 60.0),
        (reply(422, "Validation Failed", ["was submitted too quickly after a previous comment"]), 60.0),
        (reply(422, "Validation Failed", [{"message": "was submitted too quickly"}], retry_after="9"), 9.0),
        (reply(422, "You have exceeded a secondary rate limit"), 60.0),
        (reply(422, "Validation Failed", ["path is invalid"], x_ratelimit_remaining="0"), None),
        (reply(422, "Validation Failed", ["path is invalid"], retry_after="9"), None),
        (reply(422, "Validation Failed", [{"field": "abuse.py", "code": "invalid"}]), None),
        (reply(403, "Sorry. Your account was suspended for abuse."), None),
        (reply(404, "rate limit"), None),
    ],
)  # fmt: skip
def test_rate_limit_has_seconds_to_wait(answer: ApiResponse, seconds: float | None) -> None:
    assert wait_asked(answer, 1_000.0) == seconds


def test_invalid_response_counts_as_unavailable() -> None:
    assert malformed_response_error(REQUEST, "it is no JSON").kind is GitHubErrorKind.UNAVAILABLE


def test_json_value_reads_fields_and_rejects_missing_ones() -> None:
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
def test_value_of_another_type_is_an_error(value: object) -> None:
    with pytest.raises(Exception, match=r"makes no sense: no text at `a\.b`"):
        JsonValue(value, REQUEST).text("a.b")


def test_error_names_missing_number_or_list() -> None:
    with pytest.raises(Exception, match="no number at `n`"):
        JsonValue({}, REQUEST).number("n")
    with pytest.raises(Exception, match="no list at `l`"):
        JsonValue({}, REQUEST).entries("l")
    with pytest.raises(Exception, match="it is no list"):
        JsonValue({}, REQUEST).entries()
    with pytest.raises(Exception, match="no yes or no at `t`"):
        JsonValue({}, REQUEST).certain("t")


@pytest.mark.parametrize("entry", [None, 7, []])
def test_null_in_a_list_of_objects_is_an_error(entry: object) -> None:
    with pytest.raises(Exception, match="an entry of its list is no object"):
        JsonValue({"l": [{}, entry]}, REQUEST).objects("l")


GRAPHQL_REQUEST = "POST /graphql"


def read_graphql(value: object) -> Any:
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
def test_response_without_data_raises_its_first_error(
    error: object, kind: GitHubErrorKind, listed: bool
) -> None:
    with pytest.raises(GitHubError) as refused:
        read_graphql({"data": None, "errors": [error] if listed else error or {"message": ""}})
    assert refused.value.kind is kind


@pytest.mark.parametrize("value", [{}, [], {"data": None}, {"data": [], "errors": []}, {"data": "x"}])
def test_response_without_data_and_errors_is_an_error(value: object) -> None:
    with pytest.raises(GitHubError, match="neither data nor errors"):
        read_graphql(value)


def test_data_is_available_beside_refused_fields() -> None:
    fault = {"type": "FORBIDDEN", "message": "Resource not accessible by integration", "path": ["b", 0, "c"]}
    answer = read_graphql({"data": {"a": {"t": "x"}, "b": [{"c": None}]}, "errors": [fault]})
    assert answer.data.text("a.t") == "x"
    assert answer.fault_at("a") is None
    assert answer.fault_at("b", 1) is None
    for path in [(), ("b",), ("b", 0), ("b", 0, "c"), ("b", 0, "c", "d")]:
        assert answer.fault_at(*path).kind is GitHubErrorKind.FORBIDDEN
    with pytest.raises(GitHubError, match="Resource not accessible by integration"):
        _ = answer.whole


@pytest.mark.parametrize("path", [None, "b", {}, [[]]])
def test_error_without_valid_path_applies_to_all_fields(path: object) -> None:
    answer = read_graphql({"data": {"a": 1}, "errors": [{"message": "x", "path": path}]})
    assert answer.fault_at("a") is not None


def test_complete_data_is_returned() -> None:
    assert read_graphql({"data": {"a": 1}}).whole.number("a") == 1


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
        (200, {"data": {"m0": None}, "errors": [{"message": "was submitted too quickly"}]}, 429),
    ],
)
def test_only_rate_limit_errors_have_status_429(status: int, body: object, seen: int) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert status_seen(ApiResponse(status, {}, text)).status == seen

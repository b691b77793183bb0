"""Each refusal says what failed, in GitHub's own words, and what to do about it."""

from __future__ import annotations

import json

import pytest
import requests

from hunkwise.errors import ForgeKind
from hunkwise.github.responses import Answer, Shape, refusal, senseless, unreachable, wait_asked

REQUEST = "GET /repos/o/r"


def said(status: int, message: str = "", errors: object = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, json.dumps({"message": message, "errors": errors}))


@pytest.mark.parametrize(
    ("answer", "kind", "message", "hint"),
    [
        (said(401, "Bad credentials"), ForgeKind.AUTHENTICATION, "did not accept the token", "`github-token`"),
        (
            said(403, "Resource not accessible by integration"),
            ForgeKind.FORBIDDEN,
            "declined GET /repos/o/r with 403 (Resource not accessible by integration)",
            "permissions: pull-requests: write",
        ),
        (said(404, "Not Found"), ForgeKind.NOT_FOUND, "nothing at GET /repos/o/r", "owner, repository and number"),
        (said(410), ForgeKind.NOT_FOUND, "nothing at", "may read"),
        (
            said(403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset="1767323045"),
            ForgeKind.RATE_LIMIT,
            "rate limit is reached",
            "after 03:04 UTC on 2026-01-02",
        ),
        (said(429, "", retry_after="90"), ForgeKind.RATE_LIMIT, "rate limit", "in 90 seconds"),
        (said(403, "x", x_ratelimit_remaining="0"), ForgeKind.RATE_LIMIT, "rate limit", "in some minutes"),
        (said(403, "You have exceeded a secondary rate limit"), ForgeKind.RATE_LIMIT, "rate", "in 60 seconds"),
        (
            said(422, "Unprocessable Entity", ["bad line", {"message": "m"}, {"field": "f", "code": "c"}, 7]),
            ForgeKind.INVALID,
            "with 422 (Unprocessable Entity: bad line: m: f c)",
            "",
        ),
        (said(409, "Git Repository is empty."), ForgeKind.INVALID, "with 409", ""),
        (Answer(502, {}, "<html>"), ForgeKind.UNAVAILABLE, "with 502.", "Run the job again"),
        (Answer(500, {}, "[]"), ForgeKind.UNAVAILABLE, "with 500.", "Run the job again"),
        (
            Answer(302, {"location": "https://evil.example/x"}),
            ForgeKind.UNAVAILABLE,
            "to evil.example, which was not followed",
            "GITHUB_API_URL",
        ),
        (Answer(307), ForgeKind.UNAVAILABLE, "to another address", "renamed"),
    ],
)  # fmt: skip
def test_a_refusal_has_kind_words_and_remedy(
    answer: Answer, kind: ForgeKind, message: str, hint: str
) -> None:
    error = refusal(answer, REQUEST)
    assert error.kind is kind
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        (requests.Timeout(), ForgeKind.UNAVAILABLE, "no answer in time"),
        (requests.exceptions.SSLError(), ForgeKind.UNAVAILABLE, "certificate"),
        (requests.exceptions.ChunkedEncodingError(), ForgeKind.UNAVAILABLE, "cut off"),
        (requests.ConnectionError(), ForgeKind.UNAVAILABLE, "no connection"),
        (requests.exceptions.InvalidHeader(), ForgeKind.AUTHENTICATION, "line break"),
        (UnicodeEncodeError("latin-1", "ü", 0, 1, ""), ForgeKind.AUTHENTICATION, "odd character"),
        (
            RuntimeError("Github server redirected from host a to b"),
            ForgeKind.UNAVAILABLE,
            "redirected from host",
        ),
    ],
)
def test_no_answer_says_why(cause: Exception, kind: ForgeKind, message: str) -> None:
    error = unreachable(cause, REQUEST)
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
def test_a_rate_limit_says_how_long_to_wait(answer: Answer, seconds: float | None) -> None:
    assert wait_asked(answer, 1_000.0) == seconds


def test_a_senseless_answer_is_no_answer() -> None:
    assert senseless(REQUEST, "it is no JSON").kind is ForgeKind.UNAVAILABLE


def test_a_shape_reads_what_is_there_and_refuses_what_is_not() -> None:
    shape = Shape({"a": {"b": "text", "n": 3, "l": [1]}, "t": True, "z": None}, REQUEST)
    assert shape.text("a.b") == "text"
    assert shape.number("a.n") == 3
    assert [entry.value for entry in shape.entries("a.l")] == [1]
    assert shape.text_or("z", "else") == "else"
    assert shape.number_or_none("z") is None
    assert shape.truth("t")
    assert not shape.truth("a")
    assert shape.certain("t")
    assert [entry.number("b") for entry in Shape([{"b": 1}], REQUEST).objects()] == [1]


@pytest.mark.parametrize("value", [{}, {"a": None}, {"a": 1}, [], "text"])
def test_a_shape_of_another_type_is_senseless(value: object) -> None:
    with pytest.raises(Exception, match=r"makes no sense: no text at `a\.b`"):
        Shape(value, REQUEST).text("a.b")


def test_a_number_and_a_list_that_are_missing_are_named() -> None:
    with pytest.raises(Exception, match="no number at `n`"):
        Shape({}, REQUEST).number("n")
    with pytest.raises(Exception, match="no list at `l`"):
        Shape({}, REQUEST).entries("l")
    with pytest.raises(Exception, match="it is no list"):
        Shape({}, REQUEST).entries()
    with pytest.raises(Exception, match="no yes or no at `t`"):
        Shape({}, REQUEST).certain("t")


@pytest.mark.parametrize("hole", [None, 7, []])
def test_a_hole_in_a_list_of_objects_is_senseless(hole: object) -> None:
    with pytest.raises(Exception, match="an entry of its list is no object"):
        Shape({"l": [{}, hole]}, REQUEST).objects("l")

"""Our hidden lines are known again exactly, and nothing else is taken for them."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Anchor, Finding, Severity, Verification
from hunkwise.domain.review import Destination
from hunkwise.publish.sanitize import without_marker
from hunkwise.tracking.markers import (
    ThreadDecision,
    as_values,
    decision_in,
    decision_marker,
    finding_marker,
    fixed_marker,
    from_values,
    is_fixed,
    make_record,
    raised_in,
    reply_marker,
    review_marker,
    without_markers,
)

ANCHOR = Anchor("src/a.py", 12, Side.LEFT, 10, "a\nb\nc")
FINDING = Finding("src/a.py", Severity.HIGH, "A title", "A body.", ANCHOR, "bug", prompt="review")
RECORD = make_record(FINDING, Destination.INLINE)
VALUES: list[Any] = as_values(RECORD) or []


def spelt(values: object, fingerprint: str = FINDING.fingerprint) -> str:
    packed = b64encode(json.dumps(values).encode()).decode()
    return f"<!-- hunkwise:finding v1 fp={fingerprint} {packed} -->"


def test_a_marker_carries_the_whole_record() -> None:
    assert raised_in(finding_marker(FINDING, Destination.INLINE)) == (RECORD,)
    assert (RECORD.line, RECORD.start_line, RECORD.span, RECORD.code) == (12, 10, 3, FINDING.code)


def test_markers_are_read_in_their_order_from_among_other_lines() -> None:
    other = replace(FINDING, title="Another", anchor=None)
    markers = [finding_marker(FINDING, Destination.BODY), finding_marker(other, Destination.FILE)]
    assert raised_in(f"Text\r\n{markers[0]}\r\n\r\nmore\n{markers[1]}") == (
        make_record(FINDING, Destination.BODY),
        make_record(other, Destination.FILE),
    )


@pytest.mark.parametrize("path", ["caf\udce9.py", "a --> b.py", "日本/語.py", "\ud83d\ude00", 'a"\n\\.py'])
def test_any_path_is_carried_and_none_ends_the_comment(path: str) -> None:
    odd = replace(FINDING, path=path, anchor=None)
    marker = finding_marker(odd, Destination.FILE)
    assert marker.count("-->") == 1
    assert "\n" not in marker
    assert raised_in(marker) == (make_record(odd, Destination.FILE),)


def test_a_long_title_is_cut_and_a_path_too_long_leaves_the_fingerprint_alone() -> None:
    wordy = replace(FINDING, title="t" * 500)
    assert len(raised_in(finding_marker(wordy, Destination.INLINE))[0].title) == 120
    for length in (3_900, 5_000):
        far = replace(FINDING, path="p" * length, anchor=None)
        marker = finding_marker(far, Destination.INLINE)
        assert marker == f"<!-- hunkwise:finding v1 fp={far.fingerprint} -->"
        assert raised_in(marker) == ()


@pytest.mark.parametrize(
    "values",
    [
        {},
        None,
        "text",
        VALUES[1:-1],
        [*VALUES[1:], 1],
        *[[*VALUES[1 : place + 1], wrong, *VALUES[place + 2 :]] for place, wrong in [
            (0, 1), (0, ""), (0, "p" * 5_000), (1, True), (1, 0), (1, 5), (1, "3"), (1, 3.0), (2, None),
            (2, "t" * 121), (3, "c" * 101), (3, []), (4, "p" * 201), (5, "UP"), (5, 1), (6, None), (6, 0),
            (6, -1), (6, 10**9 + 1), (6, 9), (6, 1e1), (6, True), (6, 5_000), (7, 13), (7, 0), (7, "1"),
            (8, "xyz"), (8, "0" * 13), (8, None), (9, "moon"), (9, 1),
        ]],
    ],
)  # fmt: skip
def test_a_record_that_is_not_exactly_right_is_passed_over(values: object) -> None:
    assert raised_in(f"{spelt(values)}\n{spelt(VALUES[1:])}") == (RECORD,)


@pytest.mark.parametrize(
    "line",
    [
        spelt(VALUES[1:], "0" * 15),
        spelt(VALUES[1:], "G" * 16),
        spelt(VALUES[1:]).replace("v1", "v2"),
        f" {spelt(VALUES[1:])}",
        f"> {spelt(VALUES[1:])}",
        f"{spelt(VALUES[1:])} and more",
        spelt(VALUES[1:]).replace(" -->", "\n-->"),
        spelt(VALUES[1:]).replace(" -->", "= -->"),
        without_marker(spelt(VALUES[1:])),
        f"<!-- hunkwise:finding v1 fp={'0' * 16} {b64encode(b'[' * 3_000).decode()} -->",
        f"<!-- hunkwise:finding v1 fp={'0' * 16} {b64encode(bytes([255] * 30)).decode()} -->",
        f"<!-- hunkwise:finding v1 fp={'0' * 16} {'A' * 4_090} -->",
        f"<!-- hunkwise:finding v1 fp={'0' * 16} AAAAA -->",
        f"<!-- hunkwise:finding v1 fp={'0' * 16} -->",
    ],
)
def test_a_line_that_is_not_exactly_a_marker_says_nothing(line: str) -> None:
    assert raised_in(line) == ()


def test_a_text_has_its_caps() -> None:
    marker = finding_marker(replace(FINDING, anchor=None), Destination.BODY)
    short = f"<!-- hunkwise:finding v1 fp={'0' * 16} AAAA -->"
    assert len(raised_in("\n".join([marker] * 301))) == 300
    assert raised_in("\n".join([*[short] * 300, marker])) == ()
    assert raised_in(f"{marker}\n{'x' * 70_000}") == ()


@given(st.text(), st.sampled_from(["", "<!-- hunkwise:finding v1 fp=0123456789abcdef ", " -->"]))
def test_no_text_makes_the_reader_fail(text: str, piece: str) -> None:
    assert raised_in(f"{piece}{text}{piece}") == ()
    assert not is_fixed(text)


@given(st.text(min_size=1, max_size=300), st.text(max_size=300), st.text(max_size=100), st.integers(1, 10**6))
def test_whatever_a_finding_says_comes_back(path: str, title: str, category: str, line: int) -> None:
    finding = Finding(path, Severity.LOW, title, "", Anchor(path, line, code=title), category)
    assert raised_in(f"{title}\n{finding_marker(finding, Destination.INLINE)}")[-1:] == (
        make_record(finding, Destination.INLINE),
    )


@pytest.mark.parametrize("check", [None, *Verification])
@pytest.mark.parametrize(("deleted", "fixed"), [(False, False), (True, False), (False, True)])
def test_a_check_is_the_last_value(check: Verification | None, deleted: bool, fixed: bool) -> None:
    record = replace(RECORD, check=check, deleted=deleted, fixed=fixed)
    assert from_values(as_values(record)) == record


@pytest.mark.parametrize(
    "more",
    [
        ["checked"],
        [None],
        [["confirmed"]],
        ["confirmed", "deleted"],
        ["confirmed", "lowered"],
        ["deleted"] * 2,
        ["deleted", "fixed"],
        ["fixed", "deleted"],
    ],
)
def test_other_values_are_none_of_ours(more: list[object]) -> None:
    values = as_values(RECORD)
    assert values is not None
    assert from_values([*values, *more]) is None


def test_a_record_that_could_not_be_read_back_has_no_values() -> None:
    assert as_values(replace(RECORD, path="")) is None
    assert as_values(replace(RECORD, line=0, start_line=None)) is None


def test_only_words_stand_in_the_other_markers() -> None:
    assert review_marker("run-1.2 -->", "abc\n") == "<!-- hunkwise:review v1 run=run1.2 head=abc -->"
    assert fixed_marker("abc -->") == "<!-- hunkwise:fixed v1 head=abc -->"


def test_reply_marker_names_comment_of_command() -> None:
    assert reply_marker(4711) == "<!-- hunkwise:reply v1 to=4711 -->"


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        (fixed_marker("abc"), True),
        (f"**Fixed in abc.**\n{fixed_marker('abc')}\r\n\r\nThe old body", True),
        (f"> {fixed_marker('abc')}", False),
        (fixed_marker("abc").replace("v1", "v2"), False),
        ("Fixed", False),
    ],
)
def test_a_text_says_by_its_marker_that_it_is_fixed(text: str, fixed: bool) -> None:
    assert is_fixed(text) is fixed


def test_a_body_is_shown_without_its_markers() -> None:
    body = f"Title\n\n{fixed_marker('abc')}\nText\n\n{finding_marker(FINDING, Destination.INLINE)}"
    assert without_markers(body) == "Title\n\nText"


def test_decision_marker_has_fixed_form() -> None:
    decision = ThreadDecision(dismissed=False, by="octo-cat", resolved=True, fixed=True)
    marker = "<!-- hunkwise:reopened v1 by=octo-cat resolved=yes fixed=yes -->"
    assert decision_marker(decision) == marker
    assert decision_marker(ThreadDecision(True, "a--> b", False)) == (
        "<!-- hunkwise:dismissed v1 by=a-b resolved=no fixed=no -->"
    )


DECISION = ThreadDecision(True, "octocat", False)
OF_DECISION = decision_marker(DECISION)


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        (OF_DECISION, DECISION),
        (f"Words.\r\n\r\n{OF_DECISION}\r\n<!-- hunkwise:reply v1 to=7 -->\r\n", DECISION),
        (f"> {OF_DECISION}", None),
        (f"    {OF_DECISION}", None),
        (f"{OF_DECISION} and more", None),
        (OF_DECISION.replace("v1", "v2"), None),
        (OF_DECISION.replace("dismissed", "settled"), None),
        (OF_DECISION.replace("=no ", "=maybe "), None),
        (OF_DECISION.replace(" resolved=no", ""), None),
        (OF_DECISION.replace("octocat", "octo cat"), None),
        (OF_DECISION.replace("octocat", "o" * 101), None),
        (without_marker(OF_DECISION), None),
        (f"{'x' * 70_000}\n{OF_DECISION}", None),
        ("", None),
    ],
)
def test_decision_is_read_from_exact_line_only(text: str, decision: ThreadDecision | None) -> None:
    assert decision_in(text) == decision


@given(st.booleans(), st.text(max_size=200), st.booleans(), st.booleans())
def test_each_decision_comes_back(dismissed: bool, by: str, resolved: bool, fixed: bool) -> None:
    marker = decision_marker(ThreadDecision(dismissed, by, resolved, fixed))
    assert (marker.count("--"), "\n" in marker) == (2, False)
    decision = decision_in(f"{by}\n{marker}")
    assert decision is not None
    assert (decision.dismissed, decision.resolved, decision.fixed) == (dismissed, resolved, fixed)

"""Boxes of an audit's issue are ticked and cleared by commands, and nothing else of the body changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import Severity
from hunkwise.publish.audit_boxes import finding_box, read_boxes, tick_box
from hunkwise.publish.audit_issue import issue_body
from hunkwise.tracking.ledger import LedgerEntry
from tests.publish.audit_reports import entry, finding, report

BODY = issue_body(report(3))
SHOWN = sorted(read_boxes(BODY).shown)
OPEN = sorted(read_boxes(BODY).shown - read_boxes(BODY).ticked)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("fingerprint", SHOWN)
def test_box_is_ticked_and_cleared(fingerprint: str, ends: str) -> None:
    body = BODY.replace("\n", ends)
    before = read_boxes(body)
    ticked, cleared = (tick_box(body, fingerprint, mark) for mark in (True, False))
    assert read_boxes(ticked).ticked == before.ticked | {fingerprint}
    assert read_boxes(cleared).ticked == before.ticked - {fingerprint}
    assert read_boxes(ticked).shown == read_boxes(cleared).shown == before.shown
    assert sum(one != other for one, other in zip(ticked, cleared, strict=True)) == 1
    assert body in (ticked, cleared)
    assert tick_box(ticked, fingerprint, False) == cleared
    assert tick_box(ticked, fingerprint, True) == ticked


def test_all_boxes_of_a_finding_agree_afterwards() -> None:
    (row,) = [line for line in BODY.split("\n") if OPEN[0] in line]
    twice = f"{BODY}\n{row.replace('[ ]', '[X]')}"
    assert OPEN[0] not in read_boxes(twice).shown
    assert OPEN[0] in read_boxes(tick_box(twice, OPEN[0], True)).ticked


@pytest.mark.parametrize(
    ("body", "fingerprint"),
    [
        (BODY, "f" * 16),
        (BODY, ""),
        (BODY, OPEN[0][:7]),
        (f"> {BODY.replace(chr(10), chr(10) + '> ')}", OPEN[0]),
        (BODY + " " * 70_000, OPEN[0]),
        ("", OPEN[0]),
    ],
    ids=["another finding", "no id", "a part of an id", "quoted", "too long", "empty"],
)
def test_what_is_no_box_of_this_finding_stays(body: str, fingerprint: str) -> None:
    assert tick_box(body, fingerprint, True) == body


@given(st.lists(st.sampled_from(["[ ]", "[x]", "a", "- ", " "]), max_size=6).map("".join), st.booleans())
def test_box_of_any_text_is_found_again(text: str, ticked: bool) -> None:
    known: LedgerEntry = entry(finding(1, Severity.HIGH))
    box = finding_box(known, "badge", text)
    assert (known.fingerprint in read_boxes(tick_box(box, known.fingerprint, ticked)).ticked) is ticked
    assert tick_box(tick_box(box, known.fingerprint, True), known.fingerprint, False) == box

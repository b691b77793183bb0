"""Commands that name a finding by its id: what they find, and what the state keeps of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.finding import Finding
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import HiddenState, make_record
from hunkwise.tracking.previous import apply_command, find_findings
from hunkwise.tracking.state import SUMMARY_MARKER, decode, encode
from tests.tracking.pushes import changed, fault, inline, review, run, said, state, thread

FILE = changed("a.py", " import db", "+query = 'select ' + name", "+db.run(query)", " end")
FAULT = fault(FILE, 2, "SQL is built from strings")
OTHER = fault(FILE, 3, "The connection is never closed", category="leak")
KEY = FAULT.fingerprint
IN_BODY = make_record(FAULT, Destination.BODY)
BEFORE = state(IN_BODY, make_record(OTHER, Destination.INLINE))
TALK = said(thread(OTHER), reviews=(review(1, FAULT),))


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        (KEY, [KEY]),
        (KEY[:7], [KEY]),
        (OTHER.fingerprint[:7], [OTHER.fingerprint]),
        ("", [KEY, OTHER.fingerprint]),
        ("0" * 16, []),
    ],
)
def test_findings_are_found_by_first_digits_of_id(prefix: str, found: list[str]) -> None:
    tracked = find_findings(prefix, BEFORE, TALK)
    assert [item.previous.fingerprint for item in tracked] == found
    threads = {item.previous.fingerprint: item.thread for item in tracked}
    assert threads.get(KEY) is None
    assert threads.get(OTHER.fingerprint) in (None, TALK.threads[0])


def test_findings_are_found_without_state() -> None:
    (item,) = find_findings(KEY[:8], None, TALK)
    assert (item.previous, item.thread) == (IN_BODY, None)


def test_dismissed_finding_without_thread_is_neither_raised_nor_counted_until_reopened() -> None:
    dismissed = apply_command(BEFORE, TALK, KEY, dismissed=True)
    assert dismissed.findings == (BEFORE.findings[1], replace(IN_BODY, deleted=True))
    for found in ((), (FAULT,)):
        story = run(TALK, FILE, found=found, before=dismissed)
        assert [kept.finding.fingerprint for kept in story.kept] == [OTHER.fingerprint]
        assert (story.post, story.dismissed) == ((), (dismissed.findings[1],))
    (item,) = find_findings(KEY, dismissed, TALK)
    assert item.dismissal is not None
    reopened = apply_command(dismissed, TALK, KEY, dismissed=False)
    assert set(reopened.findings) == set(BEFORE.findings)
    story = run(TALK, FILE, found=(FAULT,), before=reopened)
    assert (len(story.kept), story.post, story.dismissed) == (2, (), ())


def test_finding_that_only_a_review_has_comes_into_the_state() -> None:
    settled = apply_command(state(), TALK, KEY, dismissed=True)
    assert settled.findings == (replace(IN_BODY, deleted=True),)
    assert run(TALK, FILE, found=(FAULT, OTHER), before=settled).post == ()


def test_finding_with_deleted_comment_is_reopened_without_one() -> None:
    story = run(said(), FILE, before=inline(FAULT))
    deleted = state(*story.remembered({}))
    assert deleted.findings[0].deleted
    reopened = apply_command(deleted, said(), KEY, dismissed=False)
    for _ in range(2):
        story = run(said(), FILE, before=reopened)
        assert (len(story.kept), story.dismissed) == (1, ())
        reopened = state(*story.remembered({}))


def test_finding_that_was_fixed_is_open_once_reopened() -> None:
    fixed = state(replace(IN_BODY, fixed=True))
    story = run(said(), FILE, before=apply_command(fixed, said(), KEY, dismissed=False))
    assert (len(story.kept), story.ended) == (1, ())


def test_finding_with_thread_is_left_to_its_thread() -> None:
    settled = apply_command(BEFORE, TALK, OTHER.fingerprint, dismissed=True)
    assert settled == replace(BEFORE, conclusion="")


FINDINGS = [FAULT, OTHER, fault(FILE, None, "The file has no tests"), fault(FILE, 3, "An old fault")]


@given(
    st.lists(st.sampled_from(FINDINGS), unique=True),
    st.sets(st.sampled_from(FINDINGS)),
    st.lists(st.tuples(st.sampled_from(FINDINGS), st.booleans())),
)
def test_last_command_on_each_finding_counts_whatever_the_state_knew(
    known: list[Finding], in_bodies: set[Finding], commands: list[tuple[Finding, bool]]
) -> None:
    talk = said(reviews=(review(1, *sorted(in_bodies, key=FINDINGS.index)),))
    now: HiddenState = state(*(make_record(one, Destination.BODY) for one in known))
    for finding, dismissed in commands:
        now = apply_command(now, talk, finding.fingerprint, dismissed=dismissed)
        comment = Comment(1, f"{SUMMARY_MARKER}\n{encode(now, 30_000)}")
        assert decode(comment, repository="o/r", number=7) == now
    last = {finding.fingerprint: dismissed for finding, dismissed in commands}
    raised = {one.fingerprint for one in (*known, *in_bodies)}
    story = run(talk, FILE, before=now)
    dismissed_now = {record.fingerprint for record in story.dismissed}
    assert dismissed_now == {key for key in raised if last.get(key)}
    assert {one.finding.fingerprint for one in story.kept} == raised - dismissed_now
    assert story.post == ()

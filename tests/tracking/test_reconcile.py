"""What becomes of findings from push to push: nothing repeated, nothing lost, nothing closed that should not be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hunkwise.domain.diff import FileDiff, FileStatus, Side
from hunkwise.domain.finding import Finding, Recheck, RecheckState, Severity, Verification, code_key
from hunkwise.domain.pull_request import Conversation, ReviewState, Thread
from hunkwise.domain.review import Destination
from hunkwise.tracking.markers import PreviousFinding, finding_marker, make_record
from hunkwise.tracking.previous import TrackedFinding, our_threads, raised_before
from hunkwise.tracking.reconcile import code_when_raised, restore_finding, shown_threads
from tests.tracking.pushes import FIXED, changed, fault, inline, review, run, said, state, thread

QUERY = "query = 'select ' + name"
FILE = changed("a.py", " import db", f"+{QUERY}", "+db.run(query)", " end")
SHIFTED = changed("a.py", " import db", "+import re", "+import os", f"+    {QUERY}", "+db.run(query)", " end")
MENDED = changed("a.py", " import db", "+query = 'select ?'", "+db.run(query, name)", " end")
FAULT = fault(FILE, 2, "SQL is built from strings", category="security")
BEFORE = inline(FAULT)
POSTED = thread(FAULT)
LOST = replace(POSTED, line=None, outdated=True)


# Findings of earlier runs


def test_the_state_comes_first_then_what_only_our_comments_remember() -> None:
    second, third = fault(FILE, 3, "Second"), fault(FILE, 4, "Third")
    talk = said(POSTED, thread(second, 2), reviews=(review(1, third),))
    assert raised_before(BEFORE, talk) == (
        make_record(FAULT, Destination.INLINE),
        make_record(second, Destination.INLINE),
        make_record(third, Destination.BODY),
    )
    assert raised_before(BEFORE, None) == BEFORE.findings
    assert raised_before(None, None) == ()


def test_the_same_code_twice_in_a_file_is_two_entries_and_a_finding_in_state_and_thread_is_one() -> None:
    file = changed("a.py", "+except:", "+    pass", "+except:", "+    pass")
    first, second = fault(file, 1), fault(file, 3)
    assert first.fingerprint == second.fingerprint
    talk = said(thread(first), thread(second, 2))
    assert raised_before(None, talk) == raised_before(inline(first, second), talk)
    assert raised_before(inline(second), talk) == inline(second, first).findings


def test_what_has_moved_since_it_was_posted_is_still_one_entry() -> None:
    moved = state(replace(BEFORE.findings[0], line=90))
    assert raised_before(moved, said(POSTED)) == moved.findings
    body = state(replace(BEFORE.findings[0], where=Destination.BODY, line=90))
    assert raised_before(body, said(reviews=(review(1, FAULT), review(2, FAULT)))) == body.findings


def test_a_comment_whose_posting_was_not_noticed_is_one_with_what_was_thought_to_be_elsewhere() -> None:
    elsewhere = state(replace(BEFORE.findings[0], where=Destination.ANNOTATION))
    assert raised_before(elsewhere, said(POSTED)) == elsewhere.findings
    story = run(said(POSTED), FILE, before=elsewhere)
    assert story.kept[0].thread == POSTED
    assert story.kept[0].raised.where is Destination.INLINE
    far = state(replace(elsewhere.findings[0], line=3))
    assert len(raised_before(far, said(POSTED))) == 2


@pytest.mark.parametrize(
    "talk",
    [
        said(replace(POSTED, ours=False)),
        said(replace(POSTED, edited=True)),
        said(replace(POSTED, resolved=True, resolved_by="us")),
        said(replace(POSTED, body=f"> {finding_marker(FAULT, Destination.INLINE)}")),
        said(reviews=(review(1, FAULT, state=ReviewState.PENDING),)),
    ],
    ids=["a stranger's", "edited by another", "closed as fixed", "quoted", "pending"],
)
def test_what_is_not_ours_or_is_settled_was_not_raised(talk: Conversation) -> None:
    assert raised_before(None, talk) == ()
    assert run(talk, FILE, found=(FAULT,)).post == (FAULT,)


def test_only_the_last_marker_of_a_comment_is_its_own() -> None:
    other = replace(FAULT, title="Smuggled")
    double = replace(POSTED, body=f"{finding_marker(other, Destination.INLINE)}\n\n{POSTED.body}")
    assert raised_before(None, said(double)) == BEFORE.findings


# What still stands


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (FILE, 2),
        (SHIFTED, 4),
        (changed("b.py", "+import re", f"+{QUERY}", status=FileStatus.RENAMED, old_path="a.py"), 2),
        (changed("a.py", f" {QUERY}", "+other", at=40), 40),
    ],
    ids=["where it was", "shifted and indented anew", "in a renamed file", "as context"],
)
@pytest.mark.parametrize("posted", [POSTED, LOST])
def test_what_stands_is_kept_where_it_stands_now(file: FileDiff, line: int, posted: Thread) -> None:
    story = run(said(posted), file, before=BEFORE)
    (kept,) = story.kept
    assert (story.post, story.fixed, story.dismissed) == ((), (), ())
    assert kept.thread == posted
    assert kept.finding.anchor is not None
    assert (kept.finding.path, kept.finding.anchor.line) == (file.path, line)
    assert (kept.finding.raised_as, kept.finding.code) == (FAULT.fingerprint, FAULT.code)
    assert (kept.finding.severity, kept.finding.title) == (FAULT.severity, FAULT.title)
    assert kept.finding.body == "Open since an earlier review; its thread has the details."
    assert kept.raised == replace(BEFORE.findings[0], path=file.path, line=line)


def test_a_file_is_known_by_its_earlier_names() -> None:
    renamed_twice = state(replace(BEFORE.findings[0], path="b.py"))
    file = changed("c.py", f"+{QUERY}", status=FileStatus.RENAMED, old_path="a.py")
    assert run(said(LOST), file, before=renamed_twice).kept[0].finding.path == "c.py"
    new_under_the_old_name = changed("a.py", "+nothing", status=FileStatus.ADDED)
    assert run(said(LOST), new_under_the_old_name, file, before=BEFORE).kept[0].finding.path == "c.py"


SPAN = fault(FILE, 3, start=2)
HUNKS = [*changed("a.py", f"+{QUERY}").hunks, *changed("a.py", "+db.run(query)", at=40).hunks]
TALL = fault(changed("a.py", *[f"+{number}" for number in range(5)]), 5, start=1)
PASS = ["+    pass"] * 18
TWINS = [fault(changed("a.py", "+except:", *PASS, "+except:"), line) for line in (1, 20)]
COPIES = [fault(changed("a.py", f"+{QUERY}", "+other", f"+{QUERY}"), line) for line in (1, 3)]
ONE_LINE = [FAULT, fault(FILE, 2, "Not checked", category="input"), replace(FAULT, title="Quotes break it")]
SHORT = fault(changed("a.py", "+except:"), 1)
LEFT = fault(changed("a.py", " one", "-check(name)", "+pass", " two"), 2, side=Side.LEFT)
ABOUT = fault(FILE, None)
MANY = [FileDiff(f"{number}.py", FileStatus.MODIFIED) for number in range(3_000)]
ADDED = changed("b.py", f"+{QUERY}", "+x", f"+{QUERY}", "+except:", status=FileStatus.ADDED)
RENAMED = changed("b.py", "+x", status=FileStatus.RENAMED, old_path="a.py")


@pytest.mark.parametrize(
    ("earlier", "files", "text", "kept", "fixed"),
    [
        ([SPAN], [SHIFTED], None, "T1 a.py:4-5", ""),
        ([SPAN], [changed("a.py", f"+{QUERY}", "+between", "+db.run(query)")], "x", "", "T1"),
        ([SPAN], [replace(FILE, hunks=tuple(HUNKS))], "x", "", "T1"),
        ([SPAN], [], f"\n\n\n{QUERY}\ndb.run(query)\n", "T1 a.py:4-5", ""),
        ([TALL], [changed("a.py", "+x", "+y", "+z")], "x\ny\nz", "", "T1"),
        (TWINS, [changed("a.py", "+else:", *PASS, "+except:")], "x", "T2 a.py:20", "T1"),
        (TWINS, [changed("a.py", "+import os", "+except:", *PASS, "+except:")], None, "T1 a.py:2, T2 a.py:21", ""),
        (ONE_LINE, [FILE], None, "T1 a.py:2, T2 a.py:2, T3 a.py:2", ""),
        (ONE_LINE, [SHIFTED], None, "T1 a.py:4, T2 a.py:4, T3 a.py:4", ""),
        (COPIES, [changed("a.py", f"+{QUERY}", "+other", "+z")], f"{QUERY}\nother\nz\n", "T1 a.py:1", "T2"),
        ([SHORT], [], "\n" * 29 + "except:\n", "T1 a.py:30", ""),
        ([SHORT], [], "\n" * 299 + "except:\n", "", "T1"),
        ([*COPIES, SHORT], [ADDED], "", "T1 b.py:1, T2 b.py:3", "T3"),
        ([LEFT], [changed("a.py", " one", "-check(name)", "+pass", " two")], None, "T1 a.py:2", ""),
        ([LEFT], [changed("a.py", " one", " check(name)", "+pass", " two")], None, "", "T1"),
        ([LEFT], [], None, "", "T1"),
        ([LEFT], [FileDiff("a.py", FileStatus.MODIFIED, patch_missing=True)], None, "T1 a.py:2", ""),
        ([LEFT], [replace(FILE, hunks=(replace(FILE.hunks[0], truncated=True),))], None, "T1 a.py:2", ""),
        ([LEFT, ABOUT], MANY, None, "T1 a.py:2, T2 a.py:None", ""),
        ([ABOUT], [MENDED], None, "T1 a.py:None", ""),
        ([ABOUT], [RENAMED], None, "T1 b.py:None", ""),
        ([ABOUT], [], None, "", "T1"),
    ],
    ids=[
        "several lines, shifted", "several lines, apart now", "several lines, in two hunks now",
        "several lines, outside of the diff", "several lines, more than the file has now",
        "twins, the first is fixed", "twins, both shifted", "three on one line", "three on one line, shifted",
        "the diff decides which copy is left", "short code, near", "short code, far away",
        "twins in an added file, and short code", "removed lines, still removed", "removed lines, restored",
        "removed lines, no diff", "removed lines, no patch", "removed lines, half a patch",
        "a file that GitHub may not list", "about a file", "about a file, renamed", "about a file, no diff",
    ],
)  # fmt: skip
def test_code_is_followed_until_it_is_gone(
    earlier: list[Finding], files: list[FileDiff], text: str | None, kept: str, fixed: str
) -> None:
    talk = said(*(thread(one, number) for number, one in enumerate(earlier, 1)))
    texts = {} if text is None else {"a.py": text}
    story = run(talk, *files, before=inline(*earlier), texts=texts)
    places = []
    for one in story.kept:
        first = f"{one.raised.start_line}-" if one.raised.start_line else ""
        places.append(f"{one.thread and one.thread.id} {one.raised.path}:{first}{one.raised.line}")
    assert (", ".join(places), ", ".join(one.id for one in story.fixed)) == (kept, fixed)


def test_github_knows_better_than_we_where_a_line_went() -> None:
    file = changed("a.py", "+except:", "+    pass")
    later = changed("a.py", "+except:", *["+    pass"] * 9, "+except:")
    moved = thread(fault(file, 1), line=11)
    (kept,) = run(said(moved), later, before=inline(fault(file, 1))).kept
    assert kept.raised.line == 11


def test_a_thread_tells_nothing_of_code_that_its_finding_moved_on_to() -> None:
    later = fault(MENDED, 2, "SQL is built from strings", category="security")
    before = state(replace(make_record(later, Destination.INLINE), fingerprint=FAULT.fingerprint))
    talk = said(replace(POSTED, line=4))
    assert run(talk, MENDED, before=before).kept[0].raised == before.findings[0]


@pytest.mark.parametrize(
    ("rows", "line", "text", "stands"),
    [
        ([" x"], 900, f"import db\n{QUERY}\n", True),
        ([" x"], 900, "import db\r\n    query  = 'select ' + name\r\n", True),
        ([" x"], 900, "import db\n", False),
        ([" x"], 900, "", False),
        ([" x"], 900, None, True),
    ],
    ids=["there", "indented anew", "not there", "empty", "unreadable"],
)
def test_code_outside_of_the_diff_is_looked_for_at_the_head(
    rows: list[str], line: int, text: str | None, stands: bool
) -> None:
    file = changed("a.py", *rows, at=line)
    for files in ([file], []):
        story = run(said(LOST), *files, before=BEFORE, texts={"a.py": text} if text is not None else {})
        assert (len(story.kept), len(story.fixed)) == (int(stands), int(not stands))
        for kept in story.kept:
            assert kept.finding.anchor is None
            assert kept.finding.reported_line == kept.raised.line == 2
            assert kept.raised.code == FAULT.code


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ([changed("new/b.py", "+x", f"+{QUERY}", status=FileStatus.ADDED)], "new/b.py"),
        ([changed("copy.py", f"+{QUERY}", status=FileStatus.COPIED, old_path="x.py")], "copy.py"),
        ([changed("new/b.py", f"+{QUERY}", status=FileStatus.ADDED),
          changed("new/a.py", "+x", f"+{QUERY}", status=FileStatus.ADDED)], "new/a.py"),
        ([changed("new/b.py", f"+{QUERY}")], None),
        ([changed("new/b.py", f"-{QUERY}", status=FileStatus.ADDED)], None),
    ],
    ids=["added", "copied", "of the same name first", "not a new file", "not on the right"],
)  # fmt: skip
def test_code_whose_file_left_the_diff_is_found_in_an_added_file(
    files: list[FileDiff], path: str | None
) -> None:
    story = run(said(LOST), *files, before=BEFORE, texts={"a.py": ""})
    assert [kept.finding.path for kept in story.kept] == ([path] if path else [])
    assert len(story.fixed) == (path is None)


@pytest.mark.parametrize(
    ("text", "stands"),
    [("import db", True), ("import  db\n", True), ("mended", False), ("", False), (None, True)],
)
def test_a_finding_on_a_file_outside_of_the_diff_stands_as_long_as_that_file_is_as_it_was(
    text: str | None, stands: bool
) -> None:
    pinned = replace(make_record(fault(FILE, None), Destination.BODY), code=code_key("import db\n"))
    story = run(said(), before=state(pinned), texts={} if text is None else {"a.py": text})
    assert [kept.raised for kept in story.kept] == ([pinned] if stands else [])


# What is gone


@pytest.mark.parametrize(
    ("posted", "file", "closed"),
    [
        (POSTED, MENDED, True),
        (LOST, MENDED, True),
        (LOST, changed("a.py", "-import db", status=FileStatus.REMOVED), True),
        (replace(LOST, resolved=True, resolved_by="stranger"), MENDED, False),
    ],
    ids=["fixed", "fixed, and outdated", "deleted with its file", "resolved already"],
)
def test_what_was_fixed_is_closed(posted: Thread, file: FileDiff, closed: bool) -> None:
    unreviewed = () if file is MENDED else ("a.py",)  # a deleted file needs no review
    story = run(said(posted), file, before=BEFORE, texts={"a.py": "mended"}, unreviewed=unreviewed)
    assert story.fixed == ((posted,) if closed else ())
    assert (story.kept, story.dismissed, story.deleted) == ((), (), ())


@pytest.mark.parametrize(
    ("posted", "more"),
    [
        (LOST, {"unreviewed": ("a.py",)}),
        (LOST, {"texts": {}}),
        (replace(LOST, replies=(FIXED,)), {}),
    ],
    ids=["its file was not reviewed", "its file could not be read", "a person opened it again"],
)
def test_where_nobody_knows_all_stays_as_it_was(posted: Thread, more: dict[str, Any]) -> None:
    story = run(said(posted), MENDED, before=BEFORE, **({"texts": {"a.py": "mended"}} | more))
    (kept,) = story.kept
    assert kept.raised == BEFORE.findings[0]
    assert (kept.finding.anchor, kept.finding.reported_line, kept.thread) == (None, 2, posted)
    assert story.fixed == ()


def test_what_has_no_thread_is_fixed_without_a_word() -> None:
    body = state(replace(BEFORE.findings[0], where=Destination.BODY))
    story = run(said(), MENDED, before=body, texts={"a.py": "mended"})
    assert (story.kept, story.fixed) == ((), ())
    assert run(said(), FILE, before=body).kept[0].finding.body == "Open since an earlier review."


@pytest.mark.parametrize(
    ("title", "category", "line", "kept"),
    [
        ("SQL is still built from strings", "other", 2, True),
        ("SQL injection", "security", 2, True),
        ("SQL injection", "Security", 13, False),
        ("SQL injection", "other", 2, False),
        ("The password is logged", "security", 2, False),
        ("SQL is built from strings", "other", 50, True),
        ("SQL is built from strings", "other", 80, False),
    ],
)
def test_a_fault_that_is_still_there_in_changed_code_keeps_its_thread(
    title: str, category: str, line: int, kept: bool
) -> None:
    file = changed("a.py", *[f"+mended {number}" for number in range(1, 100)])
    finding = fault(file, line, title, category=category, severity=Severity.LOW)
    story = run(said(LOST), file, found=(finding,), before=BEFORE, texts={"a.py": "mended"})
    if kept:
        assert (story.post, story.fixed) == ((), ())
        again = replace(finding, raised_as=FAULT.fingerprint)
        assert story.kept[0].finding == again
        assert story.kept[0].raised == replace(make_record(again, Destination.INLINE), category="security")
        assert story.kept[0].thread == LOST
    else:
        assert (story.post, story.fixed, story.kept) == ((finding,), (LOST,), ())


def test_an_empty_category_makes_nothing_alike_and_neither_does_the_other_side() -> None:
    bare = fault(FILE, 2, "SQL is built from strings", category="")
    file = changed("a.py", "-db.run(old)", "+mended")
    for finding in (
        fault(file, 1, "SQL injection", category=""),
        fault(file, 1, bare.title, category="", side=Side.LEFT),
    ):
        story = run(said(thread(bare)), file, found=(finding,), before=inline(bare), texts={"a.py": ""})
        assert (story.post, len(story.fixed)) == ((finding,), 1)


# What this run says again


def test_what_is_found_again_is_kept_in_its_new_words() -> None:
    again = fault(SHIFTED, 4, "Injection", category="security", severity=Severity.LOW, body="New words.")
    for talk, before in ((said(LOST), BEFORE), (said(LOST), None), (said(reviews=(review(1, FAULT),)), None)):
        story = run(talk, SHIFTED, found=(again,), before=before)
        assert (story.post, story.repeated) == ((), 0)
        assert story.kept[0].finding == replace(again, raised_as=FAULT.fingerprint)
        assert story.kept[0].raised.title == "Injection"


@pytest.mark.parametrize(
    ("found", "posted"),
    [
        (fault(FILE, 2, "Other words", category="Security"), False),
        (fault(FILE, 2, "SQL is built from strings", category="other"), False),
        (fault(FILE, 3, "SQL is built from strings", start=1, category="other"), False),
        (fault(FILE, 3, "SQL is built from strings", category="security"), True),
        (fault(FILE, 2, "Other words", category="other"), True),
        (fault(FILE, None, "SQL is built from strings"), False),
        (replace(fault(FILE, None, "SQL is built from strings"), reported_line=40), False),
        (replace(fault(FILE, None, "SQL is built from strings"), reported_line=400), True),
        (fault(FILE, None, "The queries are slow"), True),
        (fault(changed("b.py", f"+{QUERY}"), 1, "SQL is built from strings", category="security"), True),
    ],
)
def test_only_what_was_raised_before_is_not_posted(found: Finding, posted: bool) -> None:
    story = run(said(POSTED), FILE, found=(found,), before=BEFORE)
    assert story.post == ((found,) if posted else ())
    assert len(story.kept) == 1
    assert story.kept[0].raised.fingerprint == FAULT.fingerprint
    if not posted:
        assert story.kept[0].finding.anchor is not None
        assert story.kept[0].finding.title == found.title


def test_a_finding_without_a_line_takes_over_the_line_but_no_suggestion() -> None:
    vague = replace(fault(FILE, None, FAULT.title), suggestion="x")
    kept = run(said(POSTED), FILE, found=(vague,), before=BEFORE).kept[0].finding
    assert (kept.anchor, kept.suggestion) == (FAULT.anchor, None)
    lost = run(said(LOST), MENDED, found=(vague,), before=BEFORE, unreviewed=("a.py",)).kept[0]
    assert (lost.finding.anchor, lost.finding.body) == (None, vague.body)
    assert lost.raised == BEFORE.findings[0]


def test_a_finding_about_a_file_is_one_with_the_same_words_on_a_line() -> None:
    about = fault(FILE, None, "SQL is built from strings")
    story = run(said(thread(about)), FILE, found=(FAULT,), before=inline(about))
    assert story.post == ()
    expected = replace(make_record(FAULT, Destination.FILE), fingerprint=about.fingerprint, category="bug")
    assert story.kept[0].raised == expected
    same = run(said(thread(about)), FILE, found=(about,), before=inline(about))
    assert same.post == ()


SWAPPED = changed("a.py", f"-{QUERY}", f"+ {QUERY}")
OLD, NEW = fault(SWAPPED, 1, "Gone", side=Side.LEFT), fault(SWAPPED, 1, "There")
APART = changed("a.py", f"+{QUERY}", *["+x"] * 5, f"+{QUERY}")
AGAIN = replace(FAULT, body="Again.")


@pytest.mark.parametrize(
    ("earlier", "code", "file", "found", "posted"),
    [
        (fault(APART, 1), None, APART, [fault(APART, 7)], [fault(APART, 7)]),
        (OLD, None, SWAPPED, [NEW], [NEW]),
        (OLD, "", SWAPPED, [NEW], [NEW]),
        (FAULT, "", FILE, [FAULT], []),
        (FAULT, None, FILE, [FAULT, AGAIN], [AGAIN]),
    ],
    ids=["code elsewhere", "the other side", "the other side of unknown code", "unknown code", "two for one"],
)
def test_one_fingerprint_can_be_two_faults(
    earlier: Finding, code: str | None, file: FileDiff, found: list[Finding], posted: list[Finding]
) -> None:
    assert {one.fingerprint for one in found} == {earlier.fingerprint}
    (record,) = inline(earlier).findings
    before = state(record if code is None else replace(record, code=code))
    story = run(said(thread(earlier)), file, found=tuple(found), before=before)
    assert (story.post, [kept.raised.line for kept in story.kept]) == (tuple(posted), [record.line])


def test_what_the_diff_shows_is_first_what_stands_there() -> None:
    file = changed("a.py", f"+{QUERY}", at=40)
    first, second = fault(FILE, 2), fault(file, 40)
    before = inline(second, replace(second, raised_as=first.fingerprint))
    text = "\n" + QUERY + "\n" * 38 + QUERY
    far = state(before.findings[0], replace(before.findings[0], line=2))
    story = run(said(viewer=""), file, found=(second,), before=far, texts={"a.py": text})
    assert [kept.raised.line for kept in story.kept] == [40, 2]
    assert story.post == ()
    twin = replace(second, body="Again.")
    both = run(said(viewer=""), file, found=(second, twin), before=far, texts={"a.py": text})
    assert (both.post, len(both.kept)) == ((), 2)


def test_a_renamed_file_brings_its_findings_along() -> None:
    file = changed("b.py", f"+{QUERY}", status=FileStatus.RENAMED, old_path="a.py")
    again = fault(file, 1, "Other words", category="SECURITY")
    story = run(said(LOST), file, found=(again,), before=BEFORE)
    assert story.post == ()
    assert (story.kept[0].raised.path, story.kept[0].raised.fingerprint) == ("b.py", FAULT.fingerprint)


def test_what_is_shown_on_the_left_but_not_removed_is_raised_on_the_right() -> None:
    file = changed("a.py", " one", "+new", " two", "-old", " three", "-older", " four", at=5)
    left = fault(file, 6, side=Side.LEFT)
    right = fault(file, 7)
    both = run(said(), file, found=(left, right))
    assert (both.post, both.repeated) == ((right,), 1)
    span = fault(file, 8, start=7, side=Side.LEFT)
    across = fault(file, 6, start=5, side=Side.LEFT)
    assert run(said(), file, found=(span, across)).post == (span, across)
    unknown = replace(left, path="b.py")
    assert run(said(), file, found=(unknown,)).post == (unknown,)
    context = changed("a.py", " one", " two", " three", at=5, old_at=1)
    several = run(said(), context, found=(fault(context, 3, start=2, side=Side.LEFT),)).post
    assert several == (fault(context, 7, start=6),)


def test_what_was_dismissed_takes_no_line_away_and_keeps_its_own() -> None:
    dismissed = thread(FAULT, resolved=True, resolved_by="maintainer")
    twin = replace(FAULT, title="The name is not escaped")
    other = thread(twin, 2, outdated=True)
    moved = state(replace(make_record(twin, Destination.INLINE), line=90))
    story = run(said(dismissed, other), FILE, found=(FAULT, twin), before=moved)
    assert (story.post, story.repeated) == ((), 1)
    assert [kept.thread for kept in story.kept] == [other]
    new = changed("b.py", f"+{QUERY}", status=FileStatus.ADDED)
    elsewhere = run(said(replace(dismissed, outdated=True), other), new, before=moved, texts={"a.py": ""})
    assert (len(elsewhere.kept), len(elsewhere.dismissed)) == (1, 1)


def test_of_two_findings_on_one_line_each_is_known_by_its_words() -> None:
    twin = replace(FAULT, title="The name is not escaped")
    talk = said(POSTED, thread(twin, 2))
    story = run(talk, FILE, found=(twin, FAULT), before=inline(FAULT, twin))
    assert [kept.finding.title for kept in story.kept] == [FAULT.title, twin.title]
    dismissed = said(POSTED, thread(twin, 2, thumbs_down=("maintainer",)))
    for found in ((twin, FAULT), (FAULT, twin)):
        again = run(dismissed, FILE, found=found, before=inline(FAULT))
        assert [kept.finding.title for kept in again.kept] == [FAULT.title]


def test_what_lost_its_line_is_about_the_file_for_the_next_run() -> None:
    vague = replace(fault(FILE, None, FAULT.title), reported_line=3)
    texts = {"a.py": "mended"}
    first = run(said(LOST), MENDED, found=(vague,), before=BEFORE, texts=texts)
    assert [kept.raised.line for kept in first.kept] == [None]
    second = run(said(LOST), MENDED, before=state(*first.remembered({})), texts=texts)
    assert [kept.thread for kept in second.kept] == [LOST]
    assert second.fixed == ()


def test_what_comes_back_after_it_was_fixed_is_raised_anew() -> None:
    closed = replace(POSTED, resolved=True, resolved_by="us", replies=(FIXED,))
    for before in (state(), BEFORE):
        story = run(said(closed), FILE, found=(FAULT,), before=before)
        assert (story.post, story.kept, story.dismissed) == ((FAULT,), (), ())
    anew = thread(FAULT, 2)
    story = run(said(closed, anew), FILE, found=(FAULT,), before=BEFORE)
    assert (story.post, story.kept[0].thread) == ((), anew)


# What people say


DISMISSED = [
    replace(POSTED, resolved=True, resolved_by="maintainer"),
    replace(POSTED, thumbs_down=("maintainer",)),
    replace(LOST, thumbs_down=("maintainer",)),
]


@pytest.mark.parametrize("posted", DISMISSED)
@pytest.mark.parametrize("before", [BEFORE, state(), None])
def test_what_was_dismissed_is_never_raised_again(posted: Thread, before: Any) -> None:
    story = run(said(posted), FILE, found=(FAULT,), before=before)
    assert (story.post, story.kept, story.fixed, story.repeated) == ((), (), (), 1)
    assert story.dismissed == BEFORE.findings
    assert (story.deleted, story.remembered({})) == ((), ())
    silent = run(said(posted), SHIFTED, before=before)
    assert [one.line for one in silent.dismissed] == [4]
    assert silent.repeated == 0


@pytest.mark.parametrize("posted", DISMISSED)
def test_what_was_dismissed_and_then_changed_is_left_alone(posted: Thread) -> None:
    gone = run(said(posted), MENDED, before=BEFORE, texts={"a.py": "mended"})
    assert (gone.fixed, gone.kept, gone.dismissed) == ((), (), ())
    unknown = run(said(posted), MENDED, before=BEFORE, unreviewed=("a.py",), texts={"a.py": "mended"})
    assert unknown.dismissed == BEFORE.findings


@pytest.mark.parametrize(
    ("title", "line", "posted"),
    [
        ("SQL is built from strings", 2, False),
        ("SQL injection", 2, True),
        ("SQL is built from strings", 30, True),
    ],
)
def test_changed_code_was_not_dismissed_unless_the_words_are_the_same(
    title: str, line: int, posted: bool
) -> None:
    file = changed("a.py", *[f"+mended {number}" for number in range(1, 50)])
    finding = fault(file, line, title, category="security")
    story = run(said(DISMISSED[0]), file, found=(finding,), before=BEFORE, texts={"a.py": "mended"})
    assert story.post == ((finding,) if posted else ())


def test_a_stranger_who_resolves_only_keeps_it_from_being_repeated() -> None:
    posted = replace(POSTED, resolved=True, resolved_by="stranger")
    story = run(said(posted), FILE, found=(FAULT,), before=BEFORE)
    assert (story.post, story.dismissed, story.repeated) == ((), (), 0)
    assert story.kept[0].thread == posted


def test_a_comment_that_a_person_deleted_stays_dismissed() -> None:
    story = run(said(), FILE, found=(FAULT,), before=BEFORE)
    assert (story.post, story.kept, story.repeated) == ((), (), 1)
    assert story.dismissed == story.deleted == (replace(BEFORE.findings[0], deleted=True),)
    again = run(
        said(), SHIFTED, found=(fault(SHIFTED, 4, category="security"),), before=state(*story.remembered({}))
    )
    assert (again.post, again.repeated) == ((), 1)
    assert run(said(), MENDED, before=BEFORE, texts={"a.py": ""}).remembered({}) == ()


@pytest.mark.parametrize(
    ("talk", "before"),
    [
        (said(viewer=""), BEFORE),
        (said(replace(POSTED, edited=True, body="Rewritten by a person")), BEFORE),
        (said(replace(POSTED, body=f"<!-- hunkwise:finding v1 fp={FAULT.fingerprint} -->")), BEFORE),
        (said(), state(replace(BEFORE.findings[0], where=Destination.BODY))),
        (said(), state(replace(BEFORE.findings[0], where=Destination.REPORT))),
    ],
    ids=[
        "nobody knows who we are",
        "a person rewrote it",
        "an unreadable marker",
        "in a body",
        "in the report",
    ],
)
def test_a_comment_that_may_never_have_been_there_was_not_deleted(talk: Conversation, before: Any) -> None:
    story = run(talk, FILE, before=before)
    assert (len(story.kept), story.dismissed) == (1, ())


def test_a_comment_that_a_person_edited_keeps_its_thread() -> None:
    edited = replace(POSTED, edited=True)
    assert run(said(edited), FILE, before=BEFORE).kept[0].thread == edited


def test_an_open_thread_is_not_mistaken_for_its_dismissed_twin() -> None:
    file = changed("a.py", f"+{QUERY}", *["+x"] * 5, f"+{QUERY}")
    first, second = fault(file, 1), fault(file, 7)
    talk = said(
        thread(first, resolved=True, resolved_by="maintainer"), thread(second, 2, line=None, outdated=True)
    )
    moved = state(replace(inline(second).findings[0], line=3))
    story = run(talk, file, before=moved)
    assert [kept.thread for kept in story.kept] == [talk.threads[1]]
    assert [one.line for one in story.dismissed] == [1]
    left = run(talk, changed("a.py", *["+x"] * 5, f"+{QUERY}"), before=moved)
    assert [kept.thread for kept in left.kept] == [talk.threads[1]]


def test_a_run_that_was_killed_is_made_good_by_the_next() -> None:
    second = fault(FILE, 3, "Second")
    before = inline(FAULT)
    talk = said(POSTED, thread(second, 2), reviews=(review(1, fault(FILE, 4, "Third")),))
    story = run(talk, FILE, found=(FAULT, second, fault(FILE, 4, "Third")), before=before)
    assert story.post == ()
    assert len(story.kept) == 3
    closing = replace(LOST, resolved=True, resolved_by="us", replies=(FIXED,))
    after = run(said(closing), MENDED, before=before, texts={"a.py": "mended"})
    assert (after.post, after.kept, after.fixed, after.dismissed) == ((), (), (), ())


def test_the_next_run_is_told_of_what_stands_and_what_was_posted() -> None:
    second, third = fault(FILE, 3, "Second"), fault(FILE, 4, "Third")
    story = run(said(POSTED), FILE, found=(third, second), before=BEFORE)
    assert story.post == (third, second)
    expected: tuple[PreviousFinding, ...] = (
        BEFORE.findings[0],
        make_record(third, Destination.BODY),
        make_record(second, Destination.REPORT),
    )
    assert story.remembered({third: Destination.BODY}) == expected


# What a model is shown


def test_a_model_is_shown_what_is_raised_already_where_it_stands_now() -> None:
    (shown,) = shown_threads(said(LOST), [SHIFTED])
    assert (shown.path, shown.line, shown.resolved) == ("a.py", 4, False)
    assert shown.body == "**SQL is built from strings**\n\nIn full."


@pytest.mark.parametrize(
    ("one", "files", "shown"),
    [
        (POSTED, [FILE], True),
        (DISMISSED[0], [FILE], True),
        (DISMISSED[1], [FILE], True),
        (thread(fault(FILE, None)), [MENDED], True),
        (thread(fault(FILE, None)), [], False),
        (POSTED, [MENDED], False),
        (POSTED, [], False),
        (replace(POSTED, resolved=True, resolved_by="us"), [FILE], False),
        (replace(POSTED, ours=False), [FILE], False),
        (replace(POSTED, ours=False, trusted=True), [FILE], True),
        (replace(POSTED, ours=False, trusted=True, resolved=True), [FILE], False),
        (replace(POSTED, body="A linter of the same account said this"), [FILE], False),
    ],
)
def test_a_model_is_shown_what_still_holds_and_what_the_trusted_say(
    one: Thread, files: list[FileDiff], shown: bool
) -> None:
    assert [two.comment_id for two in shown_threads(said(one), files)] == ([1] if shown else [])


def test_threads_are_shown_in_their_order() -> None:
    person = replace(POSTED, ours=False, trusted=True, author="maintainer", comment_id=5, id="T5")
    talk = said(thread(fault(FILE, 3), 9), person, POSTED)
    assert [one.comment_id for one in shown_threads(talk, [FILE])] == [9, 5, 1]


# Whether open findings still apply

CONFIRMED = state(replace(BEFORE.findings[0], check=Verification.CONFIRMED))
IN_BODY = state(replace(CONFIRMED.findings[0], where=Destination.BODY))
ANSWERED = said(reviews=(review(1, FAULT),))
FIXED_NOW = Recheck(RecheckState.FIXED, "Line 3 binds the name.")
REOPENED = replace(POSTED, replies=(FIXED,))
DOWNVOTED = replace(POSTED, thumbs_down=("maintainer",))
BY_AUTHOR = replace(POSTED, resolved=True, resolved_by="stranger")


@pytest.mark.parametrize(
    ("answer", "check", "evidence"),
    [
        (None, Verification.CONFIRMED, ""),
        (Recheck(RecheckState.OPEN, "Line 3 still joins."), Verification.RECHECKED, "Line 3 still joins."),
        (Recheck(RecheckState.UNDECIDED, "It cannot be seen."), Verification.OUTDATED, ""),
    ],
)
@pytest.mark.parametrize(("talk", "before"), [(said(POSTED), CONFIRMED), (ANSWERED, IN_BODY)])
def test_a_standing_finding_is_open_until_it_is_found_fixed(
    talk: Conversation, before: Any, answer: Recheck | None, check: Verification, evidence: str
) -> None:
    """An earlier verdict counts only where nothing has changed around the code."""
    item = TrackedFinding(before.findings[0], next(iter(our_threads(talk)), None))
    after = run(talk, FILE, before=before, rechecks={item.key: answer} if answer else {})
    (kept,) = after.kept
    assert (kept.finding.check, kept.finding.evidence, kept.raised.check) == (check, evidence, check)
    assert (after.fixed, after.ended, after.remembered({})) == ((), (), (kept.raised,))


@pytest.mark.parametrize("posted", [POSTED, BY_AUTHOR])
def test_a_standing_finding_that_is_found_fixed_is_closed_with_its_evidence(posted: Thread) -> None:
    after = run(said(posted), FILE, before=CONFIRMED, rechecks={"1": FIXED_NOW})
    assert (after.kept, after.fixed) == ((), (posted,))
    assert after.evidence == {posted: FIXED_NOW.evidence}
    (record,) = after.remembered({})
    assert record == replace(BEFORE.findings[0], fixed=True)
    # GitHub refused to close it: the next run tries again, and asks nobody.
    again = run(said(posted), FILE, before=state(record))
    assert (again.kept, again.fixed, again.evidence, again.ended) == ((), (posted,), {}, (record,))
    closed = replace(posted, resolved=True, resolved_by="us", replies=(FIXED,))
    done = run(said(closed), FILE, before=state(record))
    assert (done.kept, done.fixed, done.ended) == ((), (), (record,))


@pytest.mark.parametrize("posted", [REOPENED, DOWNVOTED])
def test_a_person_has_the_last_word_on_what_is_fixed(posted: Thread) -> None:
    after = run(said(posted), FILE, before=CONFIRMED, rechecks={"1": FIXED_NOW})
    assert (after.fixed, after.ended) == ((), ())
    assert [kept.finding.check for kept in after.kept] == [Verification.OUTDATED] * (posted is REOPENED)
    remembered = state(replace(BEFORE.findings[0], fixed=True))
    (kept,) = run(said(REOPENED), FILE, before=remembered).kept
    assert (kept.raised.fixed, kept.raised.check) == (False, Verification.OUTDATED)


def test_what_is_found_fixed_in_the_body_of_a_review_stays_fixed() -> None:
    key = TrackedFinding(IN_BODY.findings[0]).key
    after = run(ANSWERED, FILE, before=IN_BODY, rechecks={key: FIXED_NOW})
    assert (after.kept, after.fixed) == ((), ())
    for _ in range(2):
        assert [record.fixed for record in after.ended] == [True]
        after = run(ANSWERED, FILE, before=state(*after.remembered({})))
        assert after.kept == ()
    mended = run(ANSWERED, MENDED, before=state(*after.remembered({})), texts={"a.py": "mended"})
    assert mended.remembered({}) == ()


@pytest.mark.parametrize("where", [Destination.INLINE, Destination.BODY])
def test_what_is_raised_again_after_it_was_found_fixed_is_new(where: Destination) -> None:
    closed = replace(POSTED, resolved=True, resolved_by="us", replies=(FIXED,))
    before = state(replace(BEFORE.findings[0], where=where, fixed=True))
    talk = said(closed) if where is Destination.INLINE else ANSWERED
    after = run(talk, FILE, found=(FAULT,), before=before)
    assert (after.post, after.kept, after.fixed) == ((FAULT,), (), ())
    # Its new thread is its own, and the closed one stays closed.
    new = thread(FAULT, 2)
    talk = replace(talk, threads=(*talk.threads, new))
    later = run(talk, FILE, before=state(*after.remembered({FAULT: Destination.INLINE})))
    assert [kept.thread for kept in later.kept] == [new]
    assert later.fixed == ()
    both = state(replace(BEFORE.findings[0], fixed=True), *BEFORE.findings)
    assert [kept.thread for kept in run(said(closed, new), FILE, before=both).kept] == [new]


def test_what_is_found_again_is_not_closed() -> None:
    after = run(said(POSTED), FILE, found=(FAULT,), before=CONFIRMED, rechecks={"1": FIXED_NOW})
    assert ([kept.finding.title for kept in after.kept], after.fixed) == ([FAULT.title], ())


def test_a_question_has_the_text_and_the_code_of_that_time() -> None:
    body = (
        f"**High** · **{FAULT.title}**\n\nAnyone can read all.\n\n<details>old</details>\n\nprompt `review`"
    )
    hunk = "\n".join(["@@ -1,90 +1,90 @@", *(f" row {number}" for number in range(90))])
    posted = replace(POSTED, body=f"{body}\n\n{finding_marker(FAULT, Destination.INLINE)}", diff_hunk=hunk)
    (item,) = (TrackedFinding(ours.record, ours) for ours in our_threads(said(posted)))
    assert restore_finding(item).body == "Anyone can read all."
    assert code_when_raised(item).split("\n") == [f" row {number}" for number in range(30, 90)]
    edited = TrackedFinding(item.previous, our_threads(said(replace(posted, edited=True)))[0])
    assert "Anyone" not in restore_finding(edited).body
    assert code_when_raised(TrackedFinding(item.previous)) == ""

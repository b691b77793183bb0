"""What becomes of a finding between audits: open, dismissed, fixed, unconfirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.finding import Anchor, Finding, Recheck, RecheckState, Severity, Verification
from hunkwise.domain.limits import CHANGED_FILES
from hunkwise.tracking.ledger import (
    BASELINE,
    LONGEST_NAME,
    LONGEST_REASON,
    MOST_FIXED,
    DismissalChange,
    LedgerEntry,
    LedgerStatus,
    LedgerUpdate,
)
from hunkwise.tracking.reconcile import MAX_TEXT
from tests.tracking.ledgers import FIRST, LATER, TODAY, audit, entry, entry_of, whole
from tests.tracking.pushes import fault

OPEN, DISMISSED, FIXED, UNCONFIRMED = LedgerStatus
LINES = (
    "def read(path):",
    "    text = open(path).read()",
    "    return eval(text)",
    "",
    "def other():",
    "    pass",
)
FILE = whole("a.py", *LINES)
FAULT = fault(FILE, 3, body="It runs any code.")
OTHER = fault(FILE, 6, "Nothing is done here", severity=Severity.LOW)
BEFORE = entry(FAULT)
FP = FAULT.fingerprint
REFUTED, CONFIRMED = Recheck(RecheckState.FIXED, "It is checked."), Recheck(RecheckState.OPEN, "Still so.")
UNDECIDED = Recheck(RecheckState.UNDECIDED)
DISMISS = DismissalChange(FP, True, "octocat", "By design.")
WITHDRAW = DismissalChange(FP, False)
SKIPPED = replace(whole("a.py"), patch_missing=True)
BINARY = replace(whole("a.py"), binary=True)
CUT = replace(FILE, hunks=(replace(FILE.hunks[0], lines=FILE.hunks[0].lines[:1], truncated=True),))
MOVED = whole("a.py", "import sys", "", *LINES)
REMOVED = whole("a.py", *LINES[:2], "    return json.loads(text)", *LINES[3:])
ELSEWHERE = whole("lib/b.py", "import sys", *LINES)


def only(update: LedgerUpdate) -> LedgerEntry:
    (one,) = update.entries
    return one


def test_a_new_finding_is_open_and_reported() -> None:
    update = audit([], FILE, found=[FAULT, OTHER])
    assert [one.record.fingerprint for one in update.entries] == [FP, OTHER.fingerprint]
    assert update.new == update.open == update.entries
    assert update.findings == (replace(FAULT, raised_as=FP), replace(OTHER, raised_as=OTHER.fingerprint))
    assert (only(audit([], FILE, found=[FAULT])).first, update.entries[0].last) == (TODAY, TODAY)
    assert update.entries[0].body == "It runs any code."
    assert (update.fixed, update.reopened, update.unconfirmed) == ((), (), ())
    assert audit([], FILE) == LedgerUpdate()


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ([FILE], ("a.py", 3)),
        ([MOVED], ("a.py", 5)),
        ([SKIPPED], ("a.py", 3)),
        ([BINARY], ("a.py", 3)),
        ([CUT], ("a.py", 3)),
        ([REMOVED], None),
        ([whole("a.py")], None),
        ([], None),
        ([whole("other.py", "pass")], None),
        ([ELSEWHERE], ("lib/b.py", 4)),
    ],
    ids=[
        "unchanged",
        "moved",
        "no patch",
        "binary",
        "cut",
        "removed",
        "empty",
        "no file",
        "deleted",
        "other file",
    ],
)
@pytest.mark.parametrize("read", [True, False])
def test_a_finding_that_was_not_raised_again_ends_only_with_its_code(
    files: list[FileDiff], place: tuple[str, int] | None, read: bool
) -> None:
    update = audit([BEFORE], *files, read=None if read else ())
    if place is None:
        assert update == LedgerUpdate(
            (replace(BEFORE, status=FIXED, closed=TODAY),),
            fixed=(replace(BEFORE, status=FIXED, closed=TODAY),),
        )
        return
    path, line = place
    assert update.entries == (replace(BEFORE, record=replace(BEFORE.record, path=path, line=line)),)
    (finding,) = update.findings
    known = files[0].hunks != () and files[0] is not CUT
    assert finding.anchor == (Anchor(path, line, code=LINES[2]) if known else None)
    assert (finding.path, finding.body, finding.raised_as) == (path, FAULT.body, FP)
    assert (finding.severity, finding.title, finding.category) == (
        FAULT.severity,
        FAULT.title,
        FAULT.category,
    )
    assert update.new == update.fixed == update.reopened == ()


def test_a_finding_without_its_text_says_when_it_was_raised() -> None:
    (finding,) = audit([replace(BEFORE, body="", last=LATER)], FILE).findings
    assert finding.body == f"Reported by the audit of {LATER}."


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize(
    ("files", "place"),
    [
        ([replace(ELSEWHERE, path="new.py")], 4),
        ([replace(SKIPPED, path="new.py")], 3),
        ([replace(REMOVED, path="new.py")], None),
        ([], None),
        ([REMOVED, replace(ELSEWHERE, path="new.py")], 4),
    ],
    ids=["there", "unreadable", "changed", "gone", "both names exist"],
)
def test_a_renamed_file_is_searched_under_its_new_name(
    files: list[FileDiff], place: int | None, read: bool
) -> None:
    update = audit([BEFORE], *files, renames={"a.py": "new.py"}, read=None if read else ())
    if place is None:
        assert [one.status for one in update.fixed] == [FIXED]
        return
    assert update.entries == (replace(BEFORE, record=replace(BEFORE.record, path="new.py", line=place)),)
    assert [one.path for one in update.findings] == ["new.py"]
    # The next audit no longer knows of the rename.
    assert audit(update.entries, *files).entries == update.entries


def test_a_finding_of_a_renamed_file_that_is_raised_again_keeps_its_fingerprint() -> None:
    renamed = replace(ELSEWHERE, path="new.py")
    again = fault(renamed, 4, "Input is evaluated")
    assert again.fingerprint != FP
    update = audit([BEFORE], renamed, found=[again], renames={"a.py": "new.py"})
    assert (only(update).record.fingerprint, only(update).record.path, only(update).last) == (
        FP,
        "new.py",
        TODAY,
    )
    assert (update.findings, update.new) == ((replace(again, raised_as=FP),), ())
    unreadable = replace(SKIPPED, path="new.py")
    on_file = fault(unreadable, None, FAULT.title)
    update = audit([BEFORE], unreadable, found=[on_file], renames={"a.py": "new.py"})
    assert only(update).record.path == update.findings[0].path == "new.py"


def test_a_finding_that_is_raised_again_is_the_same_with_its_new_text() -> None:
    again = replace(FAULT, title="The value is used before it is checked again", body="b" * 9_000)
    update = audit([replace(BEFORE, refuted=1)], FILE, found=[again], rechecks={FP: REFUTED})
    assert only(update).record.title == again.title
    assert (only(update).first, only(update).last, only(update).refuted) == (FIRST, TODAY, 0)
    assert len(only(update).body) == MAX_TEXT
    assert update.findings == (replace(again, raised_as=FP),)
    assert (update.new, update.reopened) == ((), ())


def test_code_that_was_changed_and_still_has_the_fault_is_the_same_finding() -> None:
    changed = whole("a.py", *LINES[:2], "    return eval(text.strip())", *LINES[3:])
    update = audit([BEFORE], changed, found=[fault(changed, 3)])
    assert (only(update).record.fingerprint, only(update).status, update.new) == (FP, OPEN, ())


@pytest.mark.parametrize(
    ("before", "answer", "read", "refuted", "status", "check"),
    [
        (0, REFUTED, True, 1, OPEN, None),
        (1, REFUTED, True, 2, UNCONFIRMED, None),
        (1, CONFIRMED, True, 0, OPEN, Verification.RECHECKED),
        (1, UNDECIDED, True, 1, OPEN, None),
        (1, None, True, 1, OPEN, None),
        (1, REFUTED, False, 1, OPEN, None),
        (1, CONFIRMED, False, 1, OPEN, None),
    ],
)
def test_two_audits_in_a_row_must_refute_a_finding(
    before: int,
    answer: Recheck | None,
    read: bool,
    refuted: int,
    status: LedgerStatus,
    check: Verification | None,
) -> None:
    update = audit(
        [replace(BEFORE, refuted=before)],
        FILE,
        rechecks={FP: answer} if answer else {},
        read=None if read else (),
    )
    one = only(update)
    assert (one.refuted, one.status, one.record.check) == (refuted, status, check)
    assert (update.unconfirmed, len(update.findings)) == (((one,), 0) if status is UNCONFIRMED else ((), 1))
    assert one.closed == (TODAY if status is UNCONFIRMED else "")
    assert [finding.evidence for finding in update.findings if check] == (["Still so."] if check else [])


def test_a_recheck_of_a_closed_finding_changes_nothing() -> None:
    for status in (DISMISSED, UNCONFIRMED):
        before = replace(BEFORE, status=status, refuted=2, closed=LATER)
        assert audit([before], FILE, rechecks={FP: REFUTED}).entries == (before,)
        assert audit([before], FILE, rechecks={FP: CONFIRMED}).entries == (before,)


@pytest.mark.parametrize("status", [FIXED, UNCONFIRMED])
@pytest.mark.parametrize("line", ["    return eval(text)", "    return eval(text.strip())"])
def test_a_closed_finding_that_is_raised_again_is_reopened_under_its_fingerprint(
    status: LedgerStatus, line: str
) -> None:
    file = whole("a.py", *LINES[:2], line)
    before = replace(BEFORE, status=status, refuted=2, closed=LATER)
    again = fault(file, 3)
    update = audit([before], file, found=[again])
    assert (only(update).status, only(update).first, only(update).refuted) == (OPEN, FIRST, 0)
    assert (only(update).closed, only(update).record.fingerprint) == ("", FP)
    assert (update.reopened, update.new, update.findings) == (
        update.entries,
        (),
        (replace(again, raised_as=FP),),
    )


def test_a_fixed_finding_takes_no_match_of_an_open_one() -> None:
    fixed = replace(BEFORE, status=FIXED, closed=LATER)
    for entries in ([fixed, BEFORE], [BEFORE, fixed]):
        update = audit(entries, FILE, found=[FAULT])
        assert [(one.status, one.last) for one in update.entries] == [(OPEN, TODAY), (FIXED, FIRST)]
        assert update.reopened == ()


def test_the_newest_fixed_findings_are_kept() -> None:
    old = [entry_of(number, status=FIXED, closed=f"2026-10-{number + 1:02}") for number in range(MOST_FIXED)]
    update = audit([BEFORE, *old, entry(OTHER)], REMOVED)
    assert [one.status for one in update.entries] == [OPEN, *[FIXED] * MOST_FIXED]
    assert [one.closed for one in update.entries[1:]] == [
        TODAY,
        *(f"2026-10-{day:02}" for day in range(20, 1, -1)),
    ]
    assert [one.record.fingerprint for one in update.fixed] == [FP]
    gone = [entry_of(number) for number in range(100, 130)]
    assert len(audit(gone).fixed) == 30
    assert len(audit(gone).entries) == MOST_FIXED


def test_a_finding_about_a_file_lives_as_long_as_the_file() -> None:
    before = entry(fault(FILE, None, "The file has no tests"))
    assert audit([before], REMOVED).entries == (before,)
    assert audit([before], replace(REMOVED, path="new.py"), renames={"a.py": "new.py"}).entries == (
        replace(before, record=replace(before.record, path="new.py")),
    )
    assert len(audit([before]).fixed) == 1
    many = [whole(f"{number}.py") for number in range(CHANGED_FILES)]  # as many as GitHub lists
    assert len(audit([before], *many).fixed) == 1


def test_code_that_is_an_empty_line_is_not_found_in_a_file_that_is_gone() -> None:
    before = entry(fault(whole("a.py", "", "x = 1"), 1, "A header is missing"))
    assert len(audit([before]).fixed) == 1
    assert len(audit([before], whole("a.py")).fixed) == 1
    assert audit([before], whole("a.py", "", "x = 2")).open == (before,)
    assert audit([before], SKIPPED, whole("new.py"), renames={"a.py": "new.py"}).open == (before,)


def test_a_dismissal_ends_a_finding_and_a_withdrawal_opens_it_again() -> None:
    update = audit([BEFORE], FILE, dismissals=[DISMISS])
    dismissed = replace(BEFORE, status=DISMISSED, by="octocat", why="By design.", closed=TODAY)
    assert update == LedgerUpdate((dismissed,))
    assert audit([dismissed], MOVED).entries[0].record.line == 5
    assert audit([dismissed], MOVED).entries[0].status is DISMISSED
    assert audit([dismissed], SKIPPED).entries == (dismissed,)
    # The first one who dismissed it is named.
    assert audit([dismissed], FILE, dismissals=[replace(DISMISS, by="hubot")]).entries == (dismissed,)
    again = audit([dismissed], FILE, dismissals=[WITHDRAW])
    assert (again.entries, len(again.findings), again.reopened) == ((BEFORE,), 1, ())
    assert audit([dismissed], FILE, dismissals=[WITHDRAW, DISMISS]).entries == (dismissed,)
    unconfirmed = replace(BEFORE, status=UNCONFIRMED, refuted=2, closed=LATER)
    assert only(audit([unconfirmed], FILE, dismissals=[DISMISS])) == dismissed
    assert only(audit([unconfirmed], FILE, dismissals=[WITHDRAW])) == unconfirmed


def test_a_dismissal_is_cut() -> None:
    one = only(audit([BEFORE], FILE, dismissals=[DismissalChange(FP, True, "b" * 500, "w" * 5_000)]))
    assert (len(one.by), len(one.why)) == (LONGEST_NAME, LONGEST_REASON)


@pytest.mark.parametrize(
    "again",
    [
        FAULT,
        replace(FAULT, title="Something else entirely"),
        replace(FAULT, category="security"),
        fault(FILE, 3, FAULT.title, start=2),
    ],
    ids=["the same", "other words", "other category", "more lines"],
)
def test_a_dismissed_finding_that_is_raised_again_stays_dismissed(again: Finding) -> None:
    dismissed = replace(BEFORE, status=DISMISSED, by="octocat", closed=LATER)
    update = audit([dismissed], FILE, found=[again])
    one = only(update)
    assert (one.status, one.by, one.closed, one.record.fingerprint) == (DISMISSED, "octocat", LATER, FP)
    assert not one.record.deleted
    assert (update.findings, update.new, update.reopened) == ((), (), ())


def test_a_fingerprint_is_dismissed_wherever_its_code_is() -> None:
    twice = whole("a.py", *LINES, *LINES)
    dismissed = replace(BEFORE, status=DISMISSED, closed=LATER)
    update = audit([dismissed], twice, found=[fault(twice, 3), fault(twice, 9)])
    assert (len(update.entries), update.findings) == (1, ())
    update = audit([BEFORE], twice, found=[fault(twice, 3), fault(twice, 9)])
    assert ([one.record.line for one in update.open], len(update.new)) == ([3, 9], 1)
    update = audit(update.entries, twice, dismissals=[DISMISS])
    assert [one.status for one in update.entries] == [DISMISSED, DISMISSED]


@pytest.mark.parametrize("status", [DISMISSED, UNCONFIRMED])
def test_a_closed_finding_whose_code_is_gone_is_forgotten(status: LedgerStatus) -> None:
    assert audit([replace(BEFORE, status=status, closed=LATER)], REMOVED) == LedgerUpdate()


def test_a_dismissal_of_what_the_ledger_does_not_have_waits_for_the_finding() -> None:
    assert audit([], FILE, dismissals=[DISMISS]) == LedgerUpdate()
    update = audit([], FILE, found=[FAULT, OTHER], dismissals=[DISMISS])
    assert [(one.status, one.by) for one in update.entries] == [(DISMISSED, "octocat"), (OPEN, "")]
    assert update.new == update.open == update.entries[1:]
    other = replace(entry(fault(FILE, 3, FAULT.title, category="security")), status=FIXED, closed=LATER)
    update = audit([other], FILE, found=[FAULT], dismissals=[DISMISS])  # matches it, but was dismissed itself
    assert [(one.fingerprint, one.status) for one in update.entries] == [
        (FP, DISMISSED),
        (other.fingerprint, FIXED),
    ]
    fixed = replace(BEFORE, status=FIXED, closed=LATER)
    assert audit([fixed], REMOVED, dismissals=[DISMISS]).entries == (fixed,)
    assert only(audit([fixed], FILE, found=[FAULT], dismissals=[DISMISS])).status is DISMISSED


def test_a_baseline_dismisses_what_would_be_new() -> None:
    fixed = replace(entry(OTHER), status=FIXED, closed=LATER)
    third = fault(FILE, 1, "The name says nothing")
    update = audit([BEFORE, fixed], FILE, found=[FAULT, OTHER, third], baseline=True)
    assert [(one.status, one.by) for one in update.entries] == [
        (OPEN, ""),
        (DISMISSED, BASELINE),
        (DISMISSED, BASELINE),
    ]
    assert (update.new, update.reopened, len(update.findings)) == ((), (), 1)
    later = audit(update.entries, FILE, found=[FAULT, OTHER, third])
    assert [one.status for one in later.entries] == [OPEN, DISMISSED, DISMISSED]


def test_a_dismissal_does_not_hide_another_fault_in_changed_code() -> None:
    changed = whole("a.py", *LINES[:2], "    return eval(text.strip())", *LINES[3:])
    related = fault(changed, 3, "A checked value is evaluated all the same")
    assert only(audit([BEFORE], changed, found=[related])).status is OPEN
    assert audit([BEFORE], changed, found=[related]).new == ()
    update = audit([replace(BEFORE, status=DISMISSED, closed=LATER)], changed, found=[related])
    assert update.new == update.entries
    assert [finding.title for finding in update.findings] == [related.title]


def test_a_finding_below_min_confidence_is_not_added_to_the_ledger() -> None:
    update = audit([], FILE, found=[OTHER], unsure=[FAULT])
    assert [one.fingerprint for one in update.new] == [OTHER.fingerprint]
    assert update.unsure == (FAULT,)
    assert audit([], FILE, unsure=[FAULT], dismissals=[DISMISS]).entries == ()


@pytest.mark.parametrize("status", LedgerStatus)
def test_a_finding_below_min_confidence_keeps_an_entry_as_it_is(status: LedgerStatus) -> None:
    update = audit([replace(BEFORE, status=status, closed=FIRST)], FILE, unsure=[FAULT])
    assert only(update).status is status
    assert update.unsure == (() if status in (OPEN, DISMISSED) else (FAULT,))
    assert (update.new, update.reopened, update.fixed) == ((), (), ())


def test_an_open_entry_whose_code_was_changed_is_kept_by_a_finding_below_min_confidence() -> None:
    again = fault(REMOVED, 3, FAULT.title)
    assert only(audit([BEFORE], REMOVED)).status is FIXED
    assert only(audit([BEFORE], REMOVED, unsure=[again])).status is OPEN

"""What holds for the ledger whatever was read, raised, changed and dismissed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Finding, Recheck, RecheckState
from hunkwise.tracking.ledger import DismissalChange, LedgerEntry, LedgerStatus
from tests.tracking.ledgers import LATER, audit, entry, whole
from tests.tracking.pushes import fault

LINES = ["except:", "password = 'secret'", "eval(text)", "return compute(value)", "}", ""]
TITLES = ["SQL is built from strings", "The password is in the code", "Nothing is checked here"]
PATHS = ["a.py", "b.py", "lib/c.py"]
RENAMED = {"a.py": "lib/c.py"}


@st.composite
def trees(draw: st.DrawFn) -> tuple[FileDiff, ...]:
    paths = draw(st.lists(st.sampled_from(PATHS), unique=True))
    files = (whole(path, *draw(st.lists(st.sampled_from(LINES), max_size=8))) for path in paths)
    return tuple(
        replace(file, patch_missing=True, hunks=()) if draw(st.integers(0, 5)) == 0 else file
        for file in files
    )


@st.composite
def findings(draw: st.DrawFn, files: tuple[FileDiff, ...]) -> tuple[Finding, ...]:
    made: dict[object, Finding] = {}
    for file in draw(st.lists(st.sampled_from(files), max_size=6)) if files else []:
        lines = [None, *file.lines_by_side[Side.RIGHT]]
        title, category = draw(st.sampled_from(TITLES)), draw(st.sampled_from(["bug", "security"]))
        finding = fault(file, draw(st.sampled_from(lines)), title, category=category)
        made.setdefault((finding.anchor or finding.path, title), finding)
    return tuple(made.values())


@st.composite
def ledgers(draw: st.DrawFn, files: tuple[FileDiff, ...]) -> tuple[LedgerEntry, ...]:
    made = []
    for finding in draw(findings(files)):
        status = draw(st.sampled_from([LedgerStatus.OPEN, LedgerStatus.OPEN, *LedgerStatus]))
        closed = "" if status is LedgerStatus.OPEN else LATER
        made.append(entry(finding, status=status, closed=closed))
    return tuple(made)


def exists(one: LedgerEntry, files: tuple[FileDiff, ...], renames: dict[str, str]) -> bool:
    """Whether the code of an entry is in its file, or its file cannot be read."""
    paths = {one.record.path, renames.get(one.record.path)}
    return any(
        file.path in paths
        and (file.patch_missing or one.record.line is None or one.record.code in codes(file))
        for file in files
    )


def codes(file: FileDiff) -> set[str]:
    return {fault(file, line).code for line in file.lines_by_side[Side.RIGHT]}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_partial_audit_removes_no_open_finding_whose_code_exists(data: st.DataObject) -> None:
    earlier, files = data.draw(trees()), data.draw(trees())
    entries, found = data.draw(ledgers(earlier)), data.draw(findings(files))
    paths = {file.path for file in files}
    # Git finds no rename of a file that still exists.
    renamed = "a.py" not in paths and "lib/c.py" in paths and data.draw(st.booleans())
    renames = RENAMED if renamed else {}
    read = data.draw(st.lists(st.sampled_from(PATHS), unique=True))
    rechecks = {
        one.fingerprint: Recheck(data.draw(st.sampled_from(RecheckState)), "Evidence.")
        for one in entries[::2]
    }
    update = audit(entries, *files, found=found, read=read, renames=renames, rechecks=rechecks)

    # Counted, as several entries can have one fingerprint.
    must_stay = [
        one.fingerprint for one in entries if one.status is LedgerStatus.OPEN and exists(one, files, renames)
    ]
    still_open = [one.fingerprint for one in update.open]
    for fingerprint in set(must_stay):
        one_line = (
            len({(one.record.path, one.record.line) for one in entries if one.fingerprint == fingerprint})
            == 1
        )
        assert still_open.count(fingerprint) >= (must_stay.count(fingerprint) if one_line else 1)
    # Each of the open ones is in SARIF, at its place.
    assert [one.raised_as for one in update.findings] == still_open
    for finding, one in zip(update.findings, update.open, strict=True):
        assert finding.path == one.record.path
        if finding.anchor:
            (file,) = (file for file in files if file.path == finding.path)
            assert finding.anchor.code == file.lines_by_side[Side.RIGHT][finding.anchor.line].text
    reported = {finding.title + finding.path for finding in update.findings}
    if not any(one.status is LedgerStatus.DISMISSED for one in entries):
        assert {finding.title + finding.path for finding in found} <= reported
    assert {*update.new, *update.reopened} <= {*update.open}
    assert {*update.unconfirmed} <= {*update.entries}

    # The same audit again closes nothing, and raises nothing new, except that the first one can take a finding about
    # a file for a fixed one of the same title, and the second one for another.
    second = audit(update.entries, *files, found=found, read=read)
    assert (second.fixed, second.unconfirmed) == ((), ())
    if not any(one.status is LedgerStatus.FIXED for one in entries):
        assert (second.new, second.reopened) == ((), ())
        assert [one.fingerprint for one in second.open] == still_open


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_dismissed_is_not_reported(data: st.DataObject) -> None:
    files = data.draw(trees())
    entries, found = data.draw(ledgers(files)), data.draw(findings(files))
    fingerprints = [one.fingerprint for one in entries] + [one.fingerprint for one in found]
    chosen = data.draw(st.lists(st.sampled_from(fingerprints), unique=True)) if fingerprints else []
    update = audit(
        entries, *files, found=found, dismissals=[DismissalChange(one, True, "octocat") for one in chosen]
    )
    assert not {one.fingerprint for one in update.open} & {*chosen}
    again = audit(update.entries, *files, found=found)
    assert not {one.fingerprint for one in again.open} & {*chosen}
    withdrawn = audit(again.entries, *files, dismissals=[DismissalChange(one, False) for one in chosen])
    open_again = {one.fingerprint for one in withdrawn.open}
    assert {one.fingerprint for one in again.entries if one.status is LedgerStatus.DISMISSED} & {
        *chosen
    } <= open_again

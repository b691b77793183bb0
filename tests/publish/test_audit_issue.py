"""The issue of an audit shows what is open, fits, and its boxes are read back, whatever models and people wrote."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.finding import Finding, Severity
from hunkwise.domain.limits import BODY_CHARACTERS
from hunkwise.domain.text import size
from hunkwise.publish.audit_boxes import IssueControls, read_boxes
from hunkwise.publish.audit_issue import (
    ISSUE_MARKER,
    AuditReport,
    FolderCoverage,
    issue_body,
    notify_comment,
)
from hunkwise.tracking.ledger import LedgerEntry, LedgerStatus
from tests.fuzz.github_markdown import shown
from tests.publish.audit_reports import FOLDERS, entry, finding, report
from tests.publish.rewrite_golden import NUMBERS, golden
from tests.publish.samples import HEAD, SERVER, anchor

THREE = report(3)
AGAIN = "- [ ] Read everything again"


@pytest.mark.parametrize("number", NUMBERS)
def test_the_body_is_as_it_was_read_by_eye(number: int) -> None:
    assert issue_body(report(number)) + "\n" == golden(number).read_text(encoding="utf-8")


def of(*found: Finding, **changes: object) -> AuditReport:
    pairs = tuple((one, entry(one)) for one in found)
    return replace(report(0), open=pairs, **changes)  # type: ignore[arg-type]


def fingerprints(audit: AuditReport) -> set[str]:
    return {entry.fingerprint for _, entry in audit.open}


def test_boxes_are_read_back() -> None:
    body = issue_body(THREE)
    listed = {one.fingerprint for one in THREE.dismissed[:2]}
    assert read_boxes(body) == IssueControls(
        False, frozenset(listed), frozenset(fingerprints(THREE) | listed), frozenset(fingerprints(THREE))
    )
    ticked = body.replace(AGAIN, AGAIN.replace("[ ]", "[x]")).replace("- [ ] 🟠", "- [X] 🟠")
    assert ticked.count("- [X]") == 1
    for sent in (ticked, ticked.replace("\n", "\r\n")):
        controls = read_boxes(sent)
        assert controls.read_again
        assert controls.ticked == listed | set(THREE.new)
        assert controls.shown == fingerprints(THREE) | listed
    cleared = read_boxes(body.replace("- [x]", "- [ ]"))
    assert not cleared.ticked
    assert cleared.shown == fingerprints(THREE) | listed


@pytest.mark.parametrize("path", ["pages/[x].tsx", "pages/[X]/a.tsx"])
def test_a_name_does_not_look_like_a_ticked_box(path: str) -> None:
    found = Finding(path, Severity.HIGH, "A title", "", anchor(3, path=path))
    body = issue_body(of(found, dismissed=(entry(replace(found, raised_as="8899aabbccddeeff")),)))
    assert "<input checked>" not in shown(body.partition("<details>")[0]).faults
    assert read_boxes(body).shown == {found.fingerprint, "8899aabbccddeeff"}
    assert f"`{path}:3`" in body


@pytest.mark.parametrize(
    "line",
    [
        "- [x] <!-- hunkwise:audit-finding v1 fp=00112233445566zz -->",
        "- [x] <!-- hunkwise:audit-finding v2 fp=0011223344556677 -->",
        " - [x] x <!-- hunkwise:audit-finding v1 fp=0011223344556677 -->",
        "- [x] x <!-- hunkwise:audit-finding v1 fp=0011223344556677 --> and more",
        "- [y] x <!-- hunkwise:audit-finding v1 fp=0011223344556677 -->",
        "[x] <!-- hunkwise:audit-finding v1 fp=0011223344556677 -->",
        "- [x] Read everything again",
        "<!-- hunkwise:audit-again v1 -->",
    ],
)
def test_what_is_no_box_of_ours_is_not_read(line: str) -> None:
    assert read_boxes(f"{line}\n") == IssueControls()


def test_a_finding_with_two_boxes_that_differ_is_not_decided_on() -> None:
    body = issue_body(THREE)
    (row,) = [line for line in body.splitlines() if "account_1.py" in line]
    (fingerprint,) = {one for one in fingerprints(THREE) if one in row}
    assert fingerprint in read_boxes(body).shown
    controls = read_boxes(f"{body}\n{row.replace('[ ]', '[x]')}")
    assert fingerprint not in controls.shown | controls.ticked
    assert fingerprint in read_boxes(f"{body}\n{row}").shown


def test_a_body_longer_than_githubs_is_not_read() -> None:
    assert read_boxes(issue_body(THREE) + " " * 70_000) == IssueControls()


PIECES = [
    "- [x] ",
    "\n",
    "\r\n",
    "`",
    "```",
    "~~~",
    "</details>",
    "<details>",
    "<!--",
    "-->",
    "@octocat",
    "#1",
    "|",
]
PIECES += [
    "<!-- hunkwise:audit-finding v1 fp=0011223344556677 -->",
    "<!-- hunkwise:audit-again v1 -->",
    "/merge",
    "> ",
]
PIECES += ["[x](https://evil.example)", "<img src=x>", "![", "\t", "fixes #1", "1. ", " ", "a"]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def hostile(title: str, body: str, why: str) -> tuple[AuditReport, str, str]:
    """A report with an open and a dismissed finding in these words, and their fingerprints."""
    made = Finding("src/a.py", Severity.HIGH, f"x{title}", f"x\n{body}", anchor(3))
    known = replace(made, raised_as="8899aabbccddeeff")
    dismissed = entry(made, status=LedgerStatus.DISMISSED, why=f"x{why}", by="octocat")
    audit = of(known, dismissed=(dismissed,), new=frozenset({known.fingerprint}))
    return audit, known.fingerprint, made.fingerprint


PLAIN = shown(issue_body(hostile("", "", "")[0]))


@settings(max_examples=200, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_a_model_writes_no_box_and_calls_nobody(title: str, body: str, why: str) -> None:
    audit, still_open, dismissed = hostile(title, body, why)
    text = issue_body(audit)
    boxes = IssueControls(
        False, frozenset({dismissed}), frozenset({still_open, dismissed}), frozenset({still_open})
    )
    assert read_boxes(text) == boxes
    assert text.splitlines()[-1] == ISSUE_MARKER
    seen = shown(text)
    # Its faults are the boxes and markers, which no model can add to.
    assert (Counter(seen.faults), seen.skeleton) == (Counter(PLAIN.faults), PLAIN.skeleton)
    assert Counter(seen.comments) == Counter(PLAIN.comments)


MANY = tuple(finding(number, Severity(number % 4 + 1)) for number in range(5_000, 5_040))


@pytest.mark.parametrize("number", [0, 1, 30, 100, 1_000])
@pytest.mark.parametrize("wide", [False, True])
def test_the_body_fits_and_drops_the_least_severe(number: int, wide: bool) -> None:
    fox = "🦊" * 3_000
    audit = report(number)
    if wide:
        pairs = tuple(
            (replace(one, title=fox, body=fox, raised_as=known.fingerprint), known)
            for one, known in audit.open
        )
        known = [entry(one, by=fox, why=fox) for one in MANY]
        closed = tuple(replace(one, record=replace(one.record, path=fox)) for one in known)
        folders = tuple(FolderCoverage(f"{fox}{index}", 1, 2) for index in range(300))
        audit = replace(
            audit, open=pairs, dismissed=closed * 20, fixed=closed, unconfirmed=closed, folders=folders,
            notes=(fox,) * 20, failed_shards=(fox,) * 99, budgets=(fox,) * 9, skipped={fox: 3},
        )  # fmt: skip
    body = issue_body(audit)
    assert size(body) <= BODY_CHARACTERS
    assert body.splitlines()[-1] == ISSUE_MARKER
    assert AGAIN in body
    seen = [one for one, known in audit.open if known.fingerprint in read_boxes(body).shown]
    assert seen == [one for one, _ in audit.open[: len(seen)]]
    assert len(seen) >= min(number, 20)
    if hidden := number - len(seen):
        assert f"**{hidden:,} more findings**" in body


def test_explanations_are_shortened_before_findings_are_dropped() -> None:
    counts = {number: issue_body(report(number)).count("Explanation") for number in (3, 60, 200)}
    assert counts == {3: 3, 60: 60, 200: 0}
    assert len(read_boxes(issue_body(report(200))).shown) == 200 + 2


def test_nothing_is_claimed_of_what_was_not_read() -> None:
    audit = report(0)
    assert "No open findings in the part that has been read." in issue_body(audit)
    assert "**No open findings.**" in issue_body(replace(audit, files_read=377))
    assert "The lap is complete" in issue_body(replace(audit, files_read=377))
    nothing = issue_body(replace(audit, files_read=0, runs_left=None))
    assert "Nothing has been read yet." in nothing
    assert "At this budget" not in nothing
    assert "At this budget" not in issue_body(replace(audit, runs_left=0))
    assert "Made by fixed rules, not by a model" in issue_body(replace(audit, demo=True))
    assert "1 more audit." in issue_body(replace(audit, runs_left=1))


def test_a_quiet_audit_changes_only_the_date() -> None:
    later = replace(THREE, new=frozenset(), notes=())
    one, other = (issue_body(replace(later, date=date)).splitlines() for date in ("2026-12-07", "2026-12-14"))
    assert [new for old, new in zip(one, other, strict=True) if old != new] == [other[2]]
    assert "nothing new" in other[0]


@pytest.mark.parametrize(
    ("folders", "drawn"),
    [
        (FOLDERS, True),
        (FOLDERS[:3], False),
        ((), False),
        (tuple(FolderCoverage(f'a"{index}', 1, 2) for index in range(9)), False),
        (tuple(FolderCoverage("x" * 40, 1, 2) for _ in range(9)), False),
        (tuple(FolderCoverage(f"{'x' * 40}/{index}", 1, 2) for index in range(99)), True),
    ],
)
def test_the_chart_has_at_least_four_folders_with_plain_names(
    folders: tuple[FolderCoverage, ...], drawn: bool
) -> None:
    body = issue_body(replace(THREE, folders=folders))
    assert ("```mermaid" in body) == drawn
    assert ("Files read by folder" in body) == bool(folders)
    bars = [line for line in body.splitlines() if line.startswith("  bar [")]
    assert [line.count(",") + 1 for line in bars] == ([min(len(folders), 12)] if drawn else [])


def test_news_are_what_is_new_and_severe_enough() -> None:
    high = finding(2, Severity.HIGH)
    assert set(THREE.new) == {high.fingerprint}
    news = notify_comment(THREE, Severity.HIGH)
    assert news.startswith("**1 new finding** at [`0123456789ab`](")
    assert f"{SERVER}/octo/site/blob/{HEAD}/src/payments/account_2.py#L6-L9" in news
    assert news.splitlines()[-1].startswith("<!-- hunkwise:audit-news v1 date=2026-11-30 new=")
    for audit, notify_on in (
        (THREE, Severity.CRITICAL),
        (THREE, None),
        (replace(THREE, new=frozenset()), Severity.LOW),
        (report(0), Severity.LOW),
    ):
        assert notify_comment(audit, notify_on) == ""


def test_many_news_are_one_short_comment_of_its_own() -> None:
    audit = report(1_000)
    news = notify_comment(audit, Severity.HIGH)
    assert news.count("\n- 🔴") == 30
    assert f"- and {int(news.split()[0][2:]) - 30} more, in the issue above" in news
    assert size(news) < 20_000
    later = notify_comment(replace(audit, date="2026-12-07"), Severity.HIGH)
    assert later.splitlines()[-1] != news.splitlines()[-1]
    assert read_boxes(news) == IssueControls()


def test_a_local_audit_has_no_links() -> None:
    body = issue_body(replace(THREE, repository="", server_url=""))
    assert "](" not in body
    assert "`src/payments/account_1.py:5–8`" in body


def test_an_entry_on_a_whole_file_has_no_lines() -> None:
    known: LedgerEntry = entry(finding(1, Severity.LOW), status=LedgerStatus.FIXED, closed="2026-11-30")
    whole = replace(known, record=replace(known.record, line=None, start_line=None))
    line = replace(known, record=replace(known.record, start_line=None))
    body = issue_body(replace(THREE, fixed=(whole, line)))
    assert "`src/payments/account_1.py` · `retry`" in body
    assert "`src/payments/account_1.py:8` · `retry`" in body

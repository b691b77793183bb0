"""Renders the issue of an audit and the comment on new findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hunkwise.domain.finding import Finding, Severity, code_key
from hunkwise.domain.limits import BODY_CHARACTERS
from hunkwise.domain.model import NANO
from hunkwise.domain.review import SuppressedFinding
from hunkwise.domain.text import count, cut, joined, one_line, size, take_fitting
from hunkwise.publish import sanitize
from hunkwise.publish.audit_boxes import again_box, finding_box
from hunkwise.publish.change_summary import folded
from hunkwise.publish.conclusion import count_by_severity
from hunkwise.publish.coverage_text import folder_cell
from hunkwise.publish.finding_text import render_attributes
from hunkwise.publish.links import code_link, linked
from hunkwise.publish.sections import BADGES, evidence_fold, low_confidence
from hunkwise.tracking.ledger import BASELINE, LedgerEntry
from hunkwise.tracking.markers import marker

LABEL: Final = "hunkwise-audit"
ISSUE_MARKER: Final = marker("audit")
"""The last line of the issue's body."""
# GitHub limits the body in characters; here bytes are counted, which are never fewer.
_EXPLANATION_LIMITS = (1_500, 400, 0)
"""Characters of a finding's explanation; the first of them with which all open findings fit."""
_HEADINGS_SPACE = 400
"""Bytes for the headings of the findings, and for the number of those that are not shown."""
_TITLE_LIMIT = 200
_LIST_BYTES = {"dismissed": 10_000, "closed": 5_000}
_MOST_CLOSED = 20
_MOST_NOTES, _MOST_FOLDERS, _MOST_NEWS = 8, 20, 30
_FEWEST_BARS, _MOST_BARS = 4, 12
_LONGEST_BAR = 24
_BAR = re.compile(r"[A-Za-z0-9._/ -]+")
_DEMO = (
    "> **Made by fixed rules, not by a model:** this audit was made by the demo. It shows how hunkwise works, and "
    "says little about this repository."
)


@dataclass(frozen=True, slots=True)
class FolderCoverage:
    """A folder, with all below it: how many of its files were read in the lap."""

    path: str
    """Empty for files that are in no folder."""
    read: int
    total: int


@dataclass(frozen=True)
class AuditReport:
    """What the issue and the terminal show of an audit. Texts of findings, paths and logins are untrusted."""

    repository: str
    """`owner/name`; empty if there is none."""
    head_sha: str
    date: str
    """ISO date of this audit."""
    lap: int
    lap_began: str
    files_read: int
    files_total: int
    """Files that a lap reads."""
    open: tuple[tuple[Finding, LedgerEntry], ...] = ()
    """The findings at their present places with their entries, most severe first."""
    new: frozenset[str] = frozenset()
    """Fingerprints that this audit raised for the first time, or again."""
    fixed: tuple[LedgerEntry, ...] = ()
    """The newest first, as the following ones."""
    dismissed: tuple[LedgerEntry, ...] = ()
    unconfirmed: tuple[LedgerEntry, ...] = ()
    folders: tuple[FolderCoverage, ...] = ()
    skipped: Mapping[str, int] | None = None
    """Number of files that no lap reads, by reason."""
    runs_left: int | None = None
    """Audits until the lap is complete, at the present budget; None if that cannot be estimated."""
    failed_shards: tuple[str, ...] = ()
    """A sentence for each shard that failed or was cut."""
    notes: tuple[str, ...] = ()
    week_calls: int = 0
    week_nano_credits: int = 0
    total_calls: int = 0
    total_nano_credits: int = 0
    budgets: tuple[str, ...] = ()
    """For example `60 model calls per audit`."""
    server_url: str = ""
    demo: bool = False
    suppressed: tuple[SuppressedFinding, ...] = ()
    """Findings of this audit below `min-confidence`."""
    read_again: bool = False
    """Somebody requested after the plan was made that everything is read again: the next audit does it."""

    @property
    def new_findings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding, entry in self.open if entry.fingerprint in self.new)


def issue_body(report: AuditReport) -> str:
    """Returns the issue's body, of at most `BODY_CHARACTERS` bytes; the last line is ISSUE_MARKER.

    To fit, explanations are shortened and then omitted; after that, the least severe findings are only counted.
    """
    above, below = _above(report), [*_below(report), ISSUE_MARKER]
    room = BODY_CHARACTERS - size(joined([*above, *below])) - _HEADINGS_SPACE
    rows: list[str] = []
    for limit in _EXPLANATION_LIMITS:
        rows = take_fitting((_open_row(report, pair, limit) for pair in report.open), room, "\n")
        if len(rows) == len(report.open):
            break
    return joined([*above, *_open_lists(report, rows), *below])


def notify_comment(report: AuditReport, notify_on: Severity | None) -> str:
    """Returns the comment on new findings that are at least that severe; empty if there is none.

    Its last line is unique among the comments of all audits.
    """
    found = [finding for finding in report.new_findings if notify_on and finding.severity >= notify_on]
    if not found:
        return ""
    rows = [
        f"- {BADGES[finding.severity]} · {_place(report, finding)} · {sanitize.line(finding.title, _TITLE_LIMIT)}"
        for finding in found[:_MOST_NEWS]
    ]
    if len(found) > _MOST_NEWS:
        rows.append(f"- and {len(found) - _MOST_NEWS:,} more, in the issue above")
    digest = code_key(" ".join(sorted(finding.fingerprint for finding in found)))
    return joined(
        [
            f"**{count(len(found), 'new finding')}** at {_commit(report)}: {count_by_severity(found)}.",
            "\n".join(rows),
            "To dismiss a finding, tick its box in the issue above.",
            marker("audit-news", f"date={report.date}", f"new={digest}"),
        ]
    )


def _above(report: AuditReport) -> list[str]:
    """Returns the blocks above the findings: the state of the audit, what went wrong, and the controls."""
    notes = [*report.failed_shards, *report.notes]
    warnings = [sanitize.line(note, 300) for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        warnings.append(f"{count(len(notes) - _MOST_NOTES, 'more note')} in the report.")
    return [
        _headline(report),
        _DEMO if report.demo else "",
        _lap(report),
        "\n".join(f"> - ⚠️ {warning}" for warning in warnings),
        again_box(ticked=report.read_again),
        "Tick the box of a finding to dismiss it, or clear it to reopen the finding. The next audit reads the boxes."
        if report.open or _listed(report.dismissed)
        else "",
    ]


def _headline(report: AuditReport) -> str:
    if not report.open:
        part = "" if report.files_read >= report.files_total else " in the part that has been read"
        return "**Nothing has been read yet.**" if not report.files_read else f"**No open findings{part}.**"
    new = len(report.new_findings)
    severities = count_by_severity(finding for finding, _ in report.open)
    return f"**{count(len(report.open), 'open finding')}**, {f'{new:,}' if new else 'nothing'} new: {severities}."


def _lap(report: AuditReport) -> str:
    """Returns the sentences on the audited commit, the part of the lap that is done, and the forecast."""
    read, total = report.files_read, report.files_total
    percent = read * 100 // total if total else 100
    text = (
        f"Audited {_commit(report)} on {report.date}. Lap {report.lap:,}, begun on {report.lap_began}: "
        f"{read:,} of {count(total, 'file')} read ({percent} %)."
    )
    if read >= total:
        return f"{text} The lap is complete; changed files are read as they change."
    if not report.runs_left:
        return text
    return f"{text} At this budget the rest takes about {count(report.runs_left, 'more audit')}."


def _open_lists(report: AuditReport, rows: Sequence[str]) -> list[str]:
    """Returns the new findings, then those of earlier audits, and the number of those that are not shown."""
    shown = list(zip(report.open, rows, strict=False))
    new = [row for (_, entry), row in shown if entry.fingerprint in report.new]
    earlier = [row for (_, entry), row in shown if entry.fingerprint not in report.new]
    blocks = []
    if new:
        blocks += ["### New in this audit", "\n".join(new)]
    if earlier:
        blocks += ["### Open since earlier audits", "\n".join(earlier)]
    if hidden := len(report.open) - len(rows):
        blocks.append(
            f"**{count(hidden, 'more finding')}**, none of them more severe than these, did not fit here: see the "
            "JSON report or the SARIF file of the audit."
        )
    return blocks


def _open_row(report: AuditReport, pair: tuple[Finding, LedgerEntry], limit: int) -> str:
    """Returns the finding's box, and its explanation of at most `limit` characters in a folded block."""
    finding, entry = pair
    since = "" if entry.fingerprint in report.new else f" · since {entry.first}"
    title = sanitize.line(finding.title, _TITLE_LIMIT)
    row = finding_box(entry, BADGES[finding.severity], f"{_place(report, finding)} · {title}{since}")
    text = sanitize.text(finding.body or entry.body, limit, server_url=report.server_url) if limit else ""
    if not text:
        return row
    evidence = evidence_fold(finding, report.server_url) if limit == _EXPLANATION_LIMITS[0] else ""
    details = folded("Explanation", joined([text, evidence, render_attributes(finding, with_id=True)]))
    # Within the item of the list, so that the lists stay whole.
    return "\n".join([row, *(f"  {line}" if line else "" for line in details.split("\n"))])


def _below(report: AuditReport) -> list[str]:
    """Returns the blocks below the open findings: closed ones, coverage, and cost."""
    return [
        _fold_dismissed(report.dismissed),
        _fold_closed("Fixed lately", report.fixed, lambda entry: f"on {entry.closed}"),
        _fold_closed(
            "No longer confirmed",
            report.unconfirmed,
            lambda entry: f"since {entry.closed}",
        ),
        *low_confidence(report.suppressed),
        *_coverage(report.folders),
        _skipped(report.skipped or {}),
        _cost(report),
    ]


def _listed(dismissed: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Returns the entries that a person dismissed, one by one."""
    return [entry for entry in dismissed if entry.by != BASELINE]


def _fold_dismissed(dismissed: Sequence[LedgerEntry]) -> str:
    """Returns the dismissed findings with ticked boxes, and the number of those of the baseline."""
    if not dismissed:
        return ""
    entries = _listed(dismissed)
    rows = take_fitting(map(_dismissed_row, entries), _LIST_BYTES["dismissed"], "\n")
    if hidden := len(entries) - len(rows):
        rows.append(f"- and {hidden:,} more")
    if baseline := len(dismissed) - len(entries):
        rows.append(f"- {count(baseline, 'finding')} of the baseline")
    return folded(f"Dismissed: {count(len(dismissed), 'finding')}", "\n".join(rows))


def _dismissed_row(entry: LedgerEntry) -> str:
    by = f" · by {sanitize.line(entry.by, 100)}" if entry.by else ""
    why = f": {sanitize.line(entry.why, 200)}" if entry.why else ""
    return finding_box(entry, BADGES[entry.record.severity], f"{_entry_text(entry)}{by}{why}", ticked=True)


def _fold_closed(title: str, entries: Sequence[LedgerEntry], end: Callable[[LedgerEntry], str]) -> str:
    if not entries:
        return ""
    lines = (
        f"- {BADGES[entry.record.severity]} · {_entry_text(entry)} · {end(entry)}"
        for entry in entries[:_MOST_CLOSED]
    )
    rows = take_fitting(lines, _LIST_BYTES["closed"], "\n")
    if hidden := len(entries) - len(rows):
        rows.append(f"- and {hidden:,} more")
    return folded(f"{title}: {count(len(entries), 'finding')}", "\n".join(rows))


def _entry_text(entry: LedgerEntry) -> str:
    """Returns place and title of an entry, whose code may be gone."""
    record = entry.record
    place = cut(one_line(record.path), 200)
    if record.line is not None:
        start = record.start_line or record.line
        place += f":{record.line}" if start == record.line else f":{start}–{record.line}"
    return f"{sanitize.code_span(place)} · {sanitize.line(record.title, _TITLE_LIMIT)}"


def _coverage(folders: Sequence[FolderCoverage]) -> list[str]:
    """Returns a chart of the folders, if there are enough, and the folded table of their files."""
    if not folders:
        return []
    rows = [
        f"| {folder_cell(folder.path)} | {folder.read:,} | {folder.total:,} | {_percent(folder)} % |"
        for folder in folders[:_MOST_FOLDERS]
    ]
    more = f"\n\nand {count(len(folders) - len(rows), 'more folder')}" if len(folders) > len(rows) else ""
    table = "\n".join(["| Folder | Read | Files | |", "|---|--:|--:|--:|", *rows]) + more
    chart = _chart(folders)
    block = folded(f"Files read by folder: {count(len(folders), 'folder')}", table)
    return ["### Coverage of this lap", chart, block]


def _percent(folder: FolderCoverage) -> int:
    return folder.read * 100 // folder.total if folder.total else 100


def _chart(folders: Sequence[FolderCoverage]) -> str:
    """Returns a bar chart of the first folders whose names a chart can show; empty for fewer than four."""
    bars: dict[str, FolderCoverage] = {}
    for folder in folders:
        if (not folder.path or _BAR.fullmatch(folder.path)) and len(bars) < _MOST_BARS:
            bars.setdefault(_bar_name(folder.path), folder)  # bars of the same name would be drawn as one
    if len(bars) < _FEWEST_BARS:
        return ""
    labels = ", ".join(f'"{name}"' for name in bars)
    source = [
        "xychart-beta horizontal",
        '  title "Files read in this lap, by folder"',
        f"  x-axis [{labels}]",
        '  y-axis "%" 0 --> 100',
        f"  bar [{', '.join(str(_percent(bar)) for bar in bars.values())}]",
    ]
    return sanitize.drawn_fence("\n".join(source))


def _bar_name(path: str) -> str:
    if not path:
        return "(no folder)"
    return path if len(path) <= _LONGEST_BAR else f"..{path[2 - _LONGEST_BAR :]}"


def _skipped(skipped: Mapping[str, int]) -> str:
    """Returns the numbers of files that no lap reads, the largest first."""
    ordered = Counter(skipped).most_common()
    reasons = ", ".join(f"{sanitize.line(reason, 100)} ({number:,})" for reason, number in ordered if number)
    return f"Not read: {reasons}." if reasons else ""


def _cost(report: AuditReport) -> str:
    week = _spent(report.week_calls, report.week_nano_credits)
    total = _spent(report.total_calls, report.total_nano_credits)
    budget = f" Budget: {sanitize.line(', '.join(report.budgets), 300)}." if report.budgets else ""
    return f"Cost: {week} this week, {total} in all.{budget}"


def _spent(calls: int, nano_credits: int) -> str:
    return count(calls, "model call") + (
        f" and {nano_credits / NANO:,.2f} AI credits" if nano_credits else ""
    )


def _place(report: AuditReport, finding: Finding) -> str:
    return code_link(finding, report.server_url, report.repository, report.head_sha)


def _commit(report: AuditReport) -> str:
    label = sanitize.code_span(report.head_sha[:12])
    address = f"{report.server_url}/{report.repository}/commit/{report.head_sha}"
    return linked(label, address, report.server_url) if report.repository else label

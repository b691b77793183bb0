"""Whole Markdown documents: comments, review body, check run, job summary, summary comment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from hunkwise.domain.finding import Finding, Verification, reading_order
from hunkwise.domain.review import Destination, Review, ReviewEvent
from hunkwise.domain.text import cut, one_line, plain
from hunkwise.publish import sanitize
from hunkwise.publish.change_summary import change_blocks
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.placement import CommentPlan, Page, PageTemplate, fitted, joined, size
from hunkwise.publish.sanitize import suggestion_fence, without_marker
from hunkwise.publish.sections import (
    BADGES,
    DEMO,
    FindingLinks,
    check_of,
    colophon,
    count,
    evidence_fold,
    faults,
    opening,
    overview,
    place_of,
    since,
    tally,
    unreviewed,
)
from hunkwise.tracking.markers import HiddenState, finding_marker, review_marker
from hunkwise.tracking.state import SUMMARY_MARKER, claim_marker, encode


def failure_summary(faults: Sequence[str]) -> str:
    """Each fault with its remedy. It claims nothing of the change, for nothing was read."""
    listed = "\n".join(f"- {sanitize.line(fault, 2_000)}" for fault in faults)
    return f"## hunkwise: no review was made\n\nNothing was reviewed, so nothing is said of the change.\n\n{listed}\n"


def told(review: Review, review_url: str | None, *, fixed: int = 0, dismissed: int = 0) -> str:
    """Plain text; foreign parts are on one line each, and still to be made inert for the runner.

    `fixed` and `dismissed` are numbers of earlier findings that no longer stand.
    """
    coverage = review.coverage
    lines = []
    for finding in sorted(review.findings, key=reading_order):
        known = "  (raised before)" if finding.raised_as else ""
        known += "  (unverified)" if finding.check is Verification.UNVERIFIED else ""
        lines.append(f"{finding.severity.label:<8} {place_of(finding)}  {one_line(finding.title)}{known}")
    if checked := tally(review):
        lines.append(f"Second opinion: {checked}.")
    lines.append(
        f"{_numbers(review, fixed, dismissed)}; reviewed {coverage.reviewed_lines} of "
        f"{coverage.changed_lines} changed lines ({coverage.percent} %); "
        f"{review.usage.model_calls} model calls, {review.seconds:.1f} s."
    )
    if review_url:
        lines.append(f"The review: {review_url}")
    return "\n".join(lines)


def _numbers(review: Review, fixed: int, dismissed: int) -> str:
    """`3 findings`, and what of earlier runs is to be told beside."""
    known = sum(1 for finding in review.findings if finding.raised_as)
    said = f"{len(review.findings)} findings"
    if known:
        said += f" ({len(review.findings) - known} new, {known} raised before)"
    return said + "".join(
        f", {number} {what}" for number, what in ((fixed, "fixed"), (dismissed, "dismissed")) if number
    )


BODY_LIMIT = 65_536
"""GitHub's limit of a comment or a review's body, in characters; we count bytes, which are never fewer."""
SUMMARY_LIMIT = 1024 * 1024 - 1
"""The runner's limit of a step's summary, in bytes."""
CHECK_LIMIT = 65_535
"""GitHub's limit of a check run's summary, and of its text, in bytes."""
CHECK_TITLE_LIMIT = 255
_TITLE_LIMIT = 300
_TEXT_LIMIT = 12_000
_SHORT_LIMIT = 600
_NAMES = (12_000, 2_000, 0)
_REPORT_HAS = "The JSON report of this run has each of them in full."
_SUMMARY_HAS = "The job summary and the JSON report of this run have each of them in full."


class CheckOutput(NamedTuple):
    """What a check run shows: a plain title, and two Markdown texts."""

    title: str
    summary: str
    text: str


def comment(
    finding: Finding,
    *,
    server_url: str,
    applies: bool,
    where: Destination | None = None,
) -> str:
    """A comment on lines or on a file. `applies`: the suggestion may be offered to be committed.

    `where` is needed where an anchored finding stands on its file: the lines are then named.
    """
    rung = where or (Destination.INLINE if finding.anchor else Destination.FILE)
    blocks = [f"**{BADGES[finding.severity]}** · **{sanitize.line(finding.title, _TITLE_LIMIT)}**"]
    if finding.anchor is not None and rung is Destination.FILE:
        blocks.append(f"At {sanitize.code_span(place_of(finding))}:")
    blocks.append(sanitize.text(finding.body, _TEXT_LIMIT, server_url=server_url))
    if finding.suggestion is not None:
        blocks.append(_suggestion(finding.suggestion, applies and rung is Destination.INLINE))
    blocks += [evidence_fold(finding, server_url), _attributes(finding), finding_marker(finding, rung)]
    return joined(blocks)


def review_body(view: PublishedReview, placement: CommentPlan, event: ReviewEvent) -> Page:
    """The body of the review: what it holds, and each finding that has no comment of its own."""
    head = [_holding(view, placement, event)]
    if view.review.demo:
        head.append(DEMO)
    tail = [review_marker(view.run, view.review.head_sha)]
    entry = _Entry(
        FindingLinks(view).of, lambda finding: finding_marker(finding, Destination.BODY), view.server_url
    )
    sheet = PageTemplate((head,), tail, entry.writers, BODY_LIMIT, _SUMMARY_HAS)
    return fitted(sheet, sorted(placement.in_body, key=reading_order))


def job_summary(view: PublishedReview) -> Page:
    """The review with every finding in full, and on which rung each ended. Also what a local run prints."""
    heads = tuple(overview(view, names=names, drawn=True) for names in _NAMES)
    return _told(view, heads, SUMMARY_LIMIT)


def check_output(view: PublishedReview) -> CheckOutput:
    """What the check run says: the verdict, the overview, and every finding as far as there is room."""
    heads = (overview(view, names=names) for names in _NAMES)
    summary = next(
        (text for head in heads if size(text := joined(head)) <= CHECK_LIMIT), view.verdict.sentence
    )
    title = cut(one_line(view.verdict.sentence), CHECK_TITLE_LIMIT)
    return CheckOutput(title, summary, _told(view, ([],), CHECK_LIMIT).text)


def _told(view: PublishedReview, heads: tuple[list[str], ...], limit: int) -> Page:
    """A page that nobody reads again: each finding with its rung, and no marker."""
    entry = _Entry(FindingLinks(view).with_rung, lambda _: "", view.server_url)
    sheet = PageTemplate(heads, colophon(view), entry.writers, limit, _REPORT_HAS)
    return fitted(sheet, sorted(view.review.findings, key=reading_order))


def _holding(view: PublishedReview, placement: CommentPlan, event: ReviewEvent) -> str:
    """What the review holds, and what stands without it."""
    rungs = (
        (placement.inline, "on the lines"),
        (placement.on_file, "on files"),
        (placement.in_body, "below"),
    )
    new = sum(len(placed) for placed, _ in rungs)
    standing = view.known_findings
    said = []
    if new:
        spread = ", ".join(f"{len(placed):,} {where}" for placed, where in rungs if placed)
        said.append(f"**{count(new, 'new finding' if standing else 'finding')}**: {spread}.")
    elif event is ReviewEvent.APPROVE:
        said.append("Every changed line was reviewed; nothing was found.")
    else:
        said.append("No new finding.")
    if standing:
        said.append(
            f"Still open: {count(len(standing), 'finding')} raised before ({_tally(standing)}); "
            "the summary comment lists what stands."
        )
    return " ".join(said)


def _tally(findings: Sequence[Finding]) -> str:
    counts = (
        (badge, sum(one.severity is severity for one in findings)) for severity, badge in BADGES.items()
    )
    return ", ".join(f"{number:,} {badge}" for badge, number in counts if number)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Writes a finding on a page."""

    place: Callable[[Finding], str]
    marker: Callable[[Finding], str]
    """The hidden line behind a finding; empty where the page is not read again."""
    server_url: str

    @property
    def writers(self) -> tuple[Callable[[Finding], str], ...]:
        return (
            lambda finding: self._in_full(finding, _TEXT_LIMIT),
            lambda finding: self._in_full(finding, _SHORT_LIMIT),
            lambda finding: joined([self._line(finding), self.marker(finding)]),
        )

    def _in_full(self, finding: Finding, text_limit: int) -> str:
        blocks = [f"#### {self._line(finding)}"]
        blocks.append(sanitize.text(finding.body, text_limit, server_url=self.server_url))
        if finding.suggestion is not None and len(finding.suggestion) <= text_limit:
            blocks.append(_suggestion(finding.suggestion, applies=False))
        if text_limit == _TEXT_LIMIT:
            blocks.append(evidence_fold(finding, self.server_url))
        return joined([*blocks, _attributes(finding), self.marker(finding)])

    def _line(self, finding: Finding) -> str:
        title = sanitize.line(finding.title, _TITLE_LIMIT)
        return f"{BADGES[finding.severity]} · {self.place(finding)} · {title}"


def _suggestion(suggestion: str, applies: bool) -> str:
    """The suggestion to be committed, or as plain code where it must not or cannot be."""
    text = suggestion.replace("\r\n", "\n")
    if applies and text == without_marker(plain(text)):
        return suggestion_fence(text)
    if not text.strip():
        return "Suggested: remove these lines."
    return f"Suggested instead:\n\n{sanitize.fence(cut(text, _TEXT_LIMIT))}"


def _attributes(finding: Finding) -> str:
    parts = []
    if finding.category:
        parts.append(sanitize.line(finding.category, 60))
    if finding.confidence is not None:
        parts.append(f"confidence {finding.confidence:.0%}")
    parts.append(f"prompt {sanitize.code_span(cut(finding.prompt, 60))}")
    if finding.check is not None:
        parts.append(check_of(finding))
    return " · ".join(parts)


class _Words(Enum):
    """How much is told of the change."""

    DRAWN = auto()
    WRITTEN = auto()
    """Without the diagram."""
    NONE = auto()


LIMIT = 65_536
"""GitHub's limit of a comment, in characters; we count bytes, which are never fewer."""
STATE_ROOM = 30_000
"""Bytes that the text leaves to the state in any case."""
_CLAIM_ROOM = 400
"""Bytes that a later run may need to say that it is at work."""
_MOST_ROWS = 50
_SUMMARY_TITLE_LIMIT = 160
_ATTEMPTS = ((6_000, _Words.DRAWN), (1_500, _Words.WRITTEN), (0, _Words.NONE))
_SUMMARY_COUNT_SPACE = 200
_TABLE_HEAD = "| Severity | Where | Finding | State |\n|---|---|---|---|"
_CLAIM = "<!-- hunkwise:claim "
_STATE = "<!-- hunkwise:state "


def summary_comment(view: PublishedReview, state: HiddenState) -> str:
    """The whole comment, of at most `LIMIT` bytes: what stands, what was looked at, and the state as its last line."""
    text = _text(view, LIMIT - STATE_ROOM - _CLAIM_ROOM)
    return f"{text}\n\n{encode(state, LIMIT - _CLAIM_ROOM - size(text) - 2)}"


def claim_comment(previous_body: str | None, head_sha: str, run: str) -> str:
    """The summary comment while `run` is at work: the previous one below a line that says so, its state kept.

    A claim replaces an earlier one. Text that is not a summary comment of ours is not kept.
    """
    at = f" {sanitize.code_span(head_sha[:7])}" if head_sha else ""
    claim = f"{SUMMARY_MARKER}\n{claim_marker(run)}\n⏳ hunkwise is reviewing{at}…"
    kept = _unclaimed(previous_body or "")
    if size(kept) > LIMIT - size(claim) - 2:
        last = kept.rpartition("\n")[2]
        kept = last if last.startswith(_STATE) and size(last) <= LIMIT - size(claim) - 2 else ""
    return joined([claim, kept])


def _unclaimed(body: str) -> str:
    """What stands behind the marker and a claim, if there is one; nothing of a text that is no summary."""
    marker, _, rest = body.partition("\n")
    if marker.rstrip("\r") != SUMMARY_MARKER:
        return ""
    if rest.startswith(_CLAIM):
        rest = rest.partition("\n\n")[2]
    return rest.strip("\n")


def _text(view: PublishedReview, limit: int) -> str:
    """All that people read. The lists of files give way to the findings, the most severe of which stay."""
    standing = sorted(view.review.findings, key=lambda one: (-one.severity, reading_order(one)))
    rows = _rows(view, standing[:_MOST_ROWS])
    room = 0
    for names, words in _ATTEMPTS:
        above, below = _around(view, names=names, words=words)
        room = limit - size(joined([*above, _TABLE_HEAD, *below])) - _SUMMARY_COUNT_SPACE
        if size("\n".join(rows)) <= room:
            break
    shown = _within(rows, room)
    return joined([*above, *_table(shown, len(standing)), *below])


def _around(view: PublishedReview, *, names: int, words: _Words) -> tuple[list[str], list[str]]:
    """The blocks above the table, and those below it."""
    review = view.review
    above = [SUMMARY_MARKER, *opening(view)]
    below = [*since(view), *faults(review.faults, view.posted.fault)]
    if words is not _Words.NONE:
        below += change_blocks(view, drawn=words is _Words.DRAWN)
    return above, [*below, *unreviewed(review.coverage, names), *colophon(view)]


def _rows(view: PublishedReview, findings: Sequence[Finding]) -> list[str]:
    """A line of the table for each finding."""
    places = FindingLinks(view)
    rows = []
    for finding in findings:
        # A pipe would end the cell even within a code span; the table takes one backslash off again.
        place = places.of(finding).replace("|", "\\|")
        title = sanitize.line(finding.title, _SUMMARY_TITLE_LIMIT)
        rows.append(f"| {BADGES[finding.severity]} | {place} | {title} | {places.state(finding)} |")
    return rows


def _within(rows: Sequence[str], room: int) -> list[str]:
    """The first rows that fit into `room` bytes."""
    kept: list[str] = []
    for row in rows:
        room -= size(row) + 1
        if room < 0:
            break
        kept.append(row)
    return kept


def _table(rows: Sequence[str], standing: int) -> list[str]:
    """The table, then the number of findings that it does not show."""
    left = standing - len(rows)
    blocks = ["\n".join([_TABLE_HEAD, *rows])] if rows else []
    if left:
        blocks.append(f"**{count(left, 'more finding')}** in the job summary and in the JSON report.")
    return blocks

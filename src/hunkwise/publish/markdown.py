"""Comments, the review's body, the job summary, and what the check run shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hunkwise.domain.finding import Finding, reading_order
from hunkwise.domain.outcome import ReviewEvent, Where
from hunkwise.publish import sanitize
from hunkwise.publish.characters import cut, one_line, plain
from hunkwise.publish.code import suggestion_fence, without_marker
from hunkwise.publish.markers import finding_marker, review_marker
from hunkwise.publish.opinion import check_of, evidence_fold
from hunkwise.publish.overview import BADGES, DEMO, colophon, count, overview
from hunkwise.publish.pages import Page, Sheet, fitted, joined, size
from hunkwise.publish.placement import Placement
from hunkwise.publish.places import Places, place_of
from hunkwise.publish.view import View

__all__ = [
    "BODY_LIMIT",
    "SUMMARY_LIMIT",
    "CheckOutput",
    "Page",
    "check_output",
    "comment",
    "job_summary",
    "place_of",
    "review_body",
]

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
    where: Where | None = None,
) -> str:
    """A comment on lines or on a file. `applies`: the suggestion may be offered to be committed.

    `where` is needed where an anchored finding stands on its file: the lines are then named.
    """
    rung = where or (Where.INLINE if finding.anchor else Where.FILE)
    blocks = [f"**{BADGES[finding.severity]}** · **{sanitize.line(finding.title, _TITLE_LIMIT)}**"]
    if finding.anchor is not None and rung is Where.FILE:
        blocks.append(f"At {sanitize.code_span(place_of(finding))}:")
    blocks.append(sanitize.text(finding.body, _TEXT_LIMIT, server_url=server_url))
    if finding.suggestion is not None:
        blocks.append(_suggestion(finding.suggestion, applies and rung is Where.INLINE))
    blocks += [evidence_fold(finding, server_url), _attributes(finding), finding_marker(finding, rung)]
    return joined(blocks)


def review_body(view: View, placement: Placement, event: ReviewEvent) -> Page:
    """The body of the review: what it holds, and each finding that has no comment of its own."""
    head = [_holding(view, placement, event)]
    if view.review.demo:
        head.append(DEMO)
    tail = [review_marker(view.run, view.review.head_sha)]
    entry = _Entry(Places(view).of, lambda finding: finding_marker(finding, Where.BODY), view.server_url)
    sheet = Sheet((head,), tail, entry.writers, BODY_LIMIT, _SUMMARY_HAS)
    return fitted(sheet, sorted(placement.in_body, key=reading_order))


def job_summary(view: View) -> Page:
    """The review with every finding in full, and on which rung each ended. Also what a local run prints."""
    heads = tuple(overview(view, names=names, drawn=True) for names in _NAMES)
    return _told(view, heads, SUMMARY_LIMIT)


def check_output(view: View) -> CheckOutput:
    """What the check run says: the verdict, the overview, and every finding as far as there is room."""
    heads = (overview(view, names=names) for names in _NAMES)
    summary = next(
        (text for head in heads if size(text := joined(head)) <= CHECK_LIMIT), view.verdict.sentence
    )
    title = cut(one_line(view.verdict.sentence), CHECK_TITLE_LIMIT)
    return CheckOutput(title, summary, _told(view, ([],), CHECK_LIMIT).text)


def _told(view: View, heads: tuple[list[str], ...], limit: int) -> Page:
    """A page that nobody reads again: each finding with its rung, and no marker."""
    entry = _Entry(Places(view).with_rung, lambda _: "", view.server_url)
    sheet = Sheet(heads, colophon(view), entry.writers, limit, _REPORT_HAS)
    return fitted(sheet, sorted(view.review.findings, key=reading_order))


def _holding(view: View, placement: Placement, event: ReviewEvent) -> str:
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

"""Renders whole Markdown documents: comments, review body, check run, job summary, summary comment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hunkwise.domain.finding import UNVERIFIED, Finding, reading_order, severity_order
from hunkwise.domain.limits import BODY_CHARACTERS, CHECK_TEXT_BYTES, JOB_SUMMARY_BYTES, TITLE_CHARACTERS
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import CheckOutput, Destination, Review, ReviewEvent
from hunkwise.domain.text import count, cut, joined, one_line, plain, size, take_fitting
from hunkwise.publish import sanitize
from hunkwise.publish.annotations import fenced_suggestion
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.links import place_of
from hunkwise.publish.placement import CommentPlan, Page, PageTemplate, fit_page
from hunkwise.publish.sanitize import suggestion_fence, without_marker
from hunkwise.publish.sections import (
    BADGES,
    DEMO,
    FindingLinks,
    check_of,
    closing,
    describe_pause,
    details,
    evidence_fold,
    opening,
    overview,
    tally,
)
from hunkwise.tracking.markers import HiddenState, finding_marker, marker, review_marker
from hunkwise.tracking.state import SUMMARY_MARKER, decode, encode, summary_comments


def failure_summary(faults: Sequence[str]) -> str:
    """Returns the summary of a run that reviewed nothing: each fault with its hint."""
    listed = "\n".join(f"- {sanitize.line(fault, 2_000)}" for fault in faults)
    return f"## hunkwise: no review was made\n\nNothing was reviewed, so nothing is said of the change.\n\n{listed}\n"


def log_text(review: Review, review_url: str | None, *, fixed: int = 0, dismissed: int = 0) -> str:
    """Returns the review as plain text for the log; the caller must escape it for the runner.

    Untrusted parts are on one line each. `fixed` and `dismissed` are numbers of earlier findings that are closed.
    """
    coverage = review.coverage
    lines = []
    for finding in sorted(review.findings, key=reading_order):
        notes = "  (raised before)" if finding.raised_as else ""
        notes += "  (unverified)" if finding.check in UNVERIFIED else ""
        lines.append(f"{finding.severity.label:<8} {place_of(finding)}  {one_line(finding.title)}{notes}")
    if verified := tally(review):
        lines.append(f"Second opinion: {verified}.")
    lines.append(
        f"{_count_findings(review, fixed, dismissed)}; reviewed {coverage.reviewed_lines} of "
        f"{coverage.changed_lines} changed lines ({coverage.percent} %); "
        f"{count(review.usage.model_calls, 'model call')}, {review.seconds:.1f} s."
    )
    lines += [one_line(note) for note in review.notes[:_MOST_LOGGED_NOTES]]
    if review_url:
        lines.append(f"The review: {review_url}")
    return "\n".join(lines)


def _count_findings(review: Review, fixed: int, dismissed: int) -> str:
    """Returns, for example, `3 findings (2 new, 1 raised before), 1 fixed, 1 dismissed`, without zeros."""
    raised_before = sum(1 for finding in review.findings if finding.raised_as)
    text = count(len(review.findings), "finding")
    if raised_before:
        text += f" ({len(review.findings) - raised_before} new, {raised_before} raised before)"
    return text + "".join(
        f", {number} {label}" for number, label in ((fixed, "fixed"), (dismissed, "dismissed")) if number
    )


_MOST_LOGGED_NOTES = 20
"""The report has all of them."""
_TITLE_LIMIT = 300
_TEXT_LIMIT = 12_000
_SHORT_LIMIT = 600
_ID_DIGITS = 7
"""Shown digits of a finding's id, the fewest that a command accepts."""
_NAMES = (12_000, 2_000, 0)
_REPORT_HAS = "The JSON report of this run has each of them in full."
_SUMMARY_HAS = "The job summary and the JSON report of this run have each of them in full."


def comment(
    finding: Finding,
    *,
    server_url: str,
    offered: str | None = None,
    where: Destination | None = None,
) -> str:
    """Returns a comment on lines or on a file. `offered`: the text that can be committed with a click.

    `where` is needed if a finding with an anchor is posted on its file: the comment then names the lines.
    """
    destination = where or (Destination.INLINE if finding.anchor else Destination.FILE)
    blocks = [f"**{BADGES[finding.severity]}** · **{sanitize.line(finding.title, _TITLE_LIMIT)}**"]
    if finding.anchor is not None and destination is Destination.FILE:
        blocks.append(f"At {sanitize.code_span(place_of(finding))}:")
    blocks.append(sanitize.text(finding.body, _TEXT_LIMIT, server_url=server_url))
    if finding.suggestion is not None:
        blocks.append(
            _render_suggestion(
                finding.suggestion, finding.path, offered if destination is Destination.INLINE else None
            )
        )
    blocks += [
        evidence_fold(finding, server_url),
        render_attributes(finding),
        finding_marker(finding, destination),
    ]
    return joined(blocks)


ANSWER_LIMIT = 8_000
"""Characters of the text of an answer."""


def answer_body(text: str, suggestion: str, why_none: str, *, server_url: str) -> str:
    """Returns the Markdown of an answer to a command, without its marker.

    `suggestion`: the text to commit, already checked; `why_none`: why there is none, as the end of a sentence.
    """
    blocks = [sanitize.text(text, ANSWER_LIMIT, server_url=server_url)]
    if suggestion:
        blocks.append(_render_suggestion(suggestion, "", suggestion))
    elif why_none:
        blocks.append(f"There is no suggestion to commit: {why_none}.")
    return joined(blocks)


def review_body(view: PublishedReview, placement: CommentPlan, event: ReviewEvent) -> Page:
    """Returns the body of the review: numbers of findings, and each finding that has no comment of its own."""
    head = [_render_review_overview(view, placement, event)]
    if view.review.demo:
        head.append(DEMO)
    tail = [review_marker(view.run, view.review.head_sha)]
    entry = _FindingWriter(
        FindingLinks(view).of, lambda finding: finding_marker(finding, Destination.BODY), view.server_url
    )
    template = PageTemplate((head,), tail, entry.writers, BODY_CHARACTERS, _SUMMARY_HAS)
    return fit_page(template, sorted(placement.in_body, key=reading_order))


def job_summary(view: PublishedReview) -> Page:
    """Returns the review with every finding in full, and its destination. A local run prints it, too."""
    heads = tuple(overview(view, names=names, drawn=True) for names in _NAMES)
    return _render_findings_page(view, heads, JOB_SUMMARY_BYTES)


def check_output(view: PublishedReview) -> CheckOutput:
    """Returns the check run's output: the verdict, the overview, and as many findings as fit."""
    heads = (overview(view, names=names) for names in _NAMES)
    summary = next(
        (text for head in heads if size(text := joined(head)) <= CHECK_TEXT_BYTES), view.verdict.sentence
    )
    title = cut(one_line(view.verdict.sentence), TITLE_CHARACTERS)
    return CheckOutput(title, summary, _render_findings_page(view, ([],), CHECK_TEXT_BYTES).text)


def _render_findings_page(view: PublishedReview, heads: tuple[list[str], ...], limit: int) -> Page:
    """Returns a page that later runs do not read: each finding with its destination, without markers."""
    entry = _FindingWriter(FindingLinks(view).with_destination, lambda _: "", view.server_url)
    template = PageTemplate(heads, closing(view), entry.writers, limit, _REPORT_HAS)
    return fit_page(template, sorted(view.review.findings, key=reading_order))


def _render_review_overview(view: PublishedReview, placement: CommentPlan, event: ReviewEvent) -> str:
    """Returns the numbers of new findings by place, and of open ones that were raised before."""
    places = (
        (placement.inline, "on the lines"),
        (placement.on_file, "on files"),
        (placement.in_body, "below"),
    )
    new = sum(len(findings) for findings, _ in places)
    still_open = view.known_findings
    sentences = []
    if new:
        by_place = ", ".join(f"{len(findings):,} {place}" for findings, place in places if findings)
        sentences.append(f"**{count(new, 'new finding' if still_open else 'finding')}**: {by_place}.")
    elif event is ReviewEvent.APPROVE:
        sentences.append("Every changed line was reviewed; nothing was found.")
    else:
        sentences.append("No new finding.")
    if still_open:
        sentences.append(
            f"Still open: {count(len(still_open), 'finding')} raised before ({count_severities(still_open)}); "
            "the summary comment lists the open findings."
        )
    return " ".join(sentences)


def count_severities(findings: Iterable[Finding]) -> str:
    """Returns, for example, `1 🔴 critical, 2 🔵 low`, without zeros."""
    found = Counter(finding.severity for finding in findings)
    return ", ".join(f"{found[severity]:,} {badge}" for severity, badge in BADGES.items() if found[severity])


@dataclass(frozen=True, slots=True)
class _FindingWriter:
    """Renders a finding for a page."""

    place: Callable[[Finding], str]
    marker: Callable[[Finding], str]
    """Returns the hidden line after a finding; empty on a page that later runs do not read."""
    server_url: str

    @property
    def writers(self) -> tuple[Callable[[Finding], str], ...]:
        return (
            lambda finding: self._render_in_full(finding, _TEXT_LIMIT),
            lambda finding: self._render_in_full(finding, _SHORT_LIMIT),
            lambda finding: joined([self._render_line(finding), self.marker(finding)]),
        )

    def _render_in_full(self, finding: Finding, text_limit: int) -> str:
        blocks = [f"#### {self._render_line(finding)}"]
        blocks.append(sanitize.text(finding.body, text_limit, server_url=self.server_url))
        if finding.suggestion is not None and len(finding.suggestion) <= text_limit:
            blocks.append(_render_suggestion(finding.suggestion, finding.path))
        if text_limit == _TEXT_LIMIT:
            blocks.append(evidence_fold(finding, self.server_url))
        return joined([*blocks, render_attributes(finding, with_id=True), self.marker(finding)])

    def _render_line(self, finding: Finding) -> str:
        title = sanitize.line(finding.title, _TITLE_LIMIT)
        return f"{BADGES[finding.severity]} · {self.place(finding)} · {title}"


def _render_suggestion(suggestion: str, path: str, offered: str | None = None) -> str:
    """Returns the block to commit, or the suggestion as plain code if it must not or cannot be committed."""
    if offered is not None and offered == without_marker(plain(offered)):
        return suggestion_fence(f"{offered}\n" if offered else "")
    return fenced_suggestion(cut(suggestion.replace("\r\n", "\n"), _TEXT_LIMIT), path)


def render_attributes(finding: Finding, *, with_id: bool = False) -> str:
    """Returns category, confidence, prompt and verification of a finding, on one line.

    `with_id`: also its id for commands, which a finding in a thread does not need.
    """
    parts = []
    if finding.category:
        parts.append(sanitize.line(finding.category, 60))
    if finding.confidence is not None:
        parts.append(f"confidence {finding.confidence:.0%}")
    parts.append(f"prompt {sanitize.code_span(cut(finding.prompt, 60))}")
    if finding.check is not None:
        parts.append(check_of(finding))
    if with_id:
        parts.append(f"id `{finding.fingerprint[:_ID_DIGITS]}`")
    return " · ".join(parts)


# GitHub limits bodies in characters; here bytes are counted, which are never fewer.
STATE_ROOM = 30_000
"""Bytes that the text always leaves for the state."""
_MOST_ROWS = 50
_SUMMARY_TITLE_LIMIT = 160
_ATTEMPTS = ((6_000, True, True), (1_500, True, False), (0, False, False))
"""Bytes of file names, and whether the change's summary and its diagram are included."""
_SUMMARY_COUNT_SPACE = 200
_PAUSE_MARKER = marker("paused")
"""The line before the one that shows the pause."""
_PAUSE = re.compile(rf"^{_PAUSE_MARKER}\n[^\n]*\n*", re.MULTILINE)
_PAUSE_LIMIT, _PAUSE_SPACE = 300, 1_300
"""Characters of the shown pause, and bytes for it and the markers."""
_TABLE_HEAD = "| Severity | Where | Finding | State |\n|---|---|---|---|"


def summary_comment(view: PublishedReview, state: HiddenState) -> str:
    """Returns the comment, of at most `BODY_CHARACTERS` bytes: findings, coverage, and the state as last line."""
    return _with_state(_render_text(view, BODY_CHARACTERS - STATE_ROOM - _PAUSE_SPACE), state)


def updated_summary(comments: Iterable[Comment], state: HiddenState) -> tuple[str, int | None]:
    """Returns the summary comment with another state, between two runs, and the id of the comment to write it into.

    The id is None if none of `comments`, which are ours, is a summary. Text that somebody edited is not kept.
    """
    newest = next(reversed(summary_comments(comments)), None)
    text = ""
    if newest and decode(newest, repository=state.repository, number=state.number):
        lines = newest.body.replace("\r\n", "\n").rstrip().split("\n")
        text = _PAUSE.sub("", "\n".join(lines[1:-1])).strip()
    return _with_state(text, state), newest.id if newest else None


def _with_state(text: str, state: HiddenState) -> str:
    """Returns the whole comment; its first line is SUMMARY_MARKER, and its last line the state."""
    pause = state.paused
    note = f"{_PAUSE_MARKER}\n> ⏸️ {sanitize.line(describe_pause(pause), _PAUSE_LIMIT)}" if pause else ""
    visible = joined([SUMMARY_MARKER, note, text])
    return f"{visible}\n\n{encode(state, BODY_CHARACTERS - size(visible) - 2)}"


def _render_text(view: PublishedReview, limit: int) -> str:
    """Returns the text without the pause. To fit more findings, lists are shortened; the most severe come first."""
    findings = sorted(view.review.findings, key=severity_order)
    rows = _render_rows(view, findings[:_MOST_ROWS])
    room = 0
    above, below = opening(view), []
    for names, summarized, drawn in _ATTEMPTS:
        below = [*details(view, names=names, summarized=summarized, drawn=drawn), *closing(view)]
        room = limit - size(joined([*above, _TABLE_HEAD, *below])) - _SUMMARY_COUNT_SPACE
        if size("\n".join(rows)) <= room:
            break
    return joined([*above, *_render_table(take_fitting(rows, room, "\n"), len(findings)), *below])


def _render_rows(view: PublishedReview, findings: Sequence[Finding]) -> list[str]:
    """Returns a row of the table for each finding."""
    links = FindingLinks(view)
    rows = []
    for finding in findings:
        # A pipe ends a cell even within a code span; the table parser removes the backslash.
        place = links.of(finding).replace("|", "\\|")
        title = sanitize.line(finding.title, _SUMMARY_TITLE_LIMIT)
        rows.append(f"| {BADGES[finding.severity]} | {place} | {title} | {links.state(finding)} |")
    return rows


def _render_table(rows: Sequence[str], total: int) -> list[str]:
    """Returns the table, then the number of findings that it does not show."""
    hidden = total - len(rows)
    blocks = ["\n".join([_TABLE_HEAD, *rows])] if rows else []
    if hidden:
        blocks.append(f"**{count(hidden, 'more finding')}** in the job summary and in the JSON report.")
    return blocks

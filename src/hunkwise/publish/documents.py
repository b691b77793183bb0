"""Renders whole Markdown documents: comments, review body, check run, job summary, summary comment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from hunkwise.domain.finding import UNVERIFIED, Finding, Severity, severity_order
from hunkwise.domain.limits import BODY_CHARACTERS, CHECK_TEXT_BYTES, JOB_SUMMARY_BYTES, TITLE_CHARACTERS
from hunkwise.domain.pull_request import Comment
from hunkwise.domain.review import CheckOutput, Destination, Review, ReviewEvent
from hunkwise.domain.text import count, cut, joined, one_line, size, take_fitting
from hunkwise.publish import sanitize
from hunkwise.publish.conclusion import PublishedReview
from hunkwise.publish.coverage_text import folder_table, missing_line
from hunkwise.publish.finding_text import FindingWriter, render_suggestion
from hunkwise.publish.links import place_of
from hunkwise.publish.placement import CommentPlan, Page, PageTemplate, fit_page
from hunkwise.publish.sections import (
    BADGES,
    DEMO,
    HOW_TO_ANSWER,
    FindingLinks,
    check_of,
    describe_pause,
    details,
    opening,
    tally,
    unchanged_details,
)
from hunkwise.tracking.markers import HiddenState, finding_marker, marker, review_marker
from hunkwise.tracking.state import SUMMARY_MARKER, decode, encode, summary_comments


def failure_summary(faults: Sequence[str]) -> str:
    """Returns the summary of a run that reviewed nothing: each fault with its hint."""
    listed = "\n".join(f"- {sanitize.line(fault, 2_000)}" for fault in faults)
    return f"### hunkwise: no review was made\n\n{listed}\n"


def log_text(review: Review, review_url: str | None, *, fixed: int = 0, dismissed: int = 0) -> str:
    """Returns the review as plain text for the log; the caller must escape it for the runner.

    Untrusted parts are on one line each. `fixed` and `dismissed` are numbers of earlier findings that are closed.
    """
    coverage = review.coverage
    known = sum(1 for finding in review.findings if finding.raised_as)
    lines = []
    for finding in sorted(review.findings, key=severity_order):
        state = ("open" if finding.raised_as else "new") if known else ""
        notes = ", ".join(filter(None, (state, check_of(finding) if finding.check in UNVERIFIED else "")))
        line = f"{finding.severity.label:<8} {place_of(finding)}  {one_line(finding.title)}"
        lines.append(f"{line}  ({notes})" if notes else line)
    if verified := tally(review):
        lines.append(f"Double-checked: {verified}.")
    counts = count(len(review.findings), "finding")
    if known:
        counts += f" ({len(review.findings) - known} new, {known} open before)"
    closed = ((fixed, "fixed"), (dismissed, "dismissed"))
    counts += "".join(f", {number} {label}" for number, label in closed if number)
    lines.append(
        f"{counts}; reviewed {coverage.reviewed_lines} of {count(coverage.changed_lines, 'changed line')} "
        f"({coverage.percent} %); {count(review.usage.model_calls, 'model call')}, {review.seconds:.1f} s."
    )
    lines += [one_line(note) for note in review.notes[:_MOST_LOGGED_NOTES]]
    if review_url:
        lines.append(f"View the review: {review_url}")
    return "\n".join(lines)


_MOST_LOGGED_NOTES = 20
"""The report has all of them."""
_NAMES = (12_000, 2_000, 0)
"""Bytes of the names in a list of files, the largest that fits."""
_REPORT_HAS = "The JSON report of this run has each of them in full."
_SUMMARY_HAS = "The job summary and the JSON report of this run have each of them in full."

ANSWER_LIMIT = 8_000
"""Characters of the text of an answer."""


def answer_body(text: str, suggestion: str, why_none: str, *, server_url: str) -> str:
    """Returns the Markdown of an answer to a command, without its marker.

    `suggestion`: the text to commit, already checked; `why_none`: why there is none, as the end of a sentence.
    """
    blocks = [sanitize.text(text, ANSWER_LIMIT, server_url=server_url)]
    if suggestion:
        blocks.append(render_suggestion(suggestion, "", suggestion))
    elif why_none:
        blocks.append(f"There is no suggestion to commit: {why_none}.")
    return joined(blocks)


def review_body(view: PublishedReview, placement: CommentPlan, event: ReviewEvent) -> Page:
    """Returns the body of the review: the number of comments, and each finding that has none."""
    notes = [missing_line(view.review.coverage), DEMO if view.review.demo else ""]
    known = len(view.known_findings)
    open_before = (
        f"{count(known, 'open finding')} from earlier reviews: see the summary comment." if known else ""
    )
    number = _count_comments(placement, event)
    head = [*notes, open_before, number] if placement.in_body else [f"{number} {open_before}".strip(), *notes]
    tail = [review_marker(view.run, view.review.head_sha)]
    entry = FindingWriter(
        FindingLinks(view).of,
        lambda finding: finding_marker(finding, Destination.BODY),
        view.server_url,
        for_agents=view.for_agents,
        names_prompt=view.names_prompt,
    )
    template = PageTemplate(((head, tail),), entry.writers, BODY_CHARACTERS, _SUMMARY_HAS)
    return fit_page(template, sorted(placement.in_body, key=severity_order))


def _count_comments(placement: CommentPlan, event: ReviewEvent) -> str:
    """Returns, for example, `**7 comments below, 1 finding here:**`."""
    comments, here = len(placement.inline) + len(placement.on_file), len(placement.in_body)
    counts = [f"{count(comments, 'comment')} below"] if comments else []
    counts += [f"{count(here, 'finding')} here"] if here else []
    if counts:
        return f"**{', '.join(counts)}{':' if here else '.'}**"
    if event is ReviewEvent.APPROVE:
        return "Every changed line was reviewed. No findings."
    return "No new findings."


def job_summary(view: PublishedReview) -> Page:
    """Returns the review with every new finding in full, the most severe first. A local run prints it, too.

    Where nothing has changed since the last run, it has the table of the findings instead.
    """
    above = opening(view)
    if _is_unchanged(view):
        rows = _render_rows(view, sorted(view.review.findings, key=severity_order)[:_MOST_ROWS])
        table = _render_table(rows, len(view.review.findings))
        return Page(joined([*above, *table, *unchanged_details(view, names=_NAMES[0])]))
    above.append(_severity_chart(view.review.findings))
    below = (folder_table(view.review.coverage),)
    frames = tuple((above, [*below, *details(view, names=names, drawn=True)]) for names in _NAMES)
    return _render_findings_page(view, frames, JOB_SUMMARY_BYTES)


def _is_unchanged(view: PublishedReview) -> bool:
    """Returns whether an earlier run had reviewed all of it, and no finding is new or was closed."""
    review = view.review
    same_findings = len(view.known_findings) == len(review.findings) and not (view.fixed or view.dismissed)
    return (
        same_findings and not review.questions and 0 < review.carried_lines == review.coverage.reviewed_lines
    )


def _severity_chart(findings: Sequence[Finding]) -> str:
    """Returns a pie chart of the severities; empty where a chart shows no more than the heading."""
    found = Counter(finding.severity for finding in findings)
    if len(findings) < _FEWEST_CHARTED or len(found) < 2:
        return ""
    slices = [f'  "{level.label}" : {found[level]}' for level in reversed(Severity) if found[level]]
    return sanitize.drawn_fence("\n".join(["pie showData", *slices]))


def check_output(view: PublishedReview) -> CheckOutput:
    """Returns the check run's output: the conclusion, the summary, and as many findings as fit."""
    heads = (joined([*opening(view), *details(view, names=names)]) for names in _NAMES)
    summary = next((head for head in heads if size(head) <= CHECK_TEXT_BYTES), view.verdict.sentence)
    title = cut(one_line(view.verdict.sentence), TITLE_CHARACTERS)
    return CheckOutput(title, summary, _render_findings_page(view, (([], []),), CHECK_TEXT_BYTES).text)


def _render_findings_page(
    view: PublishedReview, frames: tuple[tuple[list[str], list[str]], ...], limit: int
) -> Page:
    """Returns a page that later runs do not read: new findings with their states, then a line for each known one."""
    entry = FindingWriter(
        FindingLinks(view).with_state,
        lambda _: "",
        view.server_url,
        in_brief=lambda finding: view.published(finding).known,
        names_prompt=view.names_prompt,
    )
    template = PageTemplate(frames, entry.writers, limit, _REPORT_HAS)
    ordered = sorted(view.review.findings, key=lambda one: (view.published(one).known, severity_order(one)))
    return fit_page(template, ordered)


# GitHub limits bodies in characters; here bytes are counted, which are never fewer.
STATE_ROOM = 30_000
"""Bytes that the text always leaves for the state."""
_MOST_ROWS = 50
_FEWEST_CHARTED = 3
_SUMMARY_TITLE_LIMIT = 160
_ATTEMPTS = ((6_000, True, True), (1_500, True, False), (0, False, False))
"""Bytes of file names, and whether the change's summary and its diagram are included."""
_SUMMARY_COUNT_SPACE = 400
"""Bytes for the number of the findings that are not listed, and for the line below the table."""
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
    above, below = opening(view), [""]
    for names, summarized, drawn in _ATTEMPTS:
        below = details(view, names=names, summarized=summarized, drawn=drawn)
        room = limit - size(joined([*above, _TABLE_HEAD, *below])) - _SUMMARY_COUNT_SPACE
        if size("\n".join(rows)) <= room:
            break
    table = _render_table(take_fitting(rows, room, "\n"), len(findings))
    return joined([*above, *table, HOW_TO_ANSWER if findings else "", *below])


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

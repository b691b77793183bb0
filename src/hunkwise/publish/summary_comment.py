"""The sticky summary: one comment in the conversation, edited in place, that ends in the hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from hunkwise.domain.finding import Finding, reading_order
from hunkwise.domain.state import State
from hunkwise.publish import sanitize
from hunkwise.publish.overview import BADGES, colophon, count, faults, opening, since, unreviewed
from hunkwise.publish.pages import joined, size
from hunkwise.publish.places import Places
from hunkwise.publish.state import SUMMARY_MARKER, claim_marker, encode
from hunkwise.publish.view import View
from hunkwise.publish.walkthrough import change_blocks


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


def summary_comment(view: View, state: State) -> str:
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


def _text(view: View, limit: int) -> str:
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


def _around(view: View, *, names: int, words: _Words) -> tuple[list[str], list[str]]:
    """The blocks above the table, and those below it."""
    review = view.review
    above = [SUMMARY_MARKER, *opening(view)]
    below = [*since(view), *faults(review.faults, view.posted.fault)]
    if words is not _Words.NONE:
        below += change_blocks(view, drawn=words is _Words.DRAWN)
    return above, [*below, *unreviewed(review.coverage, names), *colophon(view)]


def _rows(view: View, findings: Sequence[Finding]) -> list[str]:
    """A line of the table for each finding."""
    places = Places(view)
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

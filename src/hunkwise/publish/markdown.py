"""Comments, the review's body, and the job summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from hunkwise.domain.diff import Side
from hunkwise.domain.finding import Finding
from hunkwise.domain.outcome import Review, Where
from hunkwise.publish import sanitize
from hunkwise.publish.characters import cut, one_line
from hunkwise.publish.code import suggestion_fence
from hunkwise.publish.merge import reading_order
from hunkwise.publish.overview import BADGES, colophon, count, overview
from hunkwise.publish.placement import Placement

BODY_LIMIT = 65_536
"""GitHub's limit of a comment or a review's body, in characters; we count bytes, which are never fewer."""
SUMMARY_LIMIT = 1024 * 1024 - 1
"""The runner's limit of a step's summary, in bytes."""
_TITLE_LIMIT = 300
_TEXT_LIMIT = 12_000
_SHORT_LIMIT = 600
_NAMES = (12_000, 2_000, 0)

_Writer = Callable[[Finding], str]


@dataclass(frozen=True, slots=True)
class Page:
    """Markdown within its limit, and the findings that it could only count."""

    text: str
    counted: tuple[Finding, ...] = ()


def finding_marker(finding: Finding) -> str:
    """The hidden line by which a comment is known as ours; it proves nothing without its author."""
    return f"<!-- hunkwise:finding v1 fp={finding.fingerprint} -->"


def review_marker(run: str, head_sha: str) -> str:
    """The hidden line by which a run finds its own review again. `run` should be hard to guess."""
    return f"<!-- hunkwise:review v1 run={_word(run)} head={_word(head_sha)} -->"


def comment(finding: Finding, *, server_url: str, applies: bool) -> str:
    """An inline comment. `applies`: the suggestion may be offered to be committed."""
    blocks = [f"**{BADGES[finding.severity]}** · **{sanitize.line(finding.title, _TITLE_LIMIT)}**"]
    blocks.append(sanitize.text(finding.body, _TEXT_LIMIT, server_url=server_url))
    if finding.suggestion is not None:
        blocks.append(_suggestion(finding.suggestion, applies))
    blocks += [_attributes(finding), finding_marker(finding)]
    return _joined(blocks)


def review_body(review: Review, placement: Placement, *, server_url: str, repository: str, run: str) -> Page:
    """The body of the review: what was reviewed, and each finding that has no comment of its own."""
    elsewhere = [
        f"{count(len(placed), 'finding')} {where}."
        for placed, where in (
            (placement.inline, "commented on the lines"),
            (placement.on_file, "commented on the files"),
        )
        if placed
    ]
    tail = [" ".join(elsewhere), *colophon(review), review_marker(run, review.head_sha)]
    link = _Places(server_url, repository, review.head_sha)
    rest = "The job summary and the JSON report of this run have each of them in full."
    return _fitted(review, sorted(placement.in_body, key=reading_order), tail, link, BODY_LIMIT, rest)


def job_summary(
    review: Review,
    *,
    server_url: str,
    repository: str,
    where: Mapping[Finding, Where],
    review_url: str | None,
) -> Page:
    """The review with every finding in full, and on which rung each ended. Also what a local run prints."""
    tail = colophon(review)
    if review_url is not None:
        tail.insert(0, f"The review: {sanitize.text(review_url, 500, server_url=server_url)}")
    places = _Places(server_url, repository, review.head_sha, where)
    findings = sorted(review.findings, key=reading_order)
    rest = "The JSON report of this run has each of them in full."
    return _fitted(review, findings, tail, places, SUMMARY_LIMIT, rest)


@dataclass(frozen=True, slots=True)
class _Places:
    """Writes where a finding is, and where it was posted."""

    server_url: str
    repository: str
    head_sha: str
    where: Mapping[Finding, Where] | None = None

    def of(self, finding: Finding) -> str:
        label = sanitize.code_span(place_of(finding))
        rung = self.where.get(finding) if self.where else None
        posted = f" · {_RUNGS[rung]}" if rung in _RUNGS else ""
        return f"{self._linked(label, finding)}{posted}"

    def _linked(self, label: str, finding: Finding) -> str:
        """A permanent link, where the head has the lines and is on a server."""
        anchor = finding.anchor
        on_head = anchor is None or anchor.side is Side.RIGHT
        if not (self.server_url and self.repository and self.head_sha and on_head):
            return label
        path = quote(finding.path.encode("utf-8", "surrogateescape"), safe="/")
        lines = f"#L{anchor.lines.start}-L{anchor.line}" if anchor else ""
        return f"[{label}]({self.server_url}/{self.repository}/blob/{self.head_sha}/{path}{lines})"


_RUNGS: dict[Where | None, str] = {
    Where.INLINE: "commented on the line",
    Where.FILE: "commented on the file",
    Where.BODY: "in the review's body",
}


def place_of(finding: Finding) -> str:
    """`path:40–42`, `path:7 (before the change)`, or the path alone."""
    path = cut(one_line(finding.path), 300)
    anchor = finding.anchor
    if anchor is None:
        return path
    lines = f"{anchor.line}" if anchor.start_line is None else f"{anchor.start_line}–{anchor.line}"
    return f"{path}:{lines}" + (" (before the change)" if anchor.side is Side.LEFT else "")


def _fitted(
    review: Review, findings: Sequence[Finding], tail: list[str], places: _Places, limit: int, rest: str
) -> Page:
    """The page at the greatest length that fits: whole, shortened, a line each, and at last counted."""

    def written(text_limit: int) -> _Writer:
        return lambda finding: _in_full(finding, places, text_limit)

    writers: list[_Writer] = [written(_TEXT_LIMIT), written(_SHORT_LIMIT), lambda one: _brief(one, places)]
    for names in _NAMES:
        head = overview(review, server_url=places.server_url, names=names)
        room = limit - _size(_joined([*head, *tail])) - 400  # for what is said of those that are counted
        for write in writers:
            blocks = _all_within((write(finding) for finding in findings), room)
            if blocks is not None:
                return Page(_joined([*head, *blocks, *tail]))
    return _counted(head, findings, tail, places, room, rest)


def _counted(
    head: list[str], findings: Sequence[Finding], tail: list[str], places: _Places, room: int, rest: str
) -> Page:
    """As many findings, a line each, as there is room for, the most severe first; the rest as a number."""
    urgent = sorted(findings, key=lambda finding: -finding.severity)
    blocks: list[str] = []
    for finding in urgent:
        block = _brief(finding, places)
        room -= _size(block) + 2
        if room < 0:
            break
        blocks.append(block)
    counted = tuple(urgent[len(blocks) :])
    more = f"**{count(len(counted), 'more finding')}** did not fit here. {rest}"
    return Page(_joined([*head, *blocks, more, *tail]), counted)


def _all_within(blocks: Iterable[str], room: int) -> list[str] | None:
    """All blocks, or None as soon as they need more room."""
    kept: list[str] = []
    for block in blocks:
        room -= _size(block) + 2
        if room < 0:
            return None
        kept.append(block)
    return kept


def _in_full(finding: Finding, places: _Places, text_limit: int) -> str:
    blocks = [f"#### {_brief(finding, places)}"]
    blocks.append(sanitize.text(finding.body, text_limit, server_url=places.server_url))
    if finding.suggestion is not None and len(finding.suggestion) <= text_limit:
        blocks.append(_suggestion(finding.suggestion, applies=False))
    blocks.append(_attributes(finding))
    return _joined(blocks)


def _brief(finding: Finding, places: _Places) -> str:
    title = sanitize.line(finding.title, _TITLE_LIMIT)
    return f"{BADGES[finding.severity]} · {places.of(finding)} · {title}"


def _suggestion(suggestion: str, applies: bool) -> str:
    """The suggestion to be committed, or as plain code where it must not or cannot be."""
    text = suggestion.replace("\r\n", "\n")
    if applies:
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
    return " · ".join(parts)


def _joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(block for block in blocks if block)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _word(text: str) -> str:
    """Only what can stand in a marker without ending it."""
    return "".join(char for char in text if char.isascii() and (char.isalnum() or char in "._"))

"""Decides where each finding is posted: on its lines, on its file or in the review's body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from hunkwise.domain.diff import FileDiff, Hunk, Side
from hunkwise.domain.finding import Anchor, Finding, Verification
from hunkwise.domain.review import Destination, ReviewEvent
from hunkwise.domain.text import cut, one_line, plain
from hunkwise.publish.sanitize import without_marker
from hunkwise.publish.sections import count

_COUNT_SPACE = 400
"""Bytes for what is said of the findings that are only counted."""


@dataclass(frozen=True, slots=True)
class Page:
    """Markdown within its limit, and the findings that it could only count."""

    text: str
    counted: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class PageTemplate:
    """What a page has around its findings, and how it writes one."""

    heads: tuple[list[str], ...]
    """The blocks above, from the longest to the shortest."""
    tail: list[str]
    writers: tuple[Callable[[Finding], str], ...]
    """From the longest to the shortest, which is a line or two."""
    limit: int
    """Bytes."""
    rest: str
    """A sentence that says where those are that are only counted."""


def joined(blocks: Iterable[str]) -> str:
    """The blocks with a blank line between them, without the empty ones."""
    return "\n\n".join(block for block in blocks if block)


def size(text: str) -> int:
    """Bytes."""
    return len(text.encode("utf-8"))


def fitted(sheet: PageTemplate, findings: Sequence[Finding]) -> Page:
    """The page at the greatest length that fits."""
    room = 0
    for head in sheet.heads:
        room = sheet.limit - size(joined([*head, *sheet.tail])) - _COUNT_SPACE
        for write in sheet.writers:
            blocks = _all_within((write(finding) for finding in findings), room)
            if blocks is not None:
                return Page(joined([*head, *blocks, *sheet.tail]))
    return _counted(sheet, findings, room)


def _counted(sheet: PageTemplate, findings: Sequence[Finding], room: int) -> Page:
    """As many findings, a line each, as there is room for, the most severe first; the rest as a number."""
    urgent = sorted(findings, key=lambda finding: -finding.severity)
    blocks: list[str] = []
    for finding in urgent:
        block = sheet.writers[-1](finding)
        room -= size(block) + 2
        if room < 0:
            break
        blocks.append(block)
    counted = tuple(urgent[len(blocks) :])
    more = f"**{count(len(counted), 'more finding')}** did not fit here. {sheet.rest}"
    return Page(joined([*sheet.heads[-1], *blocks, more, *sheet.tail]), counted)


def _all_within(blocks: Iterable[str], room: int) -> list[str] | None:
    """All blocks, or None as soon as they need more room."""
    kept: list[str] = []
    for block in blocks:
        room -= size(block) + 2
        if room < 0:
            return None
        kept.append(block)
    return kept


LONGEST_SPAN = 200
_NEAR_RANGES = 3
_MOST_COMPARED = 500


def by_path(files: Iterable[FileDiff]) -> dict[str, FileDiff]:
    """The files by their names at the head."""
    return {file.path: file for file in files}


def resolve_anchor(
    path: str, line: int, start_line: int | None, side: Side, files_by_path: Mapping[str, FileDiff]
) -> Anchor | str:
    """The proved anchor with its code, or what is wrong with it. A name from before a rename is mended."""
    file = _file(path, files_by_path)
    if file is None:
        return _unknown_path(path, files_by_path)
    start = line if start_line is None else start_line
    fault = _span_fault(start, line)
    if fault:
        return fault
    hunk = file.hunk_at(side, line)
    if hunk is None:
        return _not_shown(line, side, file)
    if start != line:
        first = file.hunk_at(side, start)
        if first is None:
            return _not_shown(start, side, file)
        if first is not hunk:
            return (
                f"lines {start}–{line} of {_named(file.path)} reach over several hunks; "
                f"stay within {_shown_range(hunk, side)}"
            )
    shown = file.lines_by_side[side]
    code = "\n".join(shown[number].text for number in range(start, line + 1) if number in shown)
    return Anchor(file.path, line, side, None if start == line else start, code)


def _file(path: str, files_by_path: Mapping[str, FileDiff]) -> FileDiff | None:
    file = files_by_path.get(path)
    if file is not None:
        return file
    return next((other for other in files_by_path.values() if other.old_path == path), None)


def _unknown_path(path: str, files_by_path: Mapping[str, FileDiff]) -> str:
    nearest = _nearest(path, files_by_path)
    hint = f"; did you mean {_named(nearest)}?" if nearest else ""
    return f"{_named(path)} is not among the changed files{hint}"


def _nearest(path: str, files_by_path: Mapping[str, FileDiff]) -> str | None:
    """A changed file that ends alike, or is spelt alike."""
    name = path.rsplit("/", 1)[-1]
    alike = [known for known in files_by_path if known == name or known.endswith(f"/{name}")]
    candidates = alike or list(files_by_path)[:_MOST_COMPARED]
    close = get_close_matches(path[:500], candidates, n=1, cutoff=0.0 if alike else 0.6)
    return close[0] if close else None


def _span_fault(start: int, line: int) -> str | None:
    if min(start, line) < 1:
        return f"line {min(start, line)} does not exist: lines are counted from 1"
    if start > line:
        return f"start_line {start} comes after line {line}; start_line must be the first and line the last"
    if line - start >= LONGEST_SPAN:
        return f"lines {start}–{line} are more than {LONGEST_SPAN}; name the few that the finding is about"
    return None


def _not_shown(line: int, side: Side, file: FileDiff) -> str:
    path = _named(file.path)
    other = Side.LEFT if side is Side.RIGHT else Side.RIGHT
    missing = f"line {line} of {path} is not in the diff"
    if not file.hunks:
        return f"{missing}: none of its lines is shown"
    where = "" if side is Side.RIGHT else " on side LEFT"
    near = _near(line, side, file)
    if not near:
        return f"{missing}{where}: it has no changed lines there; name side {other} instead"
    hint = ""
    if line in file.lines_by_side[other] and file.lines_by_side[other][line].changed:
        meant = "removed" if other is Side.LEFT else "added"
        hint = f"; if you mean the {meant} line, name side {other}"
    return f"{missing}{where}; changed lines near it: {', '.join(near)}{hint}"


def _near(line: int, side: Side, file: FileDiff) -> list[str]:
    """The ranges of changed lines that are nearest, in their order in the file."""
    changed = sorted(number for number, row in file.lines_by_side[side].items() if row.changed)
    nearest = sorted(_ranges(changed), key=lambda span: max(span[0] - line, line - span[1]))
    return [
        f"{first}–{last}" if first != last else f"{first}" for first, last in sorted(nearest[:_NEAR_RANGES])
    ]


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as runs: first and last of each."""
    start = previous = None
    for number in numbers:
        if start is None or previous is None or number != previous + 1:
            if start is not None and previous is not None:
                yield start, previous
            start = number
        previous = number
    if start is not None and previous is not None:
        yield start, previous


def _shown_range(hunk: Hunk, side: Side) -> str:
    numbers = [row.new if side is Side.RIGHT else row.old for row in hunk.lines]
    shown = [number for number in numbers if number is not None]
    return f"{shown[0]}–{shown[-1]}"


def _named(path: str) -> str:
    return cut(one_line(path), 200)


MOST_ON_FILE = 10
_HELD = (Verification.CONFIRMED, Verification.LOWERED)
_MOST_SUGGESTED_LINES = 100
_LONGEST_SUGGESTION = 9_999  # what is longer may have been cut where the model's words were read
# Code that runs with the repository's secrets is not offered at one click on a model's word.
_NEVER_SUGGESTED = (".github/workflows/", ".github/actions/")


@dataclass(frozen=True, slots=True)
class CommentPlan:
    """Every finding, once, on the best rung that can hold it."""

    inline: tuple[Finding, ...] = ()
    on_file: tuple[Finding, ...] = ()
    in_body: tuple[Finding, ...] = ()


def place(
    findings: Sequence[Finding], files: Iterable[FileDiff], *, max_comments: int, strict: bool = False
) -> CommentPlan:
    """The most severe findings inline, as far as their anchors are proved; nothing is left out.

    `strict`: a finding that no second opinion held gets no comment of its own.
    """
    known = by_path(files)
    inline: list[Finding] = []
    on_file: list[Finding] = []
    in_body: list[Finding] = []
    for finding in sorted(findings, key=_urgency):
        unheld = strict and finding.check not in _HELD
        if unheld or finding.path not in known or not _can_be_sent(finding.path):
            in_body.append(finding)
        elif finding.anchor is not None:
            proved = len(inline) < max_comments and _proved(finding.anchor, known)
            (inline if proved else in_body).append(finding)
        else:
            (on_file if len(on_file) < MOST_ON_FILE else in_body).append(finding)
    return CommentPlan(tuple(inline), tuple(on_file), tuple(in_body))


def suggestion_applies(finding: Finding, files: Iterable[FileDiff] | Mapping[str, FileDiff]) -> bool:
    """Whether the suggestion may be offered to be committed: it replaces proved lines, and with other ones."""
    anchor, suggestion = finding.anchor, finding.suggestion
    if anchor is None or suggestion is None or anchor.side is not Side.RIGHT:
        return False
    known = files if isinstance(files, Mapping) else by_path(files)
    if anchor.path.startswith(_NEVER_SUGGESTED) or not _proved(anchor, known):
        return False
    text = suggestion.replace("\r\n", "\n")
    if len(text) > _LONGEST_SUGGESTION or text != without_marker(plain(text)):
        return False  # a character that nobody sees must not be committed
    shown = known[anchor.path].lines_by_side[Side.RIGHT]
    present = [shown[number].raw.decode("utf-8", "replace").removesuffix("\r") for number in anchor.lines]
    suggested = text.removesuffix("\n").split("\n")
    return len(suggested) <= _MOST_SUGGESTED_LINES >= len(present) and (not text or suggested != present)


def _urgency(finding: Finding) -> tuple[int, bool, float, bool, str, int]:
    """The gravest first, then what a second opinion held, the surest, and what has evidence."""
    line = finding.anchor.line if finding.anchor else 0
    unheld, unsure = finding.check not in _HELD, -(finding.confidence or 0.0)
    return -finding.severity, unheld, unsure, not finding.evidence, finding.path, line


def _can_be_sent(path: str) -> bool:
    """A path that is no valid UTF-8 cannot be named in JSON."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _proved(anchor: Anchor, known: Mapping[str, FileDiff]) -> bool:
    """Whether GitHub will take the anchor as it stands."""
    checked = resolve_anchor(anchor.path, anchor.line, anchor.start_line, anchor.side, known)
    return isinstance(checked, Anchor) and checked.path == anchor.path


STALE: Final = "stale"
"""The kind of the fault where the pull request moved on while the review was under way."""


@dataclass(frozen=True)
class ReviewDraft:
    """A review ready to leave. The texts are callables, because what fails inline must be said below."""

    placement: CommentPlan
    head_sha: str
    event: ReviewEvent
    marker: str
    """The hidden line in the body by which the review is known again: `tracking.markers.review_marker`."""
    comment: Callable[[Finding, Destination], str]
    """A comment on lines (INLINE) or on the file (FILE). Its last line tells it from all others."""
    body: Callable[[CommentPlan, ReviewEvent], Page]
    hindrance: Callable[[], str] = lambda: ""
    """Looks again, after a wait, whether anything speaks against posting it still: a sentence, or nothing."""

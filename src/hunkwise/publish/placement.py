"""Decides where each finding is published: on the first of these levels that can hold it.

1. A comment on its lines, if they are in the diff, for the most severe `max_comments` findings.
2. A comment on its file, if the finding has no lines, or GitHub rejects the comment on them.
3. The body of the review, also if the file is not in the diff or GitHub rejects the comment on it.
4. An annotation of the check run, if the review could not be posted or had no room.
5. The job summary, if the annotation was not accepted; where there is none, the JSON report. Both have all findings.

`place` plans the levels 1 to 3, github.reviews moves down what GitHub rejects, and `destinations` has the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from hunkwise.domain.diff import FileDiff, Hunk, Side, by_path
from hunkwise.domain.finding import VERIFIED, Anchor, Finding
from hunkwise.domain.pull_request import Thread
from hunkwise.domain.review import Destination, ReviewEvent
from hunkwise.domain.text import count, cut, is_encodable, joined, one_line, size, take_fitting
from hunkwise.tracking.markers import PreviousFinding

_COUNT_SPACE = 400
"""Bytes that are reserved for the sentence on findings that are only counted."""


@dataclass(frozen=True, slots=True)
class Page:
    """Markdown within its limit, and the findings that did not fit and are only counted."""

    text: str
    counted: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class PageTemplate:
    """The parts of a page besides its findings, and functions that write one finding."""

    frames: tuple[tuple[list[str], list[str]], ...]
    """Alternatives for the blocks above and below the findings, from the longest to the shortest."""
    writers: tuple[Callable[[Finding], str], ...]
    """From the longest form to the shortest, of a line or two."""
    limit: int
    """Bytes."""
    rest: str
    """A sentence on where to find those that are only counted."""


def fit_page(template: PageTemplate, findings: Sequence[Finding]) -> Page:
    """Returns the page in the longest form that fits."""
    room = 0
    for above, below in template.frames:
        room = template.limit - size(joined([*above, *below])) - _COUNT_SPACE
        for write in template.writers:
            blocks = take_fitting((write(finding) for finding in findings), room, "\n\n")
            if len(blocks) == len(findings):
                return Page(joined([*above, *blocks, *below]))
    return _count_rest(template, findings, room)


def _count_rest(template: PageTemplate, findings: Sequence[Finding], room: int) -> Page:
    """Returns the page with as many findings as fit, a line each, the most severe first; the rest is counted."""
    by_severity = sorted(findings, key=lambda finding: -finding.severity)
    blocks = take_fitting((template.writers[-1](finding) for finding in by_severity), room, "\n\n")
    counted = tuple(by_severity[len(blocks) :])
    more = f"**{count(len(counted), 'more finding')}** did not fit here. {template.rest}"
    above, below = template.frames[-1]
    return Page(joined([*above, *blocks, more, *below]), counted)


LONGEST_SPAN = 200
_NEAR_RANGES = 3
_MOST_COMPARED = 500
_LINE_SUFFIX = re.compile(r":[0-9]+(?:-[0-9]+)?$")
_ROOT = re.compile(r"/|[A-Za-z]:/")


def resolve_anchor(
    path: str, line: int, start_line: int | None, side: Side | None, files_by_path: Mapping[str, FileDiff]
) -> Anchor | str:
    """Returns the verified anchor with its code, or a sentence on what is wrong; an old path becomes the new one.

    Without a `side` the line is on the side RIGHT, unless the file has none, or it could be the removed line as well.
    """
    file = _find_exactly(path, files_by_path)
    if file is None:
        return _unknown_path_fault(path, files_by_path)
    start = line if start_line is None else start_line
    fault = _span_fault(start, line)
    if fault:
        return fault
    left, right = file.lines_by_side[Side.LEFT], file.lines_by_side[Side.RIGHT]
    asked, side = side, side or (Side.RIGHT if right or not left else Side.LEFT)
    hunk = file.hunk_at(side, line)
    if hunk is None:
        return _not_shown_fault(line, side, file, both=asked is None)
    if (
        asked is None
        and side is Side.RIGHT
        and line in left
        and left[line].changed
        and not right[line].changed
    ):
        return (
            f"line {line} of {_shorten(file.path)} is an unchanged line on side RIGHT and a removed one on side LEFT; "
            "name the side that is meant"
        )
    if start != line:
        first = file.hunk_at(side, start)
        if first is None:
            return _not_shown_fault(start, side, file)
        if first is not hunk:
            return (
                f"lines {start}–{line} of {_shorten(file.path)} reach over several hunks; "
                f"stay within {_format_range(first, side)} or {_format_range(hunk, side)}"
            )
    rows = file.lines_by_side[side]
    code = "\n".join(rows[number].text for number in range(start, line + 1) if number in rows)
    return Anchor(file.path, line, side, None if start == line else start, code)


def find_file(path: str, files_by_path: Mapping[str, FileDiff]) -> FileDiff | None:
    """Returns the changed file of that path at the head or the base.

    If there is none, the path may be quoted, begin with `./`, `a/`, `b/` or the folder of a checkout, have backslashes,
    or end in a line number, as long as exactly one changed file fits.
    """
    return (
        _find_exactly(path, files_by_path)
        or _only_file(files_by_path, _readings(path).__contains__)
        or _only_file(files_by_path, _absolute(path).endswith, "/")
    )


def _find_exactly(path: str, files_by_path: Mapping[str, FileDiff]) -> FileDiff | None:
    file = files_by_path.get(path)
    if file is not None:
        return file
    return next((other for other in files_by_path.values() if other.old_path == path), None)


def _only_file(
    files_by_path: Mapping[str, FileDiff], fits: Callable[[str], bool], prefix: str = ""
) -> FileDiff | None:
    """Returns the file whose path at the head or the base fits; None unless exactly one does."""
    fitting = [
        file
        for file in files_by_path.values()
        if fits(prefix + file.path) or (file.old_path is not None and fits(prefix + file.old_path))
    ]
    return fitting[0] if len(fitting) == 1 else None


def _readings(path: str) -> frozenset[str]:
    """Returns the paths that a path can mean; empty if it could lead out of the repository."""
    parts = [part for part in _unquote(path).split("/") if part not in ("", ".")]
    if ".." in parts:
        return frozenset()
    inner = parts[2:] if parts[:2] == ["github", "workspace"] else parts[parts[:1] in (["a"], ["b"]) :]
    return frozenset({"/".join(parts), "/".join(inner)})


def _absolute(path: str) -> str:
    """Returns an absolute path with its slashes; empty if the path is relative."""
    name = _unquote(path)
    return name if _ROOT.match(name) and "/../" not in name else ""


def _unquote(path: str) -> str:
    """Returns the path without quotes and line number, with slashes instead of backslashes."""
    return _LINE_SUFFIX.sub("", path.strip(" \t\n`'\"").replace("\\", "/"))


def _unknown_path_fault(path: str, files_by_path: Mapping[str, FileDiff]) -> str:
    nearest = _find_similar_path(path, files_by_path)
    hint = f"; did you mean {_shorten(nearest)}?" if nearest else ""
    return f"{_shorten(path)} is not among the changed files{hint}"


def _find_similar_path(path: str, files_by_path: Mapping[str, FileDiff]) -> str | None:
    """Returns a changed file of the same name, or with a similar path; None if there is none."""
    name = path.rsplit("/", 1)[-1]
    same_name = [changed for changed in files_by_path if changed == name or changed.endswith(f"/{name}")]
    candidates = same_name or list(files_by_path)[:_MOST_COMPARED]
    matches = get_close_matches(path[:500], candidates, n=1, cutoff=0.0 if same_name else 0.6)
    return matches[0] if matches else None


def _span_fault(start: int, line: int) -> str | None:
    if min(start, line) < 1:
        return f"line {min(start, line)} does not exist: lines are counted from 1"
    if start > line:
        return f"start_line {start} comes after line {line}; start_line must be the first and line the last"
    if line - start >= LONGEST_SPAN:
        return f"lines {start}–{line} are more than {LONGEST_SPAN}; name the few that the finding is about"
    return None


def _not_shown_fault(line: int, side: Side, file: FileDiff, *, both: bool = False) -> str:
    """Returns what is near the line; `both`: also on the other side."""
    path = _shorten(file.path)
    other = Side.LEFT if side is Side.RIGHT else Side.RIGHT
    missing = f"line {line} of {path} is not in the diff"
    if not file.hunks:
        return f"{missing}: none of its lines is shown"
    where = "" if side is Side.RIGHT else " on side LEFT"
    near = _nearest_ranges(line, side, file)
    if not near:
        return f"{missing}{where}: it has no changed lines there; name side {other} instead"
    hint = ""
    if line in file.lines_by_side[other] and file.lines_by_side[other][line].changed:
        meant = "removed" if other is Side.LEFT else "added"
        hint = f"; if you mean the {meant} line, name side {other}"
    elif both and (others := _nearest_ranges(line, other, file)):
        hint = f"; on side {other}: {', '.join(others)}"
    return f"{missing}{where}; changed lines near it: {', '.join(near)}{hint}"


def _nearest_ranges(line: int, side: Side, file: FileDiff) -> list[str]:
    """Returns the nearest ranges of changed lines, in their order in the file."""
    changed = sorted(number for number, row in file.lines_by_side[side].items() if row.changed)
    nearest = sorted(_split_into_ranges(changed), key=lambda span: max(span[0] - line, line - span[1]))
    return [
        f"{first}–{last}" if first != last else f"{first}" for first, last in sorted(nearest[:_NEAR_RANGES])
    ]


def _split_into_ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yields first and last number of each run of consecutive numbers; `numbers` ascend."""
    start = previous = None
    for number in numbers:
        if start is None or previous is None or number != previous + 1:
            if start is not None and previous is not None:
                yield start, previous
            start = number
        previous = number
    if start is not None and previous is not None:
        yield start, previous


def _format_range(hunk: Hunk, side: Side) -> str:
    numbers = [row.new if side is Side.RIGHT else row.old for row in hunk.lines]
    present = [number for number in numbers if number is not None]
    return f"{present[0]}–{present[-1]}"


def _shorten(path: str) -> str:
    return cut(one_line(path), 200)


MOST_ON_FILE = 10


@dataclass(frozen=True, slots=True)
class CommentPlan:
    """Every finding, once, with the best destination that is possible for it."""

    inline: tuple[Finding, ...] = ()
    """Their anchors are proved: the diff has them."""
    on_file: tuple[Finding, ...] = ()
    in_body: tuple[Finding, ...] = ()


def place(
    findings: Sequence[Finding], files: Iterable[FileDiff], *, max_comments: int, strict: bool = False
) -> CommentPlan:
    """Returns the plan: the most severe findings inline if their anchors are valid; no finding is omitted.

    `strict`: a finding that was not verified gets no comment of its own.
    """
    files_by_path = by_path(files)
    inline: list[Finding] = []
    on_file: list[Finding] = []
    in_body: list[Finding] = []
    for finding in sorted(findings, key=_comment_order):
        unverified = strict and finding.check not in VERIFIED
        if unverified or finding.path not in files_by_path or not is_encodable(finding.path):
            in_body.append(finding)
        elif finding.anchor is not None:
            fits = len(inline) < max_comments and _is_valid_anchor(finding.anchor, files_by_path)
            (inline if fits else in_body).append(finding)
        else:
            (on_file if len(on_file) < MOST_ON_FILE else in_body).append(finding)
    return CommentPlan(tuple(inline), tuple(on_file), tuple(in_body))


def unposted(new: Iterable[Finding], posted: Mapping[Finding, Destination]) -> tuple[Finding, ...]:
    """Returns the new findings that the review does not hold, the most severe first."""
    left = (finding for finding in new if finding not in posted)
    return tuple(sorted(left, key=lambda finding: -finding.severity))


def destinations(
    new: Iterable[Finding], posted: Mapping[Finding, Destination], annotated: int, *, summary: bool
) -> dict[Finding, Destination]:
    """Returns the level of each new finding. `posted` has those of the findings in the review.

    The first `annotated` findings of `unposted` are annotations. `summary`: there is a job summary.
    """
    findings = tuple(new)
    left, below = unposted(findings, posted), Destination.SUMMARY if summary else Destination.REPORT
    fallbacks = {
        **dict.fromkeys(left[:annotated], Destination.ANNOTATION),
        **dict.fromkeys(left[annotated:], below),
    }
    return {finding: posted.get(finding) or fallbacks[finding] for finding in findings}


@dataclass(frozen=True, slots=True)
class PublishedFinding:
    """An open finding, and where it is published."""

    finding: Finding
    destination: Destination
    previous: PreviousFinding | None = None
    """The record of the earlier run that raised it; None if it is new."""
    thread: Thread | None = None
    """The thread that the earlier run began."""

    @property
    def known(self) -> bool:
        """An earlier run raised it, by our records or by the report of another job."""
        return self.previous is not None or self.finding.raised_as is not None


def in_report(findings: Iterable[Finding]) -> tuple[PublishedFinding, ...]:
    """Returns the findings as published in the JSON report alone."""
    return tuple(PublishedFinding(finding, Destination.REPORT) for finding in findings)


def _comment_order(finding: Finding) -> tuple[int, bool, float, bool, str, int]:
    """Returns the sort key: the most severe first, then verified, most confident, and with evidence."""
    line = finding.anchor.line if finding.anchor else 0
    unverified, unsure = finding.check not in VERIFIED, -(finding.confidence or 0.0)
    return -finding.severity, unverified, unsure, not finding.evidence, finding.path, line


def _is_valid_anchor(anchor: Anchor, files_by_path: Mapping[str, FileDiff]) -> bool:
    """Returns whether GitHub will accept the anchor unchanged."""
    checked = resolve_anchor(anchor.path, anchor.line, anchor.start_line, anchor.side, files_by_path)
    return isinstance(checked, Anchor) and checked.path == anchor.path


@dataclass(frozen=True)
class ReviewDraft:
    """A review ready to post. The texts are callables: findings whose comment fails must move to the body."""

    placement: CommentPlan
    head_sha: str
    event: ReviewEvent
    marker: str
    """The hidden line in the body by which the review is recognized: `tracking.markers.review_marker`."""
    comment: Callable[[Finding, Destination], str]
    """Returns a comment on lines (INLINE) or on the file (FILE). Its last line is unique."""
    body: Callable[[CommentPlan, ReviewEvent], Page]
    reason_not_to_post: Callable[[], str | None] = lambda: None
    """Checks, after a wait, whether the review must not be posted any more: returns why, or None if it may be."""

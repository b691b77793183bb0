"""Annotations: findings at lines of the head, as plain text, for a check run or for the step's own log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding, Severity, reading_order
from hunkwise.domain.text import cut, one_line, plain
from hunkwise.publish.placement import by_path
from hunkwise.publish.sanitize import without_marker
from hunkwise.publish.sections import check_of

TITLE_LIMIT = 255
"""GitHub's limit, in characters."""
MESSAGE_LIMIT = 64_000
"""Bytes; GitHub takes 64 KB."""
MOST_IN_LOG = 10
"""GitHub shows no more annotations of a kind from one step."""
_ADDRESS = re.compile(r"://(?=\S)|\bwww\.(?=\w)", re.IGNORECASE)
_LAST_LINE = 2**31 - 1  # GitHub's numbers have 32 bits, and one that is larger would cost the whole request


class Level(StrEnum):
    """GitHub's levels of an annotation."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


_LEVELS = {
    Severity.CRITICAL: Level.FAILURE,
    Severity.HIGH: Level.FAILURE,
    Severity.MEDIUM: Level.WARNING,
    Severity.LOW: Level.NOTICE,
}


@dataclass(frozen=True, slots=True)
class Annotation:
    """A finding as a check run shows it. All texts are valid UTF-8; none is Markdown."""

    path: str
    start_line: int
    end_line: int
    level: Level
    title: str
    message: str


def annotation(
    finding: Finding, files: Iterable[FileDiff] | Mapping[str, FileDiff], *, server_url: str = ""
) -> Annotation:
    """The finding at a line of the head; where the head has none for it, the message says what it is about.

    Addresses stay whole only where they lead to `server_url`: GitHub makes links of all that it finds.
    """
    known = files if isinstance(files, Mapping) else by_path(files)
    start, end, place = _lines(finding, known)
    path = sayable(finding.path)
    if path != finding.path:
        place = f"{place} The file's name is no valid UTF-8; it is written out here.".lstrip()
    title = foreign(one_line(finding.title), server_url)
    return Annotation(
        path,
        start,
        end,
        _LEVELS[finding.severity],
        cut(f"{finding.severity.label}: {title}", TITLE_LIMIT),
        _message(finding, place, server_url),
    )


def as_request(annotation: Annotation) -> dict[str, Any]:
    """The annotation as an element of `output.annotations` of GitHub's check runs; without columns."""
    return {
        "path": annotation.path,
        "start_line": annotation.start_line,
        "end_line": annotation.end_line,
        "annotation_level": annotation.level.value,
        "title": annotation.title,
        "message": annotation.message,
    }


def workflow_annotations(
    findings: Sequence[Finding],
    files: Iterable[FileDiff],
    *,
    server_url: str = "",
    warnings: int = MOST_IN_LOG,
    notices: int = MOST_IN_LOG,
) -> tuple[Annotation, ...]:
    """What a run that can write nothing tells its log: at most so many warnings, then so many notices.

    High and critical findings are warnings, the rest notices, the most severe first; what is severe and finds
    no more room among the warnings goes before the notices.
    """
    known = by_path(files)
    ranked = sorted(findings, key=lambda finding: (-finding.severity, reading_order(finding)))
    severe = [finding for finding in ranked if finding.severity >= Severity.HIGH][: max(warnings, 0)]
    others = ranked[len(severe) :][: max(notices, 0)]
    return tuple(
        replace(annotation(finding, known, server_url=server_url), level=level)
        for level, told in ((Level.WARNING, severe), (Level.NOTICE, others))
        for finding in told
    )


def sayable(path: str) -> str:
    """The path, with bytes that are no UTF-8 written out as `\\xe9`, so that JSON can hold it."""
    written = []
    for character in path:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:  # a byte, as surrogateescape reads it
            written.append(f"\\x{code - 0xDC00:02x}")
        elif 0xD800 <= code <= 0xDFFF:
            written.append(f"\\u{code:04x}")
        else:
            written.append(character)
    return "".join(written)


def about(finding: Finding) -> str:
    """Where the finding is, for a reader who is not shown it: one sentence, or none for lines of the head."""
    anchor = finding.anchor
    if anchor is None:
        said = f" The model named line {finding.said_line}." if finding.said_line is not None else ""
        return f"This is about the whole file.{said}"
    if anchor.side is Side.RIGHT:
        return ""
    if anchor.start_line is None:
        return f"This is about the code before the change, line {anchor.line}."
    return f"This is about the code before the change, lines {anchor.start_line}–{anchor.line}."


def attributes(finding: Finding, server_url: str) -> str:
    """Category, confidence, prompt and check in one plain line."""
    category = cut(foreign(one_line(finding.category), server_url), 60)
    parts = [category] if category else []
    if finding.confidence is not None:
        parts.append(f"confidence {finding.confidence:.0%}")
    parts.append(f"prompt {cut(one_line(finding.prompt), 60)}")
    return " · ".join([*parts, check_of(finding)] if finding.check else parts)


def _lines(finding: Finding, known: Mapping[str, FileDiff]) -> tuple[int, int, str]:
    """First and last line at the head, and what must be said of the place."""
    anchor = finding.anchor
    if anchor is None:
        return 1, 1, about(finding)
    if anchor.side is Side.LEFT:
        line = _on_line(_nearest(anchor, known.get(anchor.path)))
        return line, line, about(finding)
    return *lines_at_head(anchor), ""


def _nearest(anchor: Anchor, file: FileDiff | None) -> int:
    """The line of the head that the same hunk shows nearest to a line of the base; 1 where it shows none."""
    hunk = file.hunk_at(Side.LEFT, anchor.line) if file else None
    if hunk is None:
        return 1
    at = next(index for index, row in enumerate(hunk.lines) if row.old == anchor.line)
    shown = [(abs(index - at), row.new) for index, row in enumerate(hunk.lines) if row.new is not None]
    return min(shown)[1] if shown else 1


def lines_at_head(anchor: Anchor) -> tuple[int, int]:
    """First and last line of an anchor on the RIGHT side, in their order, in numbers that GitHub can read."""
    first = _on_line(anchor.lines.start)
    return first, max(first, _on_line(anchor.line))


def _on_line(number: int) -> int:
    return min(max(number, 1), _LAST_LINE)


def _message(finding: Finding, place: str, server_url: str) -> str:
    """Body and suggestion as they were written, between where it is and what found it."""
    body = foreign(finding.body, server_url).strip() or foreign(one_line(finding.title), server_url)
    blocks = [place, body]
    if finding.suggestion is not None:
        suggestion = foreign(finding.suggestion, server_url).rstrip("\n")
        gone = not suggestion.strip()
        blocks.append("Suggested: remove these lines." if gone else f"Suggested instead:\n{suggestion}")
    tail = f"\n\n{attributes(finding, server_url)}"
    text = "\n\n".join(block for block in blocks if block)
    return (_cut_bytes(text, MESSAGE_LIMIT - len(tail.encode())) + tail).lstrip()


def foreign(text: str, server_url: str) -> str:
    """Foreign text as plain text: without unseen characters, and a blank in each address that leads elsewhere."""
    return _unlinked(without_marker(plain(text)), server_url)


def _unlinked(text: str, server_url: str) -> str:
    server = server_url.rstrip("/")
    scheme = len(server.partition("://")[0])

    def broken(found: re.Match[str]) -> str:
        ours = bool(server) and text.startswith(f"{server}/", max(found.start() - scheme, 0))
        return found[0] if ours else f"{found[0]} "

    return _ADDRESS.sub(broken, text)


def _cut_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8; what was longer ends in an ellipsis."""
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "…"

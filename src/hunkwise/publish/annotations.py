"""Renders findings as annotations: plain text at lines of the head, for a check run or the step's own log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Anchor, Finding, Severity, severity_order
from hunkwise.domain.limits import ANNOTATION_BYTES, TITLE_CHARACTERS
from hunkwise.domain.text import cut, cut_bytes, joined, one_line, plain, size
from hunkwise.publish.markdown_syntax import fence_opening, find_code_spans, read_fenced_lines
from hunkwise.publish.sanitize import fence, without_marker
from hunkwise.publish.sections import attribute_line

MOST_IN_LOG = 10
"""GitHub shows at most this many annotations of a level per step."""
NO_TEXT = "There is no description."
_ADDRESS = re.compile(r"://(?=\S)|\bwww\.(?=\w)", re.IGNORECASE)
_BYTE = re.compile("[\udc80-\udcff]")
_HEADING = re.compile(r"^ {0,3}#{1,6} +")
_BOLD = re.compile(r"\*\*(?=\S)([^*\n]{1,1000})(?<=\S)\*\*")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\(([^\s()]{1,1000})\)")
_LAST_LINE = 2**31 - 1  # GitHub's numbers have 32 bits; with a larger one it rejects the whole request


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
    finding: Finding,
    files_by_path: Mapping[str, FileDiff],
    *,
    server_url: str = "",
    names_prompt: bool = False,
) -> Annotation:
    """Returns the finding at a line of the head; if it is not about lines of the head, the message says so.

    Addresses that do not lead to `server_url` are broken: GitHub makes links of all that it finds. `names_prompt` as in
    `sections.attribute_line`.
    """
    start, end, place = _locate(finding, files_by_path)
    path = escape_path(finding.path)
    if path != finding.path:
        place = f"{place} The file's name is no valid UTF-8; it is written out here.".lstrip()
    title = plain_text(without_markup(one_line(finding.title)), server_url)
    return Annotation(
        path,
        start,
        end,
        _LEVELS[finding.severity],
        cut(f"{finding.severity.label}: {title}", TITLE_CHARACTERS),
        _write_message(finding, place, server_url, names_prompt=names_prompt),
    )


def as_request(annotation: Annotation) -> dict[str, Any]:
    """Returns the annotation as an element of `output.annotations` of GitHub's check runs; without columns."""
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
    names_prompt: bool = False,
    warnings: int = MOST_IN_LOG,
    notices: int = MOST_IN_LOG,
) -> tuple[Annotation, ...]:
    """Returns the annotations for the log of a run without write access: at most `warnings` and `notices` of them.

    High and critical findings are warnings, the rest notices, the most severe first. Severe findings beyond
    `warnings` become notices, before the others.
    """
    files_by_path = by_path(files)
    ranked = sorted(findings, key=severity_order)
    severe = [finding for finding in ranked if finding.severity >= Severity.HIGH][: max(warnings, 0)]
    others = ranked[len(severe) :][: max(notices, 0)]
    return tuple(
        replace(
            annotation(finding, files_by_path, server_url=server_url, names_prompt=names_prompt), level=level
        )
        for level, selected in ((Level.WARNING, severe), (Level.NOTICE, others))
        for finding in selected
    )


def escape_path(path: str) -> str:
    """Returns the path with bytes that are not UTF-8 escaped, for example as `\\xe9`, so that it is valid in JSON."""
    # A byte is decoded to a surrogate by `surrogateescape`.
    return (
        _BYTE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", path)
        .encode(errors="backslashreplace")
        .decode()
    )


def describe_location(finding: Finding) -> str:
    """Returns a sentence on the place of a finding that is not about lines of the head; else an empty text."""
    anchor = finding.anchor
    if anchor is None:
        named_line = (
            f" The model named line {finding.reported_line}." if finding.reported_line is not None else ""
        )
        return f"This is about the whole file.{named_line}"
    if anchor.side is Side.RIGHT:
        return ""
    if anchor.start_line is None:
        return f"This is about the code before the change, line {anchor.line}."
    return f"This is about the code before the change, lines {anchor.start_line}–{anchor.line}."


def attributes(finding: Finding, server_url: str, *, names_prompt: bool = False) -> str:
    """Returns `sections.attribute_line` as plain text."""
    return attribute_line(finding, lambda text: plain_text(text, server_url), names_prompt=names_prompt)


def _locate(finding: Finding, files_by_path: Mapping[str, FileDiff]) -> tuple[int, int, str]:
    """Returns first and last line at the head, and the sentence of `describe_location`."""
    anchor = finding.anchor
    if anchor is None:
        return 1, 1, describe_location(finding)
    if anchor.side is Side.LEFT:
        line = _clamp(find_nearest_line(anchor, files_by_path.get(anchor.path)))
        return line, line, describe_location(finding)
    return *lines_at_head(anchor), ""


def find_nearest_line(anchor: Anchor, file: FileDiff | None) -> int:
    """Returns the line of the head that is nearest, in the same hunk, to a line of the base.

    If the hunk has no line of the head, it is the place of the hunk; 1 if there is no hunk.
    """
    hunk = file.hunk_at(Side.LEFT, anchor.line) if file else None
    if hunk is None:
        return 1
    at = next(index for index, row in enumerate(hunk.lines) if row.old == anchor.line)
    candidates = [(abs(index - at), row.new) for index, row in enumerate(hunk.lines) if row.new is not None]
    return min(candidates)[1] if candidates else max(hunk.new_start, 1)


def lines_at_head(anchor: Anchor) -> tuple[int, int]:
    """Returns first and last line of an anchor on the RIGHT side, within the numbers that GitHub accepts."""
    first = _clamp(anchor.lines.start)
    return first, max(first, _clamp(anchor.line))


def _clamp(number: int) -> int:
    return min(max(number, 1), _LAST_LINE)


def _write_message(finding: Finding, place: str, server_url: str, *, names_prompt: bool) -> str:
    """Returns the message: place, body, suggestion and attributes, of at most `ANNOTATION_BYTES` bytes."""
    body = plain_text(
        without_markup(plain(finding.body).strip() or one_line(finding.title)), server_url
    ).strip()
    blocks = [place, body]
    if finding.suggestion is not None:
        blocks.append(suggestion_text(plain_text(finding.suggestion, server_url)))
    tail = attributes(finding, server_url, names_prompt=names_prompt)
    text = cut_bytes(joined(blocks), ANNOTATION_BYTES - size(tail) - 2)
    return joined([text, tail]) or NO_TEXT


def suggestion_text(code: str, *, path: str | None = None) -> str:
    """Returns the block that shows a suggestion: as plain text or, for the file at `path`, as Markdown."""
    if not code.strip():
        return "Suggested: remove these lines."
    if path is None:
        return f"Suggested instead:\n{code.rstrip(chr(10))}"
    # GitHub knows a language by the extension of its files, or by a whole name such as Makefile.
    language = path.rpartition("/")[2].rpartition(".")[2]
    return f"Suggested instead:\n\n{fence(code, language)}"


def without_markup(markdown: str) -> str:
    """Returns Markdown as GitHub's plain text shows it best: without fences, backticks, bold, headings and links."""
    lines = iter(markdown.split("\n"))
    written: list[str] = []
    for current in lines:
        if opening := fence_opening(current):
            written += read_fenced_lines(lines, opening)
        else:
            written.append(_without_inline_markup(_HEADING.sub("", current)))
    return "\n".join(written)


def _without_inline_markup(line: str) -> str:
    parts: list[str] = []
    position = 0
    for start, end, ticks in find_code_spans(line):
        parts += [line[position:start], line[start + ticks : end - ticks]]
        position = end
    parts.append(line[position:])
    # The code is at the odd places.
    parts[::2] = [_LINK.sub(r"\1 (\2)", _BOLD.sub(r"\1", prose)) for prose in parts[::2]]
    return "".join(parts)


def plain_text(text: str, server_url: str) -> str:
    """Returns untrusted text as plain text without invisible characters; a space breaks links to other servers."""
    return _break_links(without_marker(plain(text)), server_url)


def _break_links(text: str, server_url: str) -> str:
    server = server_url.rstrip("/")
    scheme = len(server.partition("://")[0])

    def add_space(match: re.Match[str]) -> str:
        ours = bool(server) and text.startswith(f"{server}/", max(match.start() - scheme, 0))
        return match[0] if ours else f"{match[0]} "

    return _ADDRESS.sub(add_space, text)

"""Selects suggestions that apply to the head, and that a careful person would commit as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from math import gcd

from hunkwise.domain.diff import FileDiff, Side, by_path
from hunkwise.domain.finding import Anchor, Finding
from hunkwise.domain.text import plain
from hunkwise.errors import Error
from hunkwise.publish.placement import CommentPlan
from hunkwise.publish.sanitize import without_marker

_FENCE = re.compile(r"(?P<marks>`{3,}|~{3,})\s*(?P<info>[\w:+#.-]*)")
_OUTER_FENCE = re.compile(r"suggestion\b.*|markdown|md|diff|patch")
"""Languages of a fence around a suggestion for a prose file; another one may be meant to be in the file."""
_ROW = re.compile(r"\s*(?P<side>[LR]?)(?P<number>[0-9]{1,9})(?P<code>\s*[:|].*|\s.*|)")
_KIND = re.compile(r" (?P<kind>[-+ ])(?: (?P<code>.*)|)")
_DIFF_HEADER = re.compile(r"@@ .*@@|(?:---|\+\+\+) [ab]/|diff --git ")
_COMMENT = r"(?:^|\s)(?://|/\*|\*|#|--(?=\s)|<!--|;|%)\s*"
_PLACEHOLDER = re.compile(
    rf"{_COMMENT}(?:\.{{3}}|…)"  # a comment that begins with an ellipsis
    r"|^[\[<({]?\s*(?:\.{3}|…)(?![\w$(\[{])"  # a line that does; not `...rest`
    r"|[:={(\[]\s*(?:\.{3}|…)\s*[\])};]*$"  # a body or a value that is one
    rf"|{_COMMENT}.{{0,40}}\b(?:rest of|existing|remaining|unchanged|your|omitted|as before)\b.{{0,40}}"
    r"\b(?:code|functions?|methods?|class|lines?|files?|implementation|logic|body|unchanged|here|brevity)\b"
    rf"|{_COMMENT}(?:unchanged|(?:same )?as before|omitted)\W*$"
    r"|<(?:your|existing|rest)[ _-][\w -]*>|&(?:lt|gt|amp|quot|#39);",
    re.IGNORECASE,
)
_PROSE_PLACEHOLDER = re.compile(
    r"\W*(?:\.{3}|…)\W*(?:(?:the )?rest|existing|remaining|unchanged)", re.IGNORECASE
)
_SENTENCE = re.compile(
    r"[A-Z][a-z']+(?: [\w'`,/-]+){2,}[.!?:]?"
    r"|[A-Za-z][\w']*(?: [\w'`,-]+){3,}[.!?]"
    r"|\W*(?i:(?:remove|delete|drop) (?:this|these|the|that)\b[\w ]*|no changes?(?: needed)?|unchanged"
    r"|see above|same as (?:above|before))\W*"
)
_CHECKED = 500
"""Characters of a line that are searched for placeholders and sentences."""
_TEXT_BLOCK = re.compile(r'"""|\'\'\'|/\*|<<')
_QUOTED = re.compile(r"([`'\"])(?:(?!\1).)*\1")
_OPENER = re.compile(r".*(?:[:{(\[,]|\b(?:do|then|begin))\s*")
_CLOSER = re.compile(
    r"[\])}]|(?:end|else|elif|elsif|fi|done|esac|except|finally|catch|rescue|ensure)\b"
    r"|#(?:if|el|endif|define|undef|include|pragma)"  # of the C preprocessor, at the margin
)
_LEFT_SIDE = re.compile(r"\s*['\"$\w][^=:(]{0,80}(?::=|[=:](?![=:>]))")
_PROSE_FILES = (".md", ".markdown", ".mdx", ".rst", ".adoc", ".txt", ".html", ".htm", ".tex")


def normalize_suggestion(before: Sequence[str], anchor: Anchor, text: str) -> str | None:
    """Returns the text that replaces the anchored lines, as a careful person would commit it; empty to remove them.

    `before` are the lines of the file. What has one reading is corrected: a fence around all of it, the marks of a
    diff, the numbers of the anchored rows, lost indentation, and lines repeated from above or below. None if it has
    another fault of this kind or several readings, or changes nothing.
    """
    start, end = anchor.lines.start - 1, anchor.line
    old, above, below = list(before[start:end]), before[:start], before[end:]
    if not text:
        return text
    prose = anchor.path.lower().endswith(_PROSE_FILES)
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    while lines and old and not lines[-1].strip() and old[-1].strip():
        lines.pop()
    new = _unwrap_fence(lines, old, prose=prose) if lines and old else None
    new = _strip_numbers(new, before, anchor) if new else None
    new = _strip_marks(new, old, above, below, prose=prose) if new else None
    if not new or _has_foreign_text(new, old, prose=prose):
        return None
    # Lines from below are compared with their indentation: an inner `}` is not the outer one.
    new = _take_indentation(_cut_repeated(new, old, above, ()), old, before)
    new = _cut_repeated(new, old, above, below) if new else None
    if not new or new == old or not "".join(new).strip() or _rewrites_neighbor(new, old, above, below):
        return None
    return "\n".join(new)


def _unwrap_fence(new: list[str], old: Sequence[str], *, prose: bool) -> list[str] | None:
    """Returns the lines inside of one fence around all of them; None where a fence would be left in code."""
    fences = [match for line in new if (match := _FENCE.fullmatch(line.strip()))]
    known = sum(1 for line in old if _FENCE.fullmatch(line.strip()))
    inner = "\n".join(new).strip("\n").split("\n")
    first, last = (_FENCE.fullmatch(line.strip()) for line in (inner[0], inner[-1]))
    if first and last and not known and len(inner) > 1 and last["marks"].startswith(first["marks"]):
        inside = fences[1:-1]
        if last["info"] or any(match["marks"].startswith(first["marks"]) for match in inside):
            return None
        return inner[1:-1] if not prose or _OUTER_FENCE.fullmatch(first["info"].lower()) else None
    balanced = len(fences) % 2 == known % 2 if prose else len(fences) <= known
    return new if balanced else None


def _strip_numbers(new: list[str], before: Sequence[str], anchor: Anchor) -> list[str] | None:
    """Returns the lines without the numbers of the anchored rows, if they have them; None for other row numbers."""
    start, end = anchor.lines.start - 1, anchor.line
    lines = [line for line in new if line.strip()]
    rows = [match for line in lines if (match := _ROW.fullmatch(line))]
    if not rows or any(_ROW.fullmatch(line) for line in before[start:end]):
        return new
    clear = any(row["side"] or re.match(r"\s*[:|]|\t", row["code"]) for row in rows)
    if len(rows) < len(lines):
        named = any(int(row["number"]) in anchor.lines for row in rows)
        return None if clear and named and len(lines) > 1 else new
    if all(row["side"] and _KIND.fullmatch(row["code"]) for row in rows):  # as a prompt shows them
        kinds = [match for row in rows if (match := _KIND.fullmatch(row["code"]))]
        rows = [row for row, kind in zip(rows, kinds, strict=True) if kind["kind"] != "-"]
        codes = [kind["code"] or "" for kind in kinds if kind["kind"] != "-"]
    else:
        codes = [re.sub(r"^\s*[:|]", "", row["code"]) for row in rows]
        if _indent(codes[0]) != _indent(before[start]):
            codes = [code[1:] if code[:1] in (" ", "\t") else code for code in codes]
    numbers = [int(row["number"]) for row in rows]
    if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return None if clear else new
    if numbers[0] > start + 1 or codes[: start + 1 - numbers[0]] != list(before[numbers[0] - 1 : start]):
        return None if clear else new
    return codes[start + 1 - numbers[0] :] if clear or len(rows) > 1 else new


def _strip_marks(
    new: list[str], old: Sequence[str], above: Sequence[str], below: Sequence[str], *, prose: bool
) -> list[str] | None:
    """Returns the lines that a diff adds or keeps, if they are one of the anchored lines; None if they are unclear."""
    lines = [line for line in new if line.strip()]
    if any(_DIFF_HEADER.match(line) for line in lines if line not in old):
        return None
    marks = {line[0] for line in lines}
    if {"+", "-"} <= marks <= {"+", "-", " "}:
        was = _cut_repeated([line[1:] for line in lines if line[0] != "+"], old, above, below)
        becomes = [line[1:] for line in new if line[:1] != "-"]
        if [line.strip() for line in was] == [line.strip() for line in old]:
            given, wanted = _indent(was[0]), _indent(old[0])
            return [wanted + line.removeprefix(given) if line.strip() else "" for line in becomes]
    if prose or any(line[:1] in ("+", "-") for line in old):
        return new
    if marks == {"+"}:
        return [line[1:] for line in new]
    removed = any(line[0] == "-" and _squeeze(line[1:]) in map(_squeeze, old) for line in lines)
    return None if "+" in marks or removed else new


def _has_foreign_text(new: Sequence[str], old: Sequence[str], *, prose: bool) -> bool:
    """Returns whether a new line is a placeholder or a sentence instead of code, or all of it is quoted."""
    lines = [line.strip()[:_CHECKED] for line in new if line.strip() and line not in old]
    if prose:
        return any(_PROSE_PLACEHOLDER.match(line) for line in lines)
    if any(_PLACEHOLDER.search(line) for line in lines):
        return True
    if len(new) == 1 and _QUOTED.fullmatch(new[0].strip()) and old[0].strip()[:1] != new[0].strip()[0]:
        return True
    blocks = any(_SENTENCE.fullmatch(line.strip()[:_CHECKED]) for line in old) or any(
        map(_TEXT_BLOCK.search, new)
    )
    return not blocks and any(_SENTENCE.fullmatch(line) for line in lines)


def _cut_repeated(
    new: list[str], old: Sequence[str], above: Sequence[str], below: Sequence[str]
) -> list[str]:
    """Returns the lines without those at their ends that are a copy of the lines above or below the anchor."""
    for number in range(min(len(new), len(above)), 0, -1):
        if new[:number] == list(above[-number:]) and new[:number] != list(old[:number]):
            new = new[number:]
            break
    for number in range(min(len(new), len(below)), 0, -1):
        if new[-number:] == list(below[:number]) and new[-number:] != list(old[-number:]):
            return new[:-number]
    return new


def _take_indentation(new: list[str], old: Sequence[str], before: Sequence[str]) -> list[str] | None:
    """Returns the lines with the anchored lines' indentation, if they lost it; None if it differs otherwise."""
    index = next((number for number, line in enumerate(new) if line.strip()), None)
    replaced_line = next((line for line in old if line.strip()), None)
    if index is None or replaced_line is None:
        return new
    wanted = _indent(replaced_line)
    indented = [line for line in before if line[:1] in (" ", "\t") and not line.strip().startswith("*")]
    tabs = "\t" in wanted or (not wanted and bool(indented) and all(line[0] == "\t" for line in indented))
    converted = _use_tabs(new, len(wanted)) if tabs else _use_spaces(new, wanted)
    if converted is None:
        return None
    new, first = converted, converted[index]
    given = _indent(first)
    if given == wanted or (_CLOSER.match(first.strip()) and not _CLOSER.match(replaced_line.strip())):
        return new
    if given or first in before:
        return new if given and _squeeze("".join(new)) == _squeeze("".join(old)) else None
    rest = [line for line in new[index + 1 :] if line.strip()]
    kept = bool(rest) and all(line.startswith(wanted) for line in rest)  # only the first line lost it
    if kept and _OPENER.fullmatch(first):
        kept = all(_indent(line) != wanted for line in rest[:1])
    return [
        wanted + line if line.strip() and (number == index or not kept) else line
        for number, line in enumerate(new)
    ]


def _use_tabs(new: list[str], depth: int) -> list[str] | None:
    """Returns the lines with tabs for the spaces of their indentation; None if it is no multiple of one width."""
    widths = [
        len(_indent(line)) if line[:1] == " " and not line.strip().startswith("*") else 0 for line in new
    ]
    if not any(widths):
        return new
    first = next(width for width, line in zip(widths, new, strict=True) if line.strip())
    unit = first // depth if depth and first else gcd(*widths)
    if unit < 2 or any(width % unit for width in widths):
        return None
    return [
        "\t" * (width // unit) + line[width:] if width else line
        for width, line in zip(widths, new, strict=True)
    ]


def _use_spaces(new: list[str], wanted: str) -> list[str] | None:
    """Returns the lines with spaces for the tabs of their indentation, if the anchored line has spaces."""
    first = next(line for line in new if line.strip())
    depth = _indent(first).count("\t")
    if not wanted or not depth:
        return None if wanted and any("\t" in _indent(line) for line in new) else new
    if len(wanted) % depth or any(" " in _indent(line) for line in new if line.strip()):
        return None
    unit = " " * (len(wanted) // depth)
    return [_indent(line).replace("\t", unit) + line.lstrip("\t") for line in new]


def _rewrites_neighbor(
    new: Sequence[str], old: Sequence[str], above: Sequence[str], below: Sequence[str]
) -> bool:
    """Returns whether a line assigns what a line next to the anchor does, which would then be assigned twice."""
    reach = len(new)
    beside = {_left_side(line) for line in (*above[-reach:], *below[:reach])}
    return any(
        side and side in beside for side in {_left_side(line) for line in new} - set(map(_left_side, old))
    )


def _left_side(line: str) -> str:
    match = _LEFT_SIDE.match(line)
    return match[0] if match else ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _squeeze(text: str) -> str:
    return "".join(text.split())


_MOST_LINES = 100
_LONGEST = 9_999  # a longer one may have been cut when the model's answer was parsed
# Code that runs with the repository's secrets must not be changed with one click because a model suggests it.
_NEVER_SUGGESTED = (".github/workflows/", ".github/actions/")
_BOM = b"\xef\xbb\xbf"
SyntaxErrors = Callable[[str, str], Sequence[tuple[int, int]] | None]
"""Returns the lines of each syntax error in a file, by its path and text; None if it could not be parsed in time."""


class Suggestions:
    """Checks the suggestions of a run, each on its own, against the files at the head."""

    def __init__(self, read: Callable[[str], bytes | None], syntax_errors: SyntaxErrors) -> None:
        """`read` returns a file of the reviewed head by path, None if it is not available."""
        self._read = read
        self._syntax_errors = syntax_errors

    def offered(self, plan: CommentPlan, files: Iterable[FileDiff]) -> dict[Finding, str]:
        """Returns the text to commit for each finding of `plan.inline` whose suggestion can be committed with a click.

        It replaces the reviewed code at the head, `normalize_suggestion` returned it, and it adds no syntax error to
        those that the file has. Suggestions for files that cannot be read, or take too long to parse, are not
        offered. Raises no error of GitHub, git or the files.
        """
        files_by_path = by_path(files)
        candidates: dict[str, list[Finding]] = {}
        for finding in plan.inline:
            if _may_be_offered(finding):
                candidates.setdefault(finding.path, []).append(finding)
        offered: dict[Finding, str] = {}
        for path, findings in candidates.items():
            content, file = self._read_file(path), files_by_path[path]
            if content and _is_utf8(content):
                offered |= self._check(content, file, findings)
        return offered

    def _read_file(self, path: str) -> bytes | None:
        try:
            return self._read(path)
        except Error:
            return None

    def _check(self, content: bytes, file: FileDiff, findings: Sequence[Finding]) -> dict[Finding, str]:
        lines = [line.removesuffix(b"\r").decode("utf-8") for line in _split_lines(content)]
        texts: dict[Finding, str] = {}
        for finding in findings:
            anchor, suggestion = finding.anchor, finding.suggestion
            if anchor is None or suggestion is None or not _is_reviewed_code(anchor, content, file):
                continue
            text = normalize_suggestion(lines, anchor, suggestion)
            if text is not None and _is_committable(suggestion, text, anchor):
                texts[finding] = text
        before = self._syntax_errors(file.path, content.decode("utf-8")) if texts else None
        if before is None:
            return {}
        return {
            finding: text
            for finding, text in texts.items()
            if finding.anchor and self._is_valid(content, finding.anchor, text, before)
        }

    def _is_valid(self, content: bytes, anchor: Anchor, text: str, before: Sequence[tuple[int, int]]) -> bool:
        """Returns whether the change adds no syntax error to the file, and none to lines that had none."""
        after = self._syntax_errors(anchor.path, replaced(content, anchor, text).decode("utf-8"))
        if after is None or len(after) > len(before):
            return False
        start = anchor.lines.start
        return _overlaps(before, start, anchor.line) or not _overlaps(after, start, start + text.count("\n"))


def can_be_replaced(anchor: Anchor, content: bytes, file: FileDiff) -> bool:
    """Returns whether a suggestion could replace the anchored lines of this content of the head's file."""
    return (
        anchor.side is Side.RIGHT
        and not anchor.path.startswith(_NEVER_SUGGESTED)
        and len(anchor.lines) <= _MOST_LINES
        and _is_utf8(content)
        and _is_reviewed_code(anchor, content, file)
    )


def _may_be_offered(finding: Finding) -> bool:
    anchor = finding.anchor
    return (
        anchor is not None
        and finding.suggestion is not None
        and anchor.side is Side.RIGHT
        and anchor.path == finding.path
        and not anchor.path.startswith(_NEVER_SUGGESTED)
    )


def _overlaps(errors: Iterable[tuple[int, int]], start: int, end: int) -> bool:
    return any(first <= end and start <= last for first, last in errors)


def _is_committable(suggestion: str, text: str, anchor: Anchor) -> bool:
    """Returns whether the text changes not too many lines, and only in ways that a person sees."""
    return (
        len(suggestion) <= _LONGEST
        and text == without_marker(plain(text))
        and text.count("\n") < _MOST_LINES >= len(anchor.lines)
    )


def _is_reviewed_code(anchor: Anchor, content: bytes, file: FileDiff) -> bool:
    """Returns whether the anchored lines of this content of the head's file are exactly the reviewed code.

    False on a line with a byte order mark: GitHub's behavior is unknown for it.
    """
    if anchor.lines.start == 1 and content.startswith(_BOM):
        return False
    reviewed = [file.lines_by_side[Side.RIGHT][number] for number in anchor.lines]
    at_head = _split_lines(content)[anchor.lines.start - 1 : anchor.line]
    return anchor.code == "\n".join(line.text for line in reviewed) and (
        [line.raw.removesuffix(b"\r") for line in reviewed] == [line.removesuffix(b"\r") for line in at_head]
    )


def replaced(content: bytes, anchor: Anchor, text: str) -> bytes:
    """Returns the content with the anchored lines replaced by the text, with their line endings."""
    lines = _split_lines(content)
    start, end = anchor.lines.start - 1, anchor.line
    carriage = b"\r" if lines[start].endswith(b"\r") else b""
    new = [line.encode("utf-8") + carriage for line in text.split("\n")] if text else []
    final = b"\n" if content.endswith(b"\n") else b""
    after = [*lines[:start], *new, *lines[end:]]
    return b"\n".join(after) + final if after else b""


def _split_lines(content: bytes) -> list[bytes]:
    """Returns the lines as git counts them: only line feeds separate them, and a final one begins no new line."""
    return content.removesuffix(b"\n").split(b"\n")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

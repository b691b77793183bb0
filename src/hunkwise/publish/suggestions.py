"""Selects suggestions that apply to the head and do not break a file's syntax.

`python -m hunkwise.publish.suggestions` is the worker process that parses files under review: an untrusted file can
exhaust any parser's time, memory or stack, and the kernel can limit a process. It reads one JSON object
`{"language", "text"}` per line and answers each with a line. It checks only the syntax: nothing is imported or run.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NoReturn, Self, TextIO

import yaml

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding
from hunkwise.domain.text import plain
from hunkwise.errors import Error
from hunkwise.publish.placement import CommentPlan, by_path
from hunkwise.publish.sanitize import without_marker
from hunkwise.worker import Worker, limit_process

MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 10
"""Processor time for all files of a run."""


class SyntaxStatus(StrEnum):
    """Result of parsing a file."""

    PARSES = "parses"
    BROKEN = "broken"
    """A syntax error, or a newer version of the language than this parser supports."""
    UNKNOWN = "unknown"
    """Parsing exceeded a limit of time, memory or depth."""


def verdict(language: str, text: str) -> SyntaxStatus:
    """Returns the syntax status of a file in one of LANGUAGES."""
    try:
        _PARSERS[language](text)
    except (RecursionError, MemoryError):
        return SyntaxStatus.UNKNOWN
    except (SyntaxError, ValueError, OverflowError, yaml.YAMLError):
        return SyntaxStatus.BROKEN
    return SyntaxStatus.PARSES


def _parse_python(text: str) -> None:
    """Parses with the grammar of the running Python; as bytes, so that an encoding declaration is respected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(text.encode("utf-8"))


def _parse_json(text: str) -> None:
    """Parses strictly; numbers are not converted, which would be slow for thousands of digits."""
    json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str, parse_constant=_reject_constant)


def _parse_toml(text: str) -> None:
    tomllib.loads(text.removeprefix("\ufeff"))


def _parse_yaml(text: str) -> None:
    """Parses all documents as events, so that no objects are created, which aliases could multiply. Allows any tag."""
    anchors: set[str] = set()
    for event in yaml.parse(text.removeprefix("\ufeff"), Loader=_YAML_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ValueError("an alias without its anchor")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARSERS: dict[str, Callable[[str], None]] = {
    "python": _parse_python,
    "json": _parse_json,
    "toml": _parse_toml,
    "yaml": _parse_yaml,
}
LANGUAGES = tuple(_PARSERS)


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers each line of `requests` with a line, until the end of the stream."""
    for line in requests:
        request = json.loads(line)
        replies.write(verdict(request["language"], request["text"]) + "\n")
        replies.flush()


SECONDS = 5.0
"""Wall-clock time for one file; the largest files that are parsed take about 3 s."""
_STATUS_BY_ANSWER = {f"{verdict}\n": verdict for verdict in SyntaxStatus}


class SyntaxChecker:
    """One worker, started with the first file; once it died or timed out, every status is UNKNOWN."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds`: wall-clock time for one file; `python`: the interpreter that runs the worker."""
        self._seconds = seconds
        self._worker = Worker("hunkwise.publish.suggestions", lambda: yaml, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._worker.close()

    def verdict(self, language: str, text: str) -> SyntaxStatus:
        """Returns the syntax status of a file in one of LANGUAGES. Raises no error because of the file."""
        request = json.dumps({"language": language, "text": text})
        return _STATUS_BY_ANSWER.get(self._worker.answer(request, self._seconds), SyntaxStatus.UNKNOWN)


LARGEST = 1_000_000
"""Maximum size in bytes of a file that is parsed; for larger ones of these languages no suggestion is offered."""
_MOST_LINES = 100
_LONGEST = 9_999  # a longer one may have been cut when the model's answer was parsed
# Code that runs with the repository's secrets must not be changed with one click because a model suggests it.
_NEVER_SUGGESTED = (".github/workflows/", ".github/actions/")
_BOM = b"\xef\xbb\xbf"
_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".json": "json",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".toml": "toml",
}
"""By file extension. Not .jsonc and .json5, for which there is no parser here."""


class Suggestions:
    """Checks the suggestions of a run, each on its own, against the files at the head."""

    def __init__(self, read: Callable[[str], bytes | None], *, seconds: float = SECONDS) -> None:
        """`read` returns a file of the reviewed head by path, None if it is not available; `seconds`: wall-clock time
        for parsing one file."""
        self._read = read
        self._seconds = seconds

    def offered(self, plan: CommentPlan, files: Iterable[FileDiff]) -> frozenset[Finding]:
        """Returns the findings of `plan.inline` whose suggestion applies to the head and does not break the syntax.

        If a file did not parse before (it is broken, or in a newer version of the language), the syntax is not
        checked. Suggestions for files that cannot be read, or take too long to parse, are not offered. Raises no
        error of GitHub, git or the files.
        """
        files_by_path = by_path(files)
        candidates: dict[str, list[Finding]] = {}
        for finding in plan.inline:
            if _is_committable(finding, files_by_path[finding.path]):
                candidates.setdefault(finding.path, []).append(finding)
        offered: set[Finding] = set()
        with SyntaxChecker(seconds=self._seconds) as parser:
            for path, in_file in candidates.items():
                content, file = self._read_file(path), files_by_path[path]
                if content and _is_utf8(content):
                    applicable = [
                        finding for finding in in_file if _replaces_reviewed_code(finding, content, file)
                    ]
                    offered.update(_with_valid_syntax(path, content, applicable, parser))
        return frozenset(offered)

    def _read_file(self, path: str) -> bytes | None:
        try:
            return self._read(path)
        except Error:
            return None


def _is_committable(finding: Finding, file: FileDiff) -> bool:
    """Returns whether the suggestion changes lines of the head, not too many, and only in ways that a person sees."""
    anchor, suggestion = finding.anchor, finding.suggestion
    if anchor is None or suggestion is None or anchor.side is not Side.RIGHT or anchor.path != finding.path:
        return False
    text = suggestion.replace("\r\n", "\n")
    if (
        len(text) > _LONGEST
        or text != without_marker(plain(text))
        or anchor.path.startswith(_NEVER_SUGGESTED)
    ):
        return False
    rows = file.lines_by_side[Side.RIGHT]
    present = [rows[number].raw.decode("utf-8", "replace").removesuffix("\r") for number in anchor.lines]
    suggested = text.removesuffix("\n").split("\n")
    return len(suggested) <= _MOST_LINES >= len(present) and (not text or suggested != present)


def _replaces_reviewed_code(finding: Finding, content: bytes, file: FileDiff) -> bool:
    """Returns whether the suggestion replaces exactly the reviewed code in this content of the head's file.

    False on a line with a byte order mark: GitHub's behavior is unknown for it.
    """
    anchor = finding.anchor
    assert anchor is not None  # as checked by `_is_committable`
    if anchor.lines.start == 1 and content.startswith(_BOM):
        return False
    reviewed = [file.lines_by_side[Side.RIGHT][number] for number in anchor.lines]
    at_head = _split_lines(content)[anchor.lines.start - 1 : anchor.line]
    return anchor.code == "\n".join(line.text for line in reviewed) and (
        [line.raw.removesuffix(b"\r") for line in reviewed] == [line.removesuffix(b"\r") for line in at_head]
    )


def replaced(content: bytes, anchor: Anchor, suggestion: str) -> bytes:
    """Returns the content with the anchored lines replaced by the suggestion, with their line endings."""
    lines = _split_lines(content)
    start, end = anchor.lines.start - 1, anchor.line
    carriage = b"\r" if lines[start].endswith(b"\r") else b""
    text = suggestion.replace("\r\n", "\n")
    new = [line.encode("utf-8") + carriage for line in text.removesuffix("\n").split("\n")] if text else []
    final = b"\n" if content.endswith(b"\n") else b""
    after = [*lines[:start], *new, *lines[end:]]
    return b"\n".join(after) + final if after else b""


def _split_lines(content: bytes) -> list[bytes]:
    """Returns the lines as git counts them: only line feeds separate them, and a final one begins no new line."""
    return content.removesuffix(b"\n").split(b"\n")


def _with_valid_syntax(
    path: str, content: bytes, findings: Sequence[Finding], parser: SyntaxChecker
) -> Iterable[Finding]:
    """Returns the findings whose suggestion does not break the file's syntax."""
    language = next((name for end, name in _LANGUAGES.items() if path.lower().endswith(end)), None)
    if language is None or not findings:
        return findings
    if len(content) > LARGEST:
        return ()
    before = parser.verdict(language, content.decode("utf-8"))
    if before is SyntaxStatus.PARSES:
        return [finding for finding in findings if _parses(finding, content, language, parser)]
    return findings if before is SyntaxStatus.BROKEN else ()


def _parses(finding: Finding, content: bytes, language: str, parser: SyntaxChecker) -> bool:
    assert finding.anchor is not None  # as checked by `_is_committable`
    assert finding.suggestion is not None
    after = replaced(content, finding.anchor, finding.suggestion)
    return len(after) <= LARGEST and parser.verdict(language, after.decode("utf-8")) is SyntaxStatus.PARSES


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    limit_process(memory=MEMORY, cpu_seconds=CPU_SECONDS)
    serve(sys.stdin, sys.stdout)

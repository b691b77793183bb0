"""Suggestions that apply to the head and leave files that still parse.

`python -m hunkwise.publish.suggestions` is the worker process that parses files under review: an untrusted file can
take any parser's time, memory or stack, and the kernel can bound a process. It reads one JSON object
`{"language", "text"}` a line and answers each with a line. It checks the syntax only: nothing is
imported or run.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NoReturn, Self, TextIO

import yaml

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding
from hunkwise.errors import Error
from hunkwise.publish.placement import by_path, suggestion_applies
from hunkwise.worker import Worker, limit_process

MEMORY = 768 << 20
"""Bytes of address space."""
CPU_SECONDS = 10
"""Processor time for all files of a run."""


class SyntaxStatus(StrEnum):
    """What a parser says of a file."""

    PARSES = "parses"
    BROKEN = "broken"
    """It is not in the language, or in a newer version of it than is known here."""
    UNKNOWN = "unknown"
    """Parsing it took too much of something."""


def verdict(language: str, text: str) -> SyntaxStatus:
    """Of a file in one of LANGUAGES."""
    try:
        _PARSERS[language](text)
    except (RecursionError, MemoryError):
        return SyntaxStatus.UNKNOWN
    except (SyntaxError, ValueError, OverflowError, yaml.YAMLError):
        return SyntaxStatus.BROKEN
    return SyntaxStatus.PARSES


def _python(text: str) -> None:
    """By the grammar of the Python that runs here; as bytes, so that a coding cookie counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(text.encode("utf-8"))


def _json(text: str) -> None:
    """Strictly; numbers stay as they are written, as making them of thousands of digits takes long."""
    json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str, parse_constant=_no_constant)


def _toml(text: str) -> None:
    tomllib.loads(text.removeprefix("\ufeff"))


def _yaml(text: str) -> None:
    """All documents, as events: nothing that aliases could multiply is made. Tags may be anything."""
    anchors: set[str] = set()
    for event in yaml.parse(text.removeprefix("\ufeff"), Loader=_YAML_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ValueError("an alias without its anchor")
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARSERS: dict[str, Callable[[str], None]] = {"python": _python, "json": _json, "toml": _toml, "yaml": _yaml}
LANGUAGES = tuple(_PARSERS)


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answers line by line until there are no more."""
    for line in requests:
        asked = json.loads(line)
        replies.write(verdict(asked["language"], asked["text"]) + "\n")
        replies.flush()


SECONDS = 5.0
"""Wall-clock time of one file; the largest that are parsed take some 3 s."""
_BY_ANSWER = {f"{verdict}\n": verdict for verdict in SyntaxStatus}


class SyntaxChecker:
    """One child, started with the first question; once it died or was late, nothing is known any more."""

    def __init__(self, *, seconds: float = SECONDS, python: str = sys.executable) -> None:
        """`seconds`: of wall-clock time for one file; `python`: the interpreter that the child runs in."""
        self._seconds = seconds
        self._child = Worker("hunkwise.publish.suggestions", lambda: yaml, python)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._child.close()

    def verdict(self, language: str, text: str) -> SyntaxStatus:
        """Of a file in one of LANGUAGES. Raises nothing that the file did."""
        question = json.dumps({"language": language, "text": text})
        return _BY_ANSWER.get(self._child.answer(question, self._seconds), SyntaxStatus.UNKNOWN)


LARGEST = 1_000_000
"""Bytes of a file that is parsed; to a larger one of these languages nothing is offered."""
_BOM = b"\xef\xbb\xbf"
_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".json": "json",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".toml": "toml",
}
"""By the name's ending. Not .jsonc and .json5, which nothing here can parse."""


class Suggestions:
    """Judges the suggestions of a run, each alone, against the files at the head."""

    def __init__(self, read: Callable[[str], bytes | None], *, seconds: float = SECONDS) -> None:
        """`read` gives a file of the reviewed head by its path, None where it has none to give; `seconds`: of
        wall-clock time that parsing one file may take."""
        self._read = read
        self._seconds = seconds

    def offered(self, findings: Iterable[Finding], files: Iterable[FileDiff]) -> frozenset[Finding]:
        """The findings whose suggestion is proved to apply, and to break no syntax.

        Where a file did not parse before (it is broken, or of a newer language than is known here), the
        suggestion is offered without that proof. What cannot be read, or takes too long to parse, is not offered.
        Raises nothing that GitHub, git or the files did.
        """
        known = by_path(files)
        candidates: dict[str, list[Finding]] = {}
        for finding in findings:
            if suggestion_applies(finding, known):
                candidates.setdefault(finding.path, []).append(finding)
        offered: set[Finding] = set()
        with SyntaxChecker(seconds=self._seconds) as parser:
            for path, of_file in candidates.items():
                content = self._content(path)
                applying = [finding for finding in of_file if proved(finding, content, known)]
                if content is not None:
                    offered.update(_harmless(path, content, applying, parser))
        return frozenset(offered)

    def _content(self, path: str) -> bytes | None:
        try:
            return self._read(path)
        except Error:
            return None


def proved(
    finding: Finding, content: bytes | None, files: Iterable[FileDiff] | Mapping[str, FileDiff]
) -> bool:
    """Whether the suggestion replaces, in this content of the head's file, exactly the code that was reviewed.

    Never in a file that is not UTF-8, nor on a line with a byte order mark: what GitHub would make of it is not
    known.
    """
    known = files if isinstance(files, Mapping) else by_path(files)
    anchor = finding.anchor
    if not content or anchor is None or anchor.path != finding.path:
        return False
    if not suggestion_applies(finding, known):
        return False
    if not _is_utf8(content) or (anchor.lines.start == 1 and content.startswith(_BOM)):
        return False
    shown = known[anchor.path].lines_by_side[Side.RIGHT]
    reviewed = [shown[number] for number in anchor.lines]
    there = _lines(content)[anchor.lines.start - 1 : anchor.line]
    return anchor.code == "\n".join(line.text for line in reviewed) and (
        [line.raw.removesuffix(b"\r") for line in reviewed] == [line.removesuffix(b"\r") for line in there]
    )


def replaced(content: bytes, anchor: Anchor, suggestion: str) -> bytes:
    """The content after the suggestion was committed: in place of the anchored lines, with their line ends."""
    lines = _lines(content)
    start, end = anchor.lines.start - 1, anchor.line
    carriage = b"\r" if lines[start].endswith(b"\r") else b""
    text = suggestion.replace("\r\n", "\n")
    new = [line.encode("utf-8") + carriage for line in text.removesuffix("\n").split("\n")] if text else []
    final = b"\n" if content.endswith(b"\n") else b""
    after = [*lines[:start], *new, *lines[end:]]
    return b"\n".join(after) + final if after else b""


def _lines(content: bytes) -> list[bytes]:
    """As git counts them: parted by line feeds alone, the last of which ends a line and begins none."""
    return content.removesuffix(b"\n").split(b"\n")


def _harmless(
    path: str, content: bytes, applying: Sequence[Finding], parser: SyntaxChecker
) -> Iterable[Finding]:
    """Those whose suggestion does not break the file's syntax."""
    language = next((name for end, name in _LANGUAGES.items() if path.lower().endswith(end)), None)
    if language is None or not applying:
        return applying
    if len(content) > LARGEST:
        return ()
    before = parser.verdict(language, content.decode("utf-8"))
    if before is SyntaxStatus.PARSES:
        return [finding for finding in applying if _parses(finding, content, language, parser)]
    return applying if before is SyntaxStatus.BROKEN else ()


def _parses(finding: Finding, content: bytes, language: str, parser: SyntaxChecker) -> bool:
    assert finding.anchor is not None  # it was proved
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

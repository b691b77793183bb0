"""Which suggestions may be offered to be committed: those that apply to the head, and leave a file that parses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from hunkwise.domain.diff import FileDiff, Side
from hunkwise.domain.finding import Anchor, Finding
from hunkwise.errors import Error
from hunkwise.publish.anchors import by_path
from hunkwise.publish.parser import SECONDS, Parser, Verdict
from hunkwise.publish.placement import suggestion_applies

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
        with Parser(seconds=self._seconds) as parser:
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


def _harmless(path: str, content: bytes, applying: Sequence[Finding], parser: Parser) -> Iterable[Finding]:
    """Those whose suggestion does not break the file's syntax."""
    language = next((name for end, name in _LANGUAGES.items() if path.lower().endswith(end)), None)
    if language is None or not applying:
        return applying
    if len(content) > LARGEST:
        return ()
    before = parser.verdict(language, content.decode("utf-8"))
    if before is Verdict.PARSES:
        return [finding for finding in applying if _parses(finding, content, language, parser)]
    return applying if before is Verdict.BROKEN else ()


def _parses(finding: Finding, content: bytes, language: str, parser: Parser) -> bool:
    assert finding.anchor is not None  # it was proved
    assert finding.suggestion is not None
    after = replaced(content, finding.anchor, finding.suggestion)
    return len(after) <= LARGEST and parser.verdict(language, after.decode("utf-8")) is Verdict.PARSES


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

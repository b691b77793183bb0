"""Text helpers: removes or shows invisible characters, measures lines in a prompt, and splits off front matter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from hunkwise.domain.diff import DiffLine, FileDiff, Hunk

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Parts of character classes of regular expressions.
CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
"""C0 without tab, line feed and carriage return; DEL; C1."""
SEPARATORS = "\u2028\u2029"
BIDI = "\u202a-\u202e\u2066-\u2069"
"""Controls that reorder a line."""
SURROGATES = "\ud800-\udfff"
ZERO_WIDTH = "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2060-\u206f\ufeff"
"""Soft hyphen, marks and fillers; not the joiners of scripts and emoji."""
JOINERS = "\u200c\u200d"
MONGOLIAN_SELECTORS = "\u180b-\u180d\u180f"
_FILLERS = "\u3164\uffa0"

_NO_CHARACTER = re.compile(f"[{SURROGATES}\ufffe\uffff]")
_HIDDEN_RANGES = (
    f"{CONTROLS}{SEPARATORS}{BIDI}{SURROGATES}{ZERO_WIDTH}{JOINERS}{MONGOLIAN_SELECTORS}{_FILLERS}"
    "\ufff0-\ufffb\ufe00-\ufe0f\U000e0000-\U000e0fff"  # tags and variation selectors, which can carry hidden text
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical format controls
    "\ufffe\uffff"
)
_HIDDEN = re.compile(f"[{_HIDDEN_RANGES}]")
_HIDDEN_OR_LINE_END = re.compile(f"[\n\r{_HIDDEN_RANGES}]")
_JOINED_LETTERS = (  # of Arabic, the scripts of India and South-East Asia, Mongolian, Adlam and their relatives
    "\u0620-\u06ff\u0710-\u07ff\u0840-\u0dff\u0f40-\u109f\u1780-\u17b3\u17b6-\u17d3\u1820-\u18aa\u1a20-\u1a9f"
    "\u1b00-\u1bff\ua840-\ua877\ua8e0-\ua8ff\ua980-\ua9df\uaa60-\uaa7f\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00011000-\U000116ff\U0001e900-\U0001e95f"
)
_PICTURES = "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_NEEDED = re.compile(
    f"(?<=[{_JOINED_LETTERS}])[{JOINERS}]"
    f"|(?:(?<=[{_PICTURES}])|(?<=[{_PICTURES}]\ufe0f))\u200d(?=[{_PICTURES}])"
    f"|(?<=[{_PICTURES}])[\ufe0e\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)"
)
"""Joiners and variation selectors where a script or an emoji needs them: one, after a letter or a picture."""
_FLAG = "\U0001f3f4"
_TAGGED_FLAGS = tuple(
    f"{_FLAG}{''.join(chr(0xE0000 + ord(letter)) for letter in region)}\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)


def plain(text: str) -> str:
    """Normalizes untrusted text: line feeds as the only line ends, no character that `visible` escapes.

    Markdown is kept.
    """
    normalized = _NO_CHARACTER.sub("\ufffd", _LINE_ENDS.sub("\n", text))
    return _HIDDEN.sub(lambda match: match[0] if _is_needed(match) else "", normalized)


def _is_needed(match: re.Match[str]) -> bool:
    """Returns whether a script or an emoji needs this character at its place."""
    text, at = match.string, match.start()
    flag = text.rfind(_FLAG, max(0, at - 6), at)
    return bool(_NEEDED.match(text, at)) or (flag >= 0 and text.startswith(_TAGGED_FLAGS, flag))


def encodable(text: str) -> str:
    """Returns the text with lone surrogates replaced: neither UTF-8 nor JSON can have them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_encodable(text: str) -> bool:
    """Returns whether the text has no lone surrogate."""
    return encodable(text) == text


def escape_character(character: str) -> str:
    """Returns the character's code, for example `\\x1b` or `\\u202e`."""
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Returns `plain(text)` with each run of white space as one space."""
    return " ".join(plain(text).split())


def cut(text: str, limit: int) -> str:
    """Cuts a text to at most `limit` characters; a longer one ends in an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"[:limit]


def cut_bytes(text: str, limit: int) -> str:
    """Cuts a text to at most `limit` bytes of UTF-8; a longer one ends in an ellipsis."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[: limit - size("…")].decode(errors="ignore") + "…"


def size(text: str) -> int:
    """Returns the number of bytes in UTF-8."""
    return len(text.encode("utf-8"))


def joined(blocks: Iterable[str]) -> str:
    """Returns the blocks that are not empty, with a blank line between them."""
    return "\n\n".join(block for block in blocks if block)


def as_percent(share: float) -> str:
    """Returns a share from 0 to 1 as `55 %`, with one decimal place where it has one."""
    return f"{round(share * 100, 1):g} %"


def is_sha(text: str) -> bool:
    """Returns whether the text is the whole SHA of a Git object, by SHA-1 or SHA-256."""
    return _SHA.fullmatch(text) is not None


def count(number: int, noun: str) -> str:
    """Returns, for example, `1 finding`, `2 findings` or `2 processes`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "es" if noun.endswith("s") else "s")


def take_fitting(texts: Iterable[str], room: int, separator: str) -> list[str]:
    """Returns the first texts that fit into `room` bytes, each with a separator."""
    taken: list[str] = []
    for text in texts:
        room -= size(text) + len(separator)
        if room < 0:
            break
        taken.append(text)
    return taken


_OPENING = re.compile(r"\A\ufeff?---[ \t]*(?:\r?\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text, split into front matter and body."""

    matter: str
    """The text between the lines of dashes; its first line is the second line of the whole text."""
    body: str
    """The text after the front matter."""
    lines: int
    """Number of lines above the body."""
    closed: bool
    """True if there is a second line of dashes; without it, the rest of the text is `matter`."""

    @property
    def template(self) -> str:
        """The body as a template in which lines have the same numbers as in the whole text."""
        return "{#" + "\n" * self.lines + "#}" + self.body


def split_front_matter(text: str) -> SplitText | None:
    """Splits a text into front matter and body; None if it has no front matter."""
    opening = _OPENING.match(text)
    if opening is None:
        return None
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        return SplitText(text[opening.end() :], "", 0, closed=False)
    lines = text.count("\n", 0, closing.end())
    matter, body = text[opening.end() : closing.start()], text[closing.end() :]
    return SplitText(matter, body, lines, closed=True)


LINE_LIMIT = 4_000
"""Bytes of a line that are shown: of a longer line data runs are left out, then it is cut."""
_LONGEST_SEARCHED = 8_000_000
_SHORTEST_RUN = 200
_RUN_START = 40
_DATA_RUN = re.compile(
    rb"""(?:(?<=(?P<quote>["'`]))|;base64,)(?:[A-Za-z0-9+/]|\\[nr]){200,}+={0,2}(?:\\[nr])*+"""
    rb"""(?(quote)(?=(?P=quote)|\\(?P=quote))|(?=["'`)\\\s&]|\Z))"""
    rb"""|(?<![0-9.,+ \t\[\]-])(?:[0-9.,+ \t\[\]]|-(?!-)|[A-Za-z](?![A-Za-z]))++"""
)
"""Base64 or hexadecimal digits, alone in a string or in a data URI; numbers, also in the path of an SVG. Neither can
have a statement, a call, a word or a comment. No part of it backtracks."""
ROW_SIZE = 16
"""Characters of a row besides its text: side, number, kind, line feed."""
HUNK_SIZE = 26
FILE_SIZE = 80
_PLAIN = re.compile(rb"[\t\x20-\x7e]*\r?")


def visible(text: str) -> str:
    """Escapes characters that hide or reorder text or end lines, for example as `\\u202e`; tabs are kept.

    Joiners and variation selectors are kept where a script or an emoji needs them.
    """
    return _HIDDEN_OR_LINE_END.sub(_escape, text)


def named(text: object, limit: int = 5_000) -> str:
    """Returns an untrusted name on one line, as a JSON string; in ASCII if it contains invisible characters."""
    value = str(text)
    cut_value = cut_shown(value, limit)
    if len(value) > len(cut_value):
        cut_value += "…"
    shown = json.dumps(cut_value, ensure_ascii=False)
    return shown if visible(shown) == shown else json.dumps(cut_value)


def cut_shown(text: str, limit: int) -> str:
    """Returns at most `limit` characters; a sixth if many are invisible, because these are shown with six each."""
    shortened = text[:limit]
    return shortened if len(visible(shortened)) <= 2 * limit else shortened[: limit // 6]


def shown_text(line: DiffLine) -> str:
    """Returns the line as shown in a prompt: `visible`, invalid UTF-8 as `\\xff`, at most LINE_LIMIT bytes of it.

    The carriage return of a CRLF line is part of the line end and is not shown.
    """
    raw = without_data(line.raw)
    if len(raw) > LINE_LIMIT:
        end = LINE_LIMIT
        while end > LINE_LIMIT - 4 and raw[end] & 0xC0 == 0x80:  # not within a character of UTF-8
            end -= 1
        return (
            visible(raw[:end].decode("utf-8", "backslashreplace"))
            + f" … [cut: {len(line.raw):,} bytes in all]"
        )
    return visible(raw.removesuffix(b"\r").decode("utf-8", "backslashreplace"))


def without_data(raw: bytes) -> bytes:
    """Returns a line above LINE_LIMIT with the start and the size of each long data run.

    A shorter line, or one above 8 MB, is returned as it is.
    """
    return _without_runs(raw) if LINE_LIMIT < len(raw) <= _LONGEST_SEARCHED else raw


def is_shown_whole(line: DiffLine) -> bool:
    """Returns True if nothing of the line is left out in a prompt."""
    return len(line.raw) <= LINE_LIMIT


def is_cut(line: DiffLine) -> bool:
    """Returns True if the line is too long for a prompt, also without its data."""
    return len(line.raw) > LINE_LIMIT and len(without_data(line.raw)) > LINE_LIMIT


@lru_cache(maxsize=64)
def _without_runs(raw: bytes) -> bytes:
    return _DATA_RUN.sub(_shorten_run, raw)


def _shorten_run(match: re.Match[bytes]) -> bytes:
    run = match[0]
    if len(run) < _SHORTEST_RUN:
        return run
    return run[:_RUN_START] + f"… [{len(run):,} bytes of data] …".encode()


def line_size(line: DiffLine) -> int:
    """Returns the number of characters of the line's row in a prompt."""
    raw = line.raw
    if len(raw) <= LINE_LIMIT and _PLAIN.fullmatch(raw):
        return len(raw) + ROW_SIZE
    return len(shown_text(line)) + ROW_SIZE


def shown_size(hunk: Hunk) -> int:
    """Returns the number of characters of the hunk in a prompt, including its header."""
    return heading_size(hunk) + sum(map(line_size, hunk.lines))


def heading_size(hunk: Hunk) -> int:
    """Returns the number of characters of the hunk's header line in a prompt."""
    return HUNK_SIZE + len(visible(hunk.heading))


def header_size(file: FileDiff) -> int:
    """Returns the number of characters of the line above a file's hunks; in names to escape, six per character."""
    names = [file.path, file.old_path or ""]
    return FILE_SIZE + sum(
        len(name) if name.isascii() and name.isprintable() else 6 * len(name) for name in names
    )


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if _is_needed(match):
        return match[0]
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

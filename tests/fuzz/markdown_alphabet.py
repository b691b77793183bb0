"""Maps a fuzzer's bytes to untrusted Markdown: a byte is an ASCII character or a whole trick."""

from __future__ import annotations

from typing import Final

WORDS: Final = ("quartz", "lantern", "pebble", "walnut", "thimble", "meadow", "copper", "violin")
"""Words that are in no trick and no text of ours; a missing one shows that text was lost."""

_BLOCKS = (
    *("\n\n", "\n> ", "\n>", "\n- ", "\n* ", "\n+ ", "\n1. ", "\n1) ", "\n    ", "\n\t", "\n  ", "\n---\n"),
    *("\n***\n", "\n===\n", "\n# ", "\n###### ", "\n```\n", "\n````\n", "\n~~~\n", "\n```python\n", "```"),
    *("\n```suggestion\n", "\n```mermaid\n", "\n``` math\n", "\n~~~geojson\n", "\n - ```\n", "\n> ```\n"),
    *("\n| a | b |\n|---|---|\n| ", "\n|-|-|\n", "\n-|-\n", "\n:-:\n", " | ", "\n- [ ] ", "\n- [x] "),
    *("\n> [!CAUTION]\n> ", "\n$$\n", "\n[^1]: ", "[^1]", "\n[x]: ", "\n[x]: https://evil.example 't'\n"),
    *("\n<details>\n", "\n<details><summary>", "</summary>\n\n", "\n</details>\n", "\n<div\n", "\n<!--\n"),
    *("\n-->\n", "\n<pre>\n", "\n</pre>\n", "\n<script>\n", "\n<?php\n", "\n<![CDATA[\n", "\n<!DOCTYPE x>\n"),
)
_INLINE = (
    *("`", "``", "**", "__", "~~", "~", "***", "$", "$`", "`$", "\\", "\\\\", "\\`", "\\[", "\\<", "\\&"),
    *("[", "](", "](<", ">)", "][", "][x]", "![", "](x)", "[x](", "]( 't')", "<", ">", "</", "/>", "<b>"),
    *("<img src=x onerror=alert(1)>", "<picture><source srcset=x>", "<a href=//evil.example>", "<br>"),
    *("<kbd>", "</a>", "<!-- ", "-->", "<!-->", "<!-- hunkwise:", "<!-- hunkwise:summary v1 -->"),
    "<!-- hunkwise:finding v1 fp=0123456789abcdef -->",
    f"<!-- hunkwise:fixed v1 head={'a' * 40} -->",
    *(
        "<https://evil.example>",
        "https://evil.example/x",
        "www.evil.example",
        "ftp://evil.example",
        "http://",
    ),
    *("](https://evil.example)", "](javascript:alert(1))", "](//evil.example)", "mailto:a@evil.example"),
    *("me@evil.example", "xmpp:a@evil.example", "https://github.com", "](https://github.com/o/r)", "://"),
    *("https://github.com/o/r/issues/1", "https://github.com@evil.example/", "https://github.com/../../x"),
    *("![x](https://evil.example/x.png)", "<javascript:alert(1)>", "data:text/html,x", "https://"),
    *("@user", "@org/team", "@", "\uff20user", "&#64;user", "&commat;user", "&#x40;", "&lt;", "&amp;", "&"),
    *("#1", "#", "\uff031", "GH-1", "gh-", "o/r#1", "o/r@", "fixes #2", "closes: o/r#3", "resolves GH-4"),
    *("0123456789abcdef0123456789abcdef01234567", "deadbee", "deadbee...cafebab", "o/r@deadbee1", "7654321"),
    *("/merge", "/hunkwise dismiss", "::error::x", "##[error]x", ":tada:", "GHSA-2222-3333-4444", "_", "*"),
)
_CHARACTERS = (
    *("\r", "\r\n", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x00", "\x1b[31m", "\u200b", "\u200d"),
    *("\u202e", "\u2066", "\xad", "\ufeff", "\U000e0041", "\ud800", "\ufffe", "\ue000", "\ue040", "\xa0"),
    *("\u3000", "e\u0301", "\u0130", "\U0001f469\u200d\U0001f4bb", "\xe9"),
)
TRICKS: Final = tuple(dict.fromkeys((*_BLOCKS, *_INLINE, *_CHARACTERS, *(f" {word} " for word in WORDS))))
"""Texts with a meaning in Markdown, for GitHub, or for bots that read comments."""

_PRINTABLE = frozenset([0x0A, *range(0x20, 0x7F)])
_OTHERS = tuple(byte for byte in range(0x100) if byte not in _PRINTABLE)
_SECOND = 0xFF
"""The byte before a byte that selects a trick of the second half."""


def decode_text(raw: bytes) -> str:
    """Returns the text of the bytes. Any bytes are valid; every text of tricks and ASCII is possible."""
    written: list[str] = []
    rest = iter(raw)
    for byte in rest:
        if byte in _PRINTABLE:
            written.append(chr(byte))
        elif byte == _SECOND:
            written.append(TRICKS[(len(_OTHERS) - 1 + next(rest, 0)) % len(TRICKS)])
        else:
            written.append(TRICKS[_OTHERS.index(byte) % len(TRICKS)])
    return "".join(written)


def encode_text(text: str) -> bytes:
    """Returns bytes for the text, without characters that are not in the alphabet. For a fuzzer's seeds."""
    written = bytearray()
    position = 0
    while position < len(text):
        trick = max((trick for trick in TRICKS if text.startswith(trick, position)), key=len, default="")
        if len(trick) > 1 or (trick and ord(trick) not in _PRINTABLE):
            index = TRICKS.index(trick)
            first = len(_OTHERS) - 1
            written += bytes([_OTHERS[index]]) if index < first else bytes([_SECOND, index - first])
        elif ord(text[position]) in _PRINTABLE:
            written += text[position].encode("ascii")
        position += max(len(trick), 1)
    return bytes(written)

"""Characters that must not leave: controls, what re-orders or hides text, what is no character at all."""

from __future__ import annotations

import re

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")
_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # C0 without tab and line feed, DEL, C1
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # soft hyphen, joiners and fillers
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, bidi, interlinear
    "\U000e0000-\U000e01ef"  # tags and the variation selectors that hide text
    "]"
)


def plain(foreign: str) -> str:
    """The text with line feeds as its only line ends and without unseen characters; no Markdown is touched."""
    return _UNSEEN.sub("", _NO_CHARACTER.sub("\ufffd", _LINE_ENDS.sub("\n", foreign)))


def one_line(foreign: str) -> str:
    """`plain` text with each run of white space as one blank."""
    return " ".join(plain(foreign).split())


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; what was longer ends in an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"[:limit]

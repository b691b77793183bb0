"""Hypothesis strategies for untrusted text and mutated diffs."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.fuzz.markdown_alphabet import TRICKS, WORDS
from tests.fuzz.properties.diffs import unified
from tests.hard_diffs import AVAILABLE, CASES
from tests.publish.test_sanitize import HOSTILE

_WORDS = st.sampled_from(WORDS)
_PIECES = st.one_of(
    st.sampled_from(TRICKS),
    _WORDS,
    st.sampled_from([" ", "\n", " ", "a", "1", ".", "-", "(", ")", "]", "'", '"', ":", "="]),
    st.characters(exclude_categories=()),
)
_FRAMES = (
    *("> {}", "- {}", "1. {}", "   {}", "# {}", "*{}*", "**{}**", "~~{}~~", "`{}`", "`` {} ``", "[{}](x)"),
    *("[x]({})", "![{}](y)", "<b>{}</b>", "<!-- {} -->", "<details>\n\n{}\n\n</details>", "```\n{}\n```"),
    *("~~~~ js\n{}\n~~~~", "| a |\n|---|\n| {} |", "$${}$$", "&#64;{}", "\\{}", "[x]: {}\n\n[x]", "@{}"),
    *("[^1]: {}\n\n[^1]", "\n\n{}\n\n", "{}\n===", "{}\n---", "<https://evil.example/{}>", "#{}"),
    "https://evil.example/{}",
)
_LONG = st.builds(lambda piece, times: piece * times, _PIECES, st.integers(50, 300))


def _framed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda frame, text: frame.replace("{}", text), st.sampled_from(_FRAMES), inner)


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=4).map("".join)


FOREIGN = st.recursive(
    st.lists(_PIECES, max_size=12).map("".join) | st.sampled_from(HOSTILE) | _LONG,
    lambda inner: _framed(inner) | _joined(inner),
    max_leaves=6,
)
"""Markdown of an attacker."""

_LINES = st.lists(
    st.sampled_from(
        [b"", b" ", b"a", b"b", b"\r", b"+", b"-", b"@@ -1 +1 @@", b"\\ x", b"\xff\xfe", b"--- a", b"c\td"]
    )
    | st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b"")),
    max_size=14,
)
FILES = _LINES
"""The lines of a file."""
_HARD = tuple(file.read_bytes() for file in sorted(CASES.glob("*/diff.patch"))) if AVAILABLE else ()
_REAL = st.builds(unified, _LINES, _LINES, st.integers(0, 3))
DIFFS = st.lists(_REAL | st.sampled_from(_HARD), max_size=3).map(b"".join) if _HARD else _REAL
"""Diffs in the form of tools, with the hard cases if they are available."""

_CUTS: tuple[Callable[[bytes, int, bytes], bytes], ...] = (
    lambda raw, at, new: raw[:at] + new + raw[at:],
    lambda raw, at, new: raw[:at] + new + raw[at + len(new) :],
    lambda raw, at, new: raw[:at] + raw[at + 1 + len(new) :],
    lambda raw, at, new: raw[:at],
    lambda raw, at, new: raw[at:] + raw[:at],
    lambda raw, at, new: raw[:at] + raw[raw.find(b"\n", at) + 1 :],
)
_NEW = st.binary(max_size=5) | st.sampled_from([
    b"\n", b"\r\n", b"@@ -1,2 +1,2 @@\n", b"@@@ -1 -1 +1 @@@\n", b"diff --git a/x b/x\n", b"9" * 20, b",",
    b"--- a\n+++ b\n@@ -1 +1 @@\n", b"\n\\ No newline at end of file\n", b":100644 100644 1 2 M\tx\n",
    b"\t", b'"\\377"', b"+", b"-",
])  # fmt: skip
_CHANGES = st.lists(st.tuples(st.sampled_from(_CUTS), st.floats(0, 1), _NEW), max_size=5)


@st.composite
def mutated(draw: st.DrawFn, diffs: st.SearchStrategy[bytes] = DIFFS) -> bytes:
    """Returns a diff with some bytes inserted, overwritten, removed or moved."""
    raw = draw(diffs)
    for change, part, new in draw(_CHANGES):
        raw = change(raw, int(part * len(raw)), new)
    return raw

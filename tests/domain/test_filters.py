"""Tests that text to and from a model loses the same invisible characters, and none that a script or emoji needs."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunkwise.domain.text import plain, visible

LINE_ENDS = "\r\n\v\f\x85\u2028\u2029"
FLAG = "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbsct") + "\U000e007f"


def test_characters_escaped_in_prompts_are_not_posted() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if character not in LINE_ENDS and visible(character) != character:
            assert character not in plain(character), hex(code)
            assert character not in plain(f"a{character}b"), hex(code)
        elif character not in LINE_ENDS:
            assert plain(character) == character, hex(code)


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian
        "ශ්\u200dරී",  # Sinhala
        "क्\u200dष",  # Hindi
        "ন্\u200cত",  # Bengali
        "ന്\u200d",  # Malayalam, at the end of a word
        "ខ្មែរ",
        "👩\u200d💻",
        "👩🏽\u200d💻",
        "❤\ufe0f\u200d🔥",
        "👁\ufe0f\u200d🗨\ufe0f",
        "🏴\u200d☠\ufe0f",
        "👨\u200d👩\u200d👧\u200d👦",
        "1\ufe0f\u20e3 #\ufe0f\u20e3",
        "©\ufe0f ☺\ufe0e",
        FLAG,
        f"{FLAG}{FLAG}",
        "🇩🇪",
    ],
)
def test_scripts_and_emoji_keep_needed_characters(text: str) -> None:
    assert plain(text) == visible(text) == text
    assert plain(f"emoji {text}.py") == f"emoji {text}.py"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u200db", "ab"),
        ("é\u200cb", "éb"),
        ("می\u200c\u200cخ", "می\u200cخ"),
        ("می\u200d\u200cخ", "می\u200dخ"),
        ("👩\u200d", "👩"),
        ("👩\u200dx", "👩x"),
        ("👩\u200c💻", "👩💻"),
        ("a\ufe0f1\ufe0fb", "a1b"),
        ("☺\ufe0f\ufe0f\ufe0e", "☺\ufe0f"),
        ("\U0001f3f4\U000e0061\U000e007f", "\U0001f3f4"),
        ("x\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "x"),
        (FLAG + "\U000e0041", FLAG),
        ("a\ufe00\U0001bca0\u180bb", "ab"),
    ],
)
def test_other_joiners_are_dropped(text: str, expected: str) -> None:
    assert plain(text) == expected
    assert plain(visible(text)) == visible(text) != text


@given(st.text(st.sampled_from("aé1👩☺ی\u200c\u200d\ufe0e\ufe0f\u20e3\U0001f3f4\U000e0067\u200b\n")))
def test_filtering_is_idempotent(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert visible(plain(text)).replace("\\u000a", "\n") == plain(text)

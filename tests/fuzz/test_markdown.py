"""All posted texts with untrusted Markdown, rendered with GitHub's fork of cmark."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.github_markdown import shown
from tests.fuzz.markdown_alphabet import TRICKS, decode_text, encode_text
from tests.fuzz.posted_texts import POSTED
from tests.fuzz.properties.markdown import check_cut_text, check_posted_text, check_sanitized_text
from tests.fuzz.strategies import FOREIGN
from tests.publish.test_sanitize import HOSTILE

FOUND = [
    "***",
    "1. ***\n2. ---",
    "- - -",
    "_ _ _",
    "```\n@user\n```",
    "https://github.com/o/r/../../login",
    "https://github.com/o/r/%2E%2e/login",
    "../../../../login/oauth",
    "_deadbee_ deadbee...cafebab (7654321)",
    "_GHSA-2222-3333-4444_",
]
"""Texts that fuzzing found earlier."""


@pytest.mark.parametrize("place", POSTED)
def test_known_tricks_have_no_effect_in_posted_texts(place: str) -> None:
    for untrusted in [*FOUND, *HOSTILE]:
        check_posted_text(place, untrusted)


@pytest.mark.parametrize("untrusted", FOUND)
def test_known_tricks_lose_no_word(untrusted: str) -> None:
    check_sanitized_text(untrusted)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(POSTED)), FOREIGN)
def test_untrusted_text_has_no_effect_in_posted_texts(place: str, untrusted: str) -> None:
    check_posted_text(place, untrusted)


@settings(max_examples=150, deadline=None)
@given(FOREIGN)
def test_untrusted_text_has_no_effect_and_loses_no_word(untrusted: str) -> None:
    check_sanitized_text(untrusted)


@settings(max_examples=100, deadline=None)
@given(FOREIGN, st.integers(0, 200))
def test_cut_untrusted_text_has_no_effect(untrusted: str, limit: int) -> None:
    check_cut_text(untrusted, limit)


@pytest.mark.parametrize(
    ("markdown", "fault"),
    [
        ("<b>x</b>", "<b>"),
        ("![x](y)", "<img>"),
        ("- [x] y", "<input>"),
        ("a[^1]\n\n[^1]: b", "<section>"),
        ("```mermaid\ngraph\n```", "a fence of mermaid"),
        ("<!DOCTYPE x>", "<!DOCTYPE x"),
        ("<?php ?>", "<?php ?"),
        ("<a onclick=x>y</a>", "<a onclick>"),
        ("hello @user", "calls: 'hello @user'"),
        ("see o/r#1", "calls: 'see o/r#1'"),
        ("fixes\nGH-1", "calls: '\\nGH-1'"),
        ("in deadbee.", "calls: 'in deadbee.'"),
        ("a&#8238;b", "unseen: '\\u202e'"),
        ("(GHSA-2222-3333-4444)", "calls: '(GHSA-2222-3333-4444)'"),
    ],
)
def test_renderer_finds_what_github_would_act_on(markdown: str, fault: str) -> None:
    assert fault in shown(markdown).faults


def test_renderer_finds_links_paragraphs_and_hidden_text() -> None:
    assert shown("www.evil.example").links == ["http://www.evil.example"]
    assert shown("one\n\n> two\n\nthree").paragraphs == ["one", "three"]
    assert shown("```\nthree").paragraphs == []
    assert shown("<!-- a b c\n\nthree").comments == []
    assert shown("<!-- a b c -->").comments == ["a b"]
    assert shown("<em>x</em> *y*").raw_html == 2
    assert shown("<![CDATA[x]]>").raw_html == 1


def test_every_trick_can_be_encoded() -> None:
    for trick in TRICKS:
        assert decode_text(encode_text(trick)) == trick
    assert decode_text(bytes(range(256)))
    assert encode_text("\u4e2d a") == b" a"

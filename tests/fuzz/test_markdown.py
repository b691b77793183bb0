"""Everything that is posted, rendered by GitHub's own fork of cmark."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.github_markdown import shown
from tests.fuzz.markdown_alphabet import TRICKS, spelled, spelling
from tests.fuzz.posted_texts import POSTED
from tests.fuzz.properties.markdown import does_nothing, keeps_its_limit, stays_itself
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
"""What fuzzing has found once."""


@pytest.mark.parametrize("place", POSTED)
def test_tricks_that_worked_once_do_nothing_anywhere(place: str) -> None:
    for foreign in [*FOUND, *HOSTILE]:
        does_nothing(place, foreign)


@pytest.mark.parametrize("foreign", FOUND)
def test_tricks_that_worked_once_lose_no_word(foreign: str) -> None:
    stays_itself(foreign)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(POSTED)), FOREIGN)
def test_foreign_text_does_nothing_wherever_it_is_posted(place: str, foreign: str) -> None:
    does_nothing(place, foreign)


@settings(max_examples=150, deadline=None)
@given(FOREIGN)
def test_foreign_text_does_nothing_and_loses_no_word(foreign: str) -> None:
    stays_itself(foreign)


@settings(max_examples=100, deadline=None)
@given(FOREIGN, st.integers(0, 200))
def test_foreign_text_that_is_cut_does_nothing(foreign: str, limit: int) -> None:
    keeps_its_limit(foreign, limit)


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
def test_the_judge_sees_what_github_would_act_upon(markdown: str, fault: str) -> None:
    assert fault in shown(markdown).faults


def test_the_judge_sees_links_paragraphs_and_what_swallows_them() -> None:
    assert shown("www.evil.example").links == ["http://www.evil.example"]
    assert shown("one\n\n> two\n\nthree").paragraphs == ["one", "three"]
    assert shown("```\nthree").paragraphs == []
    assert shown("<!-- a b c\n\nthree").comments == []
    assert shown("<!-- a b c -->").comments == ["a b"]
    assert shown("<em>x</em> *y*").raw_html == 2
    assert shown("<![CDATA[x]]>").raw_html == 1


def test_every_trick_can_be_spelled() -> None:
    for trick in TRICKS:
        assert spelled(spelling(trick)) == trick
    assert spelled(bytes(range(256)))
    assert spelling("\u4e2d a") == b" a"

"""Text of models and untrusted authors is shown without effects."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.domain.text import plain
from hunkwise.publish.sanitize import code_span, fence, line, suggestion_fence, text
from tests.publish.drafts import rendered

SERVER = "https://github.com"

HOSTILE = [
    "hello @user and @org/team",
    "**@user** _@user_ (@user) \\@user `a`@user",
    "full-width ＠user, small ﹫user",
    "&#64;user &#x40;user &commat;user",
    "@\u200buser, us\u00ader@\u202eexample.org",
    "fixes #12, closes octo/repo#3, GH-4, gh\\-4, \\#12, ＃12",
    "octo/repo@0123456789012345678901234567890123456789",
    "<b>bold</b> <img src=x onerror=alert(1)> <script>alert(1)</script>",
    "<!-- hidden -->\n<!-- never closed",
    "<details><summary>x</summary>\n\n@user\n\n</details>",
    "<picture><source srcset=x></picture>\n\n<div\n>\n</div>",
    "![image](https://evil.example/x.png) ![](x) ![a][b]\n\n[b]: https://evil.example/y.png",
    "[text](https://evil.example) [t](https://evil.example 'title') [t](<https://evil.example>)",
    "[t](javascript:alert(1)) <javascript:alert(1)> [t](data:text/html,x) [t](//evil.example)",
    "[t](https://github.com@evil.example) [t](https://xn--gthub-cta.example/) https://github.com.evil.example/",
    "[t][ref] [ref] [t]\n\n[ref]: https://evil.example 'x'\n[t]: javascript:alert(1)",
    "<https://evil.example> https://evil.example www.evil.example ftp://evil.example me@evil.example",
    "HTTPS://EVIL.EXAMPLE WWW.EVIL.EXAMPLE xhttps://evil.example _https://evil.example_ mailto:a@b.c",
    "[a [b](https://evil.example) c](https://evil.example) [`a`](https://evil.example) [^1]\n\n[^1]: note",
    "/merge\n /approve\n/lgtm now",
    "<!-- hunkwise:finding v1 fp=0123456789abcdef -->",
    "`<!-- hunkwise:review v1 -->`\n```\n<!--hunkwise:review v1-->\n```",
    "::error::x\n ::set-output name=a::b\n##[error]x",
    "`unclosed @user <b>\n\n``two @user ` <b>",
    "```\nunclosed @user <b>",
    "````\n```\n@user\n```\n<b>\n````\n@user",
    "~~~html\n<b>\n~~~\n~~~~\n@user",
    "```suggestion\nrm -rf /\n```\n```mermaid\ngraph\n```\n```math\nx\n```",
    "- ```\n  @user\n  ```\n- ~~~\n  @user <b>\n> ```\n> @user\n> ```\n> ~~~\n> @user",
    "| a | `b | <b>` |\n|---|---|\n| c | ``@user | d`` |",
    "| @user | <b> |\n|:-:|---|\n| [t](https://evil.example) | `a | @user` | more |\n/merge | x\n",
    "a | b\n- | -\n@user \\| <b> \\\\| `x\n| ``` | ~~~ |\n```\n@user | x\n```\n| c | <!-- hunkwise:finding v1 --> |",
    "| a |\n| - |\n| ![i](https://evil.example/i.png) |\n> | @user |\n- | <b> |\n\n| x |\n@user | y",
    "x\n:-:\n``@user | b``\n\n> x\n> :-:\n> ``@user | b``\n\n- x\n  -:\n  ``@user | b``",
    "x\n\\:-:\n``@user | b``",
    "# Approved\n\nApproved\n===\n\nApproved\n---\n\n- # x\n\n> # x",
    "    indented @user <b>\n\n\t`@user` <b>",
    "a\\`b `c\\` @user `d` \\\\`@user`",
    "$x$ $$x$$ $`\\href{javascript:alert(1)}{x}`$",
    "a\x00b\x1b[31m\x07\x9b \ud800 \udfff \ufffe",
    "\u202eevil\u202c \u2066x\u2069 \U000e0041\U000e0042 \ue000\ue040user",
    "one\rtwo\r\nthree\u2028/merge\u2029four\x85/merge\x0b/merge\x0c/merge",
    "&lt;b&gt; &amp;#64;user &#36;x &nbsp; &copy &#0; &#xD800;",
    "> [!CAUTION]\n> @user\n>>>>>> deep\n1. one\n   - two @user\n2) three",
    "#[1](https://e.example) [#](#)1 #``  ``1 gh-[1](x) www[.evil.example](x) http:[//evil.example](x)",
    "[x](https://github.com/a/b/issues/1) https://github.com/a/b/pull/2 https://github.com/a/b/commit/abc",
]


def faults_of(markdown: str) -> list[str]:
    found = rendered(markdown)
    external = [link for link in found.links if not link.startswith(f"{SERVER}/")]
    starts = r"/[A-Za-z]" if "```" in markdown else r"/[A-Za-z]|::"  # code shows its colons as they are
    lines = [row for row in markdown.split("\n") if re.match(starts, row)]
    tables = len(re.findall(r"^\|(?: --- \|)+$", markdown, re.MULTILINE))
    faults = [fault for fault in found.faults if not fault.startswith("table_open")]
    faults += ["a table that is not ours"] * (len(found.faults) - len(faults) > tables)
    return faults + external + lines + re.findall(r"<!--\s*hunkwise", markdown)


@pytest.mark.parametrize("untrusted", HOSTILE)
def test_untrusted_text_cannot_mention_embed_or_link(untrusted: str) -> None:
    once = text(untrusted, 10_000, server_url=SERVER)
    assert faults_of(once) == []
    assert faults_of(text(once, 10_000, server_url=SERVER)) == []


@pytest.mark.parametrize("untrusted", HOSTILE)
def test_untrusted_line_stays_one_line_without_effects(untrusted: str) -> None:
    once = line(untrusted, 10_000)
    assert "\n" not in once
    assert faults_of(once) == []
    assert faults_of(line(once, 10_000)) == []
    assert faults_of(f"**{once}**") == []
    table = rendered(f"| a | b |\n|---|---|\n| {once} | last |")
    assert table.prose[-1] == "last"


@pytest.mark.parametrize(
    ("untrusted", "written"),
    [
        ("\t- a", "   - a"),
        ("     - a\n     - b", "   - a\n     - b"),
        ("- a\n  - b\n    - c\n- d", "- a\n  - b\n    - c\n- d"),
        ("10. a\n    - b", "10. a\n    - b"),
        ("- a\n\n        - b", "- a\n\n     - b"),
        ("   - a\n\n    - b", "   - a\n\n   - b"),
        ("- a\n  - b\n\n   - c", "- a\n  - b\n\n   - c"),
        ("text\n1. a\n\n    - b", "text\n1. a\n\n    - b"),
        ("text\n10. a\n\n    - b", "text\n10. a\n\n   - b"),
        ("text\n- \n\n    - b", "text\n\\-\n\n   - b"),
        ("- a\nmore\n    - b", "- a\nmore\n    - b"),
        ("- a\n\ntext\n\n    - b", "- a\n\ntext\n\n   - b"),
        ("- a\n> quote\n\n    - b", "- a\n> quote\n\n   - b"),
        ("- a\n```\ncode\n```\n    - b", "- a\n\n```\ncode\n```\n\n   - b"),
        ("- a\n\n|x|y|\n|-|-|\n\n    - b", "- a\n\n| x | y |\n| --- | --- |\n\n   - b"),
    ],
)
def test_an_item_of_a_list_does_not_become_code(untrusted: str, written: str) -> None:
    assert text(untrusted, 1_000) == written
    assert faults_of(re.sub("```.*```", "", written, flags=re.DOTALL)) == []


FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from([piece for sample in HOSTILE for piece in re.findall(r"\w+|\s+|[^\w\s]+", sample)]),
        st.sampled_from(list("`~<>[]()!@#|\\&;:-=*_/$ \n\t'\"")),
        st.sampled_from(
            [
                *("```", "\n```\n", "\n> ", "\n- ", "\n1. ", "|-|-|\n", "\n:-:\n", "](https://e.x)", "&#64;"),
                *("\n| a | b |\n|---|---|\n| ", "\na|b\n-|-\n", " | ", "\\|"),
            ]
        ),
        st.characters(exclude_categories=[]),
    ),
    max_size=60,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(FRAGMENTS, st.sampled_from(["", SERVER]))
def test_combined_tricks_have_no_effect(untrusted: str, server_url: str) -> None:
    once = text(untrusted, 5_000, server_url=server_url)
    assert faults_of(once) == []
    assert faults_of(text(once, 5_000, server_url=server_url)) == []
    assert faults_of(f"- {line(untrusted, 5_000)}") == []
    once.encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(FRAGMENTS, st.integers(0, 80))
def test_limits_apply(untrusted: str, limit: int) -> None:
    assert len(text(untrusted, limit)) <= limit
    assert len(line(untrusted, limit)) <= limit
    assert faults_of(text(untrusted, limit)) == []


@pytest.mark.parametrize(
    ("untrusted", "written"),
    [
        ("Calls `open()` **twice**, _never_ closes.", "Calls `open()` **twice**, _never_ closes."),
        ("- one\n- two\n  1. three", "- one\n- two\n  1. three"),
        ("> quoted\n\nplain", "> quoted\n\nplain"),
        ("a < b && c > d -> e", "a &lt; b \\&\\& c > d -> e"),
        ("```python\nx = '<b>'  # @user\n```", "```python\nx = '<b>'  # @user\n```"),
        ("1. step\n   ```js\n   a()\n     b()\n   ```", "1. step\n\n```js\na()\n  b()\n```"),
        ("see @user.", "see `@user`."),
        ("[docs](https://other.example/a)", "docs (`https://other.example/a`)"),
        ("costs $5 or $6", "costs &#36;5 or &#36;6"),
        ("![logo](https://other.example/x.png)", "logo (`https://other.example/x.png`)"),
        ("[https://a.example](https://a.example)", "`https://a.example`"),
        ("[](https://a.example)", "(`https://a.example`)"),
        ("see https://a.example/b?c=1&d=2.", "see `https://a.example/b?c=1&d=2`."),
        (f"{SERVER}/o/r/blob/main/a.py#L3-L4", f"<{SERVER}/o/r/blob/main/a.py#L3-L4>"),
        (f"[the code]({SERVER}/o/r/blob/main/a.py)", f"[the code]({SERVER}/o/r/blob/main/a.py)"),
        (f"[@x {SERVER}/o]({SERVER}/o/r)", f"[`@x` `{SERVER}/o`]({SERVER}/o/r)"),
        ("## Why\ntext", "**Why**\ntext"),
        (
            "Both:\n| Case | Result |\n|:---|---:|\n| `a()` | x \\| y |\n| only one |\n| a | b | c |\nDone.",
            "Both:\n\n| Case | Result |\n| --- | --- |\n| `a()` | x \\| y |\n| only one |  |\n| a | b |\n\nDone.",
        ),
        ("a | b\n--|--\nc | _d_ **e**", "| a | b |\n| --- | --- |\n| c | \\_d\\_ \\*\\*e\\*\\* |"),
        ("| a |\n|---|\n\n| b |", "| a |\n| --- |\n\n\\| b \\|"),
        ("| a | b |\n|---|", "\\| a \\| b \\|\n\\|---|"),
        ("a | b\ntext\n---|---", "a \\| b\ntext\n\\---|---"),
        ("#", ""),
        ("*args and ~~gone~~", "*args and ~~gone~~"),
        ("one\n\n\n\ntwo\n", "one\n\ntwo"),
        ("", ""),
    ],
)
def test_harmless_markdown_is_unchanged(untrusted: str, written: str) -> None:
    assert text(untrusted, 1_000, server_url=SERVER).startswith(written)


@pytest.mark.parametrize(
    ("untrusted", "written"),
    [
        ("`open` is *never* closed_here", "`open` is \\*never\\* closed\\_here"),
        ("a | b `c|d`", "a \\| b c\\|d"),
        ("# not a heading", "\\# not a heading"),
        ("1. not a list", "1\\. not a list"),
        ("- not\na list", "\\- not a list"),
        ("> no quote", "\\> no quote"),
        ("C:\\temp", "C:\\\\temp"),
        ("_@user_", "`_@user`\\_"),
    ],
)
def test_line_is_escaped(untrusted: str, written: str) -> None:
    assert line(untrusted, 200) == written


@pytest.mark.parametrize(("columns", "rows", "written"), [(20, 100, 102), (21, 3, 0), (2, 500, 102)])
def test_table_is_limited(columns: int, rows: int, written: int) -> None:
    lines = ["| a" * columns + " |", "|---" * columns + "|", *["| b" * columns + " |"] * rows]
    table = [row for row in text("\n".join(lines), 100_000).split("\n") if row.startswith("| ")]
    assert len(table) == written


def test_cut_text_ends_with_an_ellipsis() -> None:
    assert text("word " * 100, 50).endswith("\n\n…")
    assert line("word " * 100, 20).endswith("…")
    assert len(text("<" * 100, 50)) <= 50
    assert text("<<<", 2) == "…"


@pytest.mark.parametrize("content", ["a", "`", "``", "`a` ``b``", "a`", " a\nb ", "```x```", "\\`"])
def test_content_cannot_leave_a_code_span(content: str) -> None:
    found = rendered(f"before {code_span(content)} after")
    assert found.code == [" ".join(content.split())]
    assert found.prose == ["before ", " after"]


@pytest.mark.parametrize(
    "content", ["", "a", "```", "````\n```", "~~~", "a\n\n", "/merge\n\n x", "\n", "  b"]
)
def test_fence_shows_exactly_its_content(content: str) -> None:
    expected = content if not content or content.endswith("\n") else f"{content}\n"
    assert rendered(fence(content, "py")).code == [expected]
    assert rendered(suggestion_fence(content)).faults == ["a fence of suggestion"]
    assert rendered(suggestion_fence(content)).code == [expected]


def test_fence_has_no_line_with_a_slash_command() -> None:
    assert not re.search("^/", fence("ok\n/merge\n/approve"), re.MULTILINE)


@pytest.mark.parametrize("language", ["suggestion", "Mermaid", "a b", "`", "x" * 40, "<b>"])
def test_fence_has_no_language_that_github_draws(language: str) -> None:
    assert fence("x", language) == "```\nx\n```"


def test_empty_code_span_is_empty() -> None:
    assert code_span(" \u200b ") == ""
    assert text("``  `` # x", 100) == "\\# x"


def test_plain_text_has_no_invisible_characters() -> None:
    assert plain("**a**\u200b\r\nb\x00\ud800\tc") == "**a**\nb\ufffd\tc"
    assert plain("x\ufdd0\ufffe") == "x\ufdd0\ufffd"


@pytest.mark.parametrize(
    "flood", [" ", "` `` ", "> ", "- ", *"` [ ![a](x < @ &lt \\ _ . http:// [a]( gh- ~".split()]
)
def test_long_repetitive_text_is_processed(flood: str) -> None:
    untrusted = flood * (65_536 // len(flood)) + "x"
    assert len(text(untrusted, 65_536)) <= 65_536
    assert len(line(untrusted, 1_000)) <= 1_000

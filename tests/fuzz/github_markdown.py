"""Renders Markdown with GitHub's fork of cmark, and reads the HTML like a browser."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from cmarkgfm.cmark import Options, markdown_to_html_with_extensions  # type: ignore[import-untyped]  # it ships no types

_EXTENSIONS: Final = ("table", "autolink", "strikethrough", "tasklist")
_GITHUB: Final = (
    Options.CMARK_OPT_GITHUB_PRE_LANG | Options.CMARK_OPT_FOOTNOTES | Options.CMARK_OPT_HARDBREAKS
)
_OMITTED: Final = "<!-- raw HTML omitted -->"
_VOID: Final = frozenset({"br", "hr", "img", "input", "source"})
_INLINE: Final = frozenset({"p", "em", "strong", "del", "a", "code", "br"})
_BLOCKS: Final = frozenset({"ul", "ol", "li", "blockquote", "pre"})
_SKELETON: Final = frozenset(
    {
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
        "details",
        "summary",
        "sub",
    }
)
"""Elements that only our text may produce, except for tables: untrusted text must not add or remove any."""
TABLE: Final = frozenset({"table", "thead", "tbody", "tr", "td", "th"})
"""Elements of a table, which a text of several lines may have, beside those of ours."""
_DRAWN: Final = frozenset({"math", "mermaid", "geojson", "topojson", "stl"})
_OUR_CHART: Final = re.compile(r'pie showData\n(?:  "(?:critical|high|medium|low)" : \d+\n)+')
# GitHub's filters run over text nodes outside of code and links; these patterns match at least as much.
_CALLS: Final = re.compile(
    r"[@\uff20\ufe6b]"  # people, teams, mail addresses, commits of other repositories
    r"|[#\uff03\ufe5f]\d"  # issues, with and without a repository
    r"|(?<![A-Za-z0-9])gh-\d"
    r"|(?-i:(?<![0-9A-Za-z_])[0-9a-f]{7,40}(?![0-9A-Za-z_]))"  # commits
    r"|\bghsa-\w{4}-\w{4}-\w{4}"  # advisories
    r"|https?://|ftp://|www\.\w",
    re.IGNORECASE,
)
_UNSEEN: Final = re.compile(
    # Joiners belong to emoji and to scripts that need them, never between ASCII.
    "(?<![^\x00-\x7f])[\u200c\u200d](?![^\x00-\x7f])"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e01ef]"
)
_CLOSES: Final = re.compile(r"\b(?:close|fix|resolve)[a-z]*:?\s+(?:\S+/\S+)?(?:#|gh-)\d", re.IGNORECASE)


@dataclass
class Shown:
    """A rendered text: the visible parts, and those that GitHub would act on."""

    links: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Elements that are always an error."""
    fences: list[tuple[str, str]] = field(default_factory=list)
    """Language and content of each block of code."""
    paragraphs: list[str] = field(default_factory=list)
    """The text of each top-level paragraph."""
    skeleton: Counter[str] = field(default_factory=Counter)
    comments: list[str] = field(default_factory=list)
    """The first two words of each HTML comment."""
    raw_html: int = 0
    """Number of raw HTML elements."""
    texts: list[str] = field(default_factory=list)
    """Text nodes outside of code and links."""
    everything: str = ""
    """All visible text, with code and links."""


def shown(markdown: str) -> Shown:
    """Renders the text as a GitHub comment, without the filtering of HTML that follows on GitHub."""
    found = Shown(raw_html=_html(markdown, _GITHUB).count(_OMITTED) if "<" in markdown else 0)
    reader = _Reader(found)
    try:
        reader.feed(_html(markdown, _GITHUB | Options.CMARK_OPT_UNSAFE))
        reader.close()
    except AssertionError as error:  # html.parser fails on `<![`, which no posted text may have
        found.faults.append(str(error))
    reader.end_text()
    found.everything = "".join(reader.written)
    drawn = [fence for fence in found.fences if fence[0].lower() in _DRAWN]
    found.faults += [f"a fence of {name}" for name, content in drawn if not _OUR_CHART.fullmatch(content)]
    found.faults += [f"unseen: {character!r}" for character in _UNSEEN.findall(found.everything)]
    for text in found.texts:
        found.faults += [f"calls: {text!r}" for pattern in (_CALLS, _CLOSES) if pattern.search(text)]
    return found


def _html(markdown: str, options: int) -> str:
    # Without lone surrogates: posted texts are encoded before.
    text = markdown.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
    return str(markdown_to_html_with_extensions(text, options, _EXTENSIONS))


class _Reader(HTMLParser):
    def __init__(self, found: Shown) -> None:
        super().__init__(convert_charrefs=True)
        self.found = found
        self.written: list[str] = []
        self._open: list[str] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end_text()
        attributes = dict(attrs)
        if tag in _SKELETON:
            self.found.skeleton[tag] += 1
        elif tag not in _INLINE | _BLOCKS:
            self.found.faults.append(f"<{tag}>")
        self._begin(tag, attributes)
        if tag not in _VOID:
            self._open.append(tag)

    def _begin(self, tag: str, attributes: dict[str, str | None]) -> None:
        known = {"a": {"href", "title"}, "pre": {"lang"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}
        self.found.faults += [f"<{tag} {name}>" for name in attributes.keys() - known.get(tag, set())]
        if tag == "a":
            self.found.links.append(attributes.get("href") or "")
        elif tag == "pre":
            self.found.fences.append((attributes.get("lang") or "", ""))
        elif tag == "p" and not self._open:
            self.found.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        self.end_text()
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_comment(self, data: str) -> None:
        self.end_text()
        self.found.comments.append(" ".join(data.split()[:2]))

    def handle_decl(self, decl: str) -> None:
        self.found.faults.append(f"<!{decl}")

    def unknown_decl(self, data: str) -> None:
        self.found.faults.append(f"<![{data}")

    def handle_pi(self, data: str) -> None:
        self.found.faults.append(f"<?{data}")

    def handle_data(self, data: str) -> None:
        self.written.append(data)
        if "pre" in self._open:
            language, content = self.found.fences[-1]
            self.found.fences[-1] = (language, content + data)
        elif self._open[:1] == ["p"]:
            self.found.paragraphs[-1] += data
        if not {"pre", "code", "a"} & {*self._open}:
            self._text += data

    def end_text(self) -> None:
        """Ends a text node, at a tag or a comment."""
        if self._text:
            self.found.texts.append(self._text)
        self._text = ""

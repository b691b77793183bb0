"""Properties of posted texts with any text of a model or an untrusted author."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from hunkwise.domain.pull_request import Comment
from hunkwise.domain.text import one_line, plain
from hunkwise.publish import sanitize
from hunkwise.publish.sanitize import without_marker
from hunkwise.tracking.markers import is_fixed, is_review_marker, raised_in
from hunkwise.tracking.state import decode
from tests.fuzz.github_markdown import TABLE, Shown, shown
from tests.fuzz.markdown_alphabet import WORDS
from tests.fuzz.posted_texts import FOLLOWING, LATER_FINDING, POSTED, hostile
from tests.publish.samples import SERVER, state

LONGEST: Final = 4_000
"""Characters of untrusted text; more would be cut in pages, which then differ."""
_PLAIN_ADDRESS: Final = re.compile(
    re.escape(SERVER)
    + r"/(?!/)[A-Za-z0-9._~/%?=&+-]*(?:#(?:L\d+(?:-L\d+)?|discussion_r1|pullrequestreview-1))?"
)
_REFERENCE: Final = re.compile(
    re.escape(SERVER)
    + r"/(?:orgs/[^/]+/discussions|[^/]+/[^/]+/(?:issues|pulls?|discussions|commits?|compare))(?:/|$)"
)
_OURS: Final = (f"{SERVER}/o/r/pull/7#discussion_r1", f"{SERVER}/o/r/pull/7#pullrequestreview-1")
_STEPS: Final = re.compile(r"[^:]//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_COMMAND: Final = re.compile(r"^/[A-Za-z]", re.MULTILINE)
_WORDS: Final = re.compile("|".join(WORDS))


def check_posted_text(place: str, untrusted: str) -> None:
    """Checks that the posted text has no external links and mentions, and does not change our text."""
    untrusted = untrusted[:LONGEST]
    if not (sanitize.text(untrusted, LONGEST) and sanitize.line(untrusted, LONGEST)):
        return  # the text is empty after sanitizing, and blocks of the calm text are missing
    posted = POSTED[place](untrusted)
    posted.encode("utf-8")
    seen = shown(f"{posted}\n\n{FOLLOWING}")
    assert seen.faults == []
    assert [link for link in seen.links if not _is_allowed(link)] == []
    assert _COMMAND.search(posted) is None
    calm = _calm(place)
    assert (seen.raw_html, seen.comments) == (calm.raw_html, calm.comments)
    added = seen.skeleton - calm.skeleton
    assert calm.skeleton <= seen.skeleton
    assert added.keys() <= (TABLE if shown(sanitize.text(untrusted, LONGEST)).skeleton["table"] else set())
    assert seen.paragraphs[-1] == FOLLOWING
    if LATER_FINDING in calm.paragraphs:
        assert LATER_FINDING in seen.paragraphs
    if place.startswith("comment"):
        assert seen.paragraphs[0].startswith("🟠\u00a0high · ")
        assert seen.paragraphs[-2].endswith(" · 50 % confident · prompt review")
    _check_suggestions(place, untrusted, seen)
    _check_markers(place, untrusted, posted)


def check_sanitized_text(untrusted: str) -> None:
    """Checks that text and line have no effect, sanitized once or twice, and lose no word."""
    untrusted = untrusted[:LONGEST]
    once = sanitize.text(untrusted, 100 * LONGEST, server_url=SERVER)
    again = sanitize.text(once, 100 * LONGEST, server_url=SERVER)
    line = sanitize.line(untrusted, 100 * LONGEST)
    seen = [shown(f"{written}\n\n{FOLLOWING}") for written in (once, again, f"| a |\n|---|\n| {line} |\n")]
    for one in seen:
        assert one.faults == []
        assert [link for link in one.links if not _is_allowed(link) or link in _OURS] == []
        assert (one.raw_html, one.comments, one.paragraphs[-1]) == (0, [], FOLLOWING)
    if _WORDS.search(untrusted):
        assert _missing(shown(plain(untrusted)), seen[0]) == []
        assert _missing(seen[0], seen[1]) == []
        assert _missing(shown(one_line(untrusted)), seen[2]) == []


def check_cut_text(untrusted: str, limit: int) -> None:
    """Checks that a cut text is within its limit and has no effect."""
    for written in (sanitize.text(untrusted, limit, server_url=SERVER), sanitize.line(untrusted, limit)):
        assert len(written) <= limit
        seen = shown(f"{written}\n\n{FOLLOWING}")
        assert seen.faults == []
        assert (seen.raw_html, seen.paragraphs[-1]) == (0, FOLLOWING)


@cache
def _calm(place: str) -> Shown:
    return shown(f"{POSTED[place]('calm')}\n\n{FOLLOWING}")


def _is_allowed(link: str) -> bool:
    if link in _OURS:
        return True
    return bool(_PLAIN_ADDRESS.fullmatch(link)) and not _REFERENCE.match(link) and not _STEPS.search(link)


def _check_suggestions(place: str, untrusted: str, seen: Shown) -> None:
    offered = [content for language, content in seen.fences if language == "suggestion"]
    text = untrusted if place == "answer" else untrusted.replace("\r\n", "\n")
    if place not in ("comment on a line", "answer") or text != without_marker(plain(text)):
        assert offered == []
    else:
        assert offered == [f"{text}\n" if text else ""]


def _check_markers(place: str, untrusted: str, posted: str) -> None:
    """Checks that later runs read our markers from the text, and none of the untrusted text."""
    known = {hostile(untrusted).fingerprint, "0123456789abcdef"}
    if place.startswith("comment"):
        assert len(raised_in(posted)) <= 1
        assert {record.fingerprint for record in raised_in(posted)} <= known - {"0123456789abcdef"}
    assert not is_fixed(posted)
    assert not is_review_marker(posted)
    decoded = decode(Comment(1, posted), repository="o/r", number=7)
    assert decoded == (state("A" * 20) if place == "summary comment" else None)


def _missing(before: Shown, after: Shown) -> list[str]:
    """Returns the words that were visible before, and are neither visible after nor the language of a fence.

    A line of raw HTML can look like a fence, and is one when the HTML is escaped.
    """
    was = _WORDS.findall(before.everything)
    languages = " ".join(language for language, _ in after.fences)
    now = _WORDS.findall(f"{after.everything} {languages}")
    return [word for word in WORDS if was.count(word) > now.count(word)]

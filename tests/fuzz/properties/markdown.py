"""What must hold of everything that hunkwise posts, whatever a model or a stranger wrote into it."""

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
from tests.fuzz.github_markdown import Shown, shown
from tests.fuzz.markdown_alphabet import WORDS
from tests.fuzz.posted_texts import AFTERWARDS, BEHIND, POSTED, hostile
from tests.publish.samples import SERVER, state

LONGEST: Final = 4_000
"""Characters of foreign text: with more of it, pages are cut where they should be, and are not the same."""
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


def does_nothing(place: str, foreign: str) -> None:
    """Posted in that place, the text links to nothing foreign, calls nobody, and leaves our own words alone."""
    foreign = foreign[:LONGEST]
    if not (sanitize.text(foreign, LONGEST) and sanitize.line(foreign, LONGEST)):
        return  # nothing is left of it, and blocks are missing that the calm text has
    posted = POSTED[place](foreign)
    posted.encode("utf-8")
    seen = shown(f"{posted}\n\n{BEHIND}")
    assert seen.faults == []
    assert [link for link in seen.links if not _is_allowed(link)] == []
    assert _COMMAND.search(posted) is None
    calm = _calm(place)
    assert (seen.raw_html, seen.comments) == (calm.raw_html, calm.comments)
    assert seen.skeleton == calm.skeleton
    assert seen.paragraphs[-1] == BEHIND
    if AFTERWARDS in calm.paragraphs:
        assert AFTERWARDS in seen.paragraphs
    if place.startswith("comment"):
        assert seen.paragraphs[0].startswith("🟠 high · ")
        assert seen.paragraphs[-2].endswith(" · confidence 50% · prompt review")
    _offers_only_what_was_suggested(place, foreign, seen)
    _is_read_again_as_ours(place, foreign, posted)


def stays_itself(foreign: str) -> None:
    """A text and a line on their own do nothing, sanitized once or twice, and no word of them is lost."""
    foreign = foreign[:LONGEST]
    once = sanitize.text(foreign, 100 * LONGEST, server_url=SERVER)
    again = sanitize.text(once, 100 * LONGEST, server_url=SERVER)
    line = sanitize.line(foreign, 100 * LONGEST)
    seen = [shown(f"{written}\n\n{BEHIND}") for written in (once, again, f"| a |\n|---|\n| {line} |\n")]
    for one in seen:
        assert one.faults == []
        assert [link for link in one.links if not _is_allowed(link) or link in _OURS] == []
        assert (one.raw_html, one.comments, one.paragraphs[-1]) == (0, [], BEHIND)
    if _WORDS.search(foreign):
        assert _missing(shown(plain(foreign)), seen[0]) == []
        assert _missing(seen[0], seen[1]) == []
        assert _missing(shown(one_line(foreign)), seen[2]) == []


def keeps_its_limit(foreign: str, limit: int) -> None:
    """Cut anywhere, a text stays within its limit and does nothing."""
    for written in (sanitize.text(foreign, limit, server_url=SERVER), sanitize.line(foreign, limit)):
        assert len(written) <= limit
        seen = shown(f"{written}\n\n{BEHIND}")
        assert seen.faults == []
        assert (seen.raw_html, seen.paragraphs[-1]) == (0, BEHIND)


@cache
def _calm(place: str) -> Shown:
    return shown(f"{POSTED[place]('calm')}\n\n{BEHIND}")


def _is_allowed(link: str) -> bool:
    if link in _OURS:
        return True
    return bool(_PLAIN_ADDRESS.fullmatch(link)) and not _REFERENCE.match(link) and not _STEPS.search(link)


def _offers_only_what_was_suggested(place: str, foreign: str, seen: Shown) -> None:
    offered = [content for language, content in seen.fences if language == "suggestion"]
    text = foreign.replace("\r\n", "\n")
    if place not in ("comment on a line", "answer") or text != without_marker(plain(text)):
        assert offered == []
    else:
        assert offered == [f"{text}\n" if text else ""]


def _is_read_again_as_ours(place: str, foreign: str, posted: str) -> None:
    """Later runs take from the text what we wrote into it, and nothing that was said in it."""
    known = {hostile(foreign).fingerprint, "0123456789abcdef"}
    if place.startswith("comment"):
        assert len(raised_in(posted)) <= 1
        assert {record.fingerprint for record in raised_in(posted)} <= known - {"0123456789abcdef"}
    assert not is_fixed(posted)
    assert not is_review_marker(posted)
    said = decode(Comment(1, posted), repository="o/r", number=7)
    assert said == (state("A" * 20) if place == "summary comment" else None)


def _missing(before: Shown, after: Shown) -> list[str]:
    """Words that a reader would have seen, and does not see any more."""
    was, now = (_WORDS.findall(one.everything) for one in (before, after))
    return [word for word in WORDS if was.count(word) > now.count(word)]

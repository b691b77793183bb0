"""Whether what was posted does nothing but be read, by GitHub's own renderer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.end_to_end.step import Result
from tests.fuzz.github_markdown import shown
from tests.redteam.attack import Arena

BEHIND = "What stands behind it stands alone."
OURS = re.compile(
    r"https://github\.com/(?:octocat|octo/repo)(?:/[\w./#%~-]*)?|http://127\.0\.0\.1:\d+/octo/repo/pull/1\S*"
)


def posted(arena: Arena, result: Result) -> Iterator[tuple[str, str]]:
    """Every text of ours that is rendered somewhere, by its place."""
    yield from ((f"comment on {one.path}:{one.line}", one.body) for one in arena.github.comments)
    yield from (("review", review.body) for review in arena.github.reviews)
    yield from (("summary comment", comment.body) for comment in arena.github.issue_comments)
    yield from (("check run", text) for text in arena.markdown_of_checks)
    yield "job summary", result.summary
    for upload in arena.github.sarifs:
        found = json.loads(upload.text)["runs"][0]["results"]
        yield from (("code scanning", one["message"]["markdown"]) for one in found)


def faults_of(markdown: str) -> list[str]:
    """What the text does beyond being read."""
    seen = shown(f"{markdown}\n\n{BEHIND}\n")
    faults = [*seen.faults, *(f"leads to {link}" for link in seen.links if not OURS.fullmatch(link))]
    faults += [f"a comment: {words}" for words in seen.comments if not words.startswith("hunkwise:")]
    ours = len(seen.comments) + 2 * seen.skeleton["details"]
    if seen.raw_html != ours or seen.skeleton["details"] != seen.skeleton["summary"]:
        faults.append(f"{seen.raw_html} pieces of HTML, and {ours} are ours")
    if seen.paragraphs[-1:] != [BEHIND]:
        faults.append("it swallows what stands behind it")
    return faults + [f"a bot may obey {line!r}" for line in markdown.splitlines() if re.match(r"/\w", line)]


def assert_inert(arena: Arena, result: Result) -> None:
    """All that was posted does nothing but be read."""
    faults = {place: found for place, text in posted(arena, result) if (found := faults_of(text))}
    assert faults == {}

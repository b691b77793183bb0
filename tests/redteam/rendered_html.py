"""Checks with GitHub's own renderer that posted texts do nothing but be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.end_to_end.step import Result
from tests.fuzz.github_markdown import shown
from tests.redteam.attack import AttackWorld

TRAILING_TEXT = "This paragraph follows it."
OURS = re.compile(
    r"https://github\.com/(?:octocat|octo/repo)(?:/[\w./#%~-]*)?|http://127\.0\.0\.1:\d+/octo/repo/pull/1\S*"
)


def rendered_texts(world: AttackWorld, result: Result) -> Iterator[tuple[str, str]]:
    """Yields each of our texts that is rendered, with its place."""
    yield from ((f"comment on {one.path}:{one.line}", one.body) for one in world.github.comments)
    yield from (("review", review.body) for review in world.github.reviews)
    yield from (("summary comment", comment.body) for comment in world.github.issue_comments)
    yield from (("check run", text) for text in world.check_run_markdown)
    yield "job summary", result.summary
    for upload in world.github.sarifs:
        found = json.loads(upload.text)["runs"][0]["results"]
        yield from (("code scanning", one["message"]["markdown"]) for one in found)


def rendering_faults(markdown: str) -> list[str]:
    """Describes what the text does beyond being read."""
    seen = shown(f"{markdown}\n\n{TRAILING_TEXT}\n")
    faults = [*seen.faults, *(f"leads to {link}" for link in seen.links if not OURS.fullmatch(link))]
    faults += [f"a comment: {words}" for words in seen.comments if not words.startswith("hunkwise:")]
    ours = len(seen.comments) + 2 * (seen.skeleton["details"] + seen.skeleton["sub"])
    if seen.raw_html != ours or seen.skeleton["details"] != seen.skeleton["summary"]:
        faults.append(f"{seen.raw_html} pieces of HTML, and {ours} are ours")
    if seen.paragraphs[-1:] != [TRAILING_TEXT]:
        faults.append("it swallows the text after it")
    return faults + [f"a bot may obey {line!r}" for line in markdown.splitlines() if re.match(r"/\w", line)]


def assert_inert(world: AttackWorld, result: Result) -> None:
    """Checks that posted texts do nothing but be read."""
    faults = {
        place: found for place, text in rendered_texts(world, result) if (found := rendering_faults(text))
    }
    assert faults == {}

"""Path patterns as .gitignore has them, matched in time linear in the path.

PyPI's pathspec and wcmatch make one backtracking expression of a pattern: `*a*a*a*a*a*a*a*a*b` took 101 s on
a name of sixty letters, and the names are a stranger's. Here a pattern is matched folder by folder, by
the standard library's fnmatch, whose expressions do not backtrack over a star that was passed.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_SPANS = re.compile(r"(?:^|(?<=/))\*{2,}(?=/|$)")
_ESCAPED = re.compile(r"\\(.)|(\[\^)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. `*`, `?` and `[..]` stay within a name, `**` spans folders, a folder holds all below it."""

    negated: bool
    """Written with a leading `!`: takes back what an earlier pattern matched."""
    runs: tuple[tuple[re.Pattern[str], ...], ...]
    """Names that follow each other; between two runs any number of folders may stand."""
    inside: bool
    """Ends in `/` or `/**`: matches what is in the folder, not the name itself."""

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Any text is a pattern; an empty one matches nothing."""
        negated = pattern.startswith("!")
        body = _SPANS.sub("**", pattern[negated:])
        inside = body.endswith(("/", "/**")) or body == "**"
        names = [name for name in body.split("/") if name]
        while names and names[-1] == "**":
            names.pop()
        if "/" not in body.removesuffix("/") and body != "**":
            names.insert(0, "**")
        runs: list[tuple[re.Pattern[str], ...]] = [()]
        for name in names:
            runs = [*runs, ()] if name == "**" else [*runs[:-1], (*runs[-1], _name(name))]
        if not body.strip("/"):
            return cls(negated, (), inside=True)
        return cls(negated, tuple(runs), inside)

    def matches(self, names: Sequence[str]) -> bool:
        """Whether it matches a path, given as its names, or a folder that the path is in."""
        if not self.runs or not _fits(self.runs[0], names, 0):
            return False
        end = len(self.runs[0])
        for run in self.runs[1:]:
            # The first place is the best one: it leaves the most to the runs that follow.
            starts = range(end, len(names) - len(run) + 1)
            found = next((start for start in starts if _fits(run, names, start)), None)
            if found is None:
                return False
            end = found + len(run)
        return end < len(names) or not self.inside


@dataclass(frozen=True, slots=True)
class Globs:
    """Patterns of which the last one that matches decides."""

    globs: tuple[Glob, ...]

    def verdict(self, path: str) -> bool | None:
        """True if the path is matched, False if a `!` pattern takes it back, None if none speaks of it."""
        names = path.split("/")
        for glob in reversed(self.globs):
            if glob.matches(names):
                return not glob.negated
        return None


@lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> Globs:
    """The patterns, parsed once."""
    return Globs(tuple(Glob.parse(pattern) for pattern in patterns))


def matches(patterns: Sequence[str], path: str) -> bool:
    """Whether the patterns match the path; the last one that speaks of it decides."""
    return compiled(tuple(patterns)).verdict(path) is True


def _fits(run: tuple[re.Pattern[str], ...], names: Sequence[str], start: int) -> bool:
    if start + len(run) > len(names):
        return False
    return all(name.match(names[start + offset]) for offset, name in enumerate(run))


def _name(pattern: str) -> re.Pattern[str]:
    """One name of a pattern in fnmatch's words: no backslashes, and `[!` for `[^`."""

    def translated(match: re.Match[str]) -> str:
        if match[2]:
            return "[!"
        return f"[{match[1]}]" if match[1] in "*?[" else match[1]

    return re.compile(fnmatch.translate(_ESCAPED.sub(translated, pattern)))

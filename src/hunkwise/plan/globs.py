"""Matches paths by globs.

Globs are those of .gitignore, matched in time linear in the path. PyPI's pathspec and wcmatch turn a pattern into one
backtracking expression: `*a*a*a*a*a*a*a*a*b` took 101 s for a name of sixty letters, and names are untrusted. Here a
pattern is matched folder by folder with the standard library's fnmatch, whose expressions do not backtrack into a star
that has matched.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_SPANS = re.compile(r"(?:^|(?<=/))\*{2,}(?=/|$)")
_SPECIAL = re.compile(r"([\\*?\[\]!{}])")
_ESCAPED = re.compile(r"\\(.)|(\[\^)", re.DOTALL)
_Run = tuple[re.Pattern[str], ...]
"""Consecutive names of a pattern."""


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. `*`, `?` and `[..]` match within a name, `**` any folders; a folder matches everything in it."""

    negated: bool
    """With a leading `!`: excludes what an earlier pattern matched."""
    runs: tuple[_Run, ...]
    """Runs of consecutive names; any number of folders can be between two runs."""
    inside: bool
    """Ends in `/` or `/**`: matches only what is in the folder, not a file with that name."""

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Parses a pattern. Any text is valid; an empty pattern matches nothing."""
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
            runs = [*runs, ()] if name == "**" else [*runs[:-1], (*runs[-1], _compile_name(name))]
        if not body.strip("/"):
            return cls(negated, (), inside=True)
        return cls(negated, tuple(runs), inside)

    def match_folder(self, folder: Sequence[str]) -> re.Pattern[str] | bool:
        """Returns True if the pattern matches the folder (split into names) or one that contains it, otherwise the
        expression for the names of the files in it that it matches, or False."""
        if not self.runs:
            return False
        *runs, last = self.runs
        end = 0
        for number, run in enumerate(runs):
            # The first match is the best: it leaves the most names to the following runs.
            match = _find_run(run, folder, end, anchored=not number)
            if match is None:
                return False
            end = match + len(run)
        if _find_run(last, folder, end, anchored=not runs) is not None:
            return True
        start = len(folder) + 1 - len(last)
        fits = start >= end if runs else start == 0
        return last[-1] if fits and not self.inside and _matches_at(last[:-1], folder, start) else False


@dataclass(frozen=True, slots=True)
class Globs:
    """A list of patterns; the last one that matches decides."""

    globs: tuple[Glob, ...]

    def verdict(self, path: str) -> bool | None:
        """Returns True if the path matches, False if a `!` pattern excludes it, None if no pattern matches."""
        return next(self.verdicts((path,)))

    def verdicts(self, paths: Iterable[str]) -> Iterator[bool | None]:
        """Yields the verdict of each path; a folder is matched only once."""
        tests_by_folder: dict[str, list[tuple[re.Pattern[str] | None, bool]]] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            tests = tests_by_folder.get(folder)
            if tests is None:
                tests = tests_by_folder[folder] = list(
                    self._match_folder(folder.split("/") if folder else [])
                )
            for expression, verdict in tests:
                if expression is None or expression.match(name):
                    yield verdict
                    break
            else:
                yield None

    def _match_folder(self, folder: Sequence[str]) -> Iterator[tuple[re.Pattern[str] | None, bool]]:
        """Yields the verdicts on the files in a folder, the decisive one first, each with the expression for the names
        to which it applies; None for all."""
        for glob in reversed(self.globs):
            match = glob.match_folder(folder)
            if match is not False:
                yield None if match is True else match, not glob.negated
            if match is True:
                return


@lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> Globs:
    """Returns the parsed patterns, from a cache."""
    return Globs(tuple(Glob.parse(pattern) for pattern in patterns))


def matches(patterns: Sequence[str], path: str) -> bool:
    """Returns True if the patterns match the path; the last pattern that matches decides."""
    return compiled(tuple(patterns)).verdict(path) is True


def escape_glob(path: str) -> str:
    """Returns a pattern that matches this path only."""
    return _SPECIAL.sub(r"\\\1", path)


def _find_run(run: _Run, names: Sequence[str], start: int, *, anchored: bool) -> int | None:
    """Returns the first place from `start` on where the run matches; if `anchored`, only that place."""
    stop = start + 1 if anchored else len(names) - len(run) + 1
    return next((place for place in range(start, stop) if _matches_at(run, names, place)), None)


def _matches_at(run: _Run, names: Sequence[str], start: int) -> bool:
    if start + len(run) > len(names):
        return False
    return all(name.match(names[start + offset]) for offset, name in enumerate(run))


def _compile_name(pattern: str) -> re.Pattern[str]:
    """Compiles one name of a pattern in fnmatch's syntax: no backslashes, and `[!` instead of `[^`."""

    def to_fnmatch(match: re.Match[str]) -> str:
        if match[2]:
            return "[!"
        return f"[{match[1]}]" if match[1] in "*?[" else match[1]

    return re.compile(fnmatch.translate(_ESCAPED.sub(to_fnmatch, pattern)))

"""Tests that patterns match as in .gitignore, also in linear time for hostile names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunkwise.plan.globs import compiled, matches


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.lock", "a/b/poetry.lock", True),
        ("*.lock", "poetry.locks", False),
        ("**/generated/**", "src/generated/a/b.py", True),
        ("**/generated/**", "generated/a.py", True),
        ("**/generated/**", "src/generated", False),
        ("db/migrations/**", "db/migrations/1.sql", True),
        ("db/migrations/**", "x/db/migrations/1.sql", False),
        ("db/*.sql", "db/a.sql", True),
        ("db/*.sql", "db/a/b.sql", False),
        ("db/**/*.sql", "db/b.sql", True),
        ("db/**/*.sql", "db/a/c/b.sql", True),
        ("docs", "docs/a.md", True),
        ("docs", "a/docs/b.md", True),
        ("docs/", "docs/a.md", True),
        ("docs/", "src/docs", False),
        ("/docs", "a/docs/b.md", False),
        ("/docs", "docs/b.md", True),
        ("a/b", "a/b/c/d", True),
        ("a/b", "x/a/b", False),
        ("**", "any/thing", True),
        ("**/x", "x", True),
        ("**/a/**/b", "q/a/a/z/b/c", True),
        ("a/**/b/**/c", "a/b/x/b/c", True),
        ("a/**/b/**/c", "a/x/c/b", False),
        ("?.py", "a.py", True),
        ("?.py", "ab.py", False),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("[^ab].py", "c.py", True),
        ("[^ab].py", "a.py", False),
        ("[z-a].py", "z.py", False),
        ("[.py", "[.py", True),
        (r"\*.py", "*.py", True),
        (r"\*.py", "a.py", False),
        (r"\!important", "!important", True),
        (r"a\b", "ab", True),
        (r"\[x]", "[x]", True),
        ("a**b", "axxb", True),
        ("a**b", "a/b", False),
        ("*", "a\nb", True),
        ("", "a", False),
        ("/", "a", False),
        ("!a", "a", False),
        ("A", "a", False),
        ("*.py", "\udcff.py", True),
    ],
)
def test_pattern_matches_as_in_gitignore(pattern: str, path: str, expected: bool) -> None:
    assert matches([pattern], path) is expected


def test_last_matching_pattern_decides() -> None:
    globs = compiled(("docs/**", "!docs/api/**", "docs/api/old.md"))
    assert globs.verdict("docs/a.md") is True
    assert globs.verdict("docs/api/a.md") is False
    assert globs.verdict("docs/api/old.md") is True
    assert globs.verdict("src/a.py") is None
    assert not matches([], "a")


NAME = st.text("ab*?.", min_size=1, max_size=4).filter(lambda name: set(name) != {"*"} or name == "*")
PATTERN = st.lists(st.one_of(NAME, st.just("**")), min_size=1, max_size=4).map("/".join)
PATH = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


def slow(pattern: str, path: str) -> bool:
    """A reference implementation by plain backtracking over names and letters."""
    anchored = "/" in pattern
    parts = [part for part in pattern.split("/") if part]
    if not anchored and pattern != "**":
        parts = ["**", *parts]

    def names(rest: list[str], found: list[str]) -> bool:
        if not rest:
            return True
        if rest[0] == "**":
            if len(rest) == 1:
                return bool(found)
            return any(names(rest[1:], found[skip:]) for skip in range(len(found) + 1))
        if not found:
            return False
        letters = re.escape(rest[0]).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(letters, found[0]) is not None and names(rest[1:], found[1:])

    return names(parts, path.split("/"))


@given(PATTERN, PATH)
@settings(max_examples=500, deadline=None)
def test_matching_agrees_with_plain_backtracking(pattern: str, path: str) -> None:
    assert matches([pattern], path) is slow(pattern, path)


@given(st.lists(st.tuples(st.booleans(), PATTERN), max_size=4), st.lists(PATH, max_size=12))
@settings(max_examples=200, deadline=None)
def test_results_of_many_paths_are_those_of_the_last_matching_pattern(
    patterns: list[tuple[bool, str]], paths: list[str]
) -> None:
    globs = compiled(tuple("!" * negated + pattern for negated, pattern in patterns))
    expected = [
        next((not negated for negated, pattern in reversed(patterns) if slow(pattern, path)), None)
        for path in paths
    ]
    assert list(globs.verdicts(paths)) == [globs.verdict(path) for path in paths] == expected


@given(
    pattern=st.lists(
        st.one_of(st.text("ab*?", min_size=1, max_size=3), st.just("**")), min_size=1, max_size=3
    ).map("/".join),
    path=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join),
)
@settings(max_examples=40, deadline=None)
def test_matching_agrees_with_git_itself(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, path: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "ignoring"
    if not folder.exists():
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".git/info").mkdir(exist_ok=True)
    Path(folder / ".git/info/exclude").write_text(pattern + "\n")
    exit_code = subprocess.run(
        ["git", "check-ignore", "-q", "--no-index", path], cwd=folder, check=False
    ).returncode
    assert matches([pattern], path) is (exit_code == 0)


def test_hostile_name_is_matched_quickly() -> None:
    assert not matches(["*a" * 30 + "b", "**/" + "*a*/**/" * 10 + "b"], "/".join(["a" * 200] * 20))

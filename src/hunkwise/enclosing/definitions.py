"""Definitions of the names that changed rows call: the search for them, and which of them is meant."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hunkwise.enclosing.scopes import Chain, Scope, family_of
from hunkwise.plan.selection import is_generated, is_test_file

MOST_PLACES = 8
"""Files that may define a name; a name with more is too common."""
MOST_DEFINING_FILES = 30
"""Files that are parsed because they may define a name."""

_COMMON = frozenset(
    name for owner in (builtins, str, bytes, list, dict, set) for name in dir(owner)
) | frozenset(
    "accept apply assert call catch check clone close collect connect create debug delete done each emit equal equals "
    "err error Error Errorf exec exists expect fail fatal Fatal Fatalf filter finally find first flush forEach from "
    "getattr handle hash hashCode has info init Init into invoke is json last len length list load lock log main make "
    "map match name new next None not off Ok ok on open parse path Print printf Printf println Println push put query "
    "raise read reduce render require reset resolve run Run save send set setUp shift size slice some Some sort start "
    "stop String Sprintf test text then throw toString trim type unlock unwrap update use value values wait warn with "
    "write".split()
)
"""Names that say too little: most calls of them mean a method of a library."""
_MIN_NAME = 3
_KEYWORDS = "class|const|def|enum|fn|func|function|interface|let|macro_rules!|record|struct|trait|type|var"
_KEYWORD = re.compile(rf"(?:^|[^\w$.])(?:{_KEYWORDS})\b")
_WITHOUT_KEYWORD = ("c", "csharp", "java", "javascript")
"""Languages with functions or methods that begin with a type, or with their name."""
_STATEMENT = re.compile(r"\s*(?:assert|await|case|delete|else|goto|new|return|throw|typeof|yield)\b|.*;\s*$")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class in a file, after the scopes around it."""

    path: str
    lines: Sequence[str] = field(compare=False)
    chain: Chain

    @property
    def scope(self) -> Scope:
        return self.chain[-1]


def search_pattern(names: Iterable[str], families: Iterable[str]) -> str:
    """Returns a POSIX extended expression for the lines that may define one of these names."""
    # Go: `func (s *S) name`; Ruby: `def self.name`; JavaScript: `function* name`.
    prefixes = [rf"(^|[^A-Za-z0-9_$.])({_KEYWORDS})[*]?[[:blank:]]+([(][^)]*[)][[:blank:]]*|self[.])?"]
    if set(families).intersection(_WITHOUT_KEYWORD):
        prefixes.append(r"^([A-Za-z0-9_<>,:*&?[:blank:]]*[]>*&:~[:blank:]])?")
    alternatives = "|".join(name.replace("$", "[$]") for name in names)
    return f"({'|'.join(prefixes)})({alternatives})([^A-Za-z0-9_$]|$)"


def candidate_files(hits: Iterable[tuple[str, int, str]], names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the files that may define each name; without names that more than MOST_PLACES files may define."""
    files: dict[str, dict[str, None]] = {}
    for path, _, text in hits:
        if is_generated(path) or (_STATEMENT.match(text) and not _KEYWORD.search(text)):
            continue
        for name in set(names).intersection(_IDENTIFIER.findall(text)):
            files.setdefault(name, {})[path] = None
    return {name: list(files[name]) for name in names if 0 < len(files.get(name, ())) <= MOST_PLACES}


def group_by_path(files: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns the names by path, in at most MOST_DEFINING_FILES files: all files of a name, or none."""
    names_by_path: dict[str, list[str]] = {}
    for name in sorted(files, key=lambda name: len(files[name])):
        if len(names_by_path.keys() | set(files[name])) <= MOST_DEFINING_FILES:
            for path in files[name]:
                names_by_path.setdefault(path, []).append(name)
    return names_by_path


def nearest(caller: str, definitions: Iterable[Definition]) -> Definition | None:
    """Returns the definition with the most folders in common with the caller's; None if several have as many.

    Definitions in another language do not count, nor do those in tests unless the caller is a test.
    """
    folders = caller.split("/")[:-1]
    near: dict[int, list[Definition]] = {}
    for definition in definitions:
        path = definition.path
        if family_of(path) != family_of(caller) or (is_test_file(path) and not is_test_file(caller)):
            continue
        common = 0
        for ours, theirs in zip(folders, path.split("/")[:-1], strict=False):
            if ours != theirs:
                break
            common += 1
        near.setdefault(common, []).append(definition)
    best = near[max(near)] if near else []
    return best[0] if len(best) == 1 else None


def is_telling(name: str) -> bool:
    return len(name) >= _MIN_NAME and name not in _COMMON

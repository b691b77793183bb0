"""The templates that come with hunkwise, by the names under which other templates may include or extend them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from hunkwise.domain.front_matter import divided

BUILT_IN = ("review", "security", "tests", "performance", "api", "docs", "verify", "summary")
PARTIALS = ("prove", "severity", "writing", "change", "files", "threads", "instructions", "part")
BASE = "base"
"""The skeleton of the prompts over a diff."""
HOUSE = "hunkwise/"
"""A name that begins so is always the built-in template, whatever the user's own are called."""
PARTIAL = "partials/"
_EXTENSION = ".md.j2"
_REFERENCE = re.compile(r"""{%-?\s*(?:include|extends|import|from)\s+["']([^"']+)["']""")


@cache
def package_text(name: str) -> str:
    """A file of the folder `templates`."""
    return (files("hunkwise.prompts") / "templates" / name).read_text(encoding="utf-8")


def built_in_text(name: str) -> str:
    """A built-in template as it was written, with its front matter."""
    return package_text(name + _EXTENSION)


@cache
def built_in() -> Mapping[str, str]:
    """All of them without front matter, each under its plain name and under its name of the house."""
    sources = {}
    for name in (BASE, *BUILT_IN, *(PARTIAL + partial for partial in PARTIALS)):
        text = built_in_text(name)
        parts = divided(text)
        sources[name] = sources[HOUSE + name] = parts.template if parts else text
    return sources


@cache
def partials_of(name: str) -> frozenset[str]:
    """The plain names of the partials that a built-in template includes, itself or through others."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for other in _REFERENCE.findall(built_in()[ahead.pop()]):
            if other not in found:
                found.add(other)
                ahead.append(other)
    return frozenset(other for other in found if other.startswith(PARTIAL))


def is_touched(name: str, own: Iterable[str]) -> bool:
    """Whether one of the user's own templates takes part in a built-in one."""
    return not partials_of(name).isdisjoint(own)

"""Generates changes of a given size: Python-like files, always the same for a shape."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.git_repository import GitRepository

_VERBS = "load merge split check price ship count refund close retry parse store".split()
_NOUNS = "order invoice basket parcel customer voucher payment address stock return".split()
_PACKAGES = "billing catalog checkout delivery identity reports search support".split()
_FAST_CONFIG = {"core.looseCompression": "0", "core.fsync": "none", "gc.auto": "0"}
_CONTEXT_LINES = 60
_HUNK_LINES = 25
"""About how many lines of a file change in one place."""
_ADDED_SHARE, _REMOVED_SHARE = 0.12, 0.04


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a change: changed files, added and removed lines."""

    files: int
    additions: int
    deletions: int

    @property
    def lines(self) -> int:
        return self.additions + self.deletions

    def __str__(self) -> str:
        return f"{self.files:,} files, +{self.additions:,}/-{self.deletions:,}"


@dataclass(frozen=True)
class Change:
    """Two trees. `after` has None for a removed file."""

    before: dict[str, str]
    after: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Built:
    """A repository on disk with both trees as commits."""

    path: Path
    base_sha: str
    head_sha: str


def make_change(shape: Shape) -> Change:
    """Makes all lines distinct, so that git counts exactly the lines of the shape."""
    chance = random.Random(f"{shape}")
    lines = _lines()
    kinds = [_kind(place, shape.files) for place in range(shape.files)]
    added = _shares(chance, shape.additions, [kind != "removed" for kind in kinds])
    deleted = _shares(chance, shape.deletions, [kind != "added" for kind in kinds])
    before: dict[str, str] = {}
    after: dict[str, str | None] = {}
    for number, kind in enumerate(kinds):
        path = f"src/shop/{chance.choice(_PACKAGES)}/{chance.choice(_NOUNS)}_{number:04}.py"
        if kind == "added":
            after[path] = _text(lines, added[number])
        elif kind == "removed":
            before[path], after[path] = _text(lines, deleted[number]), None
        else:
            old = [next(lines) for _ in range(_CONTEXT_LINES + 2 * deleted[number] + added[number] // 2)]
            before[path] = "".join(old)
            after[path] = "".join(_edited(chance, old, lines, added[number], deleted[number]))
    return Change(before, after)


def build(shape: Shape, folder: Path) -> Built:
    """Commits the change into a new repository: branch main, and feature on top, checked out."""
    change = make_change(shape)
    repository = GitRepository.create(folder)
    for name, value in _FAST_CONFIG.items():
        repository.git("config", name, value)
    base = repository.commit({"README.md": "# Shop\n", **change.before}, "Base")
    repository.branch("feature")
    head = repository.commit(change.after, "Change")
    repository.git("repack", "-a", "-d", "-q")  # as in a clone
    return Built(folder, base, head)


def _kind(place: int, count: int) -> str:
    """Adds, removes or modifies files in fixed shares, spread over the change."""
    if count < 10:
        return "modified"
    every = round(1 / _ADDED_SHARE)
    if place % every == every - 1:
        return "added"
    return "removed" if place % round(1 / _REMOVED_SHARE) == 5 and count > 30 else "modified"


def _shares(chance: random.Random, total: int, taking: list[bool]) -> list[int]:
    """Spreads the total unevenly over those that take a share, each at least one line if there are enough."""
    weights = [chance.lognormvariate(0, 0.8) if takes else 0.0 for takes in taking]
    least = 1 if total >= 2 * sum(taking) else 0
    rest = total - least * sum(taking)
    whole = sum(weights)
    shares = [
        least * takes + int(rest * weight / whole) for weight, takes in zip(weights, taking, strict=True)
    ]
    takers = [place for place, takes in enumerate(taking) if takes]
    for step in range(total - sum(shares)):
        shares[takers[step % len(takers)]] += 1
    return shares


def _text(lines: Iterator[str], count: int) -> str:
    return "".join(next(lines) for _ in range(count))


def _edited(
    chance: random.Random, old: list[str], lines: Iterator[str], added: int, deleted: int
) -> Iterator[str]:
    """Yields the old lines with several places changed, separated by some unchanged lines."""
    places = max(1, min(6, (added + deleted) // _HUNK_LINES + 1))
    stretch = len(old) // places
    for place in range(places):
        part = old[place * stretch : (place + 1) * stretch if place < places - 1 else len(old)]
        removed = deleted // places + (place < deleted % places)
        inserted = added // places + (place < added % places)
        start = chance.randint(0, len(part) - removed)
        yield from part[:start]
        yield from (next(lines) for _ in range(inserted))
        yield from part[start + removed :]


def _lines() -> Iterator[str]:
    """Yields lines of a program, all distinct."""
    for number in itertools.count(1):
        verb, noun = _VERBS[number * 7 % len(_VERBS)], _NOUNS[number * 3 % len(_NOUNS)]
        if number % 12 == 1:
            yield f"def {verb}_{noun}_{number}({noun}: Order, limit: int = {number}) -> int:\n"
        elif number % 12 == 0:
            yield f"    return sum(line.{noun} for line in {verb}_{number})\n"
        elif number % 5 == 0:
            yield f"    # {verb} the {noun} before the next one, see rule {number}\n"
        else:
            yield f"    {noun}_{number} = {verb}_{noun}(order, limit={number}, strict=True)\n"

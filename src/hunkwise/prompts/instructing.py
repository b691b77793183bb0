"""What is shown of the repository's instructions: whole where they fit, else cut where everybody can see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hunkwise.domain.pull_request import Instructions
from hunkwise.plan.allotment import allotted
from hunkwise.plan.globs import matches

EVERYWHERE_ROOM = 40_000
"""Characters of the instructions that speak of all files together; those of some files share a chunk's own room."""
_LEAST = 200
"""Characters below which a part of a file says nothing."""
_ALL = frozenset({"**", "**/*", "*", "/**"})


@dataclass(frozen=True, slots=True)
class Told:
    """A file of instructions as a prompt shows it."""

    path: str
    text: str
    """With a last line that says how much is missing, where something is."""
    shown: int
    """Characters of its own that are shown."""
    whole: int
    everywhere: bool
    """It speaks of all files, so it stands in every prompt of a run."""


def is_everywhere(instructions: Instructions) -> bool:
    """Whether it speaks of all files."""
    return bool(_ALL.intersection(instructions.apply_to)) and not any(
        glob.startswith("!") for glob in instructions.apply_to
    )


def told_everywhere(instructions: Iterable[Instructions]) -> tuple[Told, ...]:
    """Those that stand in every prompt."""
    return _told([one for one in instructions if is_everywhere(one)], EVERYWHERE_ROOM, everywhere=True)


def told_of(instructions: Iterable[Instructions], paths: Sequence[str], room: int) -> tuple[Told, ...]:
    """Those that speak of some of these paths, in `room` characters."""
    fitting = [
        one
        for one in instructions
        if not is_everywhere(one) and any(matches(one.apply_to, path) for path in paths)
    ]
    return _told(fitting, room, everywhere=False)


def cut_notes(told: Iterable[Told]) -> tuple[str, ...]:
    """A sentence for each file of which some prompt shows a part only."""
    least: dict[str, Told] = {}
    for one in told:
        known = least.get(one.path)
        if one.shown < one.whole and (known is None or one.shown < known.shown):
            least[one.path] = one
    return tuple(
        f"Of {one.path} {one.shown:,} of {one.whole:,} characters found room in a prompt."
        for one in least.values()
    )


def _told(instructions: Sequence[Instructions], room: int, *, everywhere: bool) -> tuple[Told, ...]:
    shares = allotted([len(one.text) for one in instructions], room)
    return tuple(_fitted(one, share, everywhere) for one, share in zip(instructions, shares, strict=True))


def _fitted(instructions: Instructions, share: int, everywhere: bool) -> Told:
    text, whole = instructions.text, len(instructions.text)
    if share >= whole:
        return Told(instructions.path, text, whole, whole, everywhere)
    shown = "" if share < _LEAST else text[:share]
    end = shown.rfind("\n")
    if end > share // 2:
        shown = shown[:end]
    missing = f"(cut here: {whole - len(shown):,} more characters)"
    return Told(instructions.path, f"{shown}\n{missing}".lstrip("\n"), len(shown), whole, everywhere)

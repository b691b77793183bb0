"""The functions and classes around the changes of a run: read at the head in one go, looked up once a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.diff import FileStatus
from hunkwise.domain.known import Known
from hunkwise.enclosing.excerpts import GAP, Around, excerpts
from hunkwise.enclosing.places import Place, places_in, shown_in
from hunkwise.enclosing.scopes import Chain, language_of
from hunkwise.enclosing.scout import Scout
from hunkwise.errors import ForgeError, RepositoryError
from hunkwise.plan.chunks import ChunkPart
from hunkwise.prompts.sandbox import named

MAX_SOURCE = 500_000
"""Bytes of a file that is looked at."""
MAX_FILES = 2_000
SECONDS = 2.0
"""Wall-clock time of a run: some 10 MB of source."""
_EXPLAINED = (
    "Rows of the files as they are after the change. They are not part of the diff and not to be reviewed. "
    f"`{GAP.strip(' |')}` stands for rows that the diff shows, or that are left out."
)
_LEAST_ROOM = 400
"""Characters below which nothing is shown."""


class Head(Protocol):
    """The commit under review, as far as many of its files are read at once."""

    def read_many(self, paths: Sequence[str]) -> Known: ...


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of which all is known that is shown of it."""

    lines: Sequence[str]
    chains: dict[Place, Chain]


class Surroundings:
    """What stands around the hunks. Nothing of it ever fails a review: `notes` say what is missing."""

    def __init__(
        self,
        head: Head,
        *,
        seconds: float = SECONDS,
        left: Callable[[], float] | None = None,
        scout: Callable[[], Scout] = Scout,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`left`: seconds of the run, past which nothing is looked up."""
        self._head = head
        self._seconds = min(seconds, max(0.0, left())) if left else seconds
        self._new_scout = scout
        self._clock = clock
        self._sources: dict[str, _Source] = {}
        self.notes: tuple[str, ...] = ()
        """What could not be looked up: one sentence each."""

    def look_up(self, parts: Iterable[ChunkPart]) -> None:
        """Reads the files of these parts and finds the scopes around their changes, within the time that there is."""
        places: dict[str, dict[Place, None]] = {}
        for part in parts:
            if _is_of_use(part):
                places.setdefault(part.file.path, {}).update(dict.fromkeys(places_in(part.hunks)))
        if not places:
            return
        wanted = list(places)[:MAX_FILES]
        began = self._clock()
        with self._new_scout() as scout:
            scout.begin()  # it starts while the files are read
            try:
                known = self._head.read_many(wanted)
            except (ForgeError, RepositoryError) as error:
                self._note(f"The code around the changes could not be read: {error.message}")
                return
            texts = {path: text for path in wanted if (text := _text(known.get(path))) is not None}
            done = 0
            for path, text in sorted(texts.items(), key=lambda one: len(one[1])):
                seconds = self._seconds - (self._clock() - began)
                if seconds <= 0 or scout.failed:
                    break
                self._look(scout, path, text, tuple(places[path]), seconds)
                done += 1
        if scout.failed or done < len(texts):
            why = "the parser failed" if scout.failed else f"more would have taken longer than {SECONDS:g} s"
            self._note(
                f"The functions around the changes are shown of {len(self._sources):,} of {len(places):,} files: {why}."
            )

    def text(self, parts: Iterable[ChunkPart], room: int) -> str:
        """What is shown beside these parts, in at most some `room` characters; empty where there is nothing."""
        around = [found for part in parts if (found := self._around(part)) is not None]
        room -= len(_EXPLAINED) + 150
        if not around or room < _LEAST_ROOM:
            return ""
        chosen = excerpts(around, room)
        if not chosen.text:
            return ""
        return "\n\n".join([_EXPLAINED, chosen.text, *_short(chosen.cut, chosen.absent)])

    def _look(self, scout: Scout, path: str, text: str, places: tuple[Place, ...], seconds: float) -> None:
        lines = text.split("\n")
        inside = [place for place in places if place[1] <= len(lines)]
        language = language_of(path)
        assert language is not None  # else it was of no use
        chains = scout.scopes(language, text, inside, seconds)
        if chains is not None:
            self._sources[path] = _Source(lines, dict(zip(inside, chains, strict=True)))

    def _around(self, part: ChunkPart) -> Around | None:
        source = self._sources.get(part.file.path)
        if source is None:
            return None
        places = [(place, source.chains.get(place, ())) for place in places_in(part.hunks)]
        title = f"### Around the changes in {named(part.file.path)}"
        return Around(title, source.lines, shown_in(part.hunks), places)

    def _note(self, said: str) -> None:
        self.notes = (*self.notes, said)


def _is_of_use(part: ChunkPart) -> bool:
    """Whether there can be anything around its hunks that they do not show themselves."""
    file = part.file
    if file.status is FileStatus.REMOVED or file.binary or language_of(file.path) is None:
        return False
    return file.status is not FileStatus.ADDED or len(part.hunks) < len(file.hunks)


def _text(content: object) -> str | None:
    """The source; None for what is no file, is large, or is not text."""
    if not isinstance(content, bytes) or len(content) > MAX_SOURCE or b"\0" in content:
        return None
    return content.decode("utf-8", "backslashreplace").removeprefix("\ufeff")


def _short(cut: int, absent: int) -> list[str]:
    said = []
    if cut:
        said.append(f"{cut} of these functions and classes are shown in part")
    if absent:
        said.append(f"{absent} more found no room")
    return [f"({'; '.join(said)}: read the file for the rest.)"] if said else []

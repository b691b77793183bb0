"""Cases that are done, on disk the moment they are: a run that was ended goes on where it was."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from hunkwise import __version__
from hunkwise.domain.pull_request import Instructions
from hunkwise.evaluation.case import Case
from hunkwise.evaluation.marks import Marks
from hunkwise.evaluation.report import marks_json, read_marks
from hunkwise.given_file import read_given
from hunkwise.publish.secrets import SecretScan, without_secrets
from hunkwise.settings.config import Config

logger = logging.getLogger(__name__)
_MOST_BYTES: Final = 100_000_000


def settings_key(
    config: Config,
    templates: Mapping[str, str],
    instructions: Iterable[Instructions],
    *,
    demo: bool,
    judge: str | None,
) -> str:
    """Sixteen hex digits over all that decides on a case's result beside the case: who is asked, and what."""
    what: dict[str, Any] = {
        "version": __version__,
        "config": config.model_dump(mode="json"),
        "templates": dict(templates),
        "built_in": _built_in(),
        "instructions": [[said.path, said.text, list(said.apply_to)] for said in instructions],
        "demo": demo,
        "judge": judge,
    }
    return sha256(json.dumps(what, sort_keys=True).encode("ascii")).hexdigest()[:16]


def state_path(output: Path | None, cases: Path, environ: Mapping[str, str]) -> Path:
    """Beside the output; else in the user's cache, by a digest of where the cases are."""
    if output is not None:
        return output.with_name(f"{output.name}.state.jsonl")
    cache_home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or ".") / ".cache")
    name = sha256(os.fsencode(cases.resolve())).hexdigest()[:16]
    return Path(cache_home) / "hunkwise" / "eval" / f"{name}.jsonl"


@dataclass
class State:
    """The cases that were measured under the same settings; one JSON object a line. A disk that takes no more is said
    once, and stops nothing."""

    path: Path
    settings: str
    scan: SecretScan
    _broken: bool = False
    _open_end: bool = False
    """Whoever wrote the last line was ended in the middle of it."""
    _known: dict[str, Marks] = field(default_factory=dict)

    def load(self) -> None:
        """Reads what is there; lines that are cut off, or are of other settings, are passed over."""
        try:
            raw = read_given(self.path, _MOST_BYTES)
        except OSError:
            return
        self._open_end = not raw.endswith(b"\n") and bool(raw)
        for line in raw[:_MOST_BYTES].split(b"\n"):
            with suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                if said["settings"] == self.settings:
                    marks = read_marks(said["case"])
                    self._known[marks.name] = marks

    def of(self, case: Case) -> Marks | None:
        """What became of the case, where it is as it was."""
        known = self._known.get(case.name)
        return known if known is not None and known.digest == case.digest else None

    def add(self, marks: Marks) -> None:
        """Keeps a case that was measured; one that failed is to be asked again."""
        if marks.failure is not None or self._broken:
            return
        said = {"settings": self.settings, "case": marks_json(marks)}
        line = json.dumps(without_secrets(said, self.scan), sort_keys=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="ascii") as file:
                file.write(f"\n{line}\n" if self._open_end else f"{line}\n")
                file.flush()
                os.fsync(file.fileno())
            self._open_end = False
        except OSError as error:
            self._broken = True
            logger.warning("The state %s cannot be written (%s); the run goes on.", self.path, error.strerror)

    def forget(self) -> None:
        """Once all is done, or where a fresh start is asked for."""
        self._known = {}
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@cache
def _built_in() -> dict[str, str]:
    """The texts that come with hunkwise, by name."""
    return dict(_texts(files("hunkwise.prompts") / "templates", ""))


def _texts(folder: Traversable, prefix: str) -> Iterable[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".j2", ".md")):
            yield prefix + entry.name, entry.read_text(encoding="utf-8")

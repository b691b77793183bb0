"""A folder of cases → cases. All faults at once, before anything is spent; whoever sent a case in may be a stranger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hunkwise.errors import SettingsError
from hunkwise.evaluation.case import Case, Content
from hunkwise.evaluation.golden_faults import parse_golden
from hunkwise.evaluation.located_json import MAX_BYTES
from hunkwise.evaluation.tree_files import TreeReader
from hunkwise.evaluation.unfold import MAX_LINES, unfolded
from hunkwise.given_file import read_given
from hunkwise.publish.characters import cut, one_line
from hunkwise.settings.wording import did_you_mean, listed

GOLDEN: Final = "golden.json"
DIFF: Final = "change.diff"
RECORDING: Final = "recording.json"
"""A folder with such a file holds recorded answers, and no case."""
MAX_CASES: Final = 500
MAX_DIFF: Final = 4_000_000
"""Bytes."""
MAX_ALL: Final = 200_000_000
"""Bytes of all cases together."""
_ENTRIES: Final = ("base", "head", DIFF, GOLDEN)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_CASE_FAULTS: Final = 50


def read_cases(folder: Path) -> tuple[Case, ...]:
    """The cases in the folder, by name; or the one case that it is. Raises SettingsError with all faults."""
    shown = cut(one_line(str(folder)), 300)
    if not folder.is_dir():
        raise SettingsError([f"{shown}: there is no such folder; name a folder of cases, or one case"])
    if os.path.lexists(folder / GOLDEN):
        found = [folder]
    else:
        found = sorted(path for path in folder.iterdir() if _may_be_case(path))
    if not found:
        raise SettingsError([f"{shown}: it holds no case; a case is a folder with a {GOLDEN}"])
    if len(found) > MAX_CASES:
        raise SettingsError([f"{shown}: it holds more than {MAX_CASES} cases; split it"])
    faults: list[str] = []
    cases: list[Case] = []
    size = 0
    for path in found:
        reader = _CaseReader(path, shown if path == folder else f"{shown}/{one_line(path.name)}")
        case = reader.read()
        faults += reader.faults
        cases += [case] if case is not None else []
        size += _size(case)
        if size > MAX_ALL:
            raise SettingsError([*faults, f"{shown}: its cases have more than {MAX_ALL:,} bytes; split it"])
    if faults:
        more = [f"and {len(faults) - _MAX_CASE_FAULTS} more faults"] if len(faults) > _MAX_CASE_FAULTS else []
        raise SettingsError([*faults[:_MAX_CASE_FAULTS], *more])
    return tuple(cases)


def _may_be_case(path: Path) -> bool:
    """A folder, or a link that poses as one; hidden ones, plain files and recordings are something else."""
    if path.name.startswith("."):
        return False
    return path.is_symlink() or (path.is_dir() and not (path / RECORDING).exists())


def _size(case: Case | None) -> int:
    if case is None:
        return 0
    files = [*case.base.values(), *(case.head or {}).values()]
    return len(case.diff) + sum(len(content.raw) for content in files)


@dataclass(slots=True)
class _CaseReader:
    folder: Path
    shown: str
    faults: list[str] = field(default_factory=list)

    def read(self) -> Case | None:
        """The case; None where it has faults."""
        if self._is_strange():
            return None
        self.faults += self._entry_faults()
        where = f"{self.shown}/{GOLDEN}"
        raw = self._file(GOLDEN, MAX_BYTES)
        golden, document = None, None
        if raw is not None:
            golden, document, faults = parse_golden(raw, where)
            self.faults += faults
        trees = self._trees()
        if golden is None or document is None or trees is None or self.faults:
            return None
        base, head, diff = trees
        return Case(self._name, golden, base, head, diff, where, document)

    @property
    def _name(self) -> str:
        return self.folder.resolve().name

    def _is_strange(self) -> bool:
        if self.folder.is_symlink():
            self.faults.append(f"{self.shown}: it is a symbolic link; put the case's own folder there")
        elif not _NAME.fullmatch(self._name):
            wanted = "a case is called by up to 100 letters, digits, dots, - and _; rename the folder"
            self.faults.append(f"{self.shown}: {wanted}")
        return bool(self.faults)

    def _entry_faults(self) -> Iterator[str]:
        names = sorted(path.name for path in self.folder.iterdir())
        for name in names:
            if name not in _ENTRIES and not name.startswith(".") and not name.lower().endswith(".md"):
                hint = (
                    did_you_mean(name, _ENTRIES) or f"; a case has {listed(_ENTRIES)}, and pages in Markdown"
                )
                yield f"{self.shown}/{cut(one_line(name), 100)}: it is no part of a case{hint}"

    def _trees(self) -> tuple[dict[str, Content], dict[str, Content] | None, bytes] | None:
        has_base, has_head, has_diff = (
            os.path.lexists(self.folder / name) for name in ("base", "head", DIFF)
        )
        if has_head and has_diff:
            self.faults.append(f"{self.shown}: it has both head/ and {DIFF}; keep one of them")
            return None
        if not has_head and not has_diff:
            self.faults.append(f"{self.shown}: it has no change; add head/ beside base/, or {DIFF}")
            return None
        base = self._tree("base") if has_base else {}
        if has_head:
            return base, self._tree("head"), b""
        diff = self._file(DIFF, MAX_DIFF)
        if diff is not None and not diff.strip():
            self.faults.append(f"{self.shown}/{DIFF}: it is empty; write there what `git diff` prints")
        if diff is not None and not has_base:
            shown = unfolded(diff)
            if shown is None:
                self.faults.append(
                    f"{self.shown}/{DIFF}: its files have more than {MAX_LINES:,} lines; add base/"
                )
            base = shown or {}
        return None if diff is None else (base, None, diff)

    def _tree(self, name: str) -> dict[str, Content]:
        path = self.folder / name
        if path.is_symlink() or not path.is_dir():
            self.faults.append(f"{self.shown}/{name}: it must be a folder, and no link to one")
            return {}
        reader = TreeReader(path, f"{self.shown}/{name}")
        found = reader.read()
        self.faults += reader.faults
        return found

    def _file(self, name: str, most: int) -> bytes | None:
        path = self.folder / name
        if path.is_symlink():
            self.faults.append(f"{self.shown}/{name}: it is a symbolic link; put the file itself there")
            return None
        try:
            raw = read_given(path, most)
        except FileNotFoundError:
            self.faults.append(f"{self.shown}: there is no {name}; add it, or move the folder elsewhere")
            return None
        except OSError as error:
            self.faults.append(f"{self.shown}/{name}: it cannot be read ({error.strerror})")
            return None
        if len(raw) > most:
            self.faults.append(f"{self.shown}/{name}: it has more than {most:,} bytes; shorten it")
            return None
        return raw

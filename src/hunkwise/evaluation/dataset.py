"""Loads cases: a change, and the findings or the answer to a question that are expected."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from hunkwise.domain.diff import DiffLine
from hunkwise.domain.diff_parser import parse_sections
from hunkwise.domain.text import cut, one_line
from hunkwise.errors import SettingsError
from hunkwise.evaluation.case_format import MAX_BYTES
from hunkwise.evaluation.golden import Golden, parse_golden
from hunkwise.evaluation.question import ExpectedAnswer, parse_question
from hunkwise.files import read_bounded
from hunkwise.settings.parsing import did_you_mean, listed


class CaseFile(NamedTuple):
    """A file of a case: its bytes and its mode."""

    raw: bytes
    executable: bool = False


Tree = Mapping[str, CaseFile]
"""Regular files by their paths, with slashes."""


@dataclass(frozen=True)
class Case:
    """One case: a change and what is expected of a model."""

    name: str
    """The name of its folder."""
    golden: Golden | ExpectedAnswer
    """The expected findings, or a question and the expected answer."""
    base: Tree = field(repr=False)
    head: Tree | None = field(repr=False, default=None)
    """None if the case has a `diff` instead."""
    diff: bytes = field(repr=False, default=b"")
    """The diff from the base to the head."""
    where: str = ""
    """Path of its golden.json or question.json, for messages."""

    @property
    def digest(self) -> str:
        """Digest of the expectations and all files of the case, 16 hex digits."""
        expected = self.golden.model_dump()
        if not expected.get("accept"):
            expected.pop("accept", None)  # so that reports from before there was this key can be compared
        whole = sha256(json.dumps(expected, sort_keys=True).encode("ascii"))
        for tree in (self.base, self.head or {}):
            for path, content in sorted(tree.items()):
                name = path.encode("utf-8", "surrogateescape")
                whole.update(b"%d %s %d %d\0" % (len(name), name, content.executable, len(content.raw)))
                whole.update(content.raw)
            whole.update(b"\0\0")
        whole.update(self.diff)
        return whole.hexdigest()[:16]


MAX_LINES: Final = 200_000
"""Maximum number of lines of all files together: a hunk's header may claim any line number."""
UNSHOWN: Final = "…"
"""Placeholder for each line that the diff does not show, so that the others keep their numbers."""


def files_of_diff(diff: bytes) -> dict[str, CaseFile] | None:
    """Returns the files of the base with the lines that the diff shows; None if they exceed MAX_LINES.

    Skips paths that are not valid in a tree: git then refuses the diff with the reason.
    """
    lines_by_path: dict[str, dict[int, DiffLine]] = {}
    executable: set[str] = set()
    for section in parse_sections(diff):
        path = section.header.old_path
        if path is None or not _is_valid(path):
            continue
        lines = lines_by_path.setdefault(path, {})
        lines.update(
            (line.old, line) for hunk in section.hunks for line in hunk.lines if line.old is not None
        )
        if section.header.old_mode == "100755":
            executable.add(path)
    if sum(max(lines, default=1) for lines in lines_by_path.values()) > MAX_LINES:
        return None
    return {path: CaseFile(_text(lines), path in executable) for path, lines in lines_by_path.items()}


def _text(lines: dict[int, DiffLine]) -> bytes:
    last = max(lines, default=1)
    rows = (lines[number].raw if number in lines else UNSHOWN.encode() for number in range(1, last + 1))
    open_end = last in lines and lines[last].no_eol
    return b"\n".join(rows) + (b"" if open_end else b"\n")


def _is_valid(path: str) -> bool:
    steps = path.lower().split("/")
    return "\0" not in path and not {"", ".", "..", ".git"} & set(steps)


MAX_FILES: Final = 2_000
MAX_FILE: Final = 2_000_000
"""Bytes; the same as the largest file that a model can read."""
MAX_TREE: Final = 20_000_000
"""Bytes."""
_MAX_DEPTH: Final = 30
_MAX_TREE_FAULTS: Final = 10


@dataclass(slots=True)
class TreeReader:
    """Reads one tree of a case; `faults` has its errors, as `path: …`."""

    folder: Path
    shown: str
    """The folder's path, for messages."""
    faults: list[str] = field(default_factory=list)
    _left: int = MAX_TREE

    def read(self) -> dict[str, CaseFile]:
        """Returns all files below the folder, in the order of their names."""
        tree: dict[str, CaseFile] = {}
        for path, entry in self._entries(self.folder, "", 0):
            if len(self.faults) >= _MAX_TREE_FAULTS:
                break
            if len(tree) >= MAX_FILES:
                self._refuse("", f"it has more than {MAX_FILES:,} files; keep those that the change needs")
                break
            content = self._read_file(path, entry)
            if content is not None:
                tree[path] = content
            if self._left < 0:
                self._refuse(
                    "", f"its files have more than {MAX_TREE:,} bytes; keep those that the change needs"
                )
                break
        return tree

    def _entries(self, folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(prefix, f"it cannot be read ({error.strerror})")
            return
        for entry in entries:
            path = f"{prefix}{entry.name}"
            if entry.name.lower() == ".git":
                self._refuse(path, "a tree has no .git; remove it")
            elif not entry.is_dir(follow_symlinks=False):
                yield path, entry
            elif depth >= _MAX_DEPTH:
                self._refuse(path, f"more than {_MAX_DEPTH} folders are in each other; flatten the tree")
            else:
                yield from self._entries(Path(entry.path), f"{path}/", depth + 1)

    def _read_file(self, path: str, entry: os.DirEntry[str]) -> CaseFile | None:
        try:
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
                self._refuse(
                    path, f"it is {kind}, and a tree is made of plain files; put a file in its place"
                )
                return None
            if status.st_size > MAX_FILE:
                self._refuse(path, f"it has {status.st_size:,} bytes; keep files within {MAX_FILE:,}")
                return None
            raw = read_bounded(Path(entry.path), MAX_FILE)
        except OSError as error:
            self._refuse(path, f"it cannot be read ({error.strerror})")
            return None
        self._left -= len(raw)
        return CaseFile(raw, bool(status.st_mode & stat.S_IXUSR))

    def _refuse(self, path: str, why: str) -> None:
        place = f"{self.shown}/{path}".rstrip("/")
        self.faults.append(f"{cut(one_line(place), 300)}: {why}")


GOLDEN: Final = "golden.json"
QUESTION: Final = "question.json"
DIFF: Final = "change.diff"
RECORDING: Final = "recording.json"
"""A folder with this file, or with folders that have it, is a recording, not a case."""
MAX_CASES: Final = 500
MAX_DIFF: Final = 4_000_000
"""Bytes."""
MAX_ALL: Final = 200_000_000
"""Bytes of all cases together."""
_ENTRIES: Final = ("base", "head", DIFF, GOLDEN, QUESTION)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_CASE_FAULTS: Final = 50


def read_cases(folder: Path) -> tuple[Case, ...]:
    """Reads the cases in the folder, by name, or the folder as one case. Raises SettingsError with all faults."""
    shown = cut(one_line(str(folder)), 300)
    if not folder.is_dir():
        raise SettingsError([f"{shown}: there is no such folder; name a folder of cases, or one case"])
    if any(os.path.lexists(folder / name) for name in (GOLDEN, QUESTION)):
        folders = [folder]
    else:
        folders = sorted(path for path in folder.iterdir() if _may_be_case(path))
    if not folders:
        raise SettingsError(
            [f"{shown}: it holds no case; a case is a folder with a {GOLDEN} or a {QUESTION}"]
        )
    if len(folders) > MAX_CASES:
        raise SettingsError([f"{shown}: it holds more than {MAX_CASES} cases; split it"])
    faults: list[str] = []
    cases: list[Case] = []
    size = 0
    for path in folders:
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
    """Returns True for a folder or a symbolic link, except hidden ones and recordings of one run or several."""
    if path.name.startswith("."):
        return False
    return path.is_symlink() or (path.is_dir() and not _is_recording(path))


def _is_recording(folder: Path) -> bool:
    if (folder / RECORDING).exists():
        return True
    is_case = any(os.path.lexists(folder / name) for name in (GOLDEN, QUESTION))
    return not is_case and any(folder.glob(f"*/{RECORDING}"))


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
        """Returns the case; None if it has faults."""
        if self._check_folder():
            return None
        self.faults += self._entry_faults()
        name = self._expectations
        where = f"{self.shown}/{name}"
        raw = self._read_file(name, MAX_BYTES) if name else None
        golden: Golden | ExpectedAnswer | None = None
        if raw is not None:
            golden, faults = (parse_question if name == QUESTION else parse_golden)(raw, where)
            self.faults += faults
        trees = self._read_trees()
        if golden is None or trees is None or self.faults:
            return None
        base, head, diff = trees
        return Case(self._name, golden, base, head, diff, where)

    @property
    def _expectations(self) -> str:
        """The name of the file with what is expected; empty, and a fault, if there are two or none."""
        present = [name for name in (GOLDEN, QUESTION) if os.path.lexists(self.folder / name)]
        if len(present) == 1:
            return present[0]
        wrong = (
            f"it has both {GOLDEN} and {QUESTION}; make two cases"
            if present
            else f"there is neither {GOLDEN} nor {QUESTION}; add one, or move the folder elsewhere"
        )
        self.faults.append(f"{self.shown}: {wrong}")
        return ""

    @property
    def _name(self) -> str:
        return self.folder.resolve().name

    def _check_folder(self) -> bool:
        """Checks the folder's kind and name; returns True if there are faults."""
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

    def _read_trees(self) -> tuple[dict[str, CaseFile], dict[str, CaseFile] | None, bytes] | None:
        has_base, has_head, has_diff = (
            os.path.lexists(self.folder / name) for name in ("base", "head", DIFF)
        )
        if has_head and has_diff:
            self.faults.append(f"{self.shown}: it has both head/ and {DIFF}; keep one of them")
            return None
        if not has_head and not has_diff:
            self.faults.append(f"{self.shown}: it has no change; add head/ beside base/, or {DIFF}")
            return None
        base = self._read_tree("base") if has_base else {}
        if has_head:
            return base, self._read_tree("head"), b""
        diff = self._read_file(DIFF, MAX_DIFF)
        if diff is not None and not diff.strip():
            self.faults.append(f"{self.shown}/{DIFF}: it is empty; write there what `git diff` prints")
        if diff is not None and not has_base:
            files = files_of_diff(diff)
            if files is None:
                self.faults.append(
                    f"{self.shown}/{DIFF}: its files have more than {MAX_LINES:,} lines; add base/"
                )
            base = files or {}
        return None if diff is None else (base, None, diff)

    def _read_tree(self, name: str) -> dict[str, CaseFile]:
        path = self.folder / name
        if path.is_symlink() or not path.is_dir():
            self.faults.append(f"{self.shown}/{name}: it must be a folder, and no link to one")
            return {}
        reader = TreeReader(path, f"{self.shown}/{name}")
        tree = reader.read()
        self.faults += reader.faults
        return tree

    def _read_file(self, name: str, most: int) -> bytes | None:
        path = self.folder / name
        if path.is_symlink():
            self.faults.append(f"{self.shown}/{name}: it is a symbolic link; put the file itself there")
            return None
        try:
            raw = read_bounded(path, most)
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

"""Selects the files that are reviewed, by globs and by what their names say.

Globs are those of .gitignore, matched in time linear in the path. PyPI's pathspec and wcmatch make one backtracking
expression of a pattern: `*a*a*a*a*a*a*a*a*b` took 101 s on a name of sixty letters, and the names are untrusted. Here a
pattern is matched folder by folder, by the standard library's fnmatch, whose expressions do not backtrack over a star
that was passed.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.review import FileCoverage, SkipReason

_SPANS = re.compile(r"(?:^|(?<=/))\*{2,}(?=/|$)")
_ESCAPED = re.compile(r"\\(.)|(\[\^)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. `*`, `?` and `[..]` stay within a name, `**` spans folders, a folder holds all below it."""

    negated: bool
    """Written with a leading `!`: takes back what an earlier pattern matched."""
    runs: tuple[tuple[re.Pattern[str], ...], ...]
    """Names that follow each other; between two runs any number of folders may stand."""
    inside: bool
    """Ends in `/` or `/**`: matches what is in the folder, not the name itself."""

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Any text is a pattern; an empty one matches nothing."""
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
            runs = [*runs, ()] if name == "**" else [*runs[:-1], (*runs[-1], _name(name))]
        if not body.strip("/"):
            return cls(negated, (), inside=True)
        return cls(negated, tuple(runs), inside)

    def matches(self, names: Sequence[str]) -> bool:
        """Whether it matches a path, given as its names, or a folder that the path is in."""
        if not self.runs or not _fits(self.runs[0], names, 0):
            return False
        end = len(self.runs[0])
        for run in self.runs[1:]:
            # The first place is the best one: it leaves the most to the runs that follow.
            starts = range(end, len(names) - len(run) + 1)
            found = next((start for start in starts if _fits(run, names, start)), None)
            if found is None:
                return False
            end = found + len(run)
        return end < len(names) or not self.inside


@dataclass(frozen=True, slots=True)
class Globs:
    """Patterns of which the last one that matches decides."""

    globs: tuple[Glob, ...]

    def verdict(self, path: str) -> bool | None:
        """True if the path is matched, False if a `!` pattern takes it back, None if none speaks of it."""
        names = path.split("/")
        for glob in reversed(self.globs):
            if glob.matches(names):
                return not glob.negated
        return None


@lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> Globs:
    """The patterns, parsed once."""
    return Globs(tuple(Glob.parse(pattern) for pattern in patterns))


def matches(patterns: Sequence[str], path: str) -> bool:
    """Whether the patterns match the path; the last one that speaks of it decides."""
    return compiled(tuple(patterns)).verdict(path) is True


def _fits(run: tuple[re.Pattern[str], ...], names: Sequence[str], start: int) -> bool:
    if start + len(run) > len(names):
        return False
    return all(name.match(names[start + offset]) for offset, name in enumerate(run))


def _name(pattern: str) -> re.Pattern[str]:
    """One name of a pattern in fnmatch's words: no backslashes, and `[!` for `[^`."""

    def translated(match: re.Match[str]) -> str:
        if match[2]:
            return "[!"
        return f"[{match[1]}]" if match[1] in "*?[" else match[1]

    return re.compile(fnmatch.translate(_ESCAPED.sub(translated, pattern)))


LOCK_FILES = frozenset(
    {
        ".terraform.lock.hcl",
        "Cargo.lock",
        "Cartfile.resolved",
        "Gemfile.lock",
        "Gopkg.lock",
        "MODULE.bazel.lock",
        "Package.resolved",
        "Pipfile.lock",
        "Podfile.lock",
        "bun.lock",
        "bun.lockb",
        "buf.lock",
        "composer.lock",
        "conda-lock.yml",
        "deno.lock",
        "flake.lock",
        "glide.lock",
        "go.sum",
        "go.work.sum",
        "gradle.lockfile",
        "mix.lock",
        "npm-shrinkwrap.json",
        "package-lock.json",
        "packages.lock.json",
        "paket.lock",
        "pdm.lock",
        "pixi.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "pubspec.lock",
        "pylock.toml",
        "rebar.lock",
        "shard.lock",
        "uv.lock",
        "yarn.lock",
    }
)
_GENERATED_FOLDERS = frozenset(
    {"node_modules", "bower_components", "vendor", "__snapshots__", "__generated__"}
)
_GENERATED_ENDS = (
    *(".min.js", ".min.css", ".min.mjs", ".bundle.js", ".chunk.js", ".js.map", ".css.map"),
    *("_pb2.py", "_pb2_grpc.py", "_pb2.pyi", ".pb.go", ".pb.gw.go", ".pb.cc", ".pb.h", "_pb.js", "_pb.d.ts"),
    *(".g.dart", ".freezed.dart", ".mocks.dart", ".designer.cs", ".g.cs", ".g.i.cs", ".snap"),
)
_BUNDLE_ENDS = (".js", ".mjs", ".cjs", ".css", ".map")


def is_lock_file(path: str) -> bool:
    return path.rpartition("/")[2] in LOCK_FILES


def is_generated(path: str) -> bool:
    """Whether the name says that a tool wrote the file, or that it is a copy of somebody else's."""
    *folders, name = path.split("/")
    if not _GENERATED_FOLDERS.isdisjoint(folders):
        return True
    lower = name.lower()
    return lower.endswith(_GENERATED_ENDS) or ("dist" in folders and lower.endswith(_BUNDLE_ENDS))


def linguist_globs(attributes: str) -> Globs:
    """The files that a .gitattributes marks with `linguist-generated`, or takes back."""
    patterns: list[str] = []
    for line in attributes.splitlines():
        pattern, *words = line.split() or [""]
        if pattern.startswith(("#", "!", '"', "[attr]")):
            continue
        for word in words:
            if word in ("linguist-generated", "linguist-generated=true"):
                patterns.append(pattern)
            elif word in ("-linguist-generated", "linguist-generated=false", "!linguist-generated"):
                patterns.append("!" + pattern)
    return compiled(tuple(patterns))


_BINARY_ENDINGS = frozenset(
    "7z a avi bin bmp bz2 class dll dylib eot exe gif gz ico jar jpeg jpg mov mp3 mp4 o ogg otf pdf png pyc so "
    "tar tgz tif tiff ttf wasm wav webm webp woff woff2 xz zip".split()
)


def is_binary_name(path: str) -> bool:
    """Whether a file of that name is never text: pictures, fonts, archives, sound, compiled code."""
    return path.rpartition("/")[2].rpartition(".")[2].lower() in _BINARY_ENDINGS


PATCH_LIMIT = 2_000_000
"""Bytes of a file's patch above which it is not reviewed."""
_MARKER_LINES = 5
_MARKER = re.compile(rb"@generated\b|\bcode generated\b.{0,200}\bdo not edit\b", re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """Every changed file is in one of the two."""

    reviewed: tuple[FileDiff, ...]
    skipped: tuple[FileCoverage, ...]


def select(
    files: Sequence[FileDiff],
    *,
    ignore: Sequence[str],
    only: Sequence[str] = (),
    attributes: str | None = None,
) -> Selection:
    """Sorts the files by the first of these that applies; what none applies to is reviewed.

    1. The user's word: outside of `only` (if there is any) or matched by `ignore` is IGNORED. A pattern
       `!path` of `ignore` that has the last word makes steps 2 and 5 pass the file over.
    2. LOCK_FILE or GENERATED by name or by `attributes`, the .gitattributes of the base. This comes before 3,
       since GitHub withholds the patches of large lock files.
    3. BINARY, NO_PATCH (withheld), NO_CHANGED_LINES (renamed, other mode, empty).
    4. TOO_LARGE.
    5. GENERATED by a marker among the first five lines, but only where the change leaves that line alone:
       else a stranger could switch the review off by writing the marker into his own file.
    """
    ignored, wanted = compiled(tuple(ignore)), compiled(tuple(only))
    generated = linguist_globs(attributes or "")
    reviewed: list[FileDiff] = []
    skipped: list[FileCoverage] = []
    for file in files:
        if only and not wanted.verdict(file.path):
            reason: SkipReason | None = SkipReason.IGNORED
        else:
            reason = _reason(file, ignored.verdict(file.path), generated)
        if reason is None:
            reviewed.append(file)
        else:
            skipped.append(FileCoverage(file.path, file.changed_lines, reason=reason))
    return Selection(tuple(reviewed), tuple(skipped))


def _reason(file: FileDiff, ignored: bool | None, generated: Globs) -> SkipReason | None:
    if ignored:
        return SkipReason.IGNORED
    kept = ignored is False
    reason = None if kept else _tool_written(file.path, generated)
    if reason is None:
        reason = _nothing_to_show(file)
    if reason is None and not kept and _has_marker(file):
        reason = SkipReason.GENERATED
    return reason


def _tool_written(path: str, generated: Globs) -> SkipReason | None:
    said = generated.verdict(path)
    if said is not None:
        return SkipReason.GENERATED if said else None
    if is_lock_file(path):
        return SkipReason.LOCK_FILE
    return SkipReason.GENERATED if is_generated(path) else None


def _nothing_to_show(file: FileDiff) -> SkipReason | None:
    if file.binary:
        return SkipReason.BINARY
    shown = any(hunk.changed_lines for hunk in file.hunks)
    if file.patch_missing or (file.changed_lines and not shown):
        return SkipReason.NO_PATCH
    if not shown:
        return SkipReason.NO_CHANGED_LINES
    size = sum(len(line.raw) + 2 for hunk in file.hunks for line in hunk.lines)
    return SkipReason.TOO_LARGE if size > PATCH_LIMIT else None


def _has_marker(file: FileDiff) -> bool:
    """Whether an unchanged line among the first five says that the file is generated."""
    return any(
        line.kind == " "
        and line.new is not None
        and line.new <= _MARKER_LINES
        and _MARKER.search(line.raw[:500])
        for line in file.hunks[0].lines[: 4 * _MARKER_LINES]
    )

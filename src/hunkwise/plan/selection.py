"""Selects the files that are reviewed, by globs, names and content."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.review import FileCoverage, SkipReason
from hunkwise.domain.text import LINE_LIMIT
from hunkwise.plan.globs import Globs, compiled

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
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "testdata"})
_TEST_NAME = re.compile(r"^(test_|conftest\.)|[._-](test|tests|spec)\.|[a-z0-9](Test|Tests|Spec)\.")
_BUNDLE_ENDS = (".js", ".mjs", ".cjs", ".css", ".map")


def is_lock_file(path: str) -> bool:
    return path.rpartition("/")[2] in LOCK_FILES


def is_generated(path: str) -> bool:
    """Returns True if the path looks like that of generated or vendored code."""
    *folders, name = path.split("/")
    if not _GENERATED_FOLDERS.isdisjoint(folders):
        return True
    lower = name.lower()
    return lower.endswith(_GENERATED_ENDS) or ("dist" in folders and lower.endswith(_BUNDLE_ENDS))


def is_test_file(path: str) -> bool:
    """Returns True if the path looks like that of a file of tests, or of helpers for tests."""
    *folders, name = path.split("/")
    return not _TEST_FOLDERS.isdisjoint(folder.lower() for folder in folders) or bool(_TEST_NAME.search(name))


_ATTRIBUTES = ("linguist-generated", "linguist-vendored")


class LinguistAttributes:
    """Which paths `linguist-generated` or `linguist-vendored` marks, each attribute by itself.

    `attributes`: the texts of .gitattributes files by their folders. As in git, a pattern is relative to its file's
    folder, and a file in a deeper folder has precedence.
    """

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self._globs: dict[str, dict[str, Globs]] = {}
        """By folder, the higher ones first, and by attribute."""
        for folder in sorted(attributes, key=lambda folder: (folder != "", folder.count("/"))):
            patterns: dict[str, list[str]] = {}
            for line in attributes[folder].splitlines():
                pattern, *words = line.split() or [""]
                if pattern.startswith(("#", "!", '"', "[attr]")):
                    continue
                for word in words:
                    name, _, value = word.lstrip("-!").partition("=")
                    if name in _ATTRIBUTES and value in ("", "true", "false"):
                        negated = word[0] in "-!" or value == "false"
                        patterns.setdefault(name, []).append("!" * negated + pattern)
            if patterns:
                self._globs[folder] = {name: compiled(tuple(globs)) for name, globs in patterns.items()}

    def verdict(self, path: str) -> bool | None:
        """Returns True if an attribute is set, False if one is unset and none is set, None if none is mentioned."""
        return next(self.verdicts((path,)))

    def verdicts(self, paths: Sequence[str]) -> Iterator[bool | None]:
        """Yields the verdict of each path, in less time than one by one."""
        found: list[dict[str, bool]] = [{} for _ in paths]
        indexes_by_folder: dict[str, list[int]] = {}
        for index, path in enumerate(paths):
            indexes_by_folder.setdefault(path[: path.rfind("/") + 1], []).append(index)
        for folder, globs_by_name in self._globs.items():
            prefix = f"{folder}/" if folder else ""
            below = [
                index
                for path_folder, indexes in indexes_by_folder.items()
                if path_folder.startswith(prefix)
                for index in indexes
            ]
            for name, globs in globs_by_name.items():
                verdicts = globs.verdicts(paths[index].removeprefix(prefix) for index in below)
                for index, verdict in zip(below, verdicts, strict=True):
                    if verdict is not None:
                        found[index][name] = verdict
        for verdict_by_name in found:
            yield True in verdict_by_name.values() if verdict_by_name else None


_BINARY_ENDINGS = frozenset(
    "7z a aac aar ai apk avi avif bin blend bmp bz2 class cur dat db deb dll dmg doc docx dylib eot exe fbx fig flac "
    "gif glb gz h5 heic icns ico ipa iso jar jks jpeg jpg keystore lib m4a mkv mo mov mp3 mp4 mpg npy npz nupkg o obj "
    "odt ogg onnx otf p12 parquet pdb pdf pfx pickle pkl png ppt pptx psd pt pth pyc rpm sketch so sqlite swf "
    "tar tgz tif tiff ttf wasm wav webm webp whl wmv woff woff2 xls xlsx xz zip".split()
)
_SOURCE_NAMES = frozenset(
    "awk bash bat bazel bzl c cc cfg cjs cl clj cljs cmake cmd cob coffee conf cpp cs csh cshtml css cts cu cue cxx "
    "dart dockerfile el elm env erb erl ex exs f90 fish fs fsx gemspec go gradle graphql groovy h hbs hcl hh hpp "
    "hrl hs htm html hxx ini ipynb java jinja jl js json jsonnet jsp jsx ksh kt kts less lhs lisp lua m mak mjs mk "
    "ml mli mm mts nim nix nomad pas php phtml pl plist pm pp prisma properties proto ps1 psd1 psm1 py pyi pyx r "
    "rake rb rego rkt robot rs s sass sbt scala scm scss sh sol sql svelte svg swift tcl tf tfvars toml ts tsx twig "
    "v vb vbs vhd vue xaml xml xsl yaml yml zig zsh bashrc bash_profile brewfile build caddyfile cmakelists.txt "
    "codeowners containerfile gemfile gitattributes gitconfig gitignore gitmodules gnumakefile jenkinsfile justfile "
    "makefile npmrc podfile procfile profile rakefile requirements.txt vagrantfile workspace yarnrc zshrc".split()
)
"""Endings and whole names."""


def is_binary_name(path: str) -> bool:
    """Returns True if the ending is that of a binary file: images, fonts, archives, audio, video, compiled code."""
    return path.rpartition("/")[2].rpartition(".")[2].lower() in _BINARY_ENDINGS


def is_source_name(path: str) -> bool:
    """Returns True if the name is that of source code, or of another text that a program follows."""
    name = path.rpartition("/")[2].lower()
    return name in _SOURCE_NAMES or name.rpartition(".")[2] in _SOURCE_NAMES


PATCH_LIMIT = 2_000_000
"""Bytes of a file's patch, of each line at most LINE_LIMIT, above which it is not reviewed."""
_NEW_PATH = frozenset({FileStatus.ADDED, FileStatus.COPIED, FileStatus.RENAMED})
"""The base has no file with this path."""
_MARKER_LINES = 5
_MARKER = re.compile(rb"@generated\b|\bcode generated\b.{0,200}\bdo not edit\b", re.IGNORECASE)


@dataclass(frozen=True)
class Selection:
    """The changed files: each is in one of the two."""

    reviewed: tuple[FileDiff, ...]
    skipped: tuple[FileCoverage, ...]


def select(
    files: Sequence[FileDiff],
    *,
    ignore: Sequence[str],
    only: Sequence[str] = (),
    attributes: Mapping[str, str] = MappingProxyType({}),
    audit: bool = False,
) -> Selection:
    """Skips a file for the first of these reasons that applies; files without one are reviewed.

    1. IGNORED: not in `only` (unless that is empty), or matched by `ignore`. If the last match in `ignore` is a
       negated pattern (`!path`), steps 2 and 5 do not apply to the file.
    2. MARKED by `attributes`, the texts of the base's .gitattributes by folder; LOCK_FILE or GENERATED by name, but
       only if the base has the file: otherwise the author of a change could skip its review by the choice of a name.
       This comes before 3, because GitHub omits the patches of large lock files.
    3. BINARY, NUL_BYTES, NO_PATCH (omitted by GitHub), NO_CHANGED_LINES (renamed, other mode, empty).
    4. TOO_LARGE.
    5. GENERATED by a marker in the first five lines, but only if the base has the file, and the change does not touch
       that line. In an `audit` all files are existing code: there a marker in an added line counts as well.
    """
    ignored, wanted = compiled(tuple(ignore)), compiled(tuple(only))
    marked = LinguistAttributes(attributes)
    reviewed: list[FileDiff] = []
    skipped: list[FileCoverage] = []
    for file in files:
        if only and not wanted.verdict(file.path):
            reason: SkipReason | None = SkipReason.IGNORED
        else:
            reason = _find_skip_reason(file, ignored.verdict(file.path), marked, audit=audit)
        if reason is None:
            reviewed.append(file)
        else:
            skipped.append(FileCoverage(file.path, file.changed_lines, reason=reason))
    return Selection(tuple(reviewed), tuple(skipped))


def _find_skip_reason(
    file: FileDiff, ignored: bool | None, marked: LinguistAttributes, *, audit: bool
) -> SkipReason | None:
    if ignored:
        return SkipReason.IGNORED
    forced = ignored is False
    reason = None if forced else _find_generated_reason(file, marked)
    if reason is None:
        reason = _find_content_reason(file)
    if reason is None and not forced and _has_marker(file, audit=audit):
        reason = SkipReason.GENERATED
    return reason


def _find_generated_reason(file: FileDiff, marked: LinguistAttributes) -> SkipReason | None:
    by_attributes = marked.verdict(file.path)
    if by_attributes is not None:
        return SkipReason.MARKED if by_attributes else None
    before = file.path if file.status not in _NEW_PATH else file.old_path or ""
    if file.status in (FileStatus.ADDED, FileStatus.COPIED) or _folder(before) != _folder(file.path):
        return None
    if is_lock_file(file.path) and is_lock_file(before):
        return SkipReason.LOCK_FILE
    return SkipReason.GENERATED if is_generated(file.path) and is_generated(before) else None


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _find_content_reason(file: FileDiff) -> SkipReason | None:
    if file.binary:
        is_source = file.script or is_source_name(file.path)
        return (
            SkipReason.NUL_BYTES if is_source and file.status is not FileStatus.REMOVED else SkipReason.BINARY
        )
    has_changes = any(hunk.changed_lines for hunk in file.hunks)
    if file.patch_missing or (file.changed_lines and not has_changes):
        return SkipReason.NO_PATCH
    if not has_changes:
        return SkipReason.NO_CHANGED_LINES
    size = sum(min(len(line.raw), LINE_LIMIT) + 2 for hunk in file.hunks for line in hunk.lines)
    return SkipReason.TOO_LARGE if size > PATCH_LIMIT else None


def _has_marker(file: FileDiff, *, audit: bool) -> bool:
    """Returns True if one of the first five lines has a marker for generated code.

    In a change, it must be an unchanged line of a file of the base.
    """
    return (audit or file.status not in _NEW_PATH) and any(
        line.kind == ("+" if audit else " ")
        and line.new is not None
        and line.new <= _MARKER_LINES
        and _MARKER.search(line.raw[:500])
        for line in file.hunks[0].lines[: 4 * _MARKER_LINES]
    )

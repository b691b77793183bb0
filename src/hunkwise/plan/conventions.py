"""Which files tools write: by their names, and by what the base's .gitattributes says."""

from __future__ import annotations

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

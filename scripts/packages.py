"""Builds the wheel and the source distribution into dist/. The same commit gives the same bytes.

Needs setuptools in the Python that runs it (requirements/build.txt), and no network. SOURCE_DATE_EPOCH is the time of
all files, by default that of the commit.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "dist"
SOURCES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "src")
SCRATCH = "hunkwise-packages-"
"""What the name of the temporary folder begins with; no file of a release may have it."""
_BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def build(out: Path, epoch: int) -> tuple[Path, Path]:
    """Builds both from the files that Git knows, and returns the paths of the wheel and the source distribution.

    `epoch` is the time of all files, in seconds. Raises SystemExit with setuptools' own output.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
        folder = Path(scratch)
        _copy_sources(folder / "sources")
        _call_backend("build_sdist", folder / "sources", folder, epoch)
        (archive,) = folder.glob("*.tar.gz")
        sdist = out / archive.name
        _copy_normalized(archive, sdist, epoch)
        # tarfile needs a filter since Python 3.12, and has none before 3.11.4.
        subprocess.run(["tar", "-xzf", sdist, "-C", folder], umask=0o022, check=True)
        _call_backend("build_wheel", folder / archive.name.removesuffix(".tar.gz"), folder, epoch)
        (made,) = folder.glob("*.whl")
        wheel = out / made.name
        wheel.write_bytes(made.read_bytes())
    return wheel, sdist


def commit_time() -> int:
    """Returns the time of the commit, in seconds since 1970."""
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def _copy_sources(folder: Path) -> None:
    """Copies the tracked files, with modes that do not depend on the umask of the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\0")[:-1]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
        target.chmod(0o644)


def _call_backend(hook: str, source: Path, out: Path, epoch: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, hook, out],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{hook} failed:\n{done.stdout}{done.stderr}")


def _copy_normalized(archive: Path, target: Path, epoch: int) -> None:
    """Copies a .tar.gz with its members sorted, and without the user and the times of this build.

    setuptools uses SOURCE_DATE_EPOCH for wheels only.
    """
    with (
        tarfile.open(archive) as members,
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as copy,
    ):
        for member in sorted(members.getmembers(), key=lambda one: one.name):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size, entry.mtime = member.type, member.size, epoch
            entry.mode = 0o755 if member.isdir() else 0o644
            copy.addfile(entry, members.extractfile(member))


def main() -> int:
    for path in build(OUT, int(os.environ.get("SOURCE_DATE_EPOCH") or commit_time())):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

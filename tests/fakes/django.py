"""Source distributions of Django as Git repositories: large and real. The package index has them."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.fakes.git_repository import GitRepository

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hunkwise-tests"


class DownloadError(Exception):
    """The package index did not give the source distribution."""


def import_django(folder: Path, branches: Mapping[str, str]) -> GitRepository:
    """Returns a repository in a new folder with a release on each branch, by name, each on top of the one before.

    Nothing is checked out. Raises DownloadError.
    """
    archives = {branch: _release(version) for branch, version in branches.items()}
    repository = GitRepository.create(folder)
    with subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=repository.path, stdin=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        before = ""
        for branch, archive in archives.items():
            importing.stdin.write(
                f"commit refs/heads/{branch}\ncommitter A <a@example.com> 0 +0000\ndata 0\n".encode()
            )
            if before:
                importing.stdin.write(f"from refs/heads/{before}\ndeleteall\n".encode())
            for part in _files(archive):
                importing.stdin.write(part)
            before = branch
    assert importing.returncode == 0
    return repository


def _release(version: str) -> Path:
    """Returns the source distribution, from the cache or downloaded by pip."""
    archive = _CACHE / f"Django-{version}.tar.gz"
    if not archive.is_file():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-build-isolation",  # otherwise pip downloads setuptools to read the metadata
        ]
        wanted = ["--no-binary", "django", "--dest", str(_CACHE), f"django=={version}"]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DownloadError(
                f"pip could not download the source distribution of Django {version}, which is needed once: check the "
                f"index that pip is configured for (pip config list) and the network, or put the file at {archive}. "
                f"{done.stderr[-500:]}"
            )
        found = next(path for path in _CACHE.iterdir() if path.name.lower() == archive.name.lower())
        found.rename(archive)
    return archive


def _files(archive: Path) -> Iterator[bytes]:
    """Yields the files of a source distribution as input of git fast-import."""
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None:
                path = member.name.partition("/")[2].replace("\\", "\\\\").replace('"', '\\"')
                mode = "100755" if member.mode & 0o100 else "100644"
                yield f'M {mode} inline "{path}"\ndata {member.size}\n'.encode() + content.read() + b"\n"

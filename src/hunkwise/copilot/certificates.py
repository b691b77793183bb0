"""The certificates that a self-hosted runner names: carried to where the sidecar can read them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

_FILES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
_FOLDERS = "SSL_CERT_DIR"
_MOST_BYTES = 4 << 20
_MOST_FILES = 1_000


def carried(inherited: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Copies what the variables name into `folder`; gives the copy that each of them is to name instead.

    What is no file, or more than 4 MiB, is left out, as it would hold for nothing. Raises OSError.
    """
    found: dict[str, Path] = {}
    for name in _FILES:
        source = Path(inherited.get(name) or os.devnull)
        if _counts(source):
            found[name] = folder / name
            shutil.copyfile(source, found[name])
            found[name].chmod(0o644)
    sources = list(_in_folders(inherited.get(_FOLDERS, "")))
    if sources:
        copies = folder / _FOLDERS
        copies.mkdir()
        copies.chmod(0o755)
        for source in sources:
            shutil.copyfile(source, copies / source.name)
            (copies / source.name).chmod(0o644)
        found[_FOLDERS] = copies
    return found


def _in_folders(given: str) -> Iterator[Path]:
    """The certificates of a list of folders, as OpenSSL reads it: the first of a name counts."""
    seen: set[str] = set()
    for folder in filter(None, given.split(os.pathsep)):
        if not Path(folder).is_dir():
            continue
        for path in sorted(Path(folder).iterdir()):
            if path.name not in seen and len(seen) < _MOST_FILES and _counts(path):
                seen.add(path.name)
                yield path


def _counts(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _MOST_BYTES

"""A root folder for the sidecar, like the image's, from the installed files."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hunkwise.copilot.find_cli import find_cli
from hunkwise.copilot.isolation import ROOT_VARIABLE
from tests.copilot.sessions import environ

_LIBRARY = re.compile(r"(/\S+) \(0x")


@contextmanager
def root_folder(folder: Path) -> Iterator[Path]:
    """Yields the folder to one test process at a time: stopping a sidecar ends all processes of its user."""
    with (Path(tempfile.gettempdir()) / "hunkwise-tests-isolation").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _create(folder / "root")


def _create(root: Path) -> Path:
    runtime = find_cli(environ()).program
    inner = runtime.relative_to(runtime.parents[5])  # pkg/PLATFORM/VERSION/prebuilds/PLATFORM/copilot-runtime
    package = root / "copilot" / inner.parent
    shutil.copytree(runtime.parent, package, copy_function=_linked)
    for program in (runtime, runtime.with_name("runtime.node")):
        add_libraries(root, program)
    for name in ("home", "etc", "proc/self"):
        (root / name).mkdir(parents=True)
    (root / "home").chmod(0o711)
    (root / "proc/self/exe").symlink_to(Path("/copilot") / inner)
    return root


def add_libraries(root: Path, program: Path) -> None:
    """Copies the libraries that the program needs."""
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in map(Path, _LIBRARY.findall(needed)):
        target = root / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(library, target)
        target.chmod(0o755)


def image_environ(root: Path, **more: str) -> dict[str, str]:
    """Returns the environment of a step in the image."""
    return environ(**{ROOT_VARIABLE: str(root), "COPILOT_PKG_CACHE_HOME": str(root / "copilot"), **more})


def _linked(source: str, target: str) -> None:
    """Makes a hard link if possible: the runtime has 145 MB."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

"""Child processes that the kernel bounds: for hostile texts, whose cost nothing within our process could bound."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import hunkwise


def started(module: str, needs: ModuleType, *, python: str = sys.executable) -> subprocess.Popen[str]:
    """`python -m module` with nothing of our environment, that talks in lines. Raises OSError.

    `needs` is the package that the module imports beside hunkwise.
    """
    # Where this process has both from; not the working directory, which may be anybody's.
    files = (found.__file__ for found in (hunkwise, needs))
    roots = dict.fromkeys(str(Path(file).parents[1]) for file in files if file)
    return subprocess.Popen(
        [python, "-s", "-P", "-m", module],
        env={
            "PYTHONPATH": os.pathsep.join(roots),
            "PYTHONIOENCODING": "utf-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd=os.sep,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a signal to our group is ours to handle
    )


def bound(*, memory: int, cpu_seconds: int) -> None:
    """Bounds this process for good, in bytes of address space and seconds of processor time.

    Where the platform has no such limits, the parent's clock is the only one.
    """
    with suppress(ImportError):
        import resource

        limits = {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_CPU: cpu_seconds,
            resource.RLIMIT_CORE: 0,
        }
        for kind, most in limits.items():
            with suppress(OSError, ValueError):  # a lower one holds already, or the platform knows none of it
                resource.setrlimit(kind, (most, most))

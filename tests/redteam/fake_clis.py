"""Copilot CLIs that do something else before they start, or instead of it."""

from __future__ import annotations

import os
import sys

from hunkwise.copilot.find_cli import find_cli
from tests.redteam.attack import AttackWorld


def replace_cli(world: AttackWorld, first: str, *, then: bool = True) -> dict[str, str]:
    """Returns the variables that replace the CLI by a script, which at its end becomes the real CLI if `then`."""
    real = find_cli(os.environ)
    script = world.folder / "cli"
    last = f'exec {real.program} "$@"' if then else ""
    script.write_text(f"#!/bin/sh\n{first}\n{last}\n")
    script.chmod(0o755)
    cache = {"COPILOT_PKG_CACHE_HOME": str(real.package_cache)} if real.package_cache else {}
    return {"COPILOT_CLI_PATH": str(script), **cache}


def python_command(program: str) -> str:
    """Returns the program as a command of a shell script."""
    return f"{sys.executable} - <<'PROGRAM'\n{program}\nPROGRAM"

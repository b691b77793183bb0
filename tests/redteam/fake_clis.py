"""Copilot CLIs that do something of their own before they are what they should be, or instead of that."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hunkwise.copilot.find_cli import find_cli
from tests.redteam.attack import Arena


def cli(arena: Arena, first: str, *, then: bool = True) -> dict[str, str]:
    """The variables that put a shell script in the CLI's place: at its end it becomes the real one, or it does not."""
    real = find_cli(os.environ)
    script = arena.folder / "cli"
    last = f'exec {real.program} "$@"' if then else ""
    script.write_text(f"#!/bin/sh\n{first}\n{last}\n")
    script.chmod(0o755)
    cache = {"COPILOT_PKG_CACHE_HOME": str(real.package_cache)} if real.package_cache else {}
    return {"COPILOT_CLI_PATH": str(script), **cache}


def python(program: str) -> str:
    """The program as a command of a shell script."""
    return f"{sys.executable} - <<'PROGRAM'\n{program}\nPROGRAM"


def ports_of(process: int) -> list[int]:
    """The ports that a process listens on."""
    links = {_link(one) for one in Path(f"/proc/{process}/fd").iterdir()}
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [
        int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links
    ]


def _link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed while we looked
        return ""

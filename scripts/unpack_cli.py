"""Unpacks the installed Copilot CLI once, so that its runtime starts in 0.1 s instead of 2.

The CLI does so by itself at its first start; asked by COPILOT_SEA_EXTRACT_ONLY it does nothing else. The package's
files stay whole and unmodified.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "node_modules" / ".cache" / "copilot"


def main() -> int:
    programs = sorted((ROOT / "node_modules" / "@github").glob("copilot-*-*/copilot"))
    if not programs:
        print(
            "npm installed no Copilot CLI for this platform; it has one for Linux and macOS, x64 and arm64."
        )
        return 1
    CACHE.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(CACHE),
        "COPILOT_HOME": str(CACHE / "home"),
        "COPILOT_PKG_CACHE_HOME": str(CACHE),
        "COPILOT_SEA_EXTRACT_ONLY": "1",
    }
    done = subprocess.run([programs[0]], env=environment, timeout=120, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

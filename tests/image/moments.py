"""When a process of this machine began, as the kernel has it."""

from __future__ import annotations

import os
from pathlib import Path


def began(process: int) -> float:
    """On the clock that counts from the machine's start (CLOCK_BOOTTIME), in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")

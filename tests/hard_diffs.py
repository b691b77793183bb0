"""The location of the hard cases of the diff parser, which are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

CASES = Path(
    os.environ.get("HUNKWISE_HARD_DIFFS") or Path(__file__).resolve().parents[2] / "shared" / "hard-diffs"
).resolve()
AVAILABLE = "HUNKWISE_HARD_DIFFS" in os.environ or CASES.is_dir()
"""A place that was named must hold them; beside the checkout they may be missing."""

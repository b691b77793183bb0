"""The job summary of a run that made no review."""

from __future__ import annotations

from collections.abc import Sequence

from hunkwise.publish import sanitize


def failure_summary(faults: Sequence[str]) -> str:
    """Each fault with its remedy. It claims nothing of the change, for nothing was read."""
    listed = "\n".join(f"- {sanitize.line(fault, 2_000)}" for fault in faults)
    return f"## hunkwise: no review was made\n\nNothing was reviewed, so nothing is said of the change.\n\n{listed}\n"

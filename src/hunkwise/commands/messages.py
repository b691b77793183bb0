"""Prints messages to people on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress

from hunkwise.domain.text import plain


def print_message(text: str) -> None:
    """Prints the text without control characters. Does nothing if standard error is closed."""
    with suppress(OSError, ValueError):  # the exit code still shows a failure
        sys.stderr.write(f"{plain(text)}\n")

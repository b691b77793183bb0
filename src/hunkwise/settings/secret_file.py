"""Secrets in files that variables of the environment name."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_MAX_SECRET: Final = 16_384
"""Bytes."""


def read_secret_file(environ: Mapping[str, str], variable: str, faults: list[str], needed: str = "") -> str:
    """Returns the text of the file that a variable names; empty if the variable is not set. Adds to `faults`.

    `needed`: what the file must have; empty if the variable may be left out.
    """
    path = environ.get(variable)
    if not path:
        if needed:
            faults.append(f"{variable} is missing: set it to a file with {needed}.")
        return ""
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_SECRET + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        faults.append(f"{variable} names {path}, which cannot be read ({reason}).")
        return ""
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        faults.append(f"{variable} names {path}, which others can read or write: chmod 600 (or 640) it.")
    if not text.strip() or len(text) > _MAX_SECRET:
        faults.append(f"{variable} names {path}, which is empty or larger than {_MAX_SECRET:,} bytes.")
    return text

"""How previews are printed: columns that nothing foreign can leave, and JSON in ASCII."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from hunkwise.plan.display import visible

_WIDEST = 48
"""Characters to which a column is filled up; what is longer pushes its own line's next column."""


def safe(text: str) -> str:
    """On one line, with every character visible."""
    return visible(text).replace("\t", "\\t")


def columns(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """The rows as lines, their cells below each other."""
    shown = [tuple(map(safe, row)) for row in rows]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def print_json(contents: object) -> None:
    """Readable JSON that moves no terminal: all but printable ASCII is escaped."""
    sys.stdout.write(json.dumps(contents, indent=1).replace("\x7f", "\\u007f") + "\n")


def print_text(text: str) -> None:
    """The text exactly as it is; on a terminal with every character visible, which is said where it differs."""
    if not sys.stdout.isatty():
        sys.stdout.write(text)
        return
    shown = "\n".join(map(visible, text.split("\n")))
    sys.stdout.write(shown)
    if shown != text:
        sys.stdout.flush()
        sys.stderr.write("hunkwise: Some characters are shown as \\u escapes; redirect for the exact text.\n")

"""Invalid findings: places outside of the diff, and values that no schema allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.end_to_end.world import finding

_MISSING: Final = object()
_PATHS = ("elsewhere.py", "/etc/passwd", "../../etc/passwd", "/app.py", "./app.py", "x/../app.py", "APP.PY")
_WRONG: Final[Mapping[str, tuple[Any, ...]]] = {
    "path": (
        *_PATHS,
        "app.py\0",
        "app.py ",
        "app.py#L3",
        "app.py:3",
        ".git/config",
        "C:\\app.py",
        "",
        " ",
        3,
        None,
        ["app.py"],
    ),
    "line": (
        *(0, -1, 5, 10**9, 2**31, 2**63, 10**40, 3.5, 1e300),
        "1",
        "3",
        True,
        None,
        [3],
        {"line": 3},
        _MISSING,
    ),
    "start_line": (0, -1, 29, 10**9, "1", 2.5, True, [1]),
    "side": ("BOTH", "left", "", 1, ["RIGHT"]),
    "severity": ("CRITICAL", "blocker", "none", "", 5, None, ["high"], _MISSING),
    "confidence": (2, -1, "sure", 1e300, [1]),
    "category": (5, ["x"], "x" * 5_000),
    "title": ("", " \u200b ", 5, None, ["x"], {"x": 1}, "x" * 100_000, _MISSING),
    "body": ("", "\n", 5, None, ["x"], "x" * 100_000, _MISSING),
    "suggestion": (5, ["x"], "x" * 100_000),
    "event": ("APPROVE", "REQUEST_CHANGES", "DISMISS"),
    "where": ("report", "summary"),
    "fingerprint": ("0123456789abcdef",),
    "raised_as": ("0123456789abcdef",),
    "known": (True,),
    "anchor": ({"path": "app.py", "line": 4_000, "side": "RIGHT", "start_line": None, "code": ""},),
    "__class__": ({"__init__": "x"},),
    "__proto__": ({"severity": "low"},),
    "model_config": ({"extra": "allow"},),
}
NO_FINDINGS: Final[tuple[Any, ...]] = (None, 5, "text", [], [[]], {}, {"title": "", "body": None}, True)
"""Values in the place of a finding, without any content."""


def malformed_findings() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the fault and the finding, whose title or body contains its number."""
    number = 0
    for key, values in _WRONG.items():
        for value in values:
            number += 1
            texts = {"title": f"Shape {number}.", "body": f"Body of Shape {number}."}
            malformed = {**finding("app.py", 30 if key == "start_line" else 3), **texts, key: value}
            if value is _MISSING:
                del malformed[key]
            yield f"{key}: {'left out' if value is _MISSING else repr(value)[:40]}", malformed

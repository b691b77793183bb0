"""Paths within a repository, as people and models write them, and as git takes them."""

from __future__ import annotations

_LONGEST = 4_096


def clean(path: str) -> str:
    """Without the `./` and slashes that people write around a path; empty for the root."""
    bare = path.strip("/")
    return "" if bare == "." else bare.removeprefix("./").lstrip("/")


def is_path(path: str) -> bool:
    """Whether a tree can have such a path: not empty, no `.` or `..`, and fit to be an argument."""
    if "\0" in path or not 0 < len(path) <= _LONGEST:
        return False
    return not any(part in ("", ".", "..") for part in path.split("/"))


def as_argument(text: str) -> bytes:
    """As git takes it: UTF-8, surrogate escapes as the bytes that they stand for, other surrogates as `?`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")

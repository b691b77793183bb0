"""The values of an audit: files of a commit, and how often they were changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file of a commit. Links and submodules are no files."""

    path: str
    """With surrogate escapes for bytes that are not UTF-8."""
    blob: str
    """The object id of its content: a moved file keeps it."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class FileActivity:
    """How often a file was changed and fixed in the last year; each commit counts less the older it is."""

    changes: float = 0.0
    fixes: float = 0.0
    """The part of `changes` whose subject says that it fixes something."""

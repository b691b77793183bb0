"""The values of an audit: files of a commit, how often they were changed, and dismissed alerts."""

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


@dataclass(frozen=True, slots=True)
class DismissedAlert:
    """An alert of code scanning from our SARIF that somebody dismissed. All text is untrusted."""

    number: int
    rule: str
    path: str
    start_line: int
    end_line: int
    message: str
    commit_sha: str
    dismissed_by: str
    reason: str
    """One of GitHub's four: false positive, won't fix, used in tests, mitigated."""
    comment: str = ""

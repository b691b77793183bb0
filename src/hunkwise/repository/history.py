"""Reads a repository's history: commits, the files of one, how often each was changed, and which were renamed."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import takewhile

from hunkwise.domain.audit import FileActivity, TreeFile
from hunkwise.errors import RepositoryError
from hunkwise.repository.git import DIFF_TIMEOUT, Git, checked_output, checked_sha
from hunkwise.repository.git_output import read_files

_LISTING = 128 << 20
"""Bytes: about a million files."""


def list_tree(git: Git, sha: str) -> tuple[TreeFile, ...]:
    """Returns the regular files of a commit, sorted by the bytes of their paths. Raises RepositoryError."""
    arguments = ("-r", "-l", "-z", "--full-tree", checked_sha(sha))
    answer = git.run("ls-tree", *arguments, limit=_LISTING, timeout=DIFF_TIMEOUT)
    if answer.cut:
        raise RepositoryError(f"The list of the files of {sha[:12]} is longer than {_LISTING:,} bytes.")
    files = tuple(read_files(checked_output(answer, f"The files of {sha[:12]} could not be listed")))
    missing = next((file for file in files if file.size < 0), None)
    if missing is not None:
        raise RepositoryError(
            f"The clone does not have the content of {missing.path!r}.",
            "Clone without a filter.",
        )
    return files


_YEAR = 365 * 86_400
_FADING = 120 * 86_400
"""Seconds after which a commit counts 1/e: it counts half after 83 days."""
_COMMITS = 20_000
"""The newest commits that are read."""
_LOG = 32 << 20
"""Bytes of the log; older commits are not counted."""
_MOST_FILES = 60
"""A commit with more files, such as a change of the formatting, is not counted."""
_FIX = re.compile(
    rb"\b(?:(?:hot|bug)?fix(?:e[sd]|ing)?|bugs?|regressions?|crash(?:e[sd])?|security|vulnerab\w+|leak(?:s|ed)?|races?)\b",
    re.IGNORECASE,
)


def is_shallow(git: Git) -> bool:
    """Returns whether the clone lacks a part of the history. Raises RepositoryError."""
    answer = git.run("rev-parse", "--is-shallow-repository")
    return checked_output(answer, "The repository could not be read").strip() == b"true"


def read_subject(git: Git, sha: str) -> str:
    """Returns the first paragraph of the commit's message, on one line. Raises RepositoryError."""
    options = ("-1", "--no-show-signature", "--format=%s", "--encoding=UTF-8")
    answer = git.run("log", *options, checked_sha(sha))
    return checked_output(answer, f"The commit {sha} could not be read").decode("utf-8", "replace").strip()


def count_commits(git: Git, base: str, head: str) -> int:
    """Returns the number of commits that `head` has and `base` does not. Raises RepositoryError."""
    answer = git.run("rev-list", "--count", checked_sha(head), f"^{checked_sha(base)}")
    return int(checked_output(answer, "The commits could not be counted"))


def read_activity(git: Git, head: str, now: float) -> Mapping[str, FileActivity] | None:
    """Returns how often each path was changed in the year before `now` (seconds since 1970), without merges.

    A renamed file starts anew. Returns None in a shallow clone, which does not have the history.
    Raises RepositoryError.
    """
    what = f"The history of {head[:12]} could not be read"
    if is_shallow(git):
        return None
    bounds = (f"--max-count={_COMMITS}", f"--max-age={max(0, int(now) - _YEAR)}")
    options = ("-z", "--no-merges", "--no-renames", "--no-show-signature", "--name-only", "--encoding=UTF-8")
    arguments = (*bounds, *options, "--format=%x00%ct%x00%s%x00", checked_sha(head), "--")
    answer = git.run("log", *arguments, limit=_LOG, timeout=DIFF_TIMEOUT)
    output = checked_output(answer, what, (0, None))
    if answer.cut:
        output = output[: output.rfind(b"\0\0") + 1]  # without the last commit, or at least its paths
    changes: dict[bytes, float] = defaultdict(float)
    fixes: dict[bytes, float] = defaultdict(float)
    for seconds, subject, paths in _read_log(output):
        if len(paths) > _MOST_FILES:
            continue
        weight = math.exp(-max(0.0, now - seconds) / _FADING)
        is_fix = _FIX.search(subject) is not None
        for path in paths:
            changes[path] += weight
            if is_fix:
                fixes[path] += weight
    return {
        path.decode("utf-8", "surrogateescape"): FileActivity(weight, fixes.get(path, 0.0))
        for path, weight in changes.items()
    }


def _read_log(output: bytes) -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Yields time, subject and paths of each commit.

    A commit is an empty field, time, subject, another empty field and the paths, the first one after a line feed.
    Neither a subject nor a path can have a NUL, and no path is empty.
    """
    fields = iter(output.split(b"\0"))
    next(fields)
    for seconds, subject, _empty in zip(fields, fields, fields, strict=False):
        paths = list(takewhile(bool, fields))  # and the empty field of the next commit
        if paths and seconds.isdigit():  # a malformed commit has no time
            yield int(seconds), subject, [paths[0].removeprefix(b"\n"), *paths[1:]]


_RENAMES = 1_000
"""Number of removed or added files above which git compares only the contents of files with the same name."""


def find_renames(git: Git, old: str, new: str) -> Mapping[str, str]:
    """Returns the new path, by the old one, of each file that was renamed between two commits.

    Raises RepositoryError, also if the clone does not have one of the commits.
    """
    options = ("-r", "-z", "--name-status", "-M", f"-l{_RENAMES}", "--diff-filter=R")
    commits = (checked_sha(old), checked_sha(new))
    answer = git.run("diff-tree", *options, *commits, "--", limit=_LISTING, timeout=DIFF_TIMEOUT)
    output = checked_output(answer, f"The renames since {old[:12]} could not be read", (0, None))
    fields = iter(output.decode("utf-8", "surrogateescape").split("\0")[:-1])
    return {old_path: new_path for _status, old_path, new_path in zip(fields, fields, fields, strict=False)}

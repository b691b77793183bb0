"""Where a review comment can stand, and in which words GitHub declines any other place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from tests.fakes.git_store import ChangedFile
from tests.fakes.github_messages import Json


class PlaceFault(NamedTuple):
    """Why a comment cannot stand where it was put. GitHub words it differently for the two calls."""

    field: str
    code: str
    words: str

    @property
    def sentence(self) -> str:
        return f"Pull request review thread {self.field.replace('_', ' ')} {self.words}"

    @property
    def entry(self) -> Json:
        name = f"pull_request_review_thread.{self.field}"
        entry = {"resource": "PullRequestReviewComment", "code": self.code, "field": name}
        return entry | {"message": f"{name} {self.words}"} if self.code == "custom" else entry


_BAD_PATH = PlaceFault("path", "invalid", "is invalid")
_BAD_LINE = PlaceFault("line", "custom", "must be part of the diff")
_BAD_ORDER = PlaceFault("start_line", "custom", "must precede the end line.")
_OTHER_HUNK = PlaceFault("start_line", "custom", "must be part of the same hunk as the line.")
_NO_HUNK = PlaceFault("diff_hunk", "missing_field", "can't be blank")


def place_faults(
    files: Sequence[ChangedFile], given: Json, refused: Collection[int] = ()
) -> list[PlaceFault]:
    """Everything that is wrong with where the comment points; nothing, where it can stand."""
    file = next((file for file in files if file.path == given["path"]), None)
    if file is None:
        return [_BAD_PATH, _NO_HUNK]
    if given.get("subject_type") == "file":
        return []
    line, side = given.get("line"), given.get("side", "RIGHT")
    start, start_side = given.get("start_line"), given.get("start_side") or side
    hunk = file.hunk_text(side, line) if line is not None and line not in refused else None
    if hunk is None:
        return [_BAD_LINE, *([_OTHER_HUNK] if start is not None else []), _NO_HUNK]
    if start is None:
        return []
    if start_side == side and start >= line:
        return [_BAD_ORDER]
    return [] if file.hunk_text(start_side, start) == hunk else [_OTHER_HUNK]


def joined(parts: list[str]) -> str:
    """GitHub's way of joining: one; one and two; one, two, and three."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"

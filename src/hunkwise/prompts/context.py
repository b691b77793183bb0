"""What a template sees: CONTRACT.md's names as plain values, which a sandbox can hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from hunkwise.domain.conversation import Thread
from hunkwise.domain.diff import DiffLine, FileDiff, Hunk
from hunkwise.domain.pull_request import PullRequest, Snapshot
from hunkwise.plan.chunks import Chunk, ChunkPart, shown_text
from hunkwise.plan.display import visible
from hunkwise.plan.globs import matches
from hunkwise.prompts.sandbox import named


class Contexts:
    """The names of a run's renderings. What all chunks share is built once: of 4,000 files, 10 ms a chunk."""

    def __init__(self, snapshot: Snapshot, *, local: bool) -> None:
        """`local` leaves `pull_request` empty: a range of commits has none."""
        self._snapshot = snapshot
        self._local = local

    @cached_property
    def shared(self) -> dict[str, Any]:
        """`pull_request`, `repository`, `files` and `threads`."""
        snapshot = self._snapshot
        return {
            "pull_request": None if self._local else pull_request_values(snapshot.pull_request),
            "repository": snapshot.pull_request.repository,
            "files": [file_values(file) for file in snapshot.files],
            "threads": [thread_values(thread) for thread in snapshot.threads if not thread.resolved],
        }

    def varying(self, chunk: Chunk, count: int, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """`chunk`, one of `count`; the `instructions` that speak of its files; and `prompt`."""
        paths = [part.file.path for part in chunk.parts]
        return {
            "chunk": chunk_values(chunk, count),
            "instructions": [
                {"path": instruction.path, "text": instruction.text}
                for instruction in self._snapshot.instructions
                if any(matches(instruction.apply_to, path) for path in paths)
            ],
            "prompt": dict(prompt),
        }


def context_for(
    snapshot: Snapshot, chunk: Chunk, count: int, prompt: Mapping[str, Any], *, local: bool
) -> dict[str, Any]:
    """All names of one rendering."""
    contexts = Contexts(snapshot, local=local)
    return {**contexts.shared, **contexts.varying(chunk, count, prompt)}


def pull_request_values(pull_request: PullRequest) -> dict[str, Any]:
    return {
        "number": pull_request.number,
        "title": pull_request.title,
        "body": pull_request.body,
        "author": pull_request.author,
        "base": pull_request.base,
        "head": pull_request.head,
        "labels": list(pull_request.labels),
        "draft": pull_request.draft,
    }


def file_values(file: FileDiff) -> dict[str, Any]:
    return {
        "path": file.path,
        "old_path": file.old_path,
        "status": str(file.status),
        "additions": file.additions,
        "deletions": file.deletions,
    }


def thread_values(thread: Thread) -> dict[str, Any]:
    return {"path": thread.path, "line": thread.line, "side": str(thread.side), "body": thread.body}


def chunk_values(chunk: Chunk, count: int) -> dict[str, Any]:
    """`diff` holds the same rows as `files`, as the built-in template shows them."""
    return {
        "number": chunk.index + 1,
        "count": count,
        "files": [
            {**file_values(part.file), "hunks": [hunk_values(hunk) for hunk in part.hunks]}
            for part in chunk.parts
        ],
        "diff": "\n\n".join(diff_text(part) for part in chunk.parts),
    }


def hunk_values(hunk: Hunk) -> dict[str, Any]:
    return {
        "heading": visible(hunk.heading),
        "old_start": hunk.old_start,
        "new_start": hunk.new_start,
        "lines": [line_values(line) for line in hunk.lines],
    }


def line_values(line: DiffLine) -> dict[str, Any]:
    side, number = anchor(line)
    return {"kind": line.kind, "side": side, "number": number, "text": shown_text(line)}


def anchor(line: DiffLine) -> tuple[str, int | None]:
    """The side and number to call a row by: RIGHT wherever the row is in the new file."""
    return ("LEFT", line.old) if line.kind == "-" else ("RIGHT", line.new)


def diff_text(part: ChunkPart) -> str:
    """The rows as the built-in templates show them: each begins with its anchor, so none can pose as another."""
    file = part.file
    renamed = f", was {named(file.old_path)}" if file.old_path else ""
    rows = [f"### {named(file.path)} ({file.status}{renamed})"]
    for hunk in part.hunks:
        rows.append(f"@@ {visible(hunk.heading)}".rstrip())
        for line in hunk.lines:
            side, number = anchor(line)
            rows.append(f"{side[0]}{number} {line.kind} {shown_text(line)}")
    return "\n".join(rows)

"""What a template sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hunkwise.domain.diff import DiffLine, FileDiff, Hunk
from hunkwise.domain.pull_request import Instructions, LinkedIssue, PullRequest, Snapshot, Thread
from hunkwise.domain.text import shown_text, visible
from hunkwise.plan.chunking import Chunk, ChunkPart, allotted
from hunkwise.plan.selection import matches
from hunkwise.prompts.sandbox import named

EVERYWHERE_ROOM = 40_000
"""Characters of the instructions that speak of all files together; those of some files share a chunk's own room."""
_LEAST = 200
"""Characters below which a part of a file says nothing."""
_ALL = frozenset({"**", "**/*", "*", "/**"})


@dataclass(frozen=True, slots=True)
class InstructionText:
    """A file of instructions as a prompt shows it."""

    path: str
    text: str
    """With a last line that says how much is missing, where something is."""
    shown: int
    """Characters of its own that are shown."""
    whole: int
    everywhere: bool
    """It speaks of all files, so it stands in every prompt of a run."""


def is_everywhere(instructions: Instructions) -> bool:
    """Whether it speaks of all files."""
    return bool(_ALL.intersection(instructions.apply_to)) and not any(
        glob.startswith("!") for glob in instructions.apply_to
    )


def told_everywhere(instructions: Iterable[Instructions]) -> tuple[InstructionText, ...]:
    """Those that stand in every prompt."""
    return _told([one for one in instructions if is_everywhere(one)], EVERYWHERE_ROOM, everywhere=True)


def told_of(
    instructions: Iterable[Instructions], paths: Sequence[str], room: int
) -> tuple[InstructionText, ...]:
    """Those that speak of some of these paths, in `room` characters."""
    fitting = [
        one
        for one in instructions
        if not is_everywhere(one) and any(matches(one.apply_to, path) for path in paths)
    ]
    return _told(fitting, room, everywhere=False)


def cut_notes(told: Iterable[InstructionText]) -> tuple[str, ...]:
    """A sentence for each file of which some prompt shows a part only."""
    least: dict[str, InstructionText] = {}
    for one in told:
        known = least.get(one.path)
        if one.shown < one.whole and (known is None or one.shown < known.shown):
            least[one.path] = one
    return tuple(
        f"Of {one.path} {one.shown:,} of {one.whole:,} characters found room in a prompt."
        for one in least.values()
    )


def _told(
    instructions: Sequence[Instructions], room: int, *, everywhere: bool
) -> tuple[InstructionText, ...]:
    shares = allotted([len(one.text) for one in instructions], room)
    return tuple(_fitted(one, share, everywhere) for one, share in zip(instructions, shares, strict=True))


def _fitted(instructions: Instructions, share: int, everywhere: bool) -> InstructionText:
    text, whole = instructions.text, len(instructions.text)
    if share >= whole:
        return InstructionText(instructions.path, text, whole, whole, everywhere)
    shown = "" if share < _LEAST else text[:share]
    end = shown.rfind("\n")
    if end > share // 2:
        shown = shown[:end]
    missing = f"(cut here: {whole - len(shown):,} more characters)"
    return InstructionText(
        instructions.path, f"{shown}\n{missing}".lstrip("\n"), len(shown), whole, everywhere
    )


SWITCHES = ("enclosing", "instructions", "description", "linked_issues", "threads", "files")
"""Parts of a prompt that can be left out; a name that is off is empty."""
ON = dict.fromkeys(SWITCHES, True)
ROOM = 24_000
"""Characters a chunk for enclosing code and the instructions that speak of some files."""
ISSUE_LIMIT = 3_000
"""Characters of a linked issue's body that are shown."""
Around = Callable[[Sequence[ChunkPart], int], str]
"""What stands around the hunks of a chunk, in at most so many characters; see flows.prompting."""


def _nothing(_parts: Sequence[ChunkPart], _room: int) -> str:
    return ""


class Contexts:
    """The names of a run's renderings. What all chunks share is built once: of 4,000 files, 10 ms a chunk."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        local: bool,
        switches: Mapping[str, bool] = ON,
        room: int = ROOM,
        around: Around = _nothing,
    ) -> None:
        """`local` leaves `pull_request` empty: a range of commits has none. `switches`: each of SWITCHES. `room`:
        characters a chunk for what stands `around` it and for the instructions that speak of some files."""
        self._snapshot = snapshot
        self._local = local
        self._room = room
        self._around = around
        self._switches = {name: switches[name] for name in SWITCHES}

    @cached_property
    def shared(self) -> dict[str, Any]:
        """`pull_request`, `repository`, `files`, `threads` and `context`."""
        snapshot, on = self._snapshot, self._switches
        files = snapshot.files if on["files"] else ()
        threads = snapshot.threads if on["threads"] else ()
        return {
            "pull_request": None if self._local else self._pull_request(),
            "repository": snapshot.pull_request.repository,
            "files": [file_values(file) for file in files],
            "threads": [thread_values(thread) for thread in threads if not thread.resolved],
            "context": dict(on),
        }

    def _pull_request(self) -> dict[str, Any]:
        values = pull_request_values(self._snapshot.pull_request)
        if not self._switches["description"]:
            values |= {"title": "", "body": ""}
        if self._switches["linked_issues"]:
            values["linked_issues"] = [issue_values(issue) for issue in self._snapshot.linked_issues]
        return values

    def varying(self, chunk: Chunk, count: int, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """`chunk`, one of `count`; the `instructions` that speak of its files; and `prompt`.

        Instructions for all files stand first: they are the same in every chunk.
        """
        told = self.told(paths_of(chunk))
        on = self._switches["enclosing"]
        return {
            "chunk": chunk_values(
                chunk, count, self._around(chunk.parts, self.room_beside(told)) if on else ""
            ),
            "instructions": told_values(told),
            "prompt": dict(prompt),
        }

    def told(self, paths: Sequence[str]) -> tuple[InstructionText, ...]:
        """The instructions that a prompt about these files shows; those of some leave half of the room to the code."""
        if not self._switches["instructions"]:
            return ()
        room = self._room // 2 if self._switches["enclosing"] else self._room
        return (*self._everywhere, *told_of(self._snapshot.instructions, paths, room))

    def room_beside(self, told: Iterable[InstructionText]) -> int:
        """Characters that these instructions leave to the code around the changes; below 0 where they leave none."""
        return self._room - sum(len(one.text) for one in told if not one.everywhere)

    @cached_property
    def _everywhere(self) -> tuple[InstructionText, ...]:
        return told_everywhere(self._snapshot.instructions)


def paths_of(chunk: Chunk) -> list[str]:
    return [part.file.path for part in chunk.parts]


def context_for(
    snapshot: Snapshot, chunk: Chunk, count: int, prompt: Mapping[str, Any], *, local: bool
) -> dict[str, Any]:
    """All names of one rendering."""
    contexts = Contexts(snapshot, local=local)
    return {**contexts.shared, **contexts.varying(chunk, count, prompt)}


def told_values(told: Iterable[InstructionText]) -> list[dict[str, str]]:
    return [{"path": one.path, "text": one.text} for one in told]


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
        "linked_issues": [],
    }


def issue_values(issue: LinkedIssue) -> dict[str, Any]:
    """Its number, title and body, as far as they are shown."""
    body, missing = issue.body[:ISSUE_LIMIT], len(issue.body) - ISSUE_LIMIT
    cut = f"\n(cut here: {missing:,} more characters)" if missing > 0 else ""
    return {"number": issue.number, "title": issue.title, "body": f"{body}{cut}"}


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


def chunk_values(chunk: Chunk, count: int, enclosing: str = "") -> dict[str, Any]:
    """`diff` holds the same rows as `files`, as the built-in template shows them."""
    return {
        "number": chunk.index + 1,
        "count": count,
        "files": [
            {**file_values(part.file), "hunks": [hunk_values(hunk) for hunk in part.hunks]}
            for part in chunk.parts
        ],
        "diff": "\n\n".join(diff_text(part) for part in chunk.parts),
        "enclosing": enclosing,
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

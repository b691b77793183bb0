"""Builds the variables of a template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hunkwise.domain.diff import DiffLine, FileDiff, Hunk
from hunkwise.domain.pull_request import Instructions, LinkedIssue, PullRequest, Snapshot, Thread
from hunkwise.domain.text import named, shown_text, visible
from hunkwise.plan.chunking import Chunk, ChunkPart, allotted
from hunkwise.plan.globs import matches

EVERYWHERE_ROOM = 40_000
"""Characters of all instructions for all files together; those for some files share the limit of a chunk."""
_MIN_PART = 200
"""Characters below which a part of a file is useless and therefore not shown."""
_ALL_FILES = frozenset({"**", "**/*", "*", "/**"})


@dataclass(frozen=True, slots=True)
class InstructionText:
    """A file of instructions as it is in a prompt."""

    path: str
    text: str
    """If the file is cut, the last line says how many characters are missing."""
    shown: int
    """Characters of the file that are in the prompt."""
    whole: int
    everywhere: bool
    """It applies to all files, so it is in every prompt of a run."""


def is_everywhere(instructions: Instructions) -> bool:
    """Returns whether the instructions apply to all files."""
    return bool(_ALL_FILES.intersection(instructions.apply_to)) and not any(
        glob.startswith("!") for glob in instructions.apply_to
    )


def general_instructions(instructions: Iterable[Instructions]) -> tuple[InstructionText, ...]:
    """Returns the instructions for all files, which are in every prompt."""
    general = [file for file in instructions if is_everywhere(file)]
    return _fit(general, EVERYWHERE_ROOM, everywhere=True)


def specific_instructions(
    instructions: Iterable[Instructions], paths: Sequence[str], room: int
) -> tuple[InstructionText, ...]:
    """Returns the instructions for some of these paths only, in `room` characters.

    A text that is also for all files is not repeated.
    """
    instructions = tuple(instructions)
    general = {file.text for file in instructions if is_everywhere(file)}
    specific = [
        file
        for file in instructions
        if file.text not in general and any(matches(file.apply_to, path) for path in paths)
    ]
    return _fit(specific, room, everywhere=False)


def cut_notes(texts: Iterable[InstructionText]) -> tuple[str, ...]:
    """Returns a sentence for each file of which some prompt contains only a part."""
    shortest: dict[str, InstructionText] = {}
    for text in texts:
        previous = shortest.get(text.path)
        if text.shown < text.whole and (previous is None or text.shown < previous.shown):
            shortest[text.path] = text
    return tuple(
        f"Of {text.path} {text.shown:,} of {text.whole:,} characters found room in a prompt."
        for text in shortest.values()
    )


def _fit(instructions: Sequence[Instructions], room: int, *, everywhere: bool) -> tuple[InstructionText, ...]:
    """Returns each text once: a file may be a copy of another one."""
    by_text: dict[str, Instructions] = {}
    for file in instructions:
        by_text.setdefault(file.text, file)
    shares = allotted([len(text) for text in by_text], room)
    return tuple(_cut(file, share, everywhere) for file, share in zip(by_text.values(), shares, strict=True))


def _cut(instructions: Instructions, share: int, everywhere: bool) -> InstructionText:
    text, whole = instructions.text, len(instructions.text)
    if share >= whole:
        return InstructionText(instructions.path, text, whole, whole, everywhere)
    shown = "" if share < _MIN_PART else text[:share]
    end = shown.rfind("\n")
    if end > share // 2:
        shown = shown[:end]
    missing = f"(cut here: {whole - len(shown):,} more characters)"
    return InstructionText(
        instructions.path, f"{shown}\n{missing}".lstrip("\n"), len(shown), whole, everywhere
    )


SWITCHES = ("enclosing", "instructions", "description", "linked_issues", "threads", "files")
"""Parts of a prompt that can be switched off; a variable that is off is empty."""
ON = dict.fromkeys(SWITCHES, True)
ROOM = 24_000
"""Characters for each chunk for enclosing code and the instructions for some files only."""
ISSUE_LIMIT = 3_000
"""Maximum characters of a linked issue's body."""
Around = Callable[[Sequence[ChunkPart], int], str]
"""Returns the code around the hunks of a chunk in at most that many characters; see flows.prompting."""


def _nothing(_parts: Sequence[ChunkPart], _room: int) -> str:
    return ""


class Contexts:
    """Builds the variables of a run's prompts. Shared values are built once: 4,000 files take 10 ms a chunk."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        local: bool,
        switches: Mapping[str, bool] = ON,
        room: int = ROOM,
        around: Around = _nothing,
    ) -> None:
        """`local`: `pull_request` is None, as a range of commits has none. `switches`: each of SWITCHES. `room`:
        characters for each chunk for the code `around` it and for the instructions for some files only."""
        self._snapshot = snapshot
        self._local = local
        self._room = room
        self._around = around
        self._switches = {name: switches[name] for name in SWITCHES}
        self.skip_reasons: Mapping[str, str] = {}
        """Why files are not reviewed, by path; set before the first prompt is rendered."""

    @cached_property
    def shared(self) -> dict[str, Any]:
        """`audit`, `pull_request`, `repository`, `files`, `threads` and `context`."""
        snapshot, on = self._snapshot, self._switches
        files = snapshot.files if on["files"] and not snapshot.audit else ()
        threads = snapshot.threads if on["threads"] else ()
        return {
            "audit": snapshot.audit,
            "pull_request": None if self._local or snapshot.audit else self._pull_request(),
            "repository": snapshot.pull_request.repository,
            "files": [
                {**file_values(file), "skipped": self.skip_reasons.get(file.path, "")} for file in files
            ],
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
        """Returns `chunk`, one of `count`; the `instructions` for its files; and `prompt`.

        Instructions for all files are first: they are the same in every chunk.
        """
        texts = self.instructions_for(paths_of(chunk))
        on = self._switches["enclosing"]
        room = self._room - sum(len(text.text) for text in texts if not text.everywhere)
        enclosing = self._around(chunk.parts, room) if on else ""
        return {
            "chunk": chunk_values(chunk, count, enclosing),
            "instructions": instruction_values(texts),
            "prompt": dict(prompt),
        }

    def instructions_for(self, paths: Sequence[str]) -> tuple[InstructionText, ...]:
        """Returns the instructions for a prompt about these files; those for some files get half of the room, or all
        of it if enclosing code is off."""
        if not self._switches["instructions"]:
            return ()
        room = self._room // 2 if self._switches["enclosing"] else self._room
        return (*self._everywhere, *specific_instructions(self._snapshot.instructions, paths, room))

    @cached_property
    def _everywhere(self) -> tuple[InstructionText, ...]:
        return general_instructions(self._snapshot.instructions)


def paths_of(chunk: Chunk) -> list[str]:
    return [part.file.path for part in chunk.parts]


def instruction_values(texts: Iterable[InstructionText]) -> list[dict[str, str]]:
    return [{"path": text.path, "text": text.text} for text in texts]


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
    """Returns the issue's number, title and body, cut at ISSUE_LIMIT characters."""
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
    """Returns a chunk's values; `diff` has the same rows as `files`, as the built-in template shows them."""
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
    """Returns the side and number that identify a row: RIGHT if the row is in the new file."""
    return ("LEFT", line.old) if line.kind == "-" else ("RIGHT", line.new)


def row(line: DiffLine, text: str) -> str:
    """Returns a row of a prompt, for example `R12 + text`: it begins with its anchor, so no text can fake another."""
    side, number = anchor(line)
    return f"{side[0]}{number} {line.kind} {text}"


def diff_text(part: ChunkPart) -> str:
    """Returns the rows as the built-in templates show them, with a header per hunk as in a unified diff."""
    file = part.file
    renamed = f", was {named(file.old_path)}" if file.old_path else ""
    rows = [f"### {named(file.path)} ({file.status}{renamed})"]
    for hunk in part.hunks:
        rows.append(f"@@ -{hunk.old_start} +{hunk.new_start} @@ {visible(hunk.heading)}".rstrip())
        rows += [row(line, shown_text(line)) for line in hunk.lines]
    return "\n".join(rows)

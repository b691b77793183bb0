"""Reads the repository's instructions for reviewers, and .gitattributes, at the base commit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.pull_request import CommitFiles, Instructions, Known
from hunkwise.errors import GitHubError, RepositoryError
from hunkwise.plan.globs import escape_glob
from hunkwise.settings.strict_yaml import read_yaml

AGENTS = "AGENTS.md"
"""May be in any folder: it applies to the files below that folder."""
INSTRUCTION_FILES = (AGENTS, ".github/copilot-instructions.md")
INSTRUCTION_FOLDER = ".github/instructions"
INSTRUCTION_ENDING = ".instructions.md"
ATTRIBUTES = ".gitattributes"
MAX_TEXT = 100_000
"""Bytes that are read of a file."""
MAX_GLOBS = 200
"""Globs of one file, after its braces are expanded."""
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.{0,4000}?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^applyTo:[ \t]*(.*)$", re.MULTILINE)
_ENTRY = re.compile(r"[ \t]*-[ \t]+(.+)")
_BRACES = re.compile(r"\{([^{}]*)\}")
_NOT_FOR_REVIEWS = re.compile(r"""^excludeAgent:[ \t]*["']?code-review["']?[ \t]*\r?$""", re.MULTILINE)


def read_instructions(path: str, content: bytes) -> Instructions | None:
    """Reads the instructions in a file. Returns None if it is empty, is in INSTRUCTION_FOLDER without `applyTo`, or
    excludes code review."""
    text = content[:MAX_TEXT].decode("utf-8", "replace").removeprefix("\ufeff")
    front = _FRONT_MATTER.match(text)
    body = (text[front.end() :] if front else text).strip()
    if not body or (front and _NOT_FOR_REVIEWS.search(front[1])):
        return None
    if not path.startswith(f"{INSTRUCTION_FOLDER}/"):
        return Instructions(path, body, _globs_below(path))
    globs = _apply_to(front[1]) if front else ()
    # GitHub does not attach a file without applyTo automatically either.
    return Instructions(path, body, globs) if globs else None


def folders_of(changed: Iterable[str]) -> tuple[str, ...]:
    """Returns the folders that contain these files, outer folders first, without the top one."""
    folders: dict[str, None] = {}
    for path in changed:
        parts = path.split("/")[:-1]
        folders |= {"/".join(parts[:depth]): None for depth in range(1, len(parts) + 1)}
    return tuple(sorted(folders, key=lambda folder: (folder.count("/"), folder)))


def _globs_below(path: str) -> tuple[str, ...]:
    folder = path.removesuffix(AGENTS) if path.endswith(f"/{AGENTS}") else ""
    return (f"{escape_glob(folder)}**",)


def _apply_to(front: str) -> tuple[str, ...]:
    """Returns the globs of `applyTo`, a list or a text with commas; also unquoted ones, which are not valid YAML."""
    document = read_yaml(front.encode("utf-8"))
    value = document.value.get("applyTo") if isinstance(document.value, dict) else None
    texts = (
        [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else _read_lines(front)
    )
    globs = (glob for text in texts if isinstance(text, str) for glob in _split_at_commas(text))
    expanded = (simple for glob in globs for simple in _expand_braces(glob))
    return tuple(dict.fromkeys(expanded))[:MAX_GLOBS]


def _read_lines(front: str) -> list[str]:
    key = _LINE.search(front)
    if key is None:
        return []
    if key[1].strip():
        return [key[1].strip().strip("\"'")]
    entries = []
    for line in front[key.end() :].lstrip("\r\n").splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            break
        entries.append(entry[1].strip().strip("\"'"))
    return entries


def _split_at_commas(text: str) -> Iterator[str]:
    """Splits the text at the commas outside of braces."""
    depth = 0
    glob = ""
    for character in text:
        depth += (character == "{") - (character == "}")
        if character == "," and depth <= 0:
            yield from [glob.strip()] if glob.strip() else []
            glob = ""
        else:
            glob += character
    yield from [glob.strip()] if glob.strip() else []


def _expand_braces(glob: str) -> list[str]:
    """Expands `*.{ts,tsx}` to `*.ts` and `*.tsx`; a glob with more than MAX_GLOBS expansions is returned as it is."""
    globs = [glob]
    while any(_BRACES.search(partial) for partial in globs):
        expanded = []
        for partial in globs:
            braces = _BRACES.search(partial)
            choices = braces[1].split(",") if braces else [""]
            start, end = braces.span() if braces else (len(partial), len(partial))
            expanded += [f"{partial[:start]}{choice.strip()}{partial[end:]}" for choice in choices]
        if len(expanded) > MAX_GLOBS:
            return [glob]
        globs = expanded
    return globs


MAX_INSTRUCTION_FILES = 30
MAX_FOLDERS = 20
"""Folders below INSTRUCTION_FOLDER that are listed."""
MAX_NESTED = 2_000
"""Folders with changed files in which files are looked for."""
_MAX_SINGLE_READS = 3
"""Files of these folders that are read one by one if the bulk read does not return them."""

Found = tuple[tuple[Instructions, ...], tuple[str, ...]]
"""Instructions, and a sentence for each thing that could not be read."""


def instructions_of(base: CommitFiles, pool: ThreadPoolExecutor) -> Found:
    """Reads the instructions of every change: the top AGENTS.md, GitHub's own file and the files in its folder."""
    notes: list[str] = []
    try:
        reads = [pool.submit(base.read, path) for path in INSTRUCTION_FILES]
        paths = _list_folder(base, notes)
        in_folder = _read_existing(base, paths)
        texts = {path: read.result() for path, read in zip(INSTRUCTION_FILES, reads, strict=True)}
    except (GitHubError, RepositoryError) as error:
        return (), (f"The repository's instructions for reviewers could not be read: {error.message}",)
    instructions, cut_notes = _read_all({**texts, **in_folder})
    return instructions, (*notes, *cut_notes)


@dataclass(frozen=True)
class FolderTexts:
    """Files at the base in the folders with changed files, without the top one. `attributes`: texts by folder."""

    instructions: tuple[Instructions, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_folder_texts(base: CommitFiles, files: Iterable[FileDiff], *, instructions: bool) -> FolderTexts:
    """Reads .gitattributes and, with `instructions`, AGENTS.md in the folders that contain changed files."""
    folders = folders_of(file.path for file in files)
    names = (AGENTS, ATTRIBUTES) if instructions else (ATTRIBUTES,)
    title = f"{' and '.join(names)} of the folders with changed files"
    notes: list[str] = []
    if len(folders) > MAX_NESTED:
        notes.append(f"{title}: {MAX_NESTED:,} of {len(folders):,} folders were looked into.")
        folders = folders[:MAX_NESTED]
    paths = [f"{folder}/{name}" for folder in folders for name in names]
    try:
        contents, unread = _read_if_present(base, paths)
    except (GitHubError, RepositoryError) as error:
        return FolderTexts(notes=(*notes, f"{title} could not be read: {error.message}"))
    attributes = {path: decode_attributes(contents.pop(f"{path}/{ATTRIBUTES}", None)) for path in folders}
    found, cut_notes = _read_all(contents)
    return FolderTexts(found, attributes, (*notes, *cut_notes, *_unread_notes(unread)))


def decode_attributes(content: bytes | None) -> str:
    """Returns the text of a .gitattributes; empty if there is none."""
    return (content or b"")[:MAX_TEXT].decode("utf-8", "replace")


def _list_folder(base: CommitFiles, notes: list[str]) -> list[str]:
    """Returns the paths of the instruction files in GitHub's folder and its subfolders."""
    paths: list[str] = []
    folders = [INSTRUCTION_FOLDER]
    listed = 0
    while folders and listed <= MAX_FOLDERS:
        folder = folders.pop(0)
        listed += 1
        for name in base.list(folder) or ():
            if name.endswith("/"):
                folders.append(f"{folder}/{name.removesuffix('/')}")
            elif name.endswith(INSTRUCTION_ENDING):
                paths.append(f"{folder}/{name}")
    if folders:
        notes.append(f"Folders below {INSTRUCTION_FOLDER} that were not looked into: {len(folders)}.")
    if len(paths) > MAX_INSTRUCTION_FILES:
        notes.append(f"Of {len(paths)} files in {INSTRUCTION_FOLDER} {MAX_INSTRUCTION_FILES} were read.")
    return paths[:MAX_INSTRUCTION_FILES]


def _read_existing(base: CommitFiles, paths: Sequence[str]) -> dict[str, bytes | None]:
    """Reads files that exist: one by one where the bulk read does not return them."""
    entries = read_known(base, paths)
    return _without_folders({path: entries[path] if path in entries else base.read(path) for path in paths})


def read_known(base: CommitFiles, paths: Sequence[str]) -> Known:
    """Returns what one bulk read returns; nothing if it fails."""
    try:
        return base.read_many(paths) if paths else {}
    except (GitHubError, RepositoryError):
        return {}


def _read_if_present(base: CommitFiles, paths: Sequence[str]) -> tuple[dict[str, bytes | None], list[str]]:
    """Reads files of which most do not exist; also returns the paths for which that is not known.

    A few are read one by one: links, for example, which only the REST API resolves.
    """
    entries = base.read_many(paths) if paths else {}
    unknown = [path for path in paths if path not in entries]
    single = {path: base.read(path) for path in unknown[:_MAX_SINGLE_READS]}
    return _without_folders({**entries, **single}), unknown[_MAX_SINGLE_READS:]


def _without_folders(entries: Known) -> dict[str, bytes | None]:
    return {path: entry for path, entry in entries.items() if not isinstance(entry, tuple)}


def _read_all(texts: dict[str, bytes | None]) -> Found:
    present = {path: text for path, text in texts.items() if text}
    notes = tuple(
        f"Of {path} the first {MAX_TEXT:,} of {len(text):,} bytes were read."
        for path, text in present.items()
        if len(text) > MAX_TEXT
    )
    results = (read_instructions(path, text) for path, text in present.items())
    return tuple(instructions for instructions in results if instructions is not None), notes


def _unread_notes(unread: Sequence[str]) -> tuple[str, ...]:
    if not unread:
        return ()
    more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
    return (f"It is not known whether {', '.join(unread[:3])}{more} exist: they were not read.",)

"""Reads configuration, templates and instruction files at the base commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.pull_request import CommitFiles, Instructions, Known
from hunkwise.errors import GitHubError, OversizeError, RepositoryError, SettingsError
from hunkwise.plan.globs import escape_glob
from hunkwise.prompts.renderer import BUILT_IN, PARTIAL, built_in_text
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.prompt_settings import FrontMatter
from hunkwise.settings.sources import read_front_matter
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
    entries = _read_known(base, paths)
    return _without_folders({path: entries[path] if path in entries else base.read(path) for path in paths})


def _read_known(base: CommitFiles, paths: Sequence[str]) -> Known:
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


MAX_TEMPLATE = 65_536
"""Bytes."""
_BASE = "the base of the change"
_AT_ONCE = 6


@dataclass(frozen=True)
class _PrefetchedFiles:
    """Reads the files of a commit, without a request for those that are `known` already."""

    commit: CommitFiles
    known: Known

    def read(self, path: str) -> bytes | None:
        entry = self.known[path] if path in self.known else self.commit.read(path)
        return entry if isinstance(entry, bytes) else None

    def read_many(self, paths: Sequence[str]) -> Known:
        return self.commit.read_many(paths)

    def list(self, path: str) -> tuple[str, ...] | None:
        entry = self.known[path] if path in self.known else self.commit.list(path)
        return entry if isinstance(entry, tuple) else None


@dataclass(frozen=True)
class BaseConfig:
    """The validated configuration, templates and instructions of the base commit."""

    config: Config
    """Contains every prompt of the run, with its template's front matter."""
    templates: dict[str, str]
    """Texts of the user's own templates without front matter, by the name of the prompt; of partials, by
    `partials/NAME`."""
    instructions: tuple[Instructions, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The text of the top .gitattributes; the top folder's name is empty."""
    notes: tuple[str, ...] = ()
    """A sentence for each thing that could not be read and that the review does not depend on."""


def prefetch(base: CommitFiles, config_path: str) -> CommitFiles:
    """Reads in one request the files that every run needs; templates and other instruction files are read later."""
    paths = (config_path, *INSTRUCTION_FILES, INSTRUCTION_FOLDER, ATTRIBUTES)
    return _PrefetchedFiles(base, _read_known(base, paths))


def read_base_texts(
    base: CommitFiles, config_path: str, overridden: Callable[[Config], Config]
) -> BaseConfig:
    """Reads configuration, templates and instructions in parallel. Raises SettingsError if configuration or templates
    are invalid, GitHubError or RepositoryError if they cannot be read at all."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="base") as pool:
        instructions = pool.submit(instructions_of, base, pool)
        attributes = pool.submit(read_file, base, ATTRIBUTES)
        text = read_file(base, config_path)
        config = overridden(Config() if text is None else parse_config(text, path=config_path))
        templates, fronts = _read_templates(base, config, pool)
        found, notes = instructions.result()
        marked = {"": decode_attributes(attributes.result())}
    completed = config.completed(fronts)
    return BaseConfig(
        completed, templates, found, marked, (*notes, *_range_notes(completed, config.own_files))
    )


def _read_templates(
    base: CommitFiles, config: Config, pool: ThreadPoolExecutor
) -> tuple[dict[str, str], dict[str, FrontMatter]]:
    """Returns the user's own templates without front matter, and the front matter of all prompts."""
    paths = config.own_files
    readings = {name: pool.submit(read_template, base, owner_of(name), path) for name, path in paths.items()}
    faults: list[str] = []
    templates: dict[str, str] = {}
    fronts = {name: front for name, front in built_in_fronts().items() if name not in paths}
    for name, reading in readings.items():
        try:
            text = reading.result()
            if name.startswith(PARTIAL):
                templates[name] = text
            else:
                fronts[name], templates[name] = read_front_matter(text, paths[name])
        except SettingsError as error:
            faults += error.faults
    if faults:
        raise SettingsError(faults)
    return templates, fronts


@cache
def built_in_fronts() -> Mapping[str, FrontMatter]:
    """Returns the front matter of the built-in prompts, by their names."""
    return {name: read_front_matter(built_in_text(name), f"{name}.md.j2")[0] for name in BUILT_IN}


def _range_notes(config: Config, paths: Mapping[str, str]) -> list[str]:
    """Returns a note for each prompt whose findings would all be left out. Raises SettingsError if its own settings
    contradict each other."""
    notes = []
    for prompt in config.prompts:
        low, high = prompt.min_severity, prompt.max_severity
        if low is not None and high is not None and low > high:
            where = paths.get(prompt.name, f"the built-in prompt {prompt.name}")
            raise SettingsError(
                [
                    f'The prompt "{prompt.name}" has "min-severity" {low.label} and "max-severity" {high.label}'
                    f" (one of them is in {where}): set one of them for this prompt in the configuration."
                ]
            )
        if high is not None and low is None and config.min_severity > high:
            notes.append(
                f'The prompt "{prompt.name}" can find nothing: its findings are at most {high.label}, and those '
                f"below {config.min_severity.label} are left out."
            )
    return notes


def read_file(commit: CommitFiles, path: str, where: str = _BASE) -> bytes | None:
    """Reads as `commit.read`, but raises SettingsError if the file is too large to be read."""
    try:
        return commit.read(path)
    except OversizeError as error:
        raise SettingsError([f"{error.message} Shorten it in {where}."]) from error


def read_template(commit: CommitFiles, owner: str, path: str, where: str = _BASE) -> str:
    """Reads a template that `owner` names, for example `The prompt "x"`; `where` describes the commit.

    Raises SettingsError.
    """
    text = read_file(commit, path, where)
    if text is None:
        fault = (
            f"{owner} names the template {path}, which is not in {where}: "
            "correct the path, or add the template there first."
        )
    elif len(text) > MAX_TEMPLATE:
        fault = f"{path} is larger than {MAX_TEMPLATE:,} bytes: shorten the template."
    else:
        try:
            return text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            fault = f"{path} is not UTF-8 at byte {error.start:,}: save the template as UTF-8."
    raise SettingsError([fault])


def owner_of(name: str) -> str:
    """Returns who names the file of a prompt or partial, for messages."""
    return (
        f'The partial "{name.removeprefix(PARTIAL)}"' if name.startswith(PARTIAL) else f'The prompt "{name}"'
    )

"""Reads configuration, templates and instruction files at the base commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from hunkwise.domain.diff import FileDiff
from hunkwise.domain.pull_request import Instructions, Known
from hunkwise.errors import GitHubError, OversizeError, RepositoryError, SettingsError
from hunkwise.prompts.renderer import BUILT_IN, PARTIAL, built_in_text
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.prompt_settings import FrontMatter
from hunkwise.settings.sources import read_front_matter
from hunkwise.settings.strict_yaml import read_yaml

AGENTS = "AGENTS.md"
"""In any folder: it speaks of what is below that folder."""
INSTRUCTION_FILES = (AGENTS, ".github/copilot-instructions.md")
INSTRUCTION_FOLDER = ".github/instructions"
INSTRUCTION_ENDING = ".instructions.md"
MAX_TEXT = 100_000
"""Bytes of a file that are read."""
MAX_GLOBS = 200
"""Of one file, once its braces are spelled out."""
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.{0,4000}?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^applyTo:[ \t]*(.*)$", re.MULTILINE)
_ENTRY = re.compile(r"[ \t]*-[ \t]+(.+)")
_BRACES = re.compile(r"\{([^{}]*)\}")
_SPECIAL = re.compile(r"([\\*?\[\]!{}])")
_NOT_FOR_REVIEWS = re.compile(r"""^excludeAgent:[ \t]*["']?code-review["']?[ \t]*\r?$""", re.MULTILINE)


def read_instructions(path: str, content: bytes) -> Instructions | None:
    """The instructions in a file; None for an empty one, one of the folder that names no files, and one that says
    itself that it is not for reviews."""
    text = content[:MAX_TEXT].decode("utf-8", "replace").removeprefix("\ufeff")
    front = _FRONT_MATTER.match(text)
    body = (text[front.end() :] if front else text).strip()
    if not body or (front and _NOT_FOR_REVIEWS.search(front[1])):
        return None
    if not path.startswith(f"{INSTRUCTION_FOLDER}/"):
        return Instructions(path, body, _below(path))
    globs = _apply_to(front[1]) if front else ()
    # GitHub, too, attaches a file without applyTo to nothing by itself.
    return Instructions(path, body, globs) if globs else None


def nested_paths(changed: Iterable[str]) -> tuple[str, ...]:
    """Where an AGENTS.md may stand that speaks of these files, from the outside in; not the one at the top."""
    folders: dict[str, None] = {}
    for path in changed:
        parts = path.split("/")[:-1]
        folders |= {"/".join(parts[:depth]): None for depth in range(1, len(parts) + 1)}
    return tuple(f"{folder}/{AGENTS}" for folder in sorted(folders, key=lambda one: (one.count("/"), one)))


def _below(path: str) -> tuple[str, ...]:
    folder = path.removesuffix(AGENTS) if path.endswith(f"/{AGENTS}") else ""
    return (f"{_SPECIAL.sub(_escaped, folder)}**",)


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _apply_to(front: str) -> tuple[str, ...]:
    """The globs of the key, which may be a text with commas or a list; unquoted ones too, which are not YAML."""
    document = read_yaml(front.encode("utf-8"))
    said = document.value.get("applyTo") if isinstance(document.value, dict) else None
    texts = [said] if isinstance(said, str) else list(said) if isinstance(said, tuple) else _lines(front)
    globs = (glob for text in texts if isinstance(text, str) for glob in _parted(text))
    spelled = (one for glob in globs for one in _spelled_out(glob))
    return tuple(dict.fromkeys(spelled))[:MAX_GLOBS]


def _lines(front: str) -> list[str]:
    found = _LINE.search(front)
    if found is None:
        return []
    if found[1].strip():
        return [found[1].strip().strip("\"'")]
    entries = []
    for line in front[found.end() :].lstrip("\r\n").splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            break
        entries.append(entry[1].strip().strip("\"'"))
    return entries


def _parted(text: str) -> Iterator[str]:
    """At the commas outside of braces."""
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


def _spelled_out(glob: str) -> list[str]:
    """`*.{ts,tsx}` as `*.ts` and `*.tsx`; what would become more than MAX_GLOBS stays as it is."""
    globs = [glob]
    while any(_BRACES.search(one) for one in globs):
        spelled = []
        for one in globs:
            braces = _BRACES.search(one)
            choices = braces[1].split(",") if braces else [""]
            start, end = braces.span() if braces else (len(one), len(one))
            spelled += [f"{one[:start]}{choice.strip()}{one[end:]}" for choice in choices]
        if len(spelled) > MAX_GLOBS:
            return [glob]
        globs = spelled
    return globs


MAX_INSTRUCTION_FILES = 30
MAX_FOLDERS = 20
"""Folders below INSTRUCTION_FOLDER that are listed."""
MAX_NESTED = 2_000
"""Folders in which an AGENTS.md is looked for."""
_FEW = 3
"""AGENTS.md that are asked for one by one where many at once tell nothing of them."""

Found = tuple[tuple[Instructions, ...], tuple[str, ...]]
"""Instructions, and what could not be read: one sentence each."""


class BaseFiles(Protocol):
    """The files of the base."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


def instructions_of(base: BaseFiles, pool: ThreadPoolExecutor) -> Found:
    """Those that every change has: AGENTS.md at the top, GitHub's own file, and the files of GitHub's folder."""
    notes: list[str] = []
    try:
        known = [pool.submit(base.read, path) for path in INSTRUCTION_FILES]
        names = _in_folder(base, notes)
        many = _each(base, names)
        texts = {path: future.result() for path, future in zip(INSTRUCTION_FILES, known, strict=True)}
    except (GitHubError, RepositoryError) as error:
        return (), (f"The repository's instructions for reviewers could not be read: {error.message}",)
    found, cut = _instructions_in({**texts, **many})
    return found, (*notes, *cut)


def nested_instructions(base: BaseFiles, files: Iterable[FileDiff]) -> Found:
    """The AGENTS.md of the folders that changed files are in, or were."""
    changed = [path for file in files for path in (file.path, file.old_path) if path]
    paths = nested_paths(changed)
    if not paths:
        return (), ()
    notes = []
    if len(paths) > MAX_NESTED:
        notes.append(
            f"AGENTS.md was looked for in {MAX_NESTED:,} of {len(paths):,} folders with changed files."
        )
    try:
        many, unread = _many(base, paths[:MAX_NESTED])
    except (GitHubError, RepositoryError) as error:
        return (), (f"AGENTS.md of the folders with changed files could not be read: {error.message}",)
    found, cut = _instructions_in(many)
    return found, (*notes, *cut, *_missing(unread))


def _in_folder(base: BaseFiles, notes: list[str]) -> list[str]:
    """The files of instructions in GitHub's folder and all below it."""
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
        notes.append(f"{len(folders)} folders below {INSTRUCTION_FOLDER} were not looked into.")
    if len(paths) > MAX_INSTRUCTION_FILES:
        notes.append(f"Of {len(paths)} files in {INSTRUCTION_FOLDER} {MAX_INSTRUCTION_FILES} were read.")
    return paths[:MAX_INSTRUCTION_FILES]


def _each(base: BaseFiles, paths: Sequence[str]) -> dict[str, bytes | None]:
    """What is at the paths, which exist: those of which many at once tell nothing are asked for one by one."""
    try:
        known = base.read_many(paths) if paths else {}
    except (GitHubError, RepositoryError):
        known = {}
    return _files({path: known[path] if path in known else base.read(path) for path in paths})


def _many(base: BaseFiles, paths: Sequence[str]) -> tuple[dict[str, bytes | None], list[str]]:
    """What is at the paths, most of which do not exist; and those of which nobody can say.

    A few are asked for one by one: links, for example, of which only REST can tell where they lead.
    """
    known = base.read_many(paths)
    unknown = [path for path in paths if path not in known]
    asked = unknown[:_FEW]
    return _files({**known, **{path: base.read(path) for path in asked}}), unknown[_FEW:]


def _files(entries: Known) -> dict[str, bytes | None]:
    return {path: entry for path, entry in entries.items() if not isinstance(entry, tuple)}


def _instructions_in(texts: dict[str, bytes | None]) -> Found:
    found = {path: text for path, text in texts.items() if text}
    notes = tuple(
        f"Of {path} the first {MAX_TEXT:,} of {len(text):,} bytes were read."
        for path, text in found.items()
        if len(text) > MAX_TEXT
    )
    read = (read_instructions(path, text) for path, text in found.items())
    return tuple(one for one in read if one is not None), notes


def _missing(unread: Sequence[str]) -> tuple[str, ...]:
    if not unread:
        return ()
    more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
    return (f"It is not known what {', '.join(unread[:3])}{more} say of reviews, if they exist.",)


MAX_TEMPLATE = 65_536
_AT_ONCE = 6


class CommitFiles(Protocol):
    """The files of one commit."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class PrefetchedFiles:
    """A commit of which something is known already: that is not asked for."""

    commit: CommitFiles
    known: Known

    def read(self, path: str) -> bytes | None:
        entry = self.known[path] if path in self.known else self.commit.read(path)
        return entry if isinstance(entry, bytes) else None

    def read_many(self, paths: Sequence[str]) -> Known:
        here = {path: self.known[path] for path in paths if path in self.known}
        asked = [path for path in paths if path not in here]
        return {**here, **(self.commit.read_many(asked) if asked else {})}

    def list(self, path: str) -> tuple[str, ...] | None:
        entry = self.known[path] if path in self.known else self.commit.list(path)
        return entry if isinstance(entry, tuple) else None


@dataclass(frozen=True)
class BaseConfig:
    """The base's word, read and checked."""

    config: Config
    """Every prompt of the run, with its template's front matter."""
    templates: dict[str, str]
    """The text of each template of the user's own without front matter, by the name of its prompt; of partials,
    as `partials/NAME`."""
    instructions: tuple[Instructions, ...]
    notes: tuple[str, ...] = ()
    """What could not be read, and matters less than the review: one sentence each."""


def certain_paths(config_path: str) -> tuple[str, ...]:
    """What is looked for in every base; of templates and more files of instructions these have to tell."""
    return (config_path, *INSTRUCTION_FILES, INSTRUCTION_FOLDER)


def base_texts(base: CommitFiles, config_path: str, overridden: Callable[[Config], Config]) -> BaseConfig:
    """Reads them side by side. Raises SettingsError where configuration or templates are wrong, GitHubError or
    RepositoryError where they cannot be read at all."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="base") as pool:
        instructions = pool.submit(instructions_of, base, pool)
        text = _read_file(base, config_path)
        config = overridden(Config() if text is None else parse_config(text, path=config_path))
        templates, fronts = _templates(base, config, pool)
        found, notes = instructions.result()
    completed = config.completed(fronts)
    return BaseConfig(completed, templates, found, (*notes, *_ranges(completed, config.own_files)))


def _templates(
    base: CommitFiles, config: Config, pool: ThreadPoolExecutor
) -> tuple[dict[str, str], dict[str, FrontMatter]]:
    """The user's own templates without their front matter, and the front matter of all prompts."""
    paths = config.own_files
    readings = {name: pool.submit(_template, base, name, path) for name, path in paths.items()}
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
    """The front matter of the built-in prompts, by their names."""
    return {name: read_front_matter(built_in_text(name), f"{name}.md.j2")[0] for name in BUILT_IN}


def _ranges(config: Config, paths: Mapping[str, str]) -> list[str]:
    """A note for each prompt whose findings would all be left out. Raises SettingsError where its own settings
    contradict each other."""
    notes = []
    for prompt in config.prompts:
        low, high = prompt.min_severity, prompt.max_severity
        if low is not None and high is not None and low > high:
            where = paths.get(prompt.name, f"the built-in prompt {prompt.name}")
            raise SettingsError(
                [
                    f'The prompt "{prompt.name}" has "min-severity" {low.label} and "max-severity" {high.label}'
                    f" (one of them stands in {where}): set one of them for this prompt in the configuration."
                ]
            )
        if high is not None and low is None and config.min_severity > high:
            notes.append(
                f'The prompt "{prompt.name}" can find nothing: its findings are at most {high.label}, and those '
                f"below {config.min_severity.label} are left out."
            )
    return notes


def _read_file(base: CommitFiles, path: str) -> bytes | None:
    """As `base.read`; what is too large to be read is not taken for what is not there."""
    try:
        return base.read(path)
    except OversizeError as error:
        raise SettingsError([f"{error.message} Shorten it at the base of the change."]) from error


def _template(base: CommitFiles, name: str, path: str) -> str:
    text = _read_file(base, path)
    if text is None:
        whose = f'partial "{name.removeprefix(PARTIAL)}"' if name.startswith(PARTIAL) else f'prompt "{name}"'
        raise SettingsError(
            [
                f"The {whose} names the template {path}, which is not in the base of the change: "
                "correct the path, or merge the template first."
            ]
        )
    if len(text) > MAX_TEMPLATE:
        raise SettingsError([f"{path} is larger than {MAX_TEMPLATE:,} bytes: shorten the template."])
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            [f"{path} is not UTF-8 at byte {error.start:,}: save the template as UTF-8."]
        ) from error

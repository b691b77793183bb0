"""Reads configuration and templates at the base commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from hunkwise.domain.pull_request import CommitFiles, Instructions, Known
from hunkwise.errors import OversizeError, SettingsError
from hunkwise.flows.instructions import (
    ATTRIBUTES,
    INSTRUCTION_FILES,
    INSTRUCTION_FOLDER,
    decode_attributes,
    instructions_of,
    read_known,
)
from hunkwise.prompts.renderer import BUILT_IN, PARTIAL, built_in_text
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.parsing import DEFAULT_CONFIG_PATH, did_you_mean
from hunkwise.settings.prompt_settings import FrontMatter
from hunkwise.settings.sources import read_front_matter

MAX_TEMPLATE = 65_536
"""Bytes."""
NEAR_PATHS: Final = (
    ".github/hunkwise.yaml",
    ".github/.hunkwise.yml",
    ".github/.hunkwise.yaml",
    "hunkwise.yml",
    "hunkwise.yaml",
    ".hunkwise.yml",
    ".hunkwise.yaml",
)
"""Files that are probably meant to be the configuration, and are not read."""
_BASE = "the base of the change"
_AT_ONCE = 6


@dataclass(frozen=True)
class _PrefetchedFiles:
    """Reads the files of a commit, without a request for those that are `known` already."""

    commit: CommitFiles
    known: Known
    prefetched: tuple[str, ...]
    """The paths that the bulk read asked for: a second one would return no more of them."""

    def read(self, path: str) -> bytes | None:
        entry = self.known[path] if path in self.known else self.commit.read(path)
        return entry if isinstance(entry, bytes) else None

    def read_many(self, paths: Sequence[str]) -> Known:
        others = [path for path in paths if path not in self.prefetched]
        known = {path: self.known[path] for path in paths if path in self.known}
        return {**known, **self.commit.read_many(others)} if others else known

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
    warnings: tuple[str, ...] = ()
    """A sentence for each file that could be meant to be the configuration, and was not used."""
    found: bool = False
    """True if there is a configuration file; otherwise the defaults apply."""


def prefetch(base: CommitFiles, config_path: str) -> CommitFiles:
    """Reads in one request the files that every run needs; templates and other instruction files are read later."""
    paths = (config_path, *INSTRUCTION_FILES, INSTRUCTION_FOLDER, ATTRIBUTES, *NEAR_PATHS)
    return _PrefetchedFiles(base, read_known(base, paths), paths)


def read_base_texts(
    base: CommitFiles,
    config_path: str,
    overridden: Callable[[Config], Config],
    where: str = _BASE,
    *,
    is_added: Callable[[], bool] = lambda: False,
) -> BaseConfig:
    """Reads configuration, templates and instructions in parallel.

    `where` describes the commit for messages; see `read_config_text` for `is_added`. Raises SettingsError if
    configuration or templates are invalid, GitHubError or RepositoryError if they cannot be read at all.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="base") as pool:
        instructions = pool.submit(instructions_of, base, pool)
        attributes = pool.submit(read_file, base, ATTRIBUTES, where)
        file = read_config_text(base, config_path, where, is_added=is_added)
        config = overridden(Config() if file.text is None else parse_config(file.text, path=config_path))
        templates, fronts = _read_templates(base, config, where, pool)
        found, notes = instructions.result()
        marked = {"": decode_attributes(attributes.result())}
    completed = config.completed(fronts)
    return BaseConfig(
        completed,
        templates,
        found,
        marked,
        (*notes, *_range_notes(completed, config.own_files)),
        file.warnings,
        file.text is not None,
    )


@dataclass(frozen=True)
class ConfigText:
    """The bytes of the configuration file; None if the defaults apply."""

    text: bytes | None
    warnings: tuple[str, ...] = ()


def read_config_text(
    commit: CommitFiles, path: str, where: str = _BASE, *, is_added: Callable[[], bool] = lambda: False
) -> ConfigText:
    """Reads the configuration file. Only the default one may be missing, and one that the change adds.

    `where` describes the commit for messages; `is_added` returns whether the change adds the file. Raises
    SettingsError for a missing file, with the most similar one that exists, and for a folder.
    """
    text = read_file(commit, path, where)
    if text is not None:
        return ConfigText(text)
    entries = read_known(commit, tuple(dict.fromkeys((path, DEFAULT_CONFIG_PATH, *NEAR_PATHS))))
    # Where the bulk read fails, a listing would be one more request in every run without a configuration.
    if (path in entries or path != DEFAULT_CONFIG_PATH) and commit.list(path) is not None:
        raise SettingsError([f"{path} is a folder in {where}: the configuration must be a file."])
    others = [other for other, entry in entries.items() if isinstance(entry, bytes)]
    if path == DEFAULT_CONFIG_PATH:
        warnings = tuple(f"Found {other}, which is not read: rename it to {path}." for other in others)
        return ConfigText(None, warnings)
    if is_added():
        return ConfigText(None, (f"{path} is not in {where} yet: the defaults apply until it is merged.",))
    folder = path.rpartition("/")[0]
    others += [f"{folder}/{name}".lstrip("/") for name in commit.list(folder) or ()]
    near = did_you_mean(path, others) or "."
    missing = f"There is no {path} in {where}: correct"
    raise SettingsError([f'{missing} the input "config"{near}'], [f"{missing} --config{near}"])


def _read_templates(
    base: CommitFiles, config: Config, where: str, pool: ThreadPoolExecutor
) -> tuple[dict[str, str], dict[str, FrontMatter]]:
    """Returns the user's own templates without front matter, and the front matter of all prompts."""
    paths = config.own_files
    readings = {
        name: pool.submit(read_template, base, owner_of(name), path, where) for name, path in paths.items()
    }
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

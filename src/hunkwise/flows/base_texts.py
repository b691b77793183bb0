"""What the base of a change says about reviews: configuration, templates, instructions. Never the head's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from hunkwise.domain.known import Known
from hunkwise.domain.pull_request import Instructions
from hunkwise.errors import OversizeError, SettingsError
from hunkwise.flows.instruction_files import instructions_of
from hunkwise.prompts.library import BUILT_IN, PARTIAL, built_in_text
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.front_matter import read_front_matter
from hunkwise.settings.instructions import INSTRUCTION_FILES, INSTRUCTION_FOLDER
from hunkwise.settings.prompt_settings import FrontMatter

MAX_TEMPLATE = 65_536
_AT_ONCE = 6


class Commit(Protocol):
    """The files of one commit."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class PartlyKnown:
    """A commit of which something is known already: that is not asked for."""

    commit: Commit
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
class BaseTexts:
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


def base_texts(base: Commit, config_path: str, overridden: Callable[[Config], Config]) -> BaseTexts:
    """Reads them side by side. Raises SettingsError where configuration or templates are wrong, ForgeError or
    RepositoryError where they cannot be read at all."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="base") as pool:
        instructions = pool.submit(instructions_of, base, pool)
        text = _read_file(base, config_path)
        config = overridden(Config() if text is None else parse_config(text, path=config_path))
        templates, fronts = _templates(base, config, pool)
        found, notes = instructions.result()
    completed = config.completed(fronts)
    return BaseTexts(completed, templates, found, (*notes, *_ranges(completed, config.own_files)))


def _templates(
    base: Commit, config: Config, pool: ThreadPoolExecutor
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


def _read_file(base: Commit, path: str) -> bytes | None:
    """As `base.read`; what is too large to be read is not taken for what is not there."""
    try:
        return base.read(path)
    except OversizeError as error:
        raise SettingsError([f"{error.message} Shorten it at the base of the change."]) from error


def _template(base: Commit, name: str, path: str) -> str:
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

"""What the base of a change says about reviews: configuration, templates, instructions. Never the head's word."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.known import Known
from hunkwise.domain.pull_request import Instructions
from hunkwise.errors import ForgeError, OversizeError, RepositoryError, SettingsError
from hunkwise.settings.config import Config, parse_config
from hunkwise.settings.instructions import INSTRUCTION_FILES, INSTRUCTION_FOLDER, MAX_TEXT, read_instructions

MAX_TEMPLATE = 65_536
MAX_INSTRUCTION_FILES = 30
_AT_ONCE = 6


class Commit(Protocol):
    """The files of one commit."""

    def read(self, path: str) -> bytes | None: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class PartlyKnown:
    """A commit of which something is known already: that is not asked for."""

    commit: Commit
    known: Known

    def read(self, path: str) -> bytes | None:
        entry = self.known[path] if path in self.known else self.commit.read(path)
        return entry if isinstance(entry, bytes) else None

    def list(self, path: str) -> tuple[str, ...] | None:
        entry = self.known[path] if path in self.known else self.commit.list(path)
        return entry if isinstance(entry, tuple) else None


@dataclass(frozen=True)
class BaseTexts:
    """The base's word, read and checked."""

    config: Config
    templates: dict[str, str]
    """The text of each template of the user's own, by the name of its prompt."""
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
        instructions = pool.submit(_instructions, base, pool)
        text = _read(base, config_path)
        config = overridden(Config() if text is None else parse_config(text, path=config_path))
        templates = {
            prompt.name: _template(base, prompt.name, prompt.template)
            for prompt in config.prompts
            if prompt.template is not None
        }
        found, notes = instructions.result()
    return BaseTexts(config, templates, found, notes)


def _read(base: Commit, path: str) -> bytes | None:
    """As `base.read`; what is too large to be read is not taken for what is not there."""
    try:
        return base.read(path)
    except OversizeError as error:
        raise SettingsError([f"{error.message} Shorten it at the base of the change."]) from error


def _template(base: Commit, prompt: str, path: str) -> str:
    text = _read(base, path)
    if text is None:
        raise SettingsError(
            [
                f'The prompt "{prompt}" names the template {path}, which is not in the base of the change: '
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


def _instructions(base: Commit, pool: ThreadPoolExecutor) -> tuple[tuple[Instructions, ...], tuple[str, ...]]:
    notes: list[str] = []
    try:
        known = [pool.submit(base.read, path) for path in INSTRUCTION_FILES]
        names = [name for name in base.list(INSTRUCTION_FOLDER) or () if name.endswith(".instructions.md")]
        if len(names) > MAX_INSTRUCTION_FILES:
            notes.append(f"Of {len(names)} files in {INSTRUCTION_FOLDER} {MAX_INSTRUCTION_FILES} were read.")
        more = [f"{INSTRUCTION_FOLDER}/{name}" for name in names[:MAX_INSTRUCTION_FILES]]
        futures = [*known, *(pool.submit(base.read, path) for path in more)]
        texts = [future.result() for future in futures]
    except (ForgeError, RepositoryError) as error:
        return (), (f"The repository's instructions for reviewers could not be read: {error.message}",)
    found = {path: text for path, text in zip((*INSTRUCTION_FILES, *more), texts, strict=True) if text}
    notes += [
        f"Of {path} the first {MAX_TEXT:,} of {len(text):,} bytes were read."
        for path, text in found.items()
        if len(text) > MAX_TEXT
    ]
    read = (read_instructions(path, text) for path, text in found.items())
    return tuple(one for one in read if one is not None), tuple(notes)

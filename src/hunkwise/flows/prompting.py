"""Renders the prompts of a plan, with the code that encloses the changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from hunkwise.domain.finding import Severity
from hunkwise.domain.model import STAGE_PROMPTS
from hunkwise.domain.pull_request import Instructions, Snapshot
from hunkwise.domain.review import FileCoverage
from hunkwise.errors import SettingsError
from hunkwise.flows.code_context import CodeContext
from hunkwise.flows.planning import PromptTask
from hunkwise.prompts.context import Contexts, InstructionText, cut_notes, instruction_values, paths_of
from hunkwise.prompts.renderer import HOUSE, Renderer, built_in
from hunkwise.settings.config import Config
from hunkwise.settings.prompt_settings import ContextSettings, PromptSettings

_CONTEXT = ContextSettings()


class PromptWriter:
    """Renders the prompts of a plan's tasks."""

    def __init__(
        self,
        snapshot: Snapshot,
        renderer: Renderer,
        *,
        local: bool = False,
        context: ContextSettings = _CONTEXT,
        searchable: bool = True,
        base_readable: bool = False,
        surroundings: CodeContext | None = None,
    ) -> None:
        """`context`: which parts a prompt contains; without `surroundings` there is no code around the changes.
        `searchable`: a model can search the repository; `base_readable`: it can read files as they were before."""
        self._audit = snapshot.audit
        self._searchable = searchable
        self._base_readable = base_readable
        self._renderer = renderer
        self.surroundings = surroundings if context.enclosing else None
        around = {"around": self.surroundings.text} if self.surroundings else {}
        self._contexts = Contexts(
            snapshot, local=local, switches=context.switches, room=context.size, **around
        )
        self._shown_instructions: dict[str, InstructionText] = {}
        self._cut_instructions: list[InstructionText] = []
        self._own_texts: dict[tuple[str, int], str | SettingsError] = {}

    @property
    def system(self) -> str:
        """The system message of the prompts about the diff."""
        return self.system_for("review")

    def system_for(self, name: str) -> str:
        """Returns the system message for the prompt of that name."""
        return self._renderer.system_for(name, audit=self._audit)

    def prepare(
        self, names: Iterable[str], tasks: Iterable[PromptTask], skipped: Iterable[FileCoverage] = ()
    ) -> None:
        """Compiles the templates of the prompts and renders the user's own ones; the prompts name the skipped files.

        Raises SettingsError if a template does not compile, or fails for all of its tasks. One that fails for some
        chunks only, for example because of untrusted text in them, fails only these chunks; see `text`.
        """
        tasks = tuple(tasks)
        self._contexts.skip_reasons = {file.path: file.reason for file in skipped if file.reason is not None}
        self._collect_context(tasks)
        for name in names:
            of_prompt = [task for task in tasks if task.prompt.name == name]
            if self._renderer.is_own(name) and of_prompt:
                self._render_own(name, of_prompt)
            else:
                self._renderer.check(name)

    def text(self, task: PromptTask) -> str:
        """Returns the prompt of a task. Raises SettingsError if the template cannot be rendered for it."""
        name = task.prompt.name
        if not self._renderer.is_own(name):
            return self._renderer.render(name, {**self._contexts.shared, **self._varying(task)})
        if task.key not in self._own_texts:  # a part of a chunk that was too large for the model
            self._render_own(name, [task])
        text = self._own_texts[task.key]
        if isinstance(text, SettingsError):
            raise text
        return text

    def stage_text(self, prompt: PromptSettings, least: Severity, names: Mapping[str, Any]) -> str:
        """Renders the prompt of a later stage, with the variables `names` and those that all prompts share.

        Blocks for up to the time limit of a rendering: do not call it in the event loop. Raises SettingsError.
        """
        context = {**self._contexts.shared, "prompt": self._prompt_values(prompt, least), **names}
        return self._renderer.render(prompt.name, context)

    def instructions_for(self, paths: Sequence[str]) -> list[dict[str, str]]:
        """Returns the repository's instructions for a prompt about these files."""
        return instruction_values(self._contexts.instructions_for(paths))

    @property
    def instructions(self) -> tuple[str, ...]:
        """Paths of the instruction files that some prompt contains, at least in part."""
        return tuple(self._shown_instructions)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing that did not fit into the prompts, could not be looked up, or has no effect."""
        around = self.surroundings.notes if self.surroundings else ()
        return (*self._renderer.unused_blocks, *cut_notes(self._cut_instructions), *around)

    def _collect_context(self, tasks: Sequence[PromptTask]) -> None:
        """Collects the code and the instructions that the prompts contain beside the changed lines."""
        if self.surroundings is not None:
            self.surroundings.look_up(part for task in tasks for part in task.chunk.parts)
        texts = [text for task in tasks for text in self._contexts.instructions_for(paths_of(task.chunk))]
        self._shown_instructions = {text.path: text for text in texts if text.shown}
        self._cut_instructions = [text for text in texts if text.shown < text.whole]

    def _render_own(self, name: str, tasks: list[PromptTask]) -> None:
        contexts = (self._varying(task) for task in tasks)
        texts = list(self._renderer.render_all(name, self._contexts.shared, contexts))
        errors = [text for text in texts if isinstance(text, SettingsError)]
        if len(errors) == len(texts):
            raise errors[0]
        for task, text in zip(tasks, texts, strict=True):
            self._own_texts[name, task.chunk.index] = text

    def _varying(self, task: PromptTask) -> dict[str, Any]:
        settings = self._prompt_values(task.prompt, task.min_severity)
        return self._contexts.varying(task.chunk, task.count, settings)

    def _prompt_values(self, prompt: PromptSettings, least: Severity) -> dict[str, Any]:
        """Returns the prompt's settings, with the tools that are offered, and whether they can read the base."""
        tools = [tool for tool in prompt.tools if tool != "repo_search" or self._searchable]
        base_readable = self._base_readable and "repo_read" in tools
        return prompt_values(prompt, least) | {"tools": tools, "base_readable": base_readable}


def prompt_values(prompt: PromptSettings, least: Severity) -> dict[str, Any]:
    """Returns the settings of a prompt as template variables; `least` is its minimum severity."""
    max_severity = Severity.CRITICAL if prompt.max_severity is None else prompt.max_severity
    return {
        "name": prompt.name,
        "description": prompt.description,
        "paths": list(prompt.paths),
        "min_severity": least.label,
        "max_severity": max_severity.label,
        "categories": list(prompt.categories),
        "tools": list(prompt.tools),
        "base_readable": False,
    }


_STAGES = frozenset((*STAGE_PROMPTS, *(HOUSE + name for name in STAGE_PROMPTS)))


def settings_digest(
    config: Config,
    templates: Mapping[str, str],
    instructions: Iterable[Instructions],
    *,
    demo: bool,
    system: str,
    more: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """Returns sixteen hex digits over all settings that decide on what is found: prompts with their texts and partials,
    the system message, instructions, severities, categories, tools, globs, the first model.

    `templates` are the user's own by name; the built-in ones always count, as own templates may include them. Not
    included are settings that only limit or publish (budgets, gates, comments), and the stages after the findings
    (verification, summary), unless `more` has them.
    """
    texts = {name: text for name, text in {**built_in(), **templates}.items() if name not in _STAGES}
    settings: dict[str, Any] = {
        "prompts": {prompt.name: _effective_values(prompt, config) for prompt in config.reviewing},
        "templates": texts,
        "system": system,
        "instructions": [[file.path, file.text, list(file.apply_to)] for file in instructions],
        "ignore": list(config.ignore),
        "paths": list(config.paths),
        "context": config.context.model_dump(),
        "model": config.model_order[0],
        "demo": demo,
        **more,
    }
    return sha256(json.dumps(settings, sort_keys=True).encode("ascii")).hexdigest()[:16]


def _effective_values(prompt: PromptSettings, config: Config) -> dict[str, Any]:
    """Returns the prompt's settings with the minimum severity and confidence that are in effect."""
    values = prompt_values(prompt, prompt.min_severity or config.min_severity)
    return values | {"min_confidence": config.min_confidence_of(prompt.name)}

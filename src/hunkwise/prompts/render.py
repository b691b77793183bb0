"""Templates → prompts: the built-in ones in our process, what the user wrote in one that is confined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hunkwise.errors import SettingsError
from hunkwise.prompts.confinement import Job, rendered, template_error
from hunkwise.prompts.library import BUILT_IN, built_in, is_touched, package_text
from hunkwise.prompts.sandbox import (
    MAX_PROMPT,
    RENDER_ERRORS,
    TemplateFault,
    missing,
    render,
    render_fault,
    sandbox,
)

__all__ = ["BUILT_IN", "MAX_PROMPT", "Renderer"]

_SYSTEM = {"verify": "system_verify.md", "summary": "system_summary.md"}


class Renderer:
    """Renders a run's prompts."""

    def __init__(
        self,
        templates: Mapping[str, str],
        seconds_left: Callable[[], float] = lambda: math.inf,
        paths: Mapping[str, str] | None = None,
    ) -> None:
        """`templates`: the user's own, without front matter, as read at the base SHA: by the name of their prompt,
        partials as `partials/NAME`; none is rendered past `seconds_left`. `paths`: their files, for faults."""
        self._seconds_left = seconds_left
        self._own = frozenset(templates)
        self._paths = dict(paths or {})
        self._sources = {**built_in(), **templates}
        self._environment = sandbox(built_in())

    @property
    def system(self) -> str:
        """The system message of the prompts over the diff."""
        return self.system_for("review")

    def system_for(self, name: str) -> str:
        """The system message that goes with a prompt: it explains the tool by which the model is heard."""
        return package_text(_SYSTEM.get(name, "system.md"))

    def is_own(self, name: str) -> bool:
        """Whether the user wrote the template or a partial in it, so that it is rendered in a process of its own."""
        return name in self._own or (name in built_in() and is_touched(name, self._own))

    def source(self, name: str) -> str:
        """The text of a template, a partial or the base, the user's own before the built-in one; KeyError."""
        return self._sources[name]

    def check(self, name: str) -> None:
        """Compiles the template and all that it names. Raises SettingsError that says where and why one does not."""
        if self.is_own(name):
            list(self.render_all(name, {}, ()))
        elif name not in self._sources:
            fault = TemplateFault(name, None, missing(name, self._sources))
            raise template_error(name, fault, self._paths)

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """One prompt. Raises SettingsError where the template fails or says more than MAX_PROMPT."""
        if self.is_own(name):
            (text,) = self.render_all(name, {}, (context,))
            if isinstance(text, SettingsError):
                raise text
            return text
        try:
            return render(self._environment, name, context)
        except RENDER_ERRORS as error:
            raise template_error(name, render_fault(error, name), self._paths) from error

    def render_all(
        self, name: str, shared: Mapping[str, Any], contexts: Iterable[Mapping[str, Any]]
    ) -> Iterator[str | SettingsError]:
        """All prompts of one template of the user's own; raises as `prompts.confinement.rendered`."""
        return rendered(Job(self._sources, name, shared, self._paths), contexts, left=self._seconds_left)

"""Templates → prompts: the built-in ones in our process, the user's own in one that is confined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from hunkwise.errors import SettingsError
from hunkwise.prompts.confinement import Job, rendered, template_error
from hunkwise.prompts.sandbox import MAX_PROMPT, RENDER_ERRORS, compile_fault, render, render_fault, sandbox

__all__ = ["BUILT_IN", "MAX_PROMPT", "Renderer"]

BUILT_IN = ("review",)


class Renderer:
    """Renders a run's prompts."""

    def __init__(
        self, templates: Mapping[str, str], seconds_left: Callable[[], float] = lambda: math.inf
    ) -> None:
        """`templates`: the user's own, by the name of their prompt, as read at the base SHA; none is rendered
        past `seconds_left`."""
        self._seconds_left = seconds_left
        self._own = frozenset(templates)
        built_in = {name: _package_text(f"{name}.md.j2") for name in BUILT_IN}
        self._sources = {**built_in, **templates}
        self._environment = sandbox(built_in)

    @property
    def system(self) -> str:
        """The system message: the same for every prompt."""
        return _package_text("system.md")

    def is_own(self, name: str) -> bool:
        """Whether the user wrote the template, so that it is rendered in a process of its own."""
        return name in self._own

    def check(self, name: str) -> None:
        """Compiles the template. Raises SettingsError that says where and why it does not compile."""
        if self.is_own(name):
            list(rendered(Job(self._sources, name, {}), (), left=self._seconds_left))
            return
        fault = compile_fault(self._environment, name)
        if fault is not None:
            raise template_error(name, fault)

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
            raise template_error(name, render_fault(error, name)) from error

    def render_all(
        self, name: str, shared: Mapping[str, Any], contexts: Iterable[Mapping[str, Any]]
    ) -> Iterator[str | SettingsError]:
        """All prompts of one template of the user's own; raises as `prompts.confinement.rendered`."""
        return rendered(Job(self._sources, name, shared), contexts, left=self._seconds_left)


@cache
def _package_text(name: str) -> str:
    return (files("hunkwise.prompts") / "templates" / name).read_text(encoding="utf-8")

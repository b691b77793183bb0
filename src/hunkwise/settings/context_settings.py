"""What a prompt shows beside the changed lines: the configuration's `context`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from hunkwise.settings.fields import STRICT
from hunkwise.settings.rules import CONTEXT_SIZE


class ContextSettings(BaseModel):
    """What a chunk's prompt shows beside the changed lines; what does not fit stays out, the last named first."""

    model_config = STRICT

    enclosing: bool = Field(
        default=True, description="The functions and classes that the changed lines stand in."
    )
    instructions: bool = Field(default=True, description="The repository's instructions for reviewers.")
    description: bool = Field(default=True, description="The pull request's title and description.")
    linked_issues: bool = Field(default=True, description="The issues that the pull request closes.")
    threads: bool = Field(default=True, description="Findings that stand open on the pull request.")
    files: bool = Field(default=True, description="The names of all changed files.")
    size: int = Field(
        default=24_000,
        ge=CONTEXT_SIZE.low,
        le=CONTEXT_SIZE.high,
        description="Characters a chunk for enclosing code and instructions together.",
    )

    @property
    def switches(self) -> dict[str, bool]:
        """Which parts are shown, by their names with underscores."""
        return {name: value for name, value in self.model_dump().items() if isinstance(value, bool)}

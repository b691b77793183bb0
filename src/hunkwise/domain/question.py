"""What a model is asked, and the one way in which it answers: a call of a reporting tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hunkwise.domain.limits import Budget

READING_TOOLS = ("repo_read", "repo_search", "repo_list")
"""The tools by which a model may look at the repository at the head of the change."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a report is answered with. `accepted` ends the model's turn; else it may mend its call."""

    text: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class ReportTool:
    """The tool that ends a question: what the model is told of it, and who stands behind it."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(repr=False)
    """JSON Schema of the arguments."""
    take: Callable[[object], Reply]
    """Sees each call's arguments as the model gave them."""
    answered: Callable[[], bool]
    """Whether nothing more is asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt for one fresh session."""

    purpose: str
    """The name of the prompt that asks: its cost is counted under it."""
    system: str = field(repr=False)
    prompt: str = field(repr=False)
    tool: ReportTool
    budget: Budget
    reading: tuple[str, ...] = READING_TOOLS
    """Which of READING_TOOLS are offered."""
    model: str | None = None
    """Model id; None is the choice of whoever answers."""
    impatient: bool = False
    """Another model could be asked: a rate limit is then not waited for."""

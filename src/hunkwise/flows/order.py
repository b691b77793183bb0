"""What a review is asked to do, what it reads and who watches it: values between its callers and its story."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hunkwise.domain.finding import Finding
from hunkwise.domain.known import Known
from hunkwise.domain.pull_request import Snapshot
from hunkwise.domain.state import State
from hunkwise.domain.walkthrough import Walkthrough
from hunkwise.flows.analysis import Progress
from hunkwise.flows.planning import Plan
from hunkwise.flows.prompting import Prompting
from hunkwise.settings.config import Config


@dataclass(frozen=True)
class Order:
    """What to review, and by which rules."""

    snapshot: Snapshot
    config: Config
    templates: dict[str, str]
    local: bool = False
    """A range of commits, with no pull request around it."""
    demo: bool = False
    state: State | None = None
    """What earlier runs left behind."""
    full: bool = False
    """Review everything again, whatever was reviewed before."""
    earlier_summary: str = ""
    """What the run before said of the change."""
    earlier_walkthrough: Walkthrough | None = None
    """What it said beside that."""


class Repository(Protocol):
    """The code at the head, as a model may read it; see copilot.tools."""

    def read(self, path: str) -> bytes | None: ...

    def read_many(self, paths: Sequence[str]) -> Known: ...

    def search(self, pattern: str, paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None: ...

    def list(self, path: str) -> tuple[str, ...] | None: ...


@dataclass(frozen=True)
class Ready:
    """All that a review reads: what to review, and the code around it."""

    order: Order
    repository: Repository


@dataclass(frozen=True)
class Watchers:
    """Who is told while it runs, and who may stop it."""

    journal: Callable[[Finding], None]
    progress: Progress
    interrupted: asyncio.Event
    clock: Callable[[], float]
    """Seconds on a monotonic clock."""
    started: float


@dataclass(frozen=True)
class Prepared:
    """What will be asked, and how."""

    plan: Plan
    prompting: Prompting
    settings: str
    """Digest of all that decides on what is looked for."""

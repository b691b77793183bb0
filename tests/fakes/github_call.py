"""One request to a route of the fake GitHub, with all that a route needs to answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.github_messages import Reply
from tests.fakes.github_shapes import Shapes
from tests.fakes.github_state import Hub, PullRequest


@dataclass(frozen=True)
class Call:
    """One request to a route: what was in its path, its query, its body, and who asks."""

    hub: Hub
    shapes: Shapes
    params: Mapping[str, str]
    query: Mapping[str, str]
    json: Any
    login: str
    token: str
    url: str
    """Without the query, for Link headers."""

    @property
    def pull(self) -> PullRequest:
        return self.hub.pull(int(self.params.get("pull_number") or self.params["issue_number"]))


Route = Callable[[Call], Reply]
"""Takes a call and gives the reply, or raises RefusedError or MissingObjectError."""

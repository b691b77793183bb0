"""The one door for what is written to GitHub: searched for secrets, and never sent twice blindly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from hunkwise.errors import ForgeError, ForgeKind
from hunkwise.forge.client import GitHub
from hunkwise.forge.graphql import GraphqlAnswer
from hunkwise.forge.shapes import Shape
from hunkwise.publish.secrets import SecretScan

_MOST_ATTEMPTS = 3
_BETWEEN_ATTEMPTS = 1.0
_T = TypeVar("_T")


class Outgoing:
    """Writes to one repository. Paths begin behind `/repos/owner/name/`. All methods raise ForgeError."""

    def __init__(
        self, github: GitHub, scan: SecretScan, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = github.connection
        self._root = f"/repos/{github.repository}"
        self._scan = scan
        self._sleep = sleep
        self.sent = 0
        """How many writes were tried."""

    def post(self, path: str, body: Mapping[str, Any], *, again: Callable[[], None] = lambda: None) -> Shape:
        """`again`: see Connection.post."""
        self._check(body)
        return self._connection.post(f"{self._root}/{path}", body, again=again)

    def patch(self, path: str, body: Mapping[str, Any]) -> Shape:
        self._check(body)
        return self._connection.patch(f"{self._root}/{path}", body)

    def put(self, path: str, body: Mapping[str, Any]) -> Shape:
        self._check(body)
        return self._connection.put(f"{self._root}/{path}", body)

    def delete(self, path: str) -> Shape:
        """What GitHub shows of what it deleted: null for most kinds."""
        self._check({})
        return self._connection.delete(f"{self._root}/{path}")

    def mutation(self, document: str, variables: Mapping[str, Any], *, writes: int) -> GraphqlAnswer:
        """Several mutations in one request, each with its own outcome. `writes`: how many."""
        self._check(variables)
        return self._connection.graphql_partly(document, variables, repeat=False, writes=writes)

    def surely(
        self,
        send: Callable[[], _T],
        look: Callable[[], _T | None] = lambda: None,
        again: Callable[[], None] = lambda: None,
    ) -> _T:
        """What `send` gives. Where its outcome is unknown, what `look` finds stored, else it is sent again.

        `again` is called before that: what it raises ends the sending.

        Raises what `send` raised last, also where `look` fails: to write twice would be worse than not at all.
        Without `look`, `send` must do no harm when it is done twice.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return send()
            except ForgeError as error:
                if error.kind is not ForgeKind.UNAVAILABLE:
                    raise
                try:
                    stored = look()
                except ForgeError as blind:
                    raise error from blind
                if stored is not None:
                    return stored
                if attempt == _MOST_ATTEMPTS or self._connection.over:
                    raise
            self._sleep(_BETWEEN_ATTEMPTS * attempt)
            again()

    def refuse_secrets(self, text: str) -> None:
        """For what leaves compressed: raises ForgeError (FORBIDDEN) where the text holds a secret of ours."""
        if self._scan.found_in(text):
            message = "What was to be posted holds one of this run's secrets, and was withheld."
            raise ForgeError(ForgeKind.FORBIDDEN, message, "Revoke that secret: the model has seen it.")

    def _check(self, body: Mapping[str, Any]) -> None:
        self.refuse_secrets("\n".join(_texts(body)))
        self.sent += 1


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)

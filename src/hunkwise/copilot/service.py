"""Opens the way to a model: connect, prove the token, and close again whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hunkwise.copilot.connection import Connection, connect_to_first, connect_to_sidecar, preflight
from hunkwise.copilot.sidecar import Address, Sidecar


@asynccontextmanager
async def connected(where: Sidecar | Sequence[Address], *, copilot: bool) -> AsyncIterator[Connection]:
    """A connection to our sidecar, or to the first of several addresses.

    `copilot`: Copilot answers, so its token is proved before anything is spent. Raises ModelError.
    """
    if isinstance(where, Sidecar):
        connection = await connect_to_sidecar(where)
    else:
        connection = await connect_to_first(where)
    try:
        if copilot:
            await preflight(connection, ())
        yield connection
    finally:
        await connection.close()

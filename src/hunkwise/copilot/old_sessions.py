"""Deletes what runs that were killed have left on headless CLIs: sessions, and the locks of deleted ones."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from hunkwise.copilot.connection import SESSION_PREFIX, CopilotConnection
from hunkwise.copilot.errors import SDK_ERRORS, sdk_error
from hunkwise.copilot.pool import CopilotServer

OLD: Final = timedelta(hours=24)
"""Since the last change of a session; a question takes at most ten minutes."""
_LOCKS: Final = "session-state/.session-operation-locks"


async def delete_old_sessions(connection: CopilotConnection, now: datetime, older: timedelta) -> int:
    """Deletes the sessions of hunkwise that did not change for longer; returns their number.

    Other programs' sessions are kept. Raises ModelError.
    """
    try:
        sessions = await connection.client.list_sessions()
        old = [
            one.session_id
            for one in sessions
            if one.session_id.startswith(SESSION_PREFIX) and now - one.modified_time > older
        ]
        for name in old:
            await connection.client.delete_session(name)
    except SDK_ERRORS as error:
        raise sdk_error(error, provider=False) from error
    return len(old)


async def delete_on_all(servers: Iterable[CopilotServer], now: datetime) -> int:
    """Deletes the old sessions on each server that is up; returns their number. Raises ModelError."""
    connections = [server.connection for server in servers if server.connection is not None and server.up]
    return sum([await delete_old_sessions(connection, now, OLD) for connection in connections])


def delete_old_locks(home: Path, now: datetime) -> int:
    """Deletes old lock files of sessions in a CLI's home; returns their number.

    The CLI leaves one for each session that was deleted.
    """
    deleted = 0
    for path in (home / _LOCKS).glob("*.lock"):
        with suppress(OSError):  # deleted meanwhile
            if now.timestamp() - path.stat().st_mtime > OLD.total_seconds():
                path.unlink()
                deleted += 1
    return deleted

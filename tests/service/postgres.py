"""A PostgreSQL server for the tests of a session, on a socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

_USER = "postgres"


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    folder: Path

    def url(self, database: str = "postgres") -> str:
        """Returns the connection string of a database."""
        return f"host={self.folder} user={_USER} dbname={database}"

    def control(self, *arguments: str) -> None:
        """Runs pg_ctl, for example with `restart`."""
        _run("pg_ctl", "--pgdata", str(self.folder / "data"), "--silent", "--wait", *arguments)

    def create(self, database: str, template: str = "template1") -> str:
        """Creates a database; returns its connection string."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Runs a server until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="hunkwise-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    server = Postgres(folder)
    options = (
        f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c full_page_writes=off"
    )
    try:
        _run("initdb", "--pgdata", str(folder / "data"), "--no-sync", f"--username={_USER}", "--auth=trust")
        server.control("start", "--log", str(folder / "log"), "--options", options)
        try:
            yield server
        finally:
            server.control("stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    user = pwd.getpwnam(_USER) if os.geteuid() == 0 else None
    subprocess.run(
        [found[-1] if found else program, *arguments],
        user=user and user.pw_uid,
        group=user and user.pw_gid,
        extra_groups=[] if user else None,
        cwd="/",
        stdout=subprocess.DEVNULL,
        check=True,
    )

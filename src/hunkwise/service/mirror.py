"""Mirrors of repositories on disk, so that a job reads Git's objects instead of the API, and can search."""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from hunkwise.certificates import git_variables
from hunkwise.errors import Error, RepositoryError
from hunkwise.repository.git_process import call, environment, kill

DEPTH: Final = 50
"""Commits before a base or a head that are fetched: enough for most merge bases; the API has the others."""
MOST_FETCHES: Final = 100
"""After these a mirror is made anew: each leaves a pack, and objects of closed pull requests are never deleted."""
UNUSED_DAYS: Final = 30
"""Days without a job after which a mirror is deleted: the App may have no access to its repository any more."""
_WHOLE: Final = 0x7FFFFFFF
"""Git's depth for a whole history."""
_SECONDS: Final = 120.0
"""Time limit of a fetch."""
_OUTPUT: Final = 1 << 16
_PASSED_ON: Final = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
_log = logging.getLogger(__name__)


class CommitPort(Protocol):
    """Finds the commits that a job needs; see `installation.Installations`."""

    def shas(self, repository: str, number: int, token: str) -> tuple[str, ...]: ...


class Mirrors:
    """The mirrors below one folder, which the workers of a machine may share.

    They have `limit` bytes in all: beyond it, the least recently used ones that no job uses are deleted.
    """

    def __init__(
        self,
        folder: Path,
        server_url: str,
        limit: int,
        commits: CommitPort,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._root = folder / "mirrors"
        self._server_url = server_url
        self._limit = limit
        self._commits = commits
        self._environ = environ
        self._leases: defaultdict[Path, list[int]] = defaultdict(list)
        """Open files with a shared lock, by mirror."""
        self._lock = threading.Lock()
        self._fetching: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def prepare(self, repository: str, number: int, token: str) -> Path | None:
        """Fetches the base and the head of pull request `number`, or for 0 the default branch with its history.

        Returns a folder like a checkout without files, which `release` must get in the end; None if there is no
        mirror: then a review reads all by the API.
        """
        # Of their own for audits: a later fetch of a part would hide the history from an audit that reads it.
        place = self._root / ("reviews" if number else "audits") / repository.casefold()
        lease = -1
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            lease = _open_lock(place, "use")
            fcntl.flock(lease, fcntl.LOCK_SH)
            self._fetch(place, repository, number, token)
        except (Error, OSError) as error:
            _log.warning("There is no mirror of %s for #%d: %s", repository, number, error)
            if lease >= 0:
                os.close(lease)
            return None
        with self._lock:
            self._leases[place].append(lease)
        return place

    def release(self, mirror: Path) -> None:
        """Ends one use of a mirror."""
        with self._lock:
            os.close(self._leases[mirror].pop())

    def stop(self) -> None:
        """Ends all fetches, for the end of the process: `prepare` then returns None."""
        self._stopped = True
        for process in tuple(self._fetching):
            kill(process)

    def trim(self) -> int:
        """Deletes unused mirrors beyond the limit, old ones, and those to be made anew; returns their number."""
        old = time.time() - UNUSED_DAYS * 86_400
        owners = [owner for kind in _folders(self._root) for owner in _folders(kind)]
        found = [place for owner in owners for place in _folders(owner)]
        sizes = {place: _size(place) for place in found}
        used = {place: _last_use(place) for place in found}
        total, deleted = sum(sizes.values()), 0
        for place in sorted(found, key=used.__getitem__):
            if total <= self._limit and _fetches(place) < MOST_FETCHES and used[place] > old:
                continue
            with _unused(place) as unused:
                if unused:
                    shutil.rmtree(place, ignore_errors=True)
                    total -= sizes[place]
                    deleted += 1
        return deleted

    def _fetch(self, place: Path, repository: str, number: int, token: str) -> None:
        """Fetches what is missing. Raises Error and OSError."""
        shas = self._commits.shas(repository, number, token)
        git_dir = place / ".git"
        with _locked(place, "fetch"):
            if not (git_dir / "HEAD").is_file():
                place.mkdir(exist_ok=True)
                self._git(place, ["init", "--quiet", "--bare", "--template=", str(git_dir)], {})
            os.utime(place)
            _delete_remains(git_dir)
            names = (f"pull/{number}/base", f"pull/{number}/head") if number else ("default",)
            arguments = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                f"--depth={DEPTH if number else _WHOLE}",
                f"{self._server_url}/{repository}.git",
                *(f"+{sha}:refs/hunkwise/{name}" for sha, name in zip(shas, names, strict=True)),
            ]
            # By the environment: the token is in no file, and in no process's arguments.
            basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            self._git(
                place, arguments, {f"http.{self._server_url}/.extraHeader": f"Authorization: Basic {basic}"}
            )

    def _git(self, place: Path, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        more = {name: self._environ[name] for name in _PASSED_ON if name in self._environ}
        env = environment(place, {"GIT_DIR": str(place / ".git"), **more, **git_variables(self._environ)})
        settings = {
            **settings,
            f"protocol.{self._server_url.partition(':')[0]}.allow": "always",
            "http.followRedirects": "false",  # the token is for this server only
            "fetch.unpackLimit": "1",  # one pack for each fetch
            "gc.auto": "0",
        }
        first = int(env["GIT_CONFIG_COUNT"])
        for index, (name, value) in enumerate(settings.items(), first):
            env |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
        env["GIT_CONFIG_COUNT"] = str(first + len(settings))
        if self._stopped:
            raise RepositoryError("this process ends")
        answer = call(arguments, env, limit=_OUTPUT, timeout=_SECONDS, running=self._fetching)
        if answer.code != 0:
            raise RepositoryError(f"git {arguments[0]} ended with {answer.code}: {answer.complaint}")


def _open_lock(place: Path, kind: str) -> int:
    """Opens a file beside the mirror that is only locked; it stays when the mirror is deleted."""
    return os.open(f"{place}.{kind}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


@contextmanager
def _locked(place: Path, kind: str) -> Iterator[None]:
    """Waits until no other thread or process has this lock. The kernel frees it if the process dies."""
    file = _open_lock(place, kind)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


@contextmanager
def _unused(place: Path) -> Iterator[bool]:
    """Yields whether no job uses the mirror; during the block none begins to."""
    file = _open_lock(place, "use")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(file)


def _delete_remains(git_dir: Path) -> None:
    """Deletes the locks and unfinished packs of a fetch that was killed; the caller is the only one that fetches."""
    for path in (
        *git_dir.glob("*.lock"),
        *git_dir.glob("refs/**/*.lock"),
        *git_dir.glob("objects/pack/tmp_*"),
    ):
        path.unlink(missing_ok=True)


def _fetches(place: Path) -> int:
    return sum(1 for _ in place.glob(".git/objects/pack/*.pack"))


def _last_use(place: Path) -> float:
    with suppress(OSError):
        return place.stat().st_mtime
    return 0.0


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    return []


def _size(folder: Path) -> int:
    """Returns the bytes of all files."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(path) / name).stat().st_size
    return total

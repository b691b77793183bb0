"""A repository that is made of given trees: the same trees always make the same commits."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from hunkwise.domain.diff import FileDiff
from hunkwise.errors import RepositoryError
from hunkwise.repository.calls import Answer, call, homeless
from hunkwise.repository.git import Git
from hunkwise.repository.head import GitHead
from hunkwise.repository.hermetic import environment
from hunkwise.repository.paths import is_path

_SECONDS = 60.0
_MEMORY = 1 << 29
_WHO = "hunkwise <hunkwise@example.invalid> 1700000000 +0000"
_DATED = {
    f"GIT_{role}_{part}": said
    for role in ("AUTHOR", "COMMITTER")
    for part, said in (
        ("NAME", "hunkwise"),
        ("EMAIL", "hunkwise@example.invalid"),
        ("DATE", "1700000000 +0000"),
    )
}
_SHA = re.compile("[0-9a-f]{40}")
_REF = "refs/heads/made"


class MadeRepository:
    """A bare repository in a folder of its own, which goes with `close`. Raises RepositoryError."""

    def __init__(self) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="hunkwise-made-")
        except OSError as error:
            raise homeless(error) from error
        self._home = Path(self._folder.name).resolve()
        self._store = self._home / "made.git"
        self._env = {**environment(self._home), "GIT_DIR": str(self._store), **_DATED}
        self._count = 0
        self._checked(
            call(["init", "-q", "--bare", str(self._store)], environment(self._home), timeout=_SECONDS),
            "A repository could not be made",
        )

        self._git = Git(self._store, bare=True)

    def close(self) -> None:
        self._git.close()
        self._folder.cleanup()

    def diff(self, base: str, head: str) -> tuple[FileDiff, ...]:
        """All files that differ between two commits; see repository.git."""
        return self._git.diff(base, head)

    def at(self, sha: str) -> GitHead:
        """The files of a commit."""
        return GitHead(self._git, sha)

    def commit(self, files: Mapping[str, tuple[bytes, bool]], parent: str | None = None) -> str:
        """The SHA of a commit with exactly these files: bytes and whether they are executable, by path."""
        strange = next((path for path in files if not is_path(path)), None)
        if strange is not None:
            raise RepositoryError(f"The files cannot be kept: no tree has the path {strange[:200]!r}.")
        self._count += 1
        stream = b"".join(_stream(files, parent, f"{_REF}-{self._count}"))
        arguments = ["fast-import", "--quiet", "--force"]
        said = self._checked(
            call(arguments, self._env, timeout=_SECONDS, asked=stream), "The files cannot be kept"
        )
        if not _SHA.fullmatch(said):
            raise RepositoryError("git fast-import named no commit.", "Install git 2.38 or newer.")
        return said

    def apply(self, base: str, diff: bytes) -> str:
        """The SHA of the commit that the diff makes of another one. Raises RepositoryError where it does not apply.

        Nothing is written but git's objects: a link in the diff stays a word.
        """
        self._count += 1
        env = {**self._env, "GIT_INDEX_FILE": str(self._home / f"index-{self._count}")}
        patch = self._home / f"change-{self._count}.diff"
        try:
            patch.write_bytes(diff)
        except OSError as error:
            raise homeless(error) from error
        self._checked(call(["read-tree", base], env, timeout=_SECONDS), "The tree could not be read")
        arguments = ["apply", "--cached", "--whitespace=nowarn", str(patch)]
        self._checked(call(arguments, env, timeout=_SECONDS, memory=_MEMORY), "It does not apply")
        tree = self._checked(call(["write-tree"], env, timeout=_SECONDS), "The tree could not be written")
        made = call(["commit-tree", tree, "-p", base, "-m", "Change"], env, timeout=_SECONDS)
        return self._checked(made, "The commit could not be made")

    def _checked(self, answer: Answer, what: str) -> str:
        if answer.code != 0:
            complaint = answer.complaint.replace(str(self._home), "").removeprefix("error: ")
            raise RepositoryError(f"{what}: {complaint or f'git ended with {answer.code}'}.")
        return answer.output.decode("utf-8", "replace").strip()


def _stream(files: Mapping[str, tuple[bytes, bool]], parent: str | None, ref: str) -> Iterator[bytes]:
    """What git fast-import reads."""
    message = b"Change" if parent else b"Base"
    yield f"commit {ref}\nmark :1\nauthor {_WHO}\ncommitter {_WHO}\n".encode()
    yield b"data %d\n%s\n" % (len(message), message)
    if parent:
        yield f"from {parent}\n".encode()
    yield b"deleteall\n"
    for path, (raw, executable) in sorted(files.items()):
        yield b"M %s inline %s\n" % (b"100755" if executable else b"100644", _quoted(path))
        yield b"data %d\n%s\n" % (len(raw), raw)
    yield b"\nget-mark :1\n"


def _quoted(path: str) -> bytes:
    """In quotes, with what could end the line or the quotes in octal."""
    raw = path.encode("utf-8", "surrogateescape")
    return (
        b'"'
        + b"".join(b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in raw)
        + b'"'
    )

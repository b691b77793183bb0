"""Reads pull requests and the files of commits."""

from __future__ import annotations

import math
import re
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.pull_request import Conversation, Known, PullRequest
from hunkwise.errors import GitHubError, GitHubErrorKind, OversizeError
from hunkwise.github.blob_lookup import BlobLookup, read_many
from hunkwise.github.connection import PAGE as PAGE
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.conversation import read_conversation
from hunkwise.github.responses import JsonValue, malformed_response_error

MOST_FILES = 3_000
"""GitHub lists no more files of a pull request."""
MAX_FILE = 5_000_000
"""Bytes of a file that is read to complete a patch, which comes as Base64 within JSON."""
_AT_ONCE = 6
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitHub:
    """One repository on one GitHub server. Methods block, may be called from any thread, and raise GitHubError."""

    def __init__(
        self,
        token: str,
        api_url: str,
        repository: str,
        *,
        deadline: Callable[[], float],
        last: Callable[[], float] = lambda: math.inf,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`deadline`, `last`: see github.connection."""
        self.connection = GitHubConnection(
            token, api_url, deadline=deadline, last=last, sleep=sleep, clock=clock, now=now
        )
        self.repository = repository

    def close(self) -> None:
        self.connection.close()

    def pull_request(self, number: int) -> PullRequest:
        """The pull request as it is now."""
        said = self.connection.get(self._at(f"pulls/{number}"))
        if said.number("number") != number:  # whatever is written later goes to that number
            raise malformed_response_error(said.request, f"it is about another pull request than {number}")
        repository = said.text("base.repo.full_name")
        if not _REPOSITORY.fullmatch(repository):
            raise malformed_response_error(said.request, "its repository has no name")
        return PullRequest(
            repository=repository,
            number=number,
            title=said.text("title"),
            body=said.text_or("body", ""),
            author=said.text_or("user.login", "ghost"),
            base=said.text("base.ref"),
            base_sha=_checked_sha(said.text("base.sha")),
            head=said.text("head.ref"),
            head_sha=_checked_sha(said.text("head.sha")),
            labels=tuple(label.text("name") for label in said.entries("labels")),
            draft=said.truth("draft"),
            state=said.text("state"),
            changed_files=said.number("changed_files"),
            additions=said.number("additions"),
            deletions=said.number("deletions"),
            url=said.text_or("html_url", ""),
            fork=said.text_or("head.repo.full_name", "") != repository,
        )

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]:
        """The changed files, 3,000 at the most, with the hunks that GitHub gives.

        Pages are fetched side by side. A file without its patch is `patch_missing`, unless it is certain that
        no line of it changed: a rename, copy or change of mode with no changed line, where the counts of all
        files add up to the pull request's. (Past some 20,000 lines GitHub lists files as 0/0/0, and it says
        nothing of what is binary.)
        """
        pages = max(1, -(-min(pull_request.changed_files, MOST_FILES) // PAGE))
        path = self._at(f"pulls/{pull_request.number}/files")

        def page(number: int) -> list[JsonValue]:
            return self.connection.get(path, {"per_page": PAGE, "page": number}).entries()

        with ThreadPoolExecutor(min(pages, _AT_ONCE), thread_name_prefix="files") as pool:
            listed = list(pool.map(page, range(1, pages + 1)))
        while len(listed[-1]) == PAGE and len(listed) * PAGE < MOST_FILES:
            listed.append(page(len(listed) + 1))
        entries = [entry for entries in listed for entry in entries]
        whole = _adds_up(entries, pull_request)
        return tuple(_file_diff(entry, whole=whole) for entry in entries)

    def file(self, path: str, sha: str, *, most: int = MAX_FILE) -> bytes | None:
        """The file at the commit; None for what is absent or no file. Raises OversizeError above `most` bytes.

        A symbolic link to a file of the same commit is followed, by GitHub.
        """
        said = self._contents(path, sha)
        if said is None or said.at("type").value != "file":
            return None
        if (said.number_or_none("size") or 0) > most:
            raise OversizeError(path, most)
        if said.text_or("encoding", "") == "base64":
            return _decoded(said)
        # Above 1 MB the contents API says `none`; blobs reach to 100 MB.
        blob = _checked_sha(said.text("sha"))
        return _decoded(self.connection.get(self._at(f"git/blobs/{blob}")))

    def read_many(self, paths: Sequence[str], sha: str) -> Known:
        """What is known of some files of a commit after one request; see github.blob_lookup."""
        inside = [path for path in paths if _stays_inside(path)]
        return read_many(self.connection, self.repository, _checked_sha(sha), inside)

    def directory(self, path: str, sha: str) -> tuple[str, ...] | None:
        """Names in a folder (1,000 at the most), folders with a slash behind; None for what is no folder."""
        said = self._contents(path, sha)
        if said is None or not isinstance(said.value, list):
            return None
        return tuple(
            entry.text("name") + ("/" if entry.text("type") == "dir" else "") for entry in said.entries()
        )

    def merge_base(self, base_sha: str, head_sha: str) -> str:
        """The commit that the head left the base at."""
        ends = f"{_checked_sha(base_sha)}...{_checked_sha(head_sha)}"
        # The first page would bring up to 300 files with it.
        said = self.connection.get(self._at(f"compare/{ends}"), {"per_page": 1, "page": 2})
        return said.text("merge_base_commit.sha")

    def conversation(self, number: int, head_sha: str) -> Conversation:
        """What was said on the pull request, and our check runs at `head_sha`; see github.conversation."""
        return self._conversation(number, head_sha, BlobLookup())[0]

    def conversation_and_base(
        self, pull_request: PullRequest, paths: Sequence[str]
    ) -> tuple[Conversation, Known]:
        """What was said, and what is known of these paths of the base by the way; no request is made for them."""
        inside = tuple(path for path in paths if _stays_inside(path))
        look = BlobLookup(_checked_sha(pull_request.base_sha), inside)
        return self._conversation(pull_request.number, pull_request.head_sha, look)

    def _conversation(self, number: int, head_sha: str, look: BlobLookup) -> tuple[Conversation, Known]:
        return read_conversation(self.connection, self.repository, number, _checked_sha(head_sha), look)

    def _contents(self, path: str, sha: str) -> JsonValue | None:
        if path and not _stays_inside(path):
            return None
        quoted = quote(path.encode("utf-8", "surrogateescape"), safe="/")
        try:
            return self.connection.get(self._at(f"contents/{quoted}"), {"ref": _checked_sha(sha)})
        except GitHubError as error:
            if error.kind is GitHubErrorKind.NOT_FOUND:
                return None
            raise

    def _at(self, path: str) -> str:
        return f"/repos/{self.repository}/{path}"


def _stays_inside(path: str) -> bool:
    """Whether the path names something in the tree: `..` would lead to other calls of the API."""
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _checked_sha(sha: str) -> str:
    if not _SHA.fullmatch(sha):
        raise GitHubError(
            GitHubErrorKind.INVALID, f"{sha[:80]!r} is no commit's SHA.", "Pass the full hexadecimal SHA."
        )
    return sha


def _decoded(said: JsonValue) -> bytes:
    try:
        return b64decode(said.text("content"))
    except (Base64Error, ValueError) as error:
        raise malformed_response_error(said.request, "its content is no base64") from error


def _adds_up(entries: Sequence[JsonValue], pull_request: PullRequest) -> bool:
    added = sum(entry.number("additions") for entry in entries)
    deleted = sum(entry.number("deletions") for entry in entries)
    return (added, deleted) == (pull_request.additions, pull_request.deletions)


def _file_diff(entry: JsonValue, *, whole: bool) -> FileDiff:
    patch = entry.at("patch").value
    status = _status(entry.text("status"))
    additions, deletions = entry.number("additions"), entry.number("deletions")
    moved = status in (FileStatus.RENAMED, FileStatus.COPIED, FileStatus.CHANGED, FileStatus.UNCHANGED)
    hunks = parse_hunks(patch.encode("utf-8", "surrogatepass")) if isinstance(patch, str) else ()
    unchanged = moved and whole and additions + deletions == 0
    return FileDiff(
        path=entry.text("filename"),
        status=status,
        hunks=hunks,
        additions=additions,
        deletions=deletions,
        old_path=entry.text_or("previous_filename", "") or None,
        patch_missing=not hunks and not unchanged,
    )


def _status(word: str) -> FileStatus:
    return FileStatus(word) if word in FileStatus.__members__.values() else FileStatus.CHANGED


MAX_TOOL_FILE = 2_000_000
"""Bytes."""


class ApiTree:
    """Reads the code under review at a pinned SHA. GitHub offers no search at a commit."""

    def __init__(self, github: GitHub, sha: str) -> None:
        self._github = github
        self._sha = sha

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file. Raises OversizeError above MAX_FILE."""
        return self._github.file(path, self._sha, most=MAX_TOOL_FILE)

    def read_many(self, paths: Sequence[str]) -> Known:
        """Files by their paths, None where there is no file: what one request tells of them. Raises GitHubError."""
        return self._github.read_many(paths, self._sha)

    def search(self, _pattern: str, _paths: tuple[str, ...]) -> list[tuple[str, int, str]] | None:
        """Always None: not to be had here."""
        return None

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names in a folder, folders with a final slash; None where there is no such folder."""
        return self._github.directory(path, self._sha)

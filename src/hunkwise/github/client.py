"""Reads pull requests and the files of commits."""

from __future__ import annotations

import hashlib
import math
import re
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from urllib.parse import quote

from hunkwise.domain.audit import TreeFile
from hunkwise.domain.diff import FileDiff, FileStatus
from hunkwise.domain.diff_parser import parse_hunks
from hunkwise.domain.limits import CHANGED_FILES
from hunkwise.domain.pull_request import Conversation, Entry, Known, PullRequest
from hunkwise.domain.text import is_encodable, is_sha
from hunkwise.errors import GitHubError, GitHubErrorKind, OversizeError
from hunkwise.github.accounts import GHOST, Account, WriteAccess, read_account
from hunkwise.github.connection import PAGE, GitHubConnection
from hunkwise.github.conversation import read_conversation
from hunkwise.github.graphql import GraphqlResponse
from hunkwise.github.responses import JsonValue, malformed_response_error
from hunkwise.tracking.dismissal import deciding_logins

MAX_FILE = 5_000_000
"""Bytes of a file that is read to complete a patch; it arrives as Base64 within JSON."""
MAX_LOOKUP_FILES = 60
"""Files per query: more make it slow, and GitHub aborts a query after ten seconds."""
_PARALLEL_PAGES = 6
_REPOSITORY = re.compile(r"(?!\.)[\w.-]+/(?!\.{1,2}\Z)[\w.-]+", re.ASCII)


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
        """`deadline`, `last`: see `GitHubConnection`."""
        self.connection = GitHubConnection(
            token, api_url, deadline=deadline, last=last, sleep=sleep, clock=clock, now=now
        )
        self.repository = repository
        """`owner/name`; `pull_request` replaces it if the repository was renamed or transferred."""

    def close(self) -> None:
        self.connection.close()

    @cached_property
    def account(self) -> Account:
        """The token's account, which is read once; its login is empty if GitHub does not report it."""
        return read_account(self.connection)

    @cached_property
    def _write_access(self) -> WriteAccess:
        return WriteAccess(self.connection, self.repository)

    def pull_request(self, number: int) -> PullRequest:
        """Reads the current state of the pull request, and the repository's current name."""
        response = self.connection.get(self._at(f"pulls/{number}"))
        if response.number("number") != number:  # all later writes go to that number
            raise malformed_response_error(
                response.request, f"it is about another pull request than {number}"
            )
        repository = response.text("base.repo.full_name")
        if not _REPOSITORY.fullmatch(repository):
            raise malformed_response_error(response.request, "its repository has no name")
        self.repository = repository
        return PullRequest(
            repository=repository,
            number=number,
            title=response.text("title"),
            body=response.text_or("body", ""),
            author=response.text_or("user.login", GHOST),
            base=response.text("base.ref"),
            base_sha=_checked_sha(response.text("base.sha")),
            head=response.text("head.ref"),
            head_sha=_checked_sha(response.text("head.sha")),
            labels=tuple(label.text("name") for label in response.entries("labels")),
            draft=response.truth("draft"),
            state=response.text("state"),
            changed_files=response.number("changed_files"),
            additions=response.number("additions"),
            deletions=response.number("deletions"),
            url=response.text_or("html_url", ""),
            head_repository=response.text_or("head.repo.full_name", ""),
        )

    def files(self, pull_request: PullRequest) -> tuple[FileDiff, ...]:
        """Reads the changed files, at most 3,000, with the hunks that GitHub provides.

        Pages are fetched in parallel. A file without a patch is `patch_missing`, unless it is certain that
        none of its lines changed: a rename, copy or change of mode with no changed line, where the counts of
        all files add up to those of the pull request. (Beyond about 20,000 lines GitHub lists files as 0/0/0,
        and it does not mark binary files.)
        """
        pages = max(1, -(-min(pull_request.changed_files, CHANGED_FILES) // PAGE))
        path = self._at(f"pulls/{pull_request.number}/files")

        def read_page(number: int) -> list[JsonValue]:
            return self.connection.get(path, {"per_page": PAGE, "page": number}).entries()

        with ThreadPoolExecutor(min(pages, _PARALLEL_PAGES), thread_name_prefix="files") as pool:
            fetched = list(pool.map(read_page, range(1, pages + 1)))
        while len(fetched[-1]) == PAGE and len(fetched) * PAGE < CHANGED_FILES:
            fetched.append(read_page(len(fetched) + 1))
        entries = [entry for entries in fetched for entry in entries]
        complete = _counts_match(entries, pull_request)
        return tuple(_file_diff(entry, complete=complete) for entry in entries)

    def file(self, path: str, sha: str, *, most: int = MAX_FILE) -> bytes | None:
        """Reads a file at a commit; None if it is absent or not a file. Raises OversizeError above `most` bytes.

        GitHub follows a symbolic link to a file of the same commit.
        """
        response = self._read_contents(path, sha)
        if response is None or response.at("type").value != "file":
            return None
        if (response.number_or_none("size") or 0) > most:
            raise OversizeError(path, most)
        if response.text_or("encoding", "") == "base64":
            return _decode_content(response)
        # Above 1 MB the contents API gives the encoding `none`; the blobs API works up to 100 MB.
        blob = _checked_sha(response.text("sha"))
        return _decode_content(self.connection.get(self._at(f"git/blobs/{blob}")))

    def read_many(self, paths: Sequence[str], sha: str) -> Known:
        """Reads files and folders of a commit, as far as one query of the first MAX_LOOKUP_FILES proves them."""
        inside = [path for path in paths if _stays_inside(path)][:MAX_LOOKUP_FILES]
        aliases = {f"path{number}": path for number, path in enumerate(inside) if _is_valid_path(path)}
        if not aliases:
            return {}
        declared = " ".join(f"${alias}: String!" for alias in aliases)
        fields = "\n".join(f"{alias}: object(expression: ${alias}) {{ ...Entry }}" for alias in aliases)
        query = _ENTRIES_QUERY.replace("#declared", declared).replace("#fields", fields)
        owner, _, name = self.repository.partition("/")
        expressions = {alias: f"{_checked_sha(sha)}:{path}" for alias, path in aliases.items()}
        variables = {"owner": owner, "name": name, "commit": sha, **expressions}
        return proven_entries(self.connection.graphql_partly(query, variables), sha, aliases)

    def directory(self, path: str, sha: str) -> tuple[str, ...] | None:
        """Lists the names in a folder (at most 1,000), folders with a final slash; None if it is not a folder."""
        response = self._read_contents(path, sha)
        if response is None or not isinstance(response.value, list):
            return None
        return tuple(
            entry.text("name") + ("/" if entry.text("type") == "dir" else "") for entry in response.entries()
        )

    def tree_files(self, sha: str) -> tuple[TreeFile, ...] | None:
        """Lists the regular files of a commit, by the bytes of their paths; None if GitHub lacks it or cuts the list.

        GitHub lists at most 100,000 entries, and 7 MB.
        """
        try:
            response = self.connection.get(self._at(f"git/trees/{_checked_sha(sha)}"), {"recursive": 1})
        except GitHubError as error:
            if error.kind in (GitHubErrorKind.NOT_FOUND, GitHubErrorKind.INVALID):
                return None
            raise
        if response.truth("truncated"):
            return None
        files = [
            TreeFile(entry.text("path"), entry.text("sha"), entry.number("size"))
            for entry in response.entries("tree")
            if entry.text("type") == "blob" and entry.text("mode").startswith("100")
        ]
        return tuple(sorted(files, key=lambda file: file.path.encode("utf-8", "surrogateescape")))

    def merge_base(self, base_sha: str, head_sha: str) -> str:
        """Returns the SHA of the merge base of both commits."""
        commits = f"{_checked_sha(base_sha)}...{_checked_sha(head_sha)}"
        # The first page would include up to 300 files.
        response = self.connection.get(self._at(f"compare/{commits}"), {"per_page": 1, "page": 2})
        return response.text("merge_base_commit.sha")

    def conversation(self, number: int, head_sha: str) -> Conversation:
        """Reads the conversation of the pull request, and our check runs at `head_sha`; see github.conversation."""
        sha = _checked_sha(head_sha)
        read = read_conversation(self.connection, self.repository, number, sha, lambda: self.account)
        return replace(read, writers=self._write_access.writers(deciding_logins(read)))

    def _read_contents(self, path: str, sha: str) -> JsonValue | None:
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
    """Returns whether the path is inside the tree: `..` would address other endpoints of the API."""
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _checked_sha(sha: str) -> str:
    if not is_sha(sha):
        raise GitHubError(
            GitHubErrorKind.INVALID, f"{sha[:80]!r} is no commit's SHA.", "Pass the full hexadecimal SHA."
        )
    return sha


def _decode_content(response: JsonValue) -> bytes:
    try:
        return b64decode(response.text("content"))
    except (Base64Error, ValueError) as error:
        raise malformed_response_error(response.request, "its content is no base64") from error


def _counts_match(entries: Sequence[JsonValue], pull_request: PullRequest) -> bool:
    added = sum(entry.number("additions") for entry in entries)
    deleted = sum(entry.number("deletions") for entry in entries)
    return (added, deleted) == (pull_request.additions, pull_request.deletions)


def _file_diff(entry: JsonValue, *, complete: bool) -> FileDiff:
    patch = entry.at("patch").value
    status = _status(entry.text("status"))
    additions, deletions = entry.number("additions"), entry.number("deletions")
    moved = status in (FileStatus.RENAMED, FileStatus.COPIED, FileStatus.CHANGED, FileStatus.UNCHANGED)
    hunks = parse_hunks(patch.encode("utf-8", "surrogatepass")) if isinstance(patch, str) else ()
    unchanged = moved and complete and additions + deletions == 0
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


_ENTRIES_QUERY = """
query($owner: String!, $name: String!, $commit: GitObjectID!, #declared) {
  repository(owner: $owner, name: $name) {
    commit: object(oid: $commit) { __typename oid }
    #fields
  }
}
fragment Entry on GitObject {
  __typename oid
  ... on Blob { text }
  ... on Tree { entries { name type } }
}
"""


def proven_entries(answer: GraphqlResponse, sha: str, aliases: Mapping[str, str]) -> Known:
    """Returns the files and folders that the answer proves, by path. `aliases`: the paths by their names in the answer.

    A path is proven absent (None) by null without an error, if the answer contains the commit itself.
    """
    repository = answer.data.at("repository")
    commit = repository.at("commit")
    if (commit.at("__typename").value, commit.at("oid").value) != ("Commit", sha):
        return {}
    entries: dict[str, Entry] = {}
    for alias, path in aliases.items():
        node = repository.at(alias)
        if node.value is not None:
            entry = _read_file(node) if node.at("text").value is not None else _read_folder(node)
            if entry is not None:
                entries[path] = entry
        elif _has_key(repository, alias) and answer.fault_at("repository", alias) is None:
            entries[path] = None
    return entries


def _has_key(repository: JsonValue, alias: str) -> bool:
    """Returns whether the answer contains this alias, even with null."""
    return isinstance(repository.value, dict) and alias in repository.value


def _read_file(node: JsonValue) -> bytes | None:
    """Returns the file's bytes if their Git hash equals GitHub's `oid`: its text may be cut or re-encoded.

    Returns None also for a single line without a newline: it may be a symbolic link, which only REST follows.
    """
    text = node.at("text").value
    if node.at("__typename").value != "Blob" or not isinstance(text, str) or "\n" not in text:
        return None
    content = text.encode("utf-8", "surrogatepass")
    oid = node.text_or("oid", "")
    new_hash = hashlib.sha256 if len(oid) == 64 else hashlib.sha1
    digest = new_hash(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return content if digest.hexdigest() == oid else None


def _read_folder(node: JsonValue) -> tuple[str, ...] | None:
    """Returns the names in a folder; None if the node is not a folder, or an entry has no name."""
    entries = node.at("entries").value
    if node.at("__typename").value != "Tree" or not isinstance(entries, list):
        return None
    names = [(entry.text_or("name", ""), entry.text_or("type", "")) for entry in node.entries("entries")]
    if not all(name for name, _ in names):
        return None
    return tuple(f"{name}/" if kind == "tree" else name for name, kind in names)


def _is_valid_path(path: str) -> bool:
    """Returns whether JSON can encode the path and Git can contain it: otherwise GitHub rejects the whole query."""
    return is_encodable(path) and "\0" not in path


MAX_TOOL_FILE = 2_000_000
"""Bytes."""


class ApiTree:
    """The code under review at a pinned SHA, read through the API. GitHub has no search at a commit."""

    searchable = False

    def __init__(self, github: GitHub, sha: str) -> None:
        self._github = github
        self._sha = sha

    def read(self, path: str) -> bytes | None:
        """Returns the file's bytes; None if there is no such file. Raises OversizeError above MAX_TOOL_FILE."""
        return self._github.file(path, self._sha, most=MAX_TOOL_FILE)

    def read_many(self, paths: Sequence[str]) -> Known:
        """Returns files by path, None for no file, as far as one request proves them. Raises GitHubError."""
        return self._github.read_many(paths, self._sha)

    def search(self, *_pattern_and_paths: object, **_limits: object) -> list[tuple[str, int, str]] | None:
        """Returns None: search is not available here."""
        return None

    def list(self, path: str) -> tuple[str, ...] | None:
        """Lists the names in a folder, folders with a final slash; None if there is no such folder."""
        return self._github.directory(path, self._sha)

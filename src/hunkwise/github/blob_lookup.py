"""Looks up files of a commit within a GraphQL query, and uses only results that are proven correct.

A review without a checkout reads four paths of its base that mostly do not exist: a request for each of them would be
half of the requests of an unchanged pull request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hunkwise.domain.pull_request import Entry, Known
from hunkwise.domain.text import is_encodable
from hunkwise.github.connection import GitHubConnection
from hunkwise.github.responses import GraphqlResponse, JsonValue

_FRAGMENT = """
fragment Entry on GitObject {
  __typename oid
  ... on Blob { text }
  ... on Tree { entries { name type } }
}
"""


@dataclass(frozen=True, slots=True)
class BlobLookup:
    """The paths to look up at one commit. Without paths the query stays unchanged and the result is empty."""

    sha: str = ""
    paths: Sequence[str] = ()

    def added_to(self, query: str) -> str:
        """Returns the query with its placeholders `#declared` and `#looked` (GraphQL comments) filled in.

        Paths are passed as variables only. The query must declare `$once`: later pages skip the lookup.
        """
        if not self.paths:
            return query
        declarations = ["$commit: GitObjectID!"]
        fields = ["commit: object(oid: $commit) @include(if: $once) { __typename oid }"]
        for alias in self._aliases:
            declarations.append(f"${alias}: String!")
            fields.append(f"{alias}: object(expression: ${alias}) @include(if: $once) {{ ...Entry }}")
        query = query.replace("#declared", " ".join(declarations)).replace("#looked", "\n    ".join(fields))
        return query + _FRAGMENT

    @property
    def variables(self) -> dict[str, object]:
        """The variables that `added_to` declares."""
        if not self.paths:
            return {}
        expressions = {alias: f"{self.sha}:{path}" for alias, path in self._aliases.items()}
        return {"commit": self.sha, **expressions}

    def known(self, answer: GraphqlResponse) -> Known:
        """Returns the files and folders that the answer proves, by path.

        A path is proven absent (None) by null without an error, if the answer contains the commit itself.
        """
        repository = answer.data.at("repository")
        if not self._has_commit(repository):
            return {}
        entries: dict[str, Entry] = {}
        for alias, path in self._aliases.items():
            node = repository.at(alias)
            if node.value is not None:
                entry = _read_file(node) if node.at("text").value is not None else _read_folder(node)
                if entry is not None:
                    entries[path] = entry
            elif _has_key(repository, alias) and answer.fault_at("repository", alias) is None:
                entries[path] = None
        return entries

    @property
    def _aliases(self) -> dict[str, str]:
        return {f"path{index}": path for index, path in enumerate(self.paths)}

    def _has_commit(self, repository: JsonValue) -> bool:
        commit = repository.at("commit")
        return (commit.at("__typename").value, commit.at("oid").value) == ("Commit", self.sha)


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


MAX_LOOKUP_FILES = 60
"""Files per query: more make it slow, and GitHub aborts a query after ten seconds."""
_QUERY = """
query($owner: String!, $name: String!, $once: Boolean!
  #declared
) {
  repository(owner: $owner, name: $name) {
    #looked
  }
}
"""


def read_many(connection: GitHubConnection, repository: str, sha: str, paths: Sequence[str]) -> Known:
    """Returns what one request proves about the first MAX_LOOKUP_FILES paths. Raises GitHubError."""
    look = BlobLookup(sha, [path for path in paths[:MAX_LOOKUP_FILES] if _is_valid_path(path)])
    if not look.paths:
        return {}
    owner, _, name = repository.partition("/")
    variables = {"owner": owner, "name": name, "once": True, **look.variables}
    return look.known(connection.graphql_partly(look.added_to(_QUERY), variables))


def _is_valid_path(path: str) -> bool:
    """Returns whether JSON can encode the path and Git can contain it: otherwise GitHub rejects the whole query."""
    return is_encodable(path) and "\0" not in path

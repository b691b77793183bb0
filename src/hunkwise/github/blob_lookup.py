"""Looks up files of a commit in a GraphQL query, and believes only what it proves.

A review without a checkout reads four paths of its base that mostly do not exist: a request for each of them would be
half of the requests of an unchanged pull request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hunkwise.domain.pull_request import Entry, Known
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
    """The paths to look at, at one commit. Without any, nothing is asked and nothing is known."""

    sha: str = ""
    paths: Sequence[str] = ()

    def added_to(self, query: str) -> str:
        """The query with `#declared` and `#looked`, which are comments otherwise, filled in.

        Paths go into variables alone. `$once` must be declared: another page does not look again.
        """
        if not self.paths:
            return query
        declared = ["$commit: GitObjectID!"]
        looked = ["commit: object(oid: $commit) @include(if: $once) { __typename oid }"]
        for alias in self._aliases:
            declared.append(f"${alias}: String!")
            looked.append(f"{alias}: object(expression: ${alias}) @include(if: $once) {{ ...Entry }}")
        query = query.replace("#declared", " ".join(declared)).replace("#looked", "\n    ".join(looked))
        return query + _FRAGMENT

    @property
    def variables(self) -> dict[str, object]:
        """What the additions need."""
        if not self.paths:
            return {}
        asked = {alias: f"{self.sha}:{path}" for alias, path in self._aliases.items()}
        return {"commit": self.sha, **asked}

    def known(self, answer: GraphqlResponse) -> Known:
        """What the answer proves.

        That nothing is at a path is proved by null without an error, where the commit itself was seen.
        """
        repository = answer.data.at("repository")
        if not self._sees_commit(repository):
            return {}
        known: dict[str, Entry] = {}
        for alias, path in self._aliases.items():
            said = repository.at(alias)
            if said.value is not None:
                found = _file(said) if said.at("text").value is not None else _folder(said)
                if found is not None:
                    known[path] = found
            elif _holds(repository, alias) and answer.fault_at("repository", alias) is None:
                known[path] = None
        return known

    @property
    def _aliases(self) -> dict[str, str]:
        return {f"path{place}": path for place, path in enumerate(self.paths)}

    def _sees_commit(self, repository: JsonValue) -> bool:
        seen = repository.at("commit")
        return (seen.at("__typename").value, seen.at("oid").value) == ("Commit", self.sha)


def _holds(repository: JsonValue, alias: str) -> bool:
    """Whether the answer has a word on it at all, be it null."""
    return isinstance(repository.value, dict) and alias in repository.value


def _file(said: JsonValue) -> bytes | None:
    """The file's bytes, where git's own hash of them is what GitHub says: its text may be cut or re-encoded.

    None, too, for a single line without an end: so looks a symbolic link, which only REST follows.
    """
    text = said.at("text").value
    if said.at("__typename").value != "Blob" or not isinstance(text, str) or "\n" not in text:
        return None
    content = text.encode("utf-8", "surrogatepass")
    named = said.text_or("oid", "")
    new = hashlib.sha256 if len(named) == 64 else hashlib.sha1
    hashed = new(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return content if hashed.hexdigest() == named else None


def _folder(said: JsonValue) -> tuple[str, ...] | None:
    """The names in it; None where it is no folder, or an entry has no name."""
    entries = said.at("entries").value
    if said.at("__typename").value != "Tree" or not isinstance(entries, list):
        return None
    named = [(entry.text_or("name", ""), entry.text_or("type", "")) for entry in said.entries("entries")]
    if not all(name for name, _ in named):
        return None
    return tuple(f"{name}/" if kind == "tree" else name for name, kind in named)


MAX_LOOKUP_FILES = 60
"""Files of one query: more make it slow, and GitHub ends what takes it ten seconds."""
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
    """What one request proves of the first MAX_LOOKUP_FILES of the paths. Raises GitHubError."""
    look = BlobLookup(sha, [path for path in paths[:MAX_LOOKUP_FILES] if _can_be_asked(path)])
    if not look.paths:
        return {}
    owner, _, name = repository.partition("/")
    asked = {"owner": owner, "name": name, "once": True, **look.variables}
    return look.known(connection.graphql_partly(look.added_to(_QUERY), asked))


def _can_be_asked(path: str) -> bool:
    """Whether JSON can name it, and git have it: else GitHub would refuse the whole query."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in path

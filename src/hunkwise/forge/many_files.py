"""Many files of a commit in one GraphQL query, for runs without a checkout."""

from __future__ import annotations

from collections.abc import Sequence

from hunkwise.domain.known import Known
from hunkwise.forge.connection import Connection
from hunkwise.forge.look import Look

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


def read_many(connection: Connection, repository: str, sha: str, paths: Sequence[str]) -> Known:
    """What is proved of the first MOST_FILES of the paths, by `forge.look`, in one request. Raises ForgeError."""
    look = Look(sha, [path for path in paths[:MAX_LOOKUP_FILES] if _can_be_asked(path)])
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

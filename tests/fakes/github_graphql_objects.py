"""The fake GitHub's GraphQL objects of git: commits, trees and blobs, by id or by an expression."""

from __future__ import annotations

import re

from tests.fakes.git_store import MissingObjectError
from tests.fakes.github_graphql_pages import Asking
from tests.fakes.github_messages import Json

_TEXT_LIMIT = 512_000
_NAMED = re.compile(r"([0-9a-f]{40}):(.*)", re.DOTALL)


def git_object(asking: Asking, oid: str | None = None, expression: str | None = None) -> Json | None:
    """A commit by its id, or what stands at `SHA:path`; null for what is not there. Other names are not known."""
    asking.must("read", "contents")
    store = asking.hub.store
    found = _NAMED.fullmatch(expression or "")
    try:
        if oid is not None:
            return {"__typename": "Commit", "oid": store.commit(oid)}
        if found is None:
            return None
        if not found[2]:
            return _tree(asking, store.commit(found[1]))
        entry = store.entry(found[1], found[2])
    except MissingObjectError:
        return None
    if entry.kind == "tree":
        return _tree(asking, entry.sha)
    return _blob(entry.sha, store.blob(entry.sha)) if entry.kind == "blob" else None


def _tree(asking: Asking, sha: str) -> Json:
    entries = asking.hub.store.tree(sha)
    listed = [{"name": entry.path, "type": entry.kind, "mode": int(entry.mode, 8)} for entry in entries]
    return {"__typename": "Tree", "oid": sha, "entries": listed}


def _blob(sha: str, raw: bytes) -> Json:
    """Text comes without a mark of UTF-8, with what is no UTF-8 replaced, and cut where it is long."""
    binary = b"\0" in raw
    text = raw.decode("utf-8-sig", "replace")[:_TEXT_LIMIT]
    return {
        "__typename": "Blob",
        "oid": sha,
        "byteSize": len(raw),
        "isBinary": binary,
        "isTruncated": len(raw) > _TEXT_LIMIT,
        "text": None if binary else text,
    }

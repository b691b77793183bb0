"""Compares git objects in the fake's GraphQL with its REST."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.fakes_contract.conftest import Served

OBJECTS = """
query($owner: String!, $name: String!, $commit: GitObjectID!, $path: String!) {
  repository(owner: $owner, name: $name) {
    commit: object(oid: $commit) { __typename oid }
    found: object(expression: $path) {
      __typename oid
      ... on Blob { byteSize isBinary isTruncated text }
      ... on Tree { entries { name type mode } }
    }
  }
}
"""


def ask(served: Served, path: str, *, commit: str = "", token: str = "ghs_write") -> Any:
    """Returns the response's JSON; `path` is at the base."""
    base = commit or served.origin.base
    variables = {"owner": "octo", "name": "repo", "commit": base, "path": f"{base}:{path}"}
    _, _, answer = served.client(token).requester.requestJson(
        "POST", f"{served.url}/graphql", input={"query": OBJECTS, "variables": variables}
    )
    return json.loads(answer)


def found(served: Served, path: str) -> Any:
    return ask(served, path)["data"]["repository"]["found"]


@pytest.mark.parametrize("path", ["src/long.txt", "no-end.txt", "docs/README.md"])
def test_text_equals_rest(github: Served, path: str) -> None:
    status, rest = github.ask("GET", f"/contents/{path}?ref={github.origin.base}")
    blob = found(github, path)
    assert status == 200
    assert (blob["__typename"], blob["oid"], blob["byteSize"]) == ("Blob", rest["sha"], rest["size"])
    assert blob["text"].encode() == base64.b64decode(rest["content"])
    assert (blob["isBinary"], blob["isTruncated"]) == (False, False)


def test_reads_link_binary_large_file_and_folder(github: Served) -> None:
    assert found(github, "link.txt")["text"] == "target.txt"
    binary, large = found(github, "logo.bin"), found(github, "large.txt")
    assert (binary["text"], binary["isBinary"]) == (None, True)
    assert large["isTruncated"]
    assert len(large["text"]) < large["byteSize"]
    folder = found(github, "src")
    assert folder["__typename"] == "Tree"
    assert folder["entries"][0] == {"name": "gone.txt", "type": "blob", "mode": 0o100644}
    assert "src" in [entry["name"] for entry in found(github, "")["entries"]]


def test_missing_object_is_null_without_error(github: Served) -> None:
    answer = ask(github, "nowhere/at all")
    assert answer["data"]["repository"] == {
        "commit": {"__typename": "Commit", "oid": github.origin.base},
        "found": None,
    }
    assert "errors" not in answer
    unseen = ask(github, "src", commit="0" * 40)
    assert unseen["data"]["repository"] == {"commit": None, "found": None}


def test_token_without_contents_gets_error(github: Served) -> None:
    github.fake.tokens["ghs_blind"] = frozenset({"none:contents"})
    answer = ask(github, "src", token="ghs_blind")
    assert answer["data"]["repository"] == {"commit": None, "found": None}
    assert {error["type"] for error in answer["errors"]} == {"FORBIDDEN"}
    assert ["repository", "found"] in [error["path"] for error in answer["errors"]]

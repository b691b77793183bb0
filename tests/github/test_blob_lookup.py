"""Lookup of many files of a commit in one query; unverified contents are omitted."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from hunkwise.domain.pull_request import Known
from hunkwise.errors import GitHubError
from hunkwise.github.client import MAX_LOOKUP_FILES, ApiTree, proven_entries
from hunkwise.github.graphql_responses import read_answer
from hunkwise.github.responses import JsonValue
from tests.fakes.github import GraphqlRefusal
from tests.github.conftest import BASE_FILES, World

SHA = "a" * 40
COMMIT = {"__typename": "Commit", "oid": SHA}
FORBIDDEN = {"type": "FORBIDDEN", "message": "Resource not accessible by integration"}


def blob(content: bytes, **other: Any) -> dict[str, Any]:
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"__typename": "Blob", "oid": oid, "text": content.decode(), **other}


def tree(*entries: Any) -> dict[str, Any]:
    return {"__typename": "Tree", "oid": SHA, "entries": list(entries)}


def known(repository: Any, *errors: Any) -> Known:
    """Returns the known files of `a` and `b` after this response."""
    answer = {"data": {"repository": repository}, "errors": list(errors)}
    response = read_answer(JsonValue(answer, "POST /graphql"))
    return proven_entries(response, SHA, {"path0": "a", "path1": "b"})


def look_up(world: World, *paths: str, token: str = "ghs_write") -> Known:
    return ApiTree(world.client(token), world.base).read_many(paths)


def test_files_folders_and_missing_paths_take_one_request(world: World) -> None:
    found = look_up(
        world, "src/a.py", "gone.txt", "docs/ü/read me.md", "docs", ".github/hunkwise.yml", "empty.txt"
    )
    assert found == {
        "src/a.py": BASE_FILES["src/a.py"].encode(),
        "gone.txt": b"gone\n",
        "docs/ü/read me.md": b"hello\n",
        "docs": ("ü/",),
        ".github/hunkwise.yml": None,
        "empty.txt": None,
    }
    assert [request.path for request in world.fake.journal] == ["/graphql"]


def test_files_above_the_limit_of_a_query_are_omitted(world: World) -> None:
    known = look_up(world, *(f"nothing/{number}" for number in range(MAX_LOOKUP_FILES + 1)))
    assert list(known) == [f"nothing/{number}" for number in range(MAX_LOOKUP_FILES)]


def test_no_request_without_paths(world: World) -> None:
    assert look_up(world, "../x") == {}
    assert world.fake.journal == []


def test_refused_graphql_is_an_error(world: World) -> None:
    world.fake.graphql_refusal = GraphqlRefusal(403)
    with pytest.raises(GitHubError):
        look_up(world, "src/a.py")


@pytest.mark.parametrize("path", ["link.py", "away", "big.txt", "logo.png", "", "../x", "src//a.py"])
def test_links_binaries_large_files_and_unusual_paths_are_omitted(world: World, path: str) -> None:
    assert look_up(world, path) == {}


@pytest.mark.parametrize("path", ['"} viewer { login } x: object(oid: "', "a:b", "HEAD", "$path1", "\n"])
def test_path_is_passed_as_a_variable(world: World, path: str) -> None:
    assert look_up(world, path, "gone.txt") == {path: None, "gone.txt": b"gone\n"}
    (unusual,) = world.fake.journal
    look_up(world, "some", "gone.txt")
    assert unusual.json["query"] == world.fake.journal[0].json["query"]
    assert unusual.json["variables"]["path0"] == f"{world.base}:{path}"


def test_no_result_without_commit_in_the_response(world: World) -> None:
    assert ApiTree(world.client(), "0" * 40).read_many(["AGENTS.md"]) == {}


def test_revision_that_is_not_a_sha_is_not_requested(world: World) -> None:
    with pytest.raises(GitHubError, match="is no commit's SHA"):
        ApiTree(world.client(), "main").read_many(["AGENTS.md"])


def test_no_result_without_permission_to_read_contents(world: World) -> None:
    world.fake.tokens["ghs_blind"] = frozenset({"none:contents"})
    assert look_up(world, "AGENTS.md", "src", token="ghs_blind") == {}


def test_null_means_missing_only_with_the_commit() -> None:
    absent = {"path0": None, "path1": None}
    assert known({"commit": COMMIT, **absent}) == {"a": None, "b": None}
    for unseen in (None, {}, {**COMMIT, "oid": "b" * 40}, {**COMMIT, "__typename": "Tag"}, "commit"):
        assert known({"commit": unseen, **absent}) == {}
    assert known(absent) == known(None) == known("nothing") == {}


def test_missing_key_does_not_mean_missing_file() -> None:
    assert known({"commit": COMMIT, "path1": None}) == {"b": None}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["repository", "path0"], {"b": None}),
        (["repository", "path0", "text"], {"b": None}),
        (["repository", "pullRequest", "commits"], {"a": None, "b": None}),
        (["repository"], {}),
        ([], {}),
    ],
)
def test_null_with_an_error_does_not_mean_missing_file(path: list[str], expected: Known) -> None:
    found = known({"commit": COMMIT, "path0": None, "path1": None}, {**FORBIDDEN, "path": path})
    assert found == expected


def test_content_is_verified_by_git_hash() -> None:
    content = "version: 1\n# Café\r\n".encode()
    long = hashlib.sha256(b"blob %d\0" % len(content) + content).hexdigest()
    response = {"commit": COMMIT, "path0": blob(content), "path1": blob(content, oid=long)}
    assert known(response) == {"a": content, "b": content}


@pytest.mark.parametrize(
    "value",
    [
        blob(b"cut\nshort\n", text="cut\n"),
        blob(b"\xef\xbb\xbfmarked\n", text="marked\n"),
        blob(b"replaced\n", text="repl\ufffdced\n"),
        blob(b"half a pair\n", text="\ud800\n"),
        blob(b"unnamed\n", oid=None),
        blob(b"named oddly\n", oid="x" * 64),
        blob(b"../AGENTS.md"),
        blob(b"binary\n", text=None),
        blob(b"no text\n", text=7),
        blob(b"a commit\n", __typename="Commit"),
        {"__typename": "Commit", "oid": SHA},
        {"__typename": "Tree", "entries": None},
        {"__typename": "Tree", "entries": [None]},
        {"__typename": "Tag", "entries": []},
        tree({"name": None, "type": "blob"}),
        "text",
        [],
    ],
)
def test_unverified_content_is_omitted(value: Any) -> None:
    assert known({"commit": COMMIT, "path0": value, "path1": None}) == {"b": None}


def test_folder_is_returned_with_names() -> None:
    entries = [
        {"name": "a.md", "type": "blob"},
        {"name": "more", "type": "tree"},
        {"name": "m", "type": "commit"},
    ]
    assert known({"commit": COMMIT, "path0": tree(*entries)}) == {"a": ("a.md", "more/", "m")}
